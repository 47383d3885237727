"""The actor that forecasts citations: it reads the graph and fits the network to its past, once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from frazil.actors import niceness
from frazil.config.errors import FrazilError
from frazil.models.evaluation.impact import evaluator as impact
from frazil.models.evaluation.impact.citation_graph import CitationGraph
from frazil.models.evaluation.impact.weights import shipped_network
from frazil.models.evaluation.verdict import Verdict

ReadGraph = Callable[[Path], tuple[CitationGraph, tuple[str, ...]]]
"""A graph and what was left out of it, in sentences; raises `FrazilError`."""


class ImpactForecaster:
    """Stateless. `polite`: movies go first where cores are few."""

    def __init__(self, *, polite: bool = False) -> None:
        torch.set_num_threads(1)
        if polite:
            niceness.give_way(niceness.MAP)

    def forecast(self, read: ReadGraph, path: str, request: impact.ImpactRequest) -> Verdict:
        """A graph that cannot be read gives the verdict that says so, with the file and the remedy."""
        try:
            graph, notes = read(Path(path))
        except FrazilError as error:
            return impact.nothing(str(error))
        device = torch.device("cpu")
        return impact.forecast(graph, request, shipped_network(device), device, notes=notes)
