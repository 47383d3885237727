"""Questions about the evaluators' verdicts."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.queries.named_query import LAST_PARAM, NamedQuery, Param, rows_param

SCORES = "SELECT * FROM scores ORDER BY round DESC, evaluator LIMIT $limit"
VERDICTS = (
    "SELECT * EXCLUDE (evidence_json) FROM scores WHERE round > (SELECT max(round) FROM scores) - $last "
    "ORDER BY round, evaluator"
)
EVIDENCE = (
    "SELECT round, evaluator, evidence_json FROM scores "
    "WHERE evaluator = $evaluator AND round = coalesce($round, (SELECT max(round) FROM scores))"
)
VALUE_WEIGHTS = "SELECT * FROM value_weights ORDER BY round DESC LIMIT $limit"

QUERIES: Mapping[str, NamedQuery] = {
    "scores": NamedQuery("The evaluators' verdicts, newest round first.", SCORES, {"limit": rows_param(100)}),
    "verdicts": NamedQuery(
        "The evaluators' verdicts of the last rounds without their evidence, oldest round first.",
        VERDICTS,
        LAST_PARAM,
    ),
    "evidence": NamedQuery(
        "What one verdict rests on (JSON); without a round, of the last.",
        EVIDENCE,
        {"evaluator": Param(str, required=True), "round": Param(int)},
    ),
    "value_weights": NamedQuery(
        "The weights of V by round, newest first, and what moved them.",
        VALUE_WEIGHTS,
        {"limit": rows_param(100)},
    ),
}
