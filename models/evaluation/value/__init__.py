"""The verdicts together: V and HyperScore, how far evaluators can be believed, what the goal still needs."""
