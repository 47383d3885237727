"""A person's latent common cause closes no door: what cannot be told is not told."""

from __future__ import annotations

from pathlib import Path

from benchmarks.attribution.confounded_sessions import learnt, settling_session
from frazil.actors.causal_prior import CausalPriorActor
from frazil.models.causal.advice.decision import advise
from frazil.models.causal.graph import causal_graph, node_of
from frazil.models.causal.identification import Way, identify
from frazil.models.causal.knowledge import how_known
from frazil.models.causal.measured import measured
from frazil.models.causal.provenance import KnownBy
from frazil.models.causal.structural_model import structural_model

DOOR = """
nodes: {door: {kind: latent, unit: "", words: somebody at the door}}
edges: {door: [settle_time, steady_drift]}
"""


def graph_file(tmp_path: Path) -> Path:
    path = tmp_path / "graph.yaml"
    path.write_text(DOOR)
    return path


def test_the_same_movies_tell_an_effect_only_where_nothing_hidden_acts_on_both(tmp_path: Path) -> None:
    movies = settling_session(2)
    prior, graph = learnt(movies), causal_graph(graph_file(tmp_path))
    assert how_known("settle_time", movies, prior, causal_graph()).known_by is KnownBy.ADJUSTED
    hidden = how_known("settle_time", movies, prior, graph)
    assert hidden.known_by is KnownBy.PHYSICS
    assert hidden.sentence.startswith("physics alone")
    assert "from somebody at the door, which acts on both and is not measured" in hidden.sentence
    assert not hidden.contradicted
    known = measured(movies).known()
    assert "door" not in known
    assert node_of(graph, "door").kind == "latent"
    assert identify(graph, "settle_time", "steady_drift", known).way is Way.NOT_IDENTIFIED
    assert identify(graph, "settle_time", "steady_drift", {*known, "door"}).way is Way.BACK_DOOR


def test_the_causal_actor_judges_advice_by_the_sessions_graph(tmp_path: Path) -> None:
    """The door changes no equation: only what stands behind the advice to raise the dose rate."""
    path = tmp_path / "graph.yaml"
    path.write_text(DOOR.replace("[settle_time, steady_drift]", "[dose_rate, counted_electrons]"))
    movies = settling_session(2)
    prior, model = learnt(movies), structural_model(path)
    first = advise(movies, prior, seconds_per_movie=10.0)
    assert advise(movies, prior, seconds_per_movie=10.0, model=model) == first
    told = CausalPriorActor(model).advise(prior, {"session": movies}, None, 10.0, prior, None, movies)
    asked = [one.provenance for one in told.advice if one.node == "dose_rate"]
    assert len(asked) == len([one for one in first if one.node == "dose_rate"]) > 0
    assert all("from somebody at the door" in one.sentence for one in asked)
    assert all(one.known_by is KnownBy.PHYSICS for one in asked)
