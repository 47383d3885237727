"""The rounds of the evaluators: the facts they judge, their verdicts, reruns, forecasts."""
