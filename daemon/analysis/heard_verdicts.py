"""What the evaluators had written when an epoch closed: their verdicts enter the weight of its evidence."""

from __future__ import annotations

import json

from frazil.daemon.store.store import Store
from frazil.models.causal.evidence_weight import HeardVerdict
from frazil.models.evaluation.value.temper import HEARD, HEARD_ROUNDS_BACK, heard_of
from frazil.models.evaluation.verdict import Verdict

_NEWEST_SQL = """
SELECT evaluator, round, verdict, reliability, evidence_json FROM scores
WHERE list_contains(?, evaluator) AND round <= ? AND reliability > 0 AND reliability <= 1
QUALIFY row_number() OVER (PARTITION BY evaluator ORDER BY round DESC) = 1 ORDER BY evaluator
"""


def heard_verdicts(store: Store, epoch: int) -> tuple[HeardVerdict, ...]:
    """The newest finished verdict of each evaluator among the rounds that an epoch may hear of. Raises what
    `Store.rows` raises."""
    rows = store.rows(_NEWEST_SQL, list(HEARD), epoch - HEARD_ROUNDS_BACK)
    found = []
    for evaluator, number, verdict, reliability, text in rows:
        evidence = json.loads(str(text))
        said = Verdict(
            str(evaluator),
            None if verdict is None else float(verdict),
            reliability=float(reliability),
            evidence=evidence,
            does_not_know=tuple(str(one) for one in evidence.get("does_not_know") or ()),
        )
        found.append(heard_of(said, int(number)))
    return tuple(found)
