"""The evaluators against planted faults, known structures and known futures."""
