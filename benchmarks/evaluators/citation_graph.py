"""Writes a synthetic citation graph as OpenAlex-shaped Parquet or CSV, to try the forecast of impact on.

    ./run bench citation_graph OUT.parquet [--seed 1]

The process is that of models/evaluation/impact/citation_growth.py. Prints a work of the last year and what it cites,
for `evaluation.work_id` and `evaluation.reference_work_ids`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from frazil.daemon.store.citation_files import write_citation_graph
from frazil.models.evaluation.impact.citation_growth import synthetic_graph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    graph = synthetic_graph(arguments.seed)
    write_citation_graph(graph, arguments.out)
    cites = np.bincount(graph.citing, minlength=len(graph)) >= 3
    young = int(np.flatnonzero(cites & (graph.published_year > graph.as_of_year - 1.0))[0])
    references = [graph.work_ids[i] for i in graph.cited[graph.citing == young]]
    print(f"{arguments.out}: {len(graph)} works, {len(graph.citing)} citations, up to {graph.as_of_year:.0f}")
    print(f"a work of the last year: {graph.work_ids[young]}; it cites {', '.join(references)}")


if __name__ == "__main__":
    main()
