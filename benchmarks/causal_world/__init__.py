"""Sessions by independent physics: what the causal part is measured on. No code of `models/simulation`."""
