"""What a change of settings would touch and cost, and how it is kept: wholly or not at all, with who and when."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from frazil.config.errors import FrazilError, SettingsError, UsageError
from frazil.config.loading import load_settings, settings_of, settings_to_yaml
from frazil.config.stages import Stage
from frazil.daemon.changes import apply
from frazil.daemon.changes.apply import change_without_daemon
from frazil.daemon.cli.set import set as set_verb
from frazil.daemon.session import folder as session_folder
from frazil.daemon.store.rows import MovieRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.records import AcquisitionMetadata, StageTiming

GIVEN = {"pixel_size_angstrom": 1.0, "camera.no_gain": True, "workers.count": 2}
SECONDS = {"read": 10.0, "align_global": 30.0, "sum": 20.0, "ctf": 8.0, "pick": 3.0, "extract": 1.0, "write": 2.0}


@pytest.fixture
def made(tmp_path, make_result):
    """Six movies of this frazil, with timings, in a session that no daemon has."""
    folder = tmp_path / "s1"
    folder.mkdir()
    settings = load_settings(preset="krios-k3", flags=GIVEN)
    session_folder.write_settings(folder, settings)
    with Store.open(folder, now_utc_us=1) as store:
        row = SessionRow(
            session_id="s1", name="s1", raw_root="/raw", created_utc_us=1, settings_yaml=settings_to_yaml(settings),
            code_version="1",
        )  # fmt: skip
        store.submit(session_writes.create_session, row).result()
        said = AcquisitionMetadata(cs_mm=2.7, voltage_kv=300.0, sources=(("cs_mm", "EPU sidecar"),))
        for number in range(6):
            result = replace(
                make_result(number, parameter_hash=session_folder.made_with(settings)),
                code_version=version("frazil"),
                timings=tuple(StageTiming(stage, seconds) for stage, seconds in SECONDS.items()),
            )
            movie = MovieRow(
                result.movie_id, f"{number}.tif", 0, number, sequence=number, stem=str(number), metadata=said
            )
            store.submit(movie_writes.register_movie, movie)
            store.submit(movie_writes.record_result, result, ready_utc_us=number, lag_s=1.0).result()
    return folder


def plan(folder, **changes):
    return apply.preview_without_daemon(folder, {key.replace("__", "."): text for key, text in changes.items()})


def test_the_plan_says_what_is_touched_and_what_it_costs(made):
    ctf = plan(made, ctf__max_defocus_angstrom="30000", particles__diameter_angstrom="180")
    assert (ctf.stage, ctf.movies) == (Stage.CTF, {Stage.CTF: 6})
    assert ctf.minutes == pytest.approx(6 * (10 + 20 + 8 + 3 + 1 + 2) / 60 / 2), "read and summed, not aligned"
    assert ctf.sentence() == (
        "touches the CTF and what follows: 6 movies, about 2 min of the workers beside the stream; the running map "
        "begins anew with them"
    )
    halves = plan(made, particles__diameter_angstrom="180")
    assert (halves.stage, halves.minutes) == (Stage.PICKING, pytest.approx(6 * 6 / 60 / 2))
    whole = plan(made, motion__b_factor_px2="100", particles__symmetry="D2")
    assert (whole.stage, whole.minutes) == (Stage.MOTION, pytest.approx(6 * sum(SECONDS.values()) / 60 / 2))
    for changes, stage in (
        ({"particles__symmetry": "D2"}, Stage.RECONSTRUCTION),
        ({"thresholds__min_defocus_um": "0.5"}, Stage.THRESHOLDS),
        ({"alerts__bell": "false"}, Stage.NOTHING),
    ):
        found = plan(made, **changes)
        assert (found.stage, found.movies, found.minutes) == (stage, {}, 0.0)
        assert "movies," not in found.sentence()
    assert plan(made, microscope__voltage_kv="300").changed == ()


def test_another_causal_graph_touches_the_causes_and_no_result(made, tmp_path):
    graph = tmp_path / "graph.yaml"
    graph.write_text("nodes: []\nedges: []\n")
    found = plan(made, causal__graph=str(graph))
    assert (found.stage, found.movies) == (Stage.CAUSES, {})
    assert found.sentence() == (
        "touches the causes of loss: losses and advice are told anew for all movies, and none is processed again"
    )


def test_what_a_start_would_refuse_is_refused_and_sidecars_are_not_contradicted(made):
    with pytest.raises(SettingsError, match=r"EPU sidecar of 6 movies says 2\.7 mm"):
        plan(made, microscope__cs_mm="1.2")
    assert plan(made, microscope__cs_mm="1.2", intake__sidecar_distrust="cs_mm").movies == {Stage.CTF: 6}
    assert plan(made, microscope__cs_mm="2.71").movies == {Stage.CTF: 6}, "within the tolerance"
    for bad in ({"camera__gain": "/no.mrc"}, {"camera__defects": "/no.txt"}, {"causal__graph": "/no.yaml"}):
        with pytest.raises(FrazilError):
            plan(made, camera__no_gain="false", **bad)


def test_a_change_is_kept_with_who_and_when_and_marks_what_it_outdates(made):
    done = change_without_daemon(made, {"particles.diameter_angstrom": "180"}, who="ann", now_utc_us=10**15)
    assert done.movies == {Stage.PICKING: 6}
    kept = settings_of((made / "settings.yaml").read_text())
    assert kept.particles.diameter_angstrom == 180.0
    assert kept.origins["particles.diameter_angstrom"] == "set by ann at 2001-09-09 01:46:40 UTC"
    with Store.open(made, now_utc_us=2) as store:
        assert settings_of(str(store.named("session").as_dicts()[0]["settings_yaml"])) == kept
        assert {row[0] for row in store.rows("SELECT flags FROM movies")} == {"outdated-picking"}
        assert {row[0] for row in store.rows("SELECT state FROM movies")} == {"ready"}
        ((text, at),) = store.rows("SELECT text, created_utc_us FROM alerts")
    assert "ann set particles.diameter_angstrom: None -> 180.0" in text
    assert at == 10**15
    assert plan(made, motion__b_factor_px2="100").movies == {Stage.MOTION: 6}


def test_a_kept_result_is_tried_again_after_any_change(made):
    change_without_daemon(made, {"ctf.box_px": "256"}, who="ann", now_utc_us=2)
    with Store.open(made, now_utc_us=2) as store:
        (movie_id,) = store.rows("SELECT min(movie_id) FROM movies")[0]
        store.submit(movie_writes.keep_result, movie_id, "its sidecar says otherwise").result()
    change_without_daemon(made, {"microscope.amplitude_contrast": "0.08"}, who="ann", now_utc_us=3)
    with Store.open(made, now_utc_us=4) as store:
        assert store.rows("SELECT count(*) FROM movies WHERE failure_stage IS NOT NULL") == [(0,)]
        assert {row[0] for row in store.rows("SELECT flags FROM movies")} == {"outdated-ctf"}


def test_the_address_of_a_webhook_is_told_nowhere(made):
    found = plan(made, alerts__webhooks="slack https://hooks.example.org/secret")
    assert "secret" not in "".join(found.lines()) + json.dumps(found.to_dict())
    assert "slack (address)" in found.lines()[0]


def test_a_file_that_cannot_be_written_leaves_all_as_it_was(made, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    before = (made / "settings.yaml").read_text()
    monkeypatch.setattr(session_folder, "write_settings", full)
    with pytest.raises(OSError, match="no space"):
        change_without_daemon(made, {"particles.diameter_angstrom": "180"}, who="ann", now_utc_us=2)
    assert (made / "settings.yaml").read_text() == before
    with Store.open(made, now_utc_us=2) as store:
        assert str(store.named("session").as_dicts()[0]["settings_yaml"]) == before
        assert {row[0] or "" for row in store.rows("SELECT flags FROM movies")} == {""}


def test_the_verb_looks_sets_and_says_when_it_is_taken_up(made, tmp_path, monkeypatch):
    app = typer.Typer()
    app.command()(set_verb)

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)

    looked = run(made, "particles.diameter_angstrom=180", "--dry-run", "--json")
    assert json.loads(looked.stdout)["movies"] == {"picking": 6}
    assert json.loads(looked.stdout)["applied"] is False
    assert "180" not in (made / "settings.yaml").read_text()
    assert "next `frazil watch`" in run(made, "diameter_angstrom=180").stdout
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph.yaml").write_text("nodes: []\n")
    assert "does not exist" in str(run(made, "particles.initial_map=map.mrc").exception)
    write_mrc(tmp_path / "map.mrc", np.zeros((8, 8, 8), dtype=np.float32), pixel_size_angstrom=2.0, is_volume=True)
    assert run(made, "particles.initial_map=map.mrc").exception is None
    assert settings_of((made / "settings.yaml").read_text()).particles.initial_map == str(tmp_path / "map.mrc")
    assert isinstance(run(made, "nonsense").exception, UsageError)
    assert isinstance(run(made, "cs=2").exception, SettingsError)
    assert isinstance(run(tmp_path / "nothing", "cs_mm=2").exception, UsageError)
