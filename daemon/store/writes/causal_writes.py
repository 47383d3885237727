"""What is written about causes: losses of movies, versions of the prior with what they found, advice.

Like `writes.py`: functions for `Store.submit`, idempotent, without clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import networkx as nx

from frazil.daemon.store.engine import Connection
from frazil.daemon.store.movie_states import finished
from frazil.daemon.store.rows import (
    ADVISER,
    AlertRow,
    ChangeRow,
    InterventionRow,
    PredictionRow,
    PriorRow,
    ShareRow,
    WeightRow,
)
from frazil.daemon.store.writes import session_writes
from frazil.models.causal.graph import node_of
from frazil.models.records import CausalLosses


def record_version(
    connection: Connection,
    row: PriorRow,
    changes: Sequence[ChangeRow],
    alerts: Sequence[AlertRow],
    predictions: Sequence[PredictionRow] = (),
    weights: Sequence[WeightRow] = (),
    *,
    over: Sequence[str] = (),
) -> None:
    """A version of the prior, all change points that it knows, a word to a person about each, and how well movies were
    foretold: in one transaction, so that a change is told once, also when the daemon is killed in between. An alert
    that is there is left alone, and those of `over` have passed. Predictions and weights of later versions are of a
    chain that is gone."""
    session_writes.record_prior(connection, row)
    connection.execute("DELETE FROM change_points")
    _insert(connection, "change_points", [astuple(change) for change in changes])
    for table in ("predictions", "evidence_weights"):
        connection.execute(f"DELETE FROM {table} WHERE prior_version >= ?", [row.version])
    _insert(connection, "evidence_weights", [astuple(one) for one in weights])
    _insert(connection, "predictions", [(*astuple(one)[:-1], list(one.pit)) for one in predictions])
    for alert in alerts:
        if connection.execute("SELECT 1 FROM alerts WHERE alert_id = ?", [alert.key()]).fetchone() is None:
            session_writes.record_alert(connection, alert)
    for alert_id in over:
        session_writes.clear_alert(connection, alert_id, utc_us=row.created_utc_us)


def rename_versions(connection: Connection, parameter_hash: str, code_version: str) -> None:
    """From now on all versions that this frazil learnt count as learnt from results of this kind."""
    connection.execute(
        "UPDATE priors SET parameter_hash = ? WHERE version > 0 AND code_version = ?", [parameter_hash, code_version]
    )


def replace_graph(connection: Connection, graph: nx.DiGraph) -> None:
    """The causal graph that the session is explained with from now on; where a person's equations are others than
    before, the losses of all movies count as outdated."""
    nodes = [node_of(graph, name) for name in nx.lexicographical_topological_sort(graph)]
    equations = "SELECT name, equation FROM causal_nodes WHERE equation IS NOT NULL ORDER BY name"
    before = connection.execute(equations).fetchall()
    connection.execute("DELETE FROM causal_nodes")
    connection.execute("DELETE FROM causal_edges")
    _insert(
        connection,
        "causal_nodes",
        [
            (place, node.name, node.kind, node.unit, node.words, node.source, node.equation or None)
            for place, node in enumerate(nodes)
        ],
    )
    _insert(connection, "causal_edges", sorted(graph.edges))
    if connection.execute(equations).fetchall() != before:
        # Losses by other equations are of no version: all are computed again.
        connection.execute("UPDATE named_causes SET prior_version = -1")


def replace_losses(
    connection: Connection,
    losses: Sequence[tuple[str, CausalLosses]],
    *,
    parameter_hash: str,
    code_version: str,
    particle_evidence: str | None = None,
) -> int:
    """Losses by a newer prior, or with what particles say since (`particle_evidence`: its fingerprint), from results
    made with these settings and this code. A movie that has another result by now, or none, keeps what it has. Returns
    how many were replaced."""
    ids = [movie_id for movie_id, _ in losses]
    present = {
        str(row[0])
        for row in connection.execute(
            "SELECT DISTINCT movie_id FROM stages JOIN movies USING (movie_id) WHERE list_contains(?, movie_id) "
            f"AND parameter_hash = ? AND code_version = ? AND {finished()}",
            [ids, parameter_hash, code_version],
        ).fetchall()
    }
    news = [(movie_id, movie_losses) for movie_id, movie_losses in losses if movie_id in present]
    for table in ("causal_loss_arrays", "named_causes"):
        connection.execute(f"DELETE FROM {table} WHERE list_contains(?, movie_id)", [sorted(present)])
    insert_losses(connection, news, particle_evidence)
    return len(news)


def insert_losses(
    connection: Connection, losses: Sequence[tuple[str, CausalLosses]], particle_evidence: str | None = None
) -> None:
    """Losses and named causes of movies that have none."""
    curves, named = [], []
    for movie_id, movie in losses:
        frequency = list(movie.frequency_per_angstrom)
        cause = movie.named_cause or None
        notes = "\n".join(movie.notes) or None
        of_ice = movie.ice_nm, movie.ice_sd_nm
        named.append(
            (movie_id, cause, movie.named_excess_ln_ssnr, movie.prior_version, particle_evidence, notes, *of_ice)
        )
        curves += [
            (movie_id, factor, frequency, list(loss), list(sd), movie.prior_version)
            for factor, loss, sd in zip(movie.factor_names, movie.loss_ln_ssnr, movie.loss_sd, strict=True)
        ]
    _insert(connection, "causal_loss_arrays", curves)
    _insert(connection, "named_causes", named)


def replace_advice(connection: Connection, advice: Sequence[InterventionRow], shares: Sequence[ShareRow]) -> None:
    """What frazil advises now, and how well it knows the causes; what people did stays."""
    connection.execute("DELETE FROM interventions WHERE who = ?", [ADVISER])
    for row in advice:
        session_writes.record_intervention(connection, row)
    connection.execute("DELETE FROM causal_shares")
    _insert(connection, "causal_shares", [astuple(share) for share in shares])


def _insert(connection: Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        marks = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in rows)
        connection.execute(f"INSERT INTO {table} VALUES {marks}", [value for row in rows for value in row])
