"""What grows with the session: the causal prior, losses and advice, the map, verdicts, restoration."""
