"""Questions about causes of loss: losses by factor, named causes, the causal graph, restoration, priors, advice."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.movie_states import current, finished, kept
from frazil.daemon.store.queries.movie_columns import LAST_RESULTS
from frazil.daemon.store.queries.named_query import (
    LAST_PARAM,
    MOVIE_PARAM,
    RESOLUTION_PARAM,
    NamedQuery,
    Param,
    rows_param,
)

LOSSES = (
    "SELECT factor, frequency_per_angstrom, loss_ln_ssnr, loss_sd, prior_version FROM causal_losses "
    "WHERE movie_id = $movie_id ORDER BY factor, frequency_per_angstrom"
)
LOSSES_BY_FACTOR = (
    "SELECT factor, avg(loss_ln_ssnr) AS loss_ln_ssnr, stddev_samp(loss_ln_ssnr) AS spread_ln_ssnr, "
    "sqrt(avg(loss_sd * loss_sd)) AS loss_sd, count(DISTINCT movie_id) AS movies FROM causal_losses "
    f"WHERE movie_id IN {LAST_RESULTS} AND frequency_per_angstrom BETWEEN $min_frequency_per_angstrom AND "
    "$max_frequency_per_angstrom GROUP BY factor ORDER BY loss_ln_ssnr DESC"
)
# A curve at 1/$resolution_angstrom, linear between its points.
_BRACKETED = ", ".join(
    f"arg_max({values}, frequency_per_angstrom) FILTER (frequency_per_angstrom <= 1 / $resolution_angstrom) "
    f"AS {name}0, "
    f"arg_min({values}, frequency_per_angstrom) FILTER (frequency_per_angstrom >= 1 / $resolution_angstrom) "
    f"AS {name}1"
    for values, name in (("frequency_per_angstrom", "f"), ("loss_ln_ssnr", "loss"), ("loss_sd", "sd"))
)
_BETWEEN = ", ".join(
    f"coalesce({name}0 + ({name}1 - {name}0) * (1 / $resolution_angstrom - f0) / nullif(f1 - f0, 0), {name}0, {name}1) "
    f"AS {name}"
    for name in ("loss", "sd")
)


def _losses_at(where: str) -> str:
    """(movie_id, factor, prior_version, loss, sd)"""
    return (
        f"SELECT movie_id, factor, prior_version, {_BETWEEN} FROM (SELECT movie_id, factor, prior_version, "
        f"{_BRACKETED} FROM causal_losses WHERE {where} GROUP BY movie_id, factor, prior_version)"
    )


LOSSES_AT = (
    "SELECT factor, loss AS loss_ln_ssnr, sd AS loss_sd, prior_version "
    f"FROM ({_losses_at('movie_id = $movie_id')}) ORDER BY loss DESC, factor"
)
# The errors of one session's movies are mostly common to all of them: that of the mean is not smaller.
MEAN_LOSSES_AT = (
    "SELECT factor, avg(loss) AS loss_ln_ssnr, stddev_samp(loss) AS spread_ln_ssnr, sqrt(avg(sd * sd)) AS loss_sd, "
    "count(*) AS movies, min(prior_version) AS oldest_prior_version, max(prior_version) AS newest_prior_version "
    f"FROM ({_losses_at(f'movie_id IN {LAST_RESULTS}')}) GROUP BY factor ORDER BY loss_ln_ssnr DESC, factor"
)
# Read from the arrays themselves: as one row a point, fifty thousand movies would be fourteen million rows.
LOSSES_PER_HOUR = (
    "WITH placed AS (SELECT movie_id, factor, loss_ln_ssnr, frequency_per_angstrom AS f, "
    "1 / $resolution_angstrom AS wanted, "
    "len(list_filter(frequency_per_angstrom, lambda x: x <= 1 / $resolution_angstrom)) AS i FROM causal_loss_arrays), "
    "lossy AS (SELECT movie_id, factor, CASE WHEN i = 0 THEN loss_ln_ssnr[1] "
    "WHEN i = len(f) THEN loss_ln_ssnr[i] ELSE loss_ln_ssnr[i] "
    "+ (loss_ln_ssnr[i + 1] - loss_ln_ssnr[i]) * (wanted - f[i]) / (f[i + 1] - f[i]) END AS loss FROM placed) "
    "SELECT time_bucket(INTERVAL 1 HOUR, make_timestamp(m.ready_utc_us)) AS hour_utc, factor, "
    "avg(loss) AS loss_ln_ssnr, count(*) AS movies FROM lossy JOIN movies m "
    f"USING (movie_id) WHERE {finished('m')} GROUP BY hour_utc, factor "
    "ORDER BY hour_utc, loss_ln_ssnr DESC, factor"
)
NAMED_CAUSES = (
    f"SELECT k.named_cause, count(*) AS movies, count(*) FILTER ({kept('m')}) AS kept, "
    "avg(k.named_excess_ln_ssnr) AS excess_ln_ssnr FROM named_causes k JOIN movies m USING (movie_id) "
    f"WHERE {finished('m')} GROUP BY k.named_cause ORDER BY movies DESC, k.named_cause NULLS LAST"
)
CAUSES_BY_SQUARE = (
    "SELECT m.grid_square, k.named_cause, count(*) AS movies, avg(k.named_excess_ln_ssnr) AS excess_ln_ssnr "
    f"FROM named_causes k JOIN movies m USING (movie_id) WHERE {finished('m')} "
    "AND m.grid_square IS NOT NULL GROUP BY m.grid_square, k.named_cause "
    "ORDER BY m.grid_square, movies DESC, k.named_cause NULLS LAST"
)
ICE = (
    "SELECT median(k.ice_nm) AS ice_nm, quantile_cont(k.ice_nm, 0.25) AS quartile_1_nm, "
    "quantile_cont(k.ice_nm, 0.75) AS quartile_3_nm, median(k.ice_sd_nm) AS ice_sd_nm, count(k.ice_nm) AS movies "
    f"FROM named_causes k WHERE movie_id IN {LAST_RESULTS}"
)
CHANGE_POINTS = (
    "SELECT p.*, m.relative_path, m.found_utc_us FROM change_points p LEFT JOIN (SELECT acquired_utc_us, "
    "min(relative_path) AS relative_path, min(found_utc_us) AS found_utc_us FROM movies "
    f"WHERE {current()} GROUP BY acquired_utc_us) m USING (acquired_utc_us) ORDER BY number"
)
# A movie has a note a line.
CAUSE_NOTES = (
    "SELECT note, count(*) AS movies FROM (SELECT unnest(string_split(k.notes, chr(10))) AS note "
    f"FROM named_causes k JOIN movies m USING (movie_id) WHERE {finished('m')} AND k.notes IS NOT NULL) "
    "GROUP BY note ORDER BY movies DESC, note LIMIT $limit"
)
CAUSAL_NODES = "SELECT * FROM causal_nodes ORDER BY place"
CAUSAL_EDGES = "SELECT * FROM causal_edges ORDER BY cause, effect"
RESTORATIONS = (
    "SELECT r.method, r.network_version, count(*) AS movies, median(r.held_out_gain) AS held_out_gain, "
    "median(r.specimen_share) AS specimen_share, avg(r.masked_share) AS masked_share "
    f"FROM restorations r JOIN movies m USING (movie_id) WHERE {finished('m')} "
    "GROUP BY ALL ORDER BY movies DESC, r.method, r.network_version"
)
RESTORATION_ROUNDS = "SELECT * FROM restoration_rounds ORDER BY round"
CAUSAL_SHARES = "SELECT * FROM causal_shares ORDER BY loss_ln_ssnr DESC, factor"
PREDICTIONS = "SELECT * FROM predictions ORDER BY prior_version DESC, quantity LIMIT $limit"
EVIDENCE_WEIGHTS = "SELECT * FROM evidence_weights ORDER BY prior_version DESC, term LIMIT $limit"
PRIORS = "SELECT * EXCLUDE (state_json) FROM priors ORDER BY version DESC LIMIT $limit"
# Frazil's advice of the moment first, in its order; then what people did, newest first.
INTERVENTIONS = (
    "SELECT * FROM interventions ORDER BY place IS NULL, place IS NOT NULL AND coalesce(gain_low_ln_ssnr <= 0, false), "
    "place, created_utc_us DESC, intervention_id LIMIT $limit"
)

QUERIES: Mapping[str, NamedQuery] = {
    "losses": NamedQuery("Causal losses of one movie.", LOSSES, MOVIE_PARAM),
    "losses_by_factor": NamedQuery(
        "Mean loss by factor in a band of frequencies, over the last movies.",
        LOSSES_BY_FACTOR,
        {
            "min_frequency_per_angstrom": Param(float, 0.1),
            "max_frequency_per_angstrom": Param(float, 0.25),
            **LAST_PARAM,
        },
    ),
    "losses_at": NamedQuery("Losses of one movie at one resolution.", LOSSES_AT, {**MOVIE_PARAM, **RESOLUTION_PARAM}),
    "mean_losses_at": NamedQuery(
        "Mean losses of the last movies at one resolution.", MEAN_LOSSES_AT, {**RESOLUTION_PARAM, **LAST_PARAM}
    ),
    "losses_per_hour": NamedQuery("Mean loss at one resolution by cause and hour.", LOSSES_PER_HOUR, RESOLUTION_PARAM),
    "named_causes": NamedQuery(
        "How many movies each cause is named for; no cause: nothing stands out.", NAMED_CAUSES, {}
    ),
    "causes_by_square": NamedQuery("Named causes by grid square.", CAUSES_BY_SQUARE, {}),
    "ice": NamedQuery("Thickness of the last movies' ice, and the error of one movie's.", ICE, LAST_PARAM),
    "change_points": NamedQuery(
        "When the session became another one (found_utc_us: for before_and_after).", CHANGE_POINTS, {}
    ),
    "causal_shares": NamedQuery("How well the causes are known.", CAUSAL_SHARES, {}),
    "predictions": NamedQuery(
        "How well versions of the prior foretold movies that they had not seen, newest first.",
        PREDICTIONS,
        {"limit": rows_param(20)},
    ),
    "evidence_weights": NamedQuery(
        "How far each epoch's evidence was allowed to move the prior, and why, newest first.",
        EVIDENCE_WEIGHTS,
        {"limit": rows_param(20)},
    ),
    "cause_notes": NamedQuery(
        "What is to be said of nodes that a person added to the causal graph, and of how many movies.",
        CAUSE_NOTES,
        {"limit": rows_param(20)},
    ),
    "causal_nodes": NamedQuery("The causal graph: settings, mechanisms, factors.", CAUSAL_NODES, {}),
    "causal_edges": NamedQuery("The causal graph: what acts on what.", CAUSAL_EDGES, {}),
    "restorations": NamedQuery("How micrographs were restored.", RESTORATIONS, {}),
    "restoration_rounds": NamedQuery("What the session taught the learned restoration.", RESTORATION_ROUNDS, {}),
    "priors": NamedQuery("Versions of the causal prior, newest first.", PRIORS, {"limit": rows_param(20)}),
    "interventions": NamedQuery("Advice and what people did, newest first.", INTERVENTIONS, {"limit": rows_param(20)}),
}
