"""The forecast of impact is made once, verdicts wait for it, and trouble with it is said and stops nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from frazil.actors.impact_forecaster import ImpactForecaster
from frazil.config.settings import EvaluationSettings, Settings
from frazil.daemon.analysis.evaluation.impact import CitationForecast
from frazil.daemon.analysis.evaluation.rounds import EvaluationRounds
from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.store.citation_files import graph_and_notes, write_citation_graph
from frazil.models.evaluation.impact import evaluator as impact
from frazil.models.evaluation.impact.citation_growth import synthetic_graph
from frazil.models.evaluation.verdict import Verdict

FOUND = Verdict("impact", 7.0, unit=impact.UNIT)


def desk(runtime, **settings):
    return CitationForecast(runtime, EvaluationSettings(**settings))


def test_without_a_graph_nothing_is_started(runtime, ray):
    one = desk(runtime)
    assert not one.step()
    assert one.verdict is None
    assert ray.started == 0


def test_a_graph_is_forecast_once_with_ids_as_the_graph_has_them(runtime, ray):
    ray.answers["forecast"] = lambda *_: FOUND
    one = desk(runtime, citation_graph="g.csv", work_id="https://openalex.org/W5", reference_work_ids=("W1",))
    for _ in range(4):
        one.step()
    assert one.verdict == FOUND
    [(_, (read, path, request))] = ray.calls
    assert (read, path) == (graph_and_notes, "g.csv")
    assert request == impact.ImpactRequest("W5", ("W1",))


@pytest.mark.parametrize(("kind", "calls"), [("RayTaskError", 1), ("RayActorError", 2)])
def test_a_forecast_that_fails_is_said(runtime, ray, kind, calls):
    def fail(*_):
        raise getattr(ray.exceptions, kind)(ValueError("out of memory"))

    ray.answers["forecast"] = fail
    one = desk(runtime, citation_graph="g.csv")
    for _ in range(6):
        one.step()
    assert len(ray.calls) == calls
    assert one.verdict.verdict is None
    assert "the forecast from g.csv failed: out of memory" in one.verdict.does_not_know[0]


def test_rounds_wait_for_the_forecast_and_carry_it(runtime, ray, context, put):
    for sequence in range(EPOCH_MOVIES):
        put(sequence)
    book = SimpleNamespace(open_sequences=[], ended_sequences=list(range(EPOCH_MOVIES)))
    settings = Settings(evaluation=EvaluationSettings(citation_graph="g.csv", work_id="W1"))
    waiting = [True]
    ray.answers |= {"forecast": lambda *_: FOUND, "score": lambda facts: ()}
    ray.wait = lambda calls, timeout: ([], calls) if waiting[0] else (calls, [])
    scores = EvaluationRounds(runtime, context(settings=settings), book, map_idle=lambda: True)
    for _ in range(5):
        scores.step()
    assert [name for name, _ in ray.calls] == ["forecast"]
    assert not scores.drained(final=False)
    waiting[0] = False
    for _ in range(10):
        scores.step()
    assert [name for name, _ in ray.calls] == ["forecast", "score"]
    assert ray.calls[1][1][0].impact == FOUND


def test_the_actor_forecasts_from_a_file_and_says_what_is_wrong_with_one(tmp_path: Path):
    graph = synthetic_graph(12)
    path = tmp_path / "graph.parquet"
    write_citation_graph(graph, path)
    said = ImpactForecaster().forecast(graph_and_notes, str(path), impact.ImpactRequest(graph.work_ids[400], ()))
    assert said.verdict is not None
    assert said.evidence["graph_nodes"] == len(graph)
    path.write_bytes(b"damaged")
    said = ImpactForecaster().forecast(graph_and_notes, str(path), impact.ImpactRequest("W1", ()))
    assert said.verdict is None
    assert str(path) in said.does_not_know[0]
    gone = ImpactForecaster().forecast(graph_and_notes, str(tmp_path / "none.csv"), impact.ImpactRequest("W1", ()))
    assert "there is no citation graph here" in gone.does_not_know[0]
