"""Mode *Scores*: the evaluators' verdicts with their evidence."""
