"""`frazil why`: the right losses at the right resolutions, in words, for movies and sessions, live and finished."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from frazil.config.errors import NotThereError, QueryError, UsageError
from frazil.daemon.cli.main import build
from frazil.daemon.report.html.page import to_html as summary_html
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.report.summary.text import to_text as summary_text
from frazil.daemon.report.why import LossAt, session_graph, why_movie, why_session
from frazil.daemon.report.why_text import bar, to_json, to_text
from frazil.daemon.store.engine import SCHEMA_VERSION, Connection
from frazil.daemon.store.rows import (
    AlertRow,
    ChangeRow,
    InterventionRow,
    MovieRow,
    ParticleRows,
    PredictionRow,
    PriorRow,
    ReconstructionRow,
    ShareRow,
    WeightRow,
)
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import causal_writes, movie_writes, particle_writes, session_writes
from frazil.models.causal.evidence_weight import TERMS
from frazil.models.causal.graph import causal_graph
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import CausalLosses, MovieResult

APP = build("why", "query", "summary")
FACTORS = ("motion", "ice", "aberrations")


def losses(motion: float, *, named: str = "", version: int = 3) -> CausalLosses:
    """Motion grows with k: 1 at 10 A, 3 at 2.5 A; known to 0.1."""
    return CausalLosses(
        factor_names=FACTORS,
        frequency_per_angstrom=(0.1, 0.2, 0.4),
        loss_ln_ssnr=((motion, motion * 1.5, motion * 3), (0.2, 0.4, 0.8), (0.0, 0.1, 0.5)),
        loss_sd=((0.1, 0.1, 0.1), (0.3, 0.3, 0.3), (0.05, 0.05, 0.05)),
        prior_version=version,
        named_cause=named,
        named_excess_ln_ssnr=0.7 if named else 0.0,
    )


@pytest.fixture
def told(store: Store, make_movie: Callable[[int], MovieRow], make_result: Callable[..., MovieResult]) -> Store:
    """Three ready movies, one that waits; a change, an advice, and what is not known well enough."""
    for index, movie_losses in enumerate([losses(1.0), losses(2.0, named="motion"), losses(3.0, named="motion")]):
        store.submit(movie_writes.register_movie, make_movie(index)).result()
        result = replace(make_result(index), losses=movie_losses)
        store.submit(movie_writes.record_result, result, ready_utc_us=10 * (index + 1), lag_s=1.0).result()
    store.submit(movie_writes.register_movie, make_movie(3)).result()
    prior = PriorRow(3, 1, 15, ("motion",), (1.0,), (0.1,), "{}", change_sd=(0.25, 0.5))
    change = ChangeRow(1, 1, None, "illumination", "counts", 0.0, 0.1, 50.0, "the beam is +12 %", 3)
    store.submit(causal_writes.record_version, prior, [change], []).result()
    advice = InterventionRow(
        *("a", 1, "motion", "session", "wait 10 s longer", "frazil"),
        gain_ln_ssnr=0.3,
        place=1,
        gain_low_ln_ssnr=0.1,
        known_by="adjusted",
        known_how="after twice the settle time the stage drifts x0.71",
        adjusted_for="hole_order, session_time",
        refuters="placebo: passed: 3 % of 200 trials",
        robustness_value=0.31,
    )
    shares = [ShareRow("motion", 2.0, 0.1, True, 3, 3), ShareRow("ice", 0.4, 0.3, False, 3, 3)]
    store.submit(causal_writes.replace_advice, [advice], shares).result()
    return store


def test_losses_of_a_movie_at_three_resolutions(told: Store) -> None:
    found = why_movie(told, "foil_1.tif")
    assert (found.movie_id, found.named_cause, found.named_excess_ln_ssnr) == ("m00001", "motion", 0.7)
    motion, ice, coma = found.losses
    assert (motion.factor, ice.factor, coma.factor, coma.beside_total) == ("motion", "ice", "aberrations", True)
    # At 8, 5 and 4 A, that is 0.125, 0.2 and 0.25 1/A, between 2, 3 and 6.
    assert [at.loss_ln_ssnr for at in motion.at] == pytest.approx([2.25, 3.0, 3.75])
    assert [at.high - at.loss_ln_ssnr for at in motion.at] == pytest.approx([0.196] * 3)
    assert ice.at[1].low == 0.0, "a loss is not negative"
    assert found.total_ln_ssnr[1] == pytest.approx(3.0 + 0.4)
    text = to_text(found)
    assert "first cause: motion inside frames, which costs 0.70 of ln SSNR at 5 A more" in text
    assert "by version 3 of what the session has taught" in text
    assert json.loads(to_json(found))["losses"][0]["at"][2]["resolution_angstrom"] == 4.0


def test_a_movie_in_which_nothing_stands_out(told: Store) -> None:
    found = why_movie(told, "m00000")
    assert found.named_cause is None
    assert "nothing stands out" in to_text(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("foil_9", "no movie 'foil_9' in this session"),
        ("foil", "4 movies are meant"),
        ("foil_3", "there are no losses"),
    ],
)
def test_movies_that_cannot_be_explained_are_named(told: Store, text: str, said: str) -> None:
    with pytest.raises(NotThereError, match=said):
        why_movie(told, text)


def test_a_session_is_told_with_changes_advice_and_doubt(told: Store) -> None:
    found = why_session(told)
    assert (found.movies, found.prior_version, found.losses_prior_version, found.last_change_sd) == (3, 3, 3, 0.5)
    assert [at.loss_ln_ssnr for at in found.losses[0].at] == pytest.approx([2.25, 3.0, 3.75])
    assert {(count.cause, count.movies) for count in found.named} == {("motion", 2), (None, 1)}
    text = to_text(found)
    assert "from movie 2 on: the beam is +12 %" in text
    assert "1. wait 10 s longer" in text
    assert "of 1 of 2 causes the movies fix what they cost" in text
    assert "more movies wanted  ice thickness           0.40 +- 0.30" in text
    assert json.loads(to_json(found))["advice"][0]["gain_low"] == 0.1


def test_how_an_advice_is_known_is_told_when_asked(told: Store) -> None:
    found = why_session(told)
    assert "1. wait 10 s longer [adjusted]" in to_text(found)
    assert "placebo" not in to_text(found)
    how = to_text(found, how=True)
    for said in (
        "known by: adjusted, this session's movies with what confounds them held fixed",
        "after twice the settle time the stage drifts x0.71",
        "placebo: passed: 3 % of 200 trials",
        "robustness: a hidden cause would have to explain 31 % of both",
    ):
        assert said in how
    (advice,) = json.loads(to_json(found))["advice"]
    assert (advice["known_by"], advice["robustness_value"]) == ("adjusted", 0.31)
    assert advice["refuters"] == ["placebo: passed: 3 % of 200 trials"]
    page = summary_html(summarise(told, Path("/data/night"), now_utc_us=10, live=True))
    assert "how do we know?" in page
    assert "the stage drifts x0.71" in page


def test_a_session_of_schema_10_says_nothing_of_how_its_advice_is_known(told: Store) -> None:
    def as_schema_10(connection: Connection) -> None:
        for column in ("known_by", "known_how", "adjusted_for", "refuters", "robustness_value"):
            connection.execute(f"ALTER TABLE interventions DROP COLUMN {column}")
        connection.execute("UPDATE schema_version SET version = 10")

    told.submit(as_schema_10).result()
    told.close()
    with Store.open(told.session_dir, now_utc_us=2) as again:
        text = to_text(why_session(again), how=True)
        assert "1. wait 10 s longer\n" in text
        assert "an earlier frazil did not keep how it is known" in text


def test_what_unseen_movies_say_stands_with_each_cause(told: Store) -> None:
    prior = PriorRow(4, 1, 20, ("motion",), (1.0,), (0.1,), "{}")
    words = "counted electrons: 9 of 20 unseen movies within their 68 % interval"
    rows = [
        PredictionRow(version, "counted_electrons", movies, 9, 15, 0.02, 0.04, 0.03, 31.0, "fails", words, (0.1, 0.9))
        for version, movies in ((3, 15), (4, 20))
    ]
    told.submit(causal_writes.record_version, prior, [], [], rows).result()
    shares = [
        ShareRow("ice", 0.4, 0.1, False, 4, 4, 0.3, 0.9, "fails", words),
        ShareRow("motion", 2.0, 0.1, True, 4, 4),
    ]
    told.submit(causal_writes.replace_advice, [], shares).result()
    found = why_session(told)
    assert [one.movies for one in found.predictions] == [20], "by the newest version"
    assert f"           {words}" in to_text(found), "why a cause that movies tell of is not known"
    assert "9 of 20 within 68 %, 15 within 95 %; score 0.020, by version 0 0.040" in to_text(found, how=True)
    assert "odds against the intervals 31" in to_text(found, how=True)
    said = json.loads(to_json(found))
    assert said["predictions"][0]["e_value"] == 31.0
    assert {share["factor"]: share["held"] for share in said["shares"]} == {"ice": "fails", "motion": None}
    assert told.named("predictions", {"limit": 10}).column("pit")[0] == "[0.1, 0.9]"
    # The chain begins anew: what later versions of the old one foretold is gone.
    told.submit(causal_writes.record_version, replace(prior, version=1), [], []).result()
    assert told.named("predictions", {"limit": 10}).rows == ()


def test_how_much_the_newest_movies_count_and_why(told: Store) -> None:
    assert why_session(told).weight is None, "version 3 is of an earlier frazil"
    prior = PriorRow(4, 1, 20, ("motion",), (1.0,), (0.1,), "{}")
    terms = [WeightRow(4, name, 0.64, 2, f"0.64 in round 3 of {name}", 0.64) for name in TERMS[1:]]
    told.submit(
        causal_writes.record_version, prior, [], [], [], [WeightRow(4, "logic", None, None, "nobody", 0.64), *terms]
    ).result()
    found = why_session(told)
    assert found.weight is not None
    assert [one.name for one in found.weight.terms] == list(TERMS)
    assert "g = 0.64" not in to_text(found)
    how = to_text(found, how=True)
    assert "the newest movies count by g = 0.64" in how
    assert "logic              left out  nobody" in how
    assert "impact             0.64      0.64 in round 3 of impact" in how
    assert json.loads(to_json(found))["weight"]["terms"][0]["reliability"] is None


def test_a_session_of_schema_13_knows_nothing_of_predictions(told: Store) -> None:
    def as_schema_13(connection: Connection) -> None:
        connection.execute("DROP TABLE predictions")
        connection.execute("DROP TABLE evidence_weights")
        for column in ("held", "unseen"):
            connection.execute(f"ALTER TABLE causal_shares DROP COLUMN {column}")
        connection.execute("UPDATE schema_version SET version = 13")

    told.submit(as_schema_13).result()
    told.close()
    with Store.open(told.session_dir, now_utc_us=2) as again:
        found = why_session(again)
        assert found.predictions == ()
        assert found.weight is None
        assert {share.held for share in found.shares} == {None}
        assert "known" in to_text(found, how=True)


def test_a_session_without_results(store: Store) -> None:
    assert "no movie has been attributed yet" in to_text(why_session(store))


def test_the_bar_ends_where_interval_and_loss_end() -> None:
    assert bar(LossAt(5.0, 1.0, 0.5, 1.5), full_scale=3.0, width=30) == "#" * 5 + "=" * 5 + "-" * 5
    assert bar(LossAt(4.0, 9.0, 8.0, 10.0), full_scale=3.0, width=30) == "#" * 30, "never longer than its place"


def test_the_summary_counts_named_causes(told: Store) -> None:
    summary = summarise(told, Path("/data/night"), now_utc_us=10, live=True)
    text = summary_text(summary)
    assert "first cause of each movie: 2 motion inside frames; 1 nothing stands out" in text
    assert "changed from movie 2 on: the beam is +12 %" in text
    assert "motion inside frames" in summary_html(summary)
    assert summary.advice[0] == "wait 10 s longer"


def test_the_graph_is_kept_and_drawn(told: Store, tmp_path: Path) -> None:
    more = tmp_path / "graph.yaml"
    more.write_text("nodes: {door: {kind: event, words: the door <3 am>}}\nedges: {door: [steady_drift]}\n")
    graph = causal_graph(more)
    told.submit(causal_writes.replace_graph, causal_graph()).result()
    told.submit(causal_writes.replace_graph, graph).result()
    kept = session_graph(told)
    # As it is drawn and told; what computes it stays in the file.
    told_of = {name: replace(node, mechanism="") for name, node in graph.nodes(data="node")}
    assert dict(kept.nodes(data="node")) == told_of
    assert set(kept.edges) == set(graph.edges)
    told.close()
    picture, page = tmp_path / "causes.svg", tmp_path / "report.html"
    arguments = ["why", str(told.session_dir), "--tree", "--graph", str(picture)]
    done = CliRunner().invoke(APP, arguments, catch_exceptions=False)
    tree = done.stdout.partition("What acts on what")[2].splitlines()
    assert tree[1] == "motion inside frames  3.00", "the largest loss first"
    drift = next(line for line in tree if "drift of the stage ←" in line)
    assert "settle time after stage moves" in drift
    assert "the door <3 am>" in drift
    assert "the door &lt;3 am>" in picture.read_text(encoding="utf-8")
    CliRunner().invoke(APP, ["summary", str(told.session_dir), "--html", str(page)], catch_exceptions=False)
    assert "the door &lt;3 am>" in page.read_text(encoding="utf-8")


def test_a_session_of_an_earlier_frazil_has_the_shipped_graph(told: Store) -> None:
    assert set(session_graph(told).edges) == set(causal_graph().edges)


def test_the_verb_on_a_finished_session(told: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    told.close()
    session = str(told.session_dir)

    def run(*words: str) -> str:
        done = CliRunner().invoke(APP, list(words), catch_exceptions=False, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    assert json.loads(run("why", "foil_2", "--session", session, "--json"))["named_words"] == "motion inside frames"
    assert run("why", session) == run("why", "--session", session)
    assert "wait 10 s longer" in run("why", session)
    monkeypatch.chdir(session)
    assert "GridSquare_0/foil_2.tif (ready)" in run("why", "foil_2")
    with pytest.raises(NotThereError):
        run("why", "nothing")
    with pytest.raises(UsageError):
        run("why", "foil_2", "--session", str(told.session_dir / "elsewhere"))
    by_square = json.loads(run("query", session, "--named", "causes_by_square", "--json"))
    assert [(row["grid_square"], row["named_cause"], row["movies"]) for row in by_square] == [
        ("GridSquare_0", "motion", 1),
        ("GridSquare_0", None, 1),
        ("GridSquare_1", "motion", 1),
    ]
    hours = json.loads(run("query", "--named", "losses_per_hour", "--json"))
    assert [(row["factor"], row["movies"]) for row in hours] == [("motion", 3), ("ice", 3), ("aberrations", 3)]
    assert hours[0]["loss_ln_ssnr"] == pytest.approx(3.0)
    at_10 = json.loads(run("query", "--named", "losses_per_hour", "--param", "resolution_angstrom=10", "--json"))
    assert at_10[0]["loss_ln_ssnr"] == pytest.approx(2.0)
    for wrong in ("resolution_angstrom", "resolution_angstrom=fine"):
        with pytest.raises(UsageError, match="--param"):
            run("query", "--named", "losses_per_hour", "--param", wrong)
    with pytest.raises(QueryError):
        run("query", "--named", "losses_per_hour", "--param", "nonsense=1")
    assert "losses_per_hour" in run("query", "--named", "list")
    with pytest.raises(QueryError, match="no query named"):
        run("query", session, "--named", "nonsense")


def test_a_map_of_schema_4_is_kept_and_told_as_far_as_it_is_known(store: Store) -> None:
    row = ReconstructionRow(1, 10, 5, 500, "C1", frequency_per_angstrom=(0.1, 0.2), fsc=(0.9, 0.1))

    def as_schema_4(connection: Connection) -> None:
        connection.execute("DROP TABLE forecasts")
        for table, names in (("reconstructions", ("mask", "sphericity", "b_factor_a2")), ("fsc", ("fsc_masked",))):
            for name in names:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        connection.execute("UPDATE schema_version SET version = 4")

    store.submit(session_writes.record_reconstruction, row).result()
    store.submit(as_schema_4).result()
    store.close()
    with Store.open(store.session_dir, now_utc_us=2) as again:
        assert again.named("fsc").column("fsc") == [0.9, 0.1]
        assert again.named("fsc").column("fsc_masked") == [None, None]
        assert again.named("forecast").rows == ()
        curves = {"fsc_unmasked": (0.8, 0.0), "fsc_masked": (0.95, 0.2), "fsc_randomised": (0.0, 0.1)}
        told = replace(row, mask="map", **curves, fsc_uniform=(0.7, 0.05))
        again.submit(session_writes.record_reconstruction, told).result()
        assert again.named("reconstructions").column("mask") == ["map"]
        for name, values in {**curves, "fsc": (0.9, 0.1), "fsc_uniform": (0.7, 0.05)}.items():
            assert tuple(again.named("fsc").column(name)) == values, "each in its own column"
        assert "500 particles" in summary_text(summarise(again, store.session_dir, now_utc_us=2, live=False))


def test_a_session_of_an_earlier_schema_is_brought_up_to_date(
    store: Store, make_movie: Callable[[int], MovieRow], make_result: Callable[..., MovieResult]
) -> None:
    new = ("action", "place", "gain_low_ln_ssnr", "map_resolution_to_angstrom", "prior_version")

    def as_schema_3(connection: Connection) -> None:
        for table in ("named_causes", "change_points", "causal_shares", "causal_nodes", "causal_edges"):
            connection.execute(f"DROP TABLE {table}")
        for column in new:
            connection.execute(f"ALTER TABLE interventions DROP COLUMN {column}")
        connection.execute("ALTER TABLE priors DROP COLUMN change_sd")
        connection.execute("UPDATE schema_version SET version = 3")

    store.submit(as_schema_3).result()
    store.close()
    with Store.open(store.session_dir, now_utc_us=2) as again:
        again.submit(movie_writes.register_movie, make_movie(0)).result()
        result = replace(make_result(0), losses=losses(1.0, named="ice"))
        again.submit(movie_writes.record_result, result, ready_utc_us=10, lag_s=1.0).result()
        assert again.named("movie", {"movie_id": "m00000"}).column("named_cause") == ["ice"]
        assert set(new) <= set(again.named("interventions").columns)
        assert again.sql("SELECT max(version) AS v FROM schema_version").rows == ((SCHEMA_VERSION,),)


def test_particles_of_schema_6_are_kept_and_can_be_told_more_of(
    store: Store, make_movie: Callable[[int], MovieRow], make_result: Callable[..., MovieResult]
) -> None:
    store.submit(movie_writes.register_movie, make_movie(0)).result()
    store.submit(movie_writes.record_result, make_result(0), ready_utc_us=10, lag_s=1.0).result()
    rows = ParticleRows("m00000", (1.0, 2.0), (3.0, 4.0), (1, 2))
    store.submit(session_writes.record_particles, rows).result()

    def as_schema_6(connection: Connection) -> None:
        for view in ("particles", "particle_evidence", "particle_frc", "particle_ssnr"):
            connection.execute(f"DROP VIEW {view}")
        connection.execute("DROP TABLE particle_evidence_arrays")
        connection.execute("ALTER TABLE particle_arrays DROP COLUMN certainty")
        connection.execute("ALTER TABLE named_causes DROP COLUMN particle_evidence")
        connection.execute(
            "CREATE VIEW particles AS SELECT movie_id, unnest(x_px) AS x_px, unnest(half_set) AS half_set "
            "FROM particle_arrays"
        )
        connection.execute("UPDATE schema_version SET version = 6")

    store.submit(as_schema_6).result()
    store.close()
    with Store.open(store.session_dir, now_utc_us=2) as again:
        kept = again.named("particles", {"movie_id": "m00000"})
        assert kept.column("x_px") == list(rows.x_px)
        assert kept.column("certainty") == [None, None]
        told = ParticleEvidence(1.8, 2, (0.05, 0.1), (0.4, 0.2), (1.0, None), (0.1, None), 0.5, -0.5, (0.04, 0.0, 0.09))
        again.submit(particle_writes.record_poses, replace(rows, certainty=(0.9, 0.2)), told).result()
        assert again.named("particles", {"movie_id": "m00000"}).column("certainty") == [0.9, 0.2]
        assert again.named("particle_frc", {"movie_id": "m00000"}).column("frc") == [0.4, 0.2]
        (read,) = particle_writes.read_evidence(again, 10).values()
        assert read == replace(told, frequency_per_angstrom=(), frc=())
        again.submit(particle_writes.record_poses, rows, None).result()
        assert particle_writes.read_evidence(again, 10) == {}


def test_a_change_that_has_passed_closes_its_alert(told: Store) -> None:
    prior = PriorRow(3, 7, 15, ("motion",), (1.0,), (0.1,), "{}", change_sd=(0.25, 0.5))
    alert = AlertRow("warning", "change", "the beam is -40 %", 5, alert_id="change-illumination-1")
    told.submit(causal_writes.record_version, prior, [], [alert]).result()
    cleared = "SELECT cleared_utc_us FROM alerts WHERE alert_id = 'change-illumination-1'"
    assert told.rows(cleared) == [(None,)]
    told.submit(causal_writes.record_version, prior, [], [alert], over=[alert.key(), "never-told"]).result()
    assert told.rows(cleared) == [(7,)]
