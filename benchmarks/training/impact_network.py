"""Trains the weights of the citation-graph network that frazil ships (models/evaluation/impact/weights).

    python benchmarks/training/impact_network.py [--graphs 320] [--steps 3000] [--seed 1] [--out FILE.npz]

Synthetic graphs (models/evaluation/impact/citation_growth.py), each with parameters of its own, each cut 5 to 10 years
before its end: the network sees the graph up to the cut and is asked for what the next two and five years bring, and
for the citations by patents among them. What is kept is a running mean of the weights. Prints the log-likelihood on
graphs that were not trained on. The same seed gives the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import frazil.models.evaluation
from frazil.models.evaluation.impact.citation_growth import synthetic_graph
from frazil.models.evaluation.impact.network import GraphTensors, ImpactNetwork, graph_tensors, mixtures

CPU = torch.device("cpu")
HORIZONS_YEARS = (2.0, 5.0)


@dataclass(frozen=True)
class Example:
    graph: GraphTensors
    counts: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    """For each horizon: all citations, those by patents."""


def example(seed: int, years_before_end: float) -> Example:
    whole = synthetic_graph(seed)
    now = whole.as_of_year - years_before_end
    known, index = whole.until(now)

    def count(horizon: float, patents_only: bool) -> torch.Tensor:
        return torch.from_numpy(whole.citations_between(now, now + horizon, patents_only=patents_only)[index]).float()

    counts = tuple((count(horizon, False), count(horizon, True)) for horizon in HORIZONS_YEARS)
    return Example(graph_tensors(known, CPU), counts)


def losses(network: ImpactNetwork, example: Example) -> list[torch.Tensor]:
    """Mean negative log-likelihood a work: 2 years, 5 years, and of patents for each."""
    parameters = network(example.graph)
    found = []
    for horizon, counts in zip(HORIZONS_YEARS, example.counts, strict=True):
        for law, count in zip(mixtures(parameters, example.graph, horizon), counts, strict=True):
            found.append(-law.log_probability(count).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=320)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    default = Path(frazil.models.evaluation.__path__[0]) / "impact" / "weights" / "impact_network.npz"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    began = time.monotonic()
    order = np.random.default_rng(arguments.seed)
    held_out = [example(900_000 + arguments.seed * 100 + number, 5.0) for number in range(8)]
    shown = [
        example(arguments.seed * 1_000_000 + number, float(order.uniform(5.0, 10.0)))
        for number in range(arguments.graphs)
    ]
    print(f"{len(shown)} examples in {time.monotonic() - began:.0f} s", flush=True)
    network = ImpactNetwork()
    print(f"{sum(p.numel() for p in network.parameters())} parameters", flush=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    mean = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    averaged = mean.module
    assert isinstance(averaged, ImpactNetwork)
    steps = arguments.steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.003
    )
    for step in range(steps):
        two, two_patents, five, five_patents = losses(network, shown[int(order.integers(len(shown)))])
        loss = five + 0.3 * two + 0.5 * five_patents + 0.15 * two_patents
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        mean.update_parameters(network)
        if step % 500 == 499 or step == steps - 1:
            with torch.no_grad():
                told = torch.tensor([losses(averaged, one) for one in held_out]).mean(0).tolist()
            print(
                f"step {step + 1}, {time.monotonic() - began:.0f} s: nats a work, 2 years {told[0]:.4f} "
                f"(patents {told[1]:.4f}), 5 years {told[2]:.4f} (patents {told[3]:.4f})",
                flush=True,
            )
            save(averaged, arguments.out)


def save(network: ImpactNetwork, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, **{n: v.numpy().astype(np.float32) for n, v in network.state_dict().items()})


if __name__ == "__main__":
    main()
