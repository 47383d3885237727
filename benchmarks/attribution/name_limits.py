"""How many dominant causes are named, and how many are where there is none, by the probability that a name asks for.

    ./run bench name_limits --work DIR --sessions mixed:44 grid:205 ... [--json OUT.json]

Sessions are those that `./run bench attribution --work DIR` has made there: they are read and attributed again, by the
last version of the prior, and each movie's likeliest dominant cause is compared with the truth as `attribution` does.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.attribution import replay as replays
from benchmarks.attribution.score import CLEAR_EXCESS, dominant
from benchmarks.attribution.truth import attributed, complete, losses_of, read_truth
from frazil.models.causal import attribution
from frazil.models.causal.attribution import attribute
from frazil.models.causal.naming import LEAST_PROBABILITY, ROOTS, NamedCause, dominance

LIMITS = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9)
_OF_ICE = "defocus_spread"


def likeliest(session: Path) -> list[tuple[float, bool, bool, bool]]:
    """By movie: probability of the likeliest dominant cause, whether it is the true first one, whether there is a
    dominant one, and whether that costs much."""
    truth = read_truth(session)
    run = replays.replay(session, truth, session / "work", final_prior=True)
    complete(truth, run.kept)
    found = attributed(truth, [losses_of(result) for result in run.results])
    first, most, clear = dominant(found)
    rows = []
    for index, result in enumerate(run.results):
        assert result.evidence is not None
        probability = _dominance(result.evidence, run.priors[-1])
        place = int(np.argmax(probability))
        root = "ice" if ROOTS[place] == _OF_ICE else ROOTS[place]
        much = bool(clear[index] and most[index] > CLEAR_EXCESS)
        rows.append((float(probability[place]), root == first[index], bool(clear[index]), much))
    return rows


def _dominance(evidence: Any, prior: Any) -> Any:
    """(roots,) what a movie is named by."""
    excesses: list[Any] = []

    def kept(excess: Any) -> NamedCause:
        excesses.append(excess)
        return NamedCause("", 0.0)

    with patch.object(attribution, "name_cause", kept):
        attribute(evidence, prior)
    return dominance(excesses[0])


def at_limit(rows: list[tuple[float, bool, bool, bool]], limit: float) -> dict[str, int]:
    """Counts of movies."""
    return {
        "with_one_cause": sum(clear for _, _, clear, _ in rows),
        "right": sum(p >= limit and right and clear for p, right, clear, _ in rows),
        "with_a_clear_one": sum(much for _, _, _, much in rows),
        "right_of_clear": sum(p >= limit and right and much for p, right, _, much in rows),
        "without": sum(not clear for _, _, clear, _ in rows),
        "elsewhere": sum(p >= limit and not clear for p, _, clear, _ in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sessions", nargs="+", metavar="KIND:SEED", required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [row for name in arguments.sessions for row in likeliest(arguments.work / name.replace(":", "_"))]
    table = {f"{limit:g}": at_limit(rows, limit) for limit in LIMITS}
    for limit, one in table.items():
        print(
            f"{limit:>5}: right {one['right']} of {one['with_one_cause']}, clear ones {one['right_of_clear']} of "
            f"{one['with_a_clear_one']}, elsewhere {one['elsewhere']} of {one['without']}"
            f"{' (as it is)' if float(limit) == LEAST_PROBABILITY else ''}"
        )
    if arguments.json is not None:
        result = {"sessions": arguments.sessions, "as_it_is": LEAST_PROBABILITY, "limits": table}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
