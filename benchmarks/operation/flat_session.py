"""Whether a movie costs the same at the end of a long session as at its beginning: map, store and analysis.

    ./run bench flat_session [--copied 10000] [--map 0] [--records 50000] [--json OUT.json]
    ./run bench flat_session --copied 0 --records 0 --map 10000 --json OUT.json   (the other parts stay in the file)

`--map`: so many movies of tiny synthetic particles through the reconstruction's actor, an hour of one core
(`flat_map.py`); the claim: processor time and bytes written a movie of the last thousand within 10 % of the first
thousand's, and processor time beside a young session, by turns, within 10 %.
`--copied`: the same of a session whose later movies are copies of the first two hundred: a minute of one core.
`--records`: a session of so many movies' records and one of a thousand, by turns, through everything that the daemon
does for a movie but to process it (`flat_records.py`). Exit 1 where the map's claim does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.operation import flat_map, flat_records

WITHIN = 1.1
EARLY_MOVIES, TURNS, BATCH = 1000, 5, 20


def holds(part: dict[str, Any]) -> bool:
    """The map's claim."""
    return all(ratio <= WITHIN for name, ratio in part.items() if "_ratio" in name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copied", type=int, default=10_000, metavar="MOVIES", help="0: not measured")
    parser.add_argument("--map", type=int, default=0, metavar="MOVIES", help="0: not measured")
    parser.add_argument("--records", type=int, default=50_000, metavar="MOVIES", help="0: not measured")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    there = options.json is not None and options.json.exists()
    figures: dict[str, Any] = json.loads(options.json.read_text(encoding="utf-8")) if there else {}
    if options.records:
        figures["records"] = flat_records.measure(options.records, EARLY_MOVIES, TURNS, BATCH)
    for name, movies, measure in (
        ("copied_map", options.copied, flat_map.measure_copied),
        ("map", options.map, flat_map.measure),
    ):
        if movies:
            figures[name] = part = measure(movies)
            part["holds"] = holds(part)
            print(json.dumps(part, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if all(figures[name]["holds"] for name in ("copied_map", "map") if name in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
