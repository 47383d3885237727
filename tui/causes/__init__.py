"""Mode *Causes*: what costs signal, what changed, what would pay."""
