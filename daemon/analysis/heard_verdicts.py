"""What the evaluators had written when an epoch closed: their verdicts enter the weight of its evidence."""

from __future__ import annotations

import json

from frazil.daemon.store.store import Store
from frazil.models.causal.evidence_weight import HeardVerdict
from frazil.models.evaluation.value.temper import HEARD, HEARD_ROUNDS_BACK, only_cost

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
        unknown = evidence.get("does_not_know") or ()
        silent = verdict is None or only_cost(str(evaluator), evidence.get("parts"))
        why_not = "" if not silent else str(unknown[0]) if unknown else "nothing could be said"
        found.append(
            HeardVerdict(str(evaluator), int(number), None if silent else float(verdict), float(reliability), why_not)
        )
    return tuple(found)
