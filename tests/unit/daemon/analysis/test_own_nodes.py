"""A person's nodes on the causal graph in a running session: settle times, notes, and another equation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frazil.actors.causal_prior import AdviceAndShares, CausalPriorActor
from frazil.daemon.analysis.prior import PriorVersions
from frazil.daemon.report.why import session_graph, why_movie, why_session
from frazil.daemon.report.why_text import to_json, to_text
from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store.writes import causal_writes
from frazil.models.causal.attribution import attribute
from frazil.models.causal.graph import as_svg, as_tree
from frazil.models.causal.prior import physics_prior
from frazil.models.causal.structural_model import structural_model
from frazil.models.records import ExposureFacts, MovieEvidence

TEXT = """
nodes: {shake: {kind: factor, unit: ln SSNR, words: shaking, equation: "2 * exp(-settle_time / 10 s)"}}
edges: {settle_time: [shake], shake: [ln_ssnr]}
"""
GAP_US = 12_000_000


def at_stop(sequence):
    """Two holes a stop, 12 s from movie to movie, exposures of 4 s."""
    x = tuple(np.random.default_rng(sequence).normal(0.0, 0.3, 8).cumsum().tolist())
    exposure = ExposureFacts(
        acquired_utc_us=1_790_000_000_000_000 + sequence * GAP_US,
        exposure_time_s=4.0,
        stage_x_um=5.0 * (sequence // 2),
        stage_y_um=0.0,
    )
    return MovieEvidence(
        *(x, x, (0.1,) * 8, 0.2, 8, 5.0, 0.0, 3.5, 0.83, 300.0, 2.7, 15_000.0, None),
        log_ssnr=tuple(2 - 0.15 * band if band < 12 else None for band in range(24)),
        log_ssnr_sd=0.25,
        exposure=exposure,
    )


def settled_s(sequence):
    """Since the end of the exposure before the last move; None: before the first move that was seen."""
    return None if sequence < 2 else 8.0 + 12.0 * (sequence % 2)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "graph.yaml"
    path.write_text(TEXT)
    return structural_model(path)


@pytest.fixture
def desk(runtime, store, context, put, ray, model):
    for sequence in range(2 * EPOCH_MOVIES + 1):
        known = at_stop(sequence)
        put(sequence, evidence=known, losses=attribute(known, physics_prior(), model=model).losses)
    actor = CausalPriorActor(model)
    ray.answers["learn"] = actor.learn
    ray.answers["advise"] = lambda *_: AdviceAndShares((), ())
    ray.answers["attribute"] = actor.attribute
    store.submit(causal_writes.replace_graph, model.graph).result()
    book = MovieRegistry.restore(store, parameter_hash="h", code_version="1")
    return PriorVersions(runtime, replace(context(), causal_model=model), book)


def finish(desk):
    for _ in range(60):
        desk.step()
        if desk.drained(final=True):
            return
    raise AssertionError("the session never ends")


def shake(store, sequence):
    rows = store.named("losses_at", {"movie_id": f"m{sequence:03d}", "resolution_angstrom": 5.0}).as_dicts()
    return {row["factor"]: row["loss_ln_ssnr"] for row in rows}.get("shake")


def test_earlier_losses_know_how_long_the_stage_had_stood(desk, store, model):
    assert {shake(store, sequence) for sequence in range(11)} == {None}, "one movie alone does not say it"
    finish(desk)
    for sequence in range(11):
        settled = settled_s(sequence)
        wanted = None if settled is None else pytest.approx(2.0 * np.exp(-settled / 10.0))
        assert shake(store, sequence) == wanted, sequence
    told, unsaid = why_movie(store, "m005"), why_movie(store, "m000")
    assert [cause.words for cause in told.losses if cause.factor == "shake"] == ["shaking"]
    assert told.total_ln_ssnr[1] == pytest.approx(
        sum(cause.at[1].loss_ln_ssnr for cause in told.losses if not cause.beside_total)
    )
    assert told.notes == ()
    assert unsaid.notes == ("shaking: not known, this movie does not say its settle time after stage moves",)
    assert unsaid.notes[0] in to_text(unsaid)
    session = why_session(store)
    assert f"{unsaid.notes[0]} (2 movies)" in to_text(session)
    assert '"shake"' in to_json(session)
    at_5 = {"shake": 0.5}
    assert "shaking  0.50" in list(as_tree(session_graph(store), at_5))
    assert "shaking 0.50" in as_svg(session_graph(store), at_5)


def test_another_equation_makes_all_losses_outdated(desk, store, model, tmp_path):
    finish(desk)
    newest = "SELECT DISTINCT prior_version FROM named_causes"
    assert store.sql(newest).rows == ((2,),)
    store.submit(causal_writes.replace_graph, model.graph).result()
    assert store.sql(newest).rows == ((2,),), "the same equations change nothing"
    other = tmp_path / "other.yaml"
    other.write_text(TEXT.replace("10 s", "20 s"))
    store.submit(causal_writes.replace_graph, structural_model(other).graph).result()
    assert store.sql(newest).rows == ((-1,),)
