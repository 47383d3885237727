"""Questions about randomised experiments: what was planned, what they say, and hole by hole."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.queries.named_query import NamedQuery, Param, rows_param

EXPERIMENTS = "SELECT * FROM experiments ORDER BY created_utc_us DESC, experiment_id LIMIT $limit"
EXPERIMENT = "SELECT * FROM experiments WHERE experiment_id = $experiment_id"
ASSIGNMENTS = "SELECT * FROM experiment_assignments WHERE experiment_id = $experiment_id ORDER BY place"
_ID_PARAM = {"experiment_id": Param(str, required=True)}

QUERIES: Mapping[str, NamedQuery] = {
    "experiments": NamedQuery(
        "Randomised experiments and what they say, the newest first.", EXPERIMENTS, {"limit": rows_param(20)}
    ),
    "experiment": NamedQuery("One randomised experiment and what it says.", EXPERIMENT, _ID_PARAM),
    "experiment_assignments": NamedQuery(
        "An experiment's holes: their order, their settings, what came of them.", ASSIGNMENTS, _ID_PARAM
    ),
}
