"""`frazil watch` on a session that is there: which folder, which flags, and what is said of them."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from frazil.config.errors import UsageError
from frazil.config.settings import Settings
from frazil.daemon import app
from frazil.daemon.cli import watch as watch_module
from frazil.daemon.cli.main import build
from frazil.daemon.session.folder import write_settings
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.options import DaemonOptions, ExitReport
from frazil.daemon.store.store import Store


class Watched:
    """Stands in for the daemon: keeps with the session what the daemon keeps, and ends."""

    def __init__(self) -> None:
        self.options: list[DaemonOptions] = []
        self.with_database = True

    def __call__(self, options: DaemonOptions, *, ray: None, on_state: Any) -> Watched:
        self.options.append(options)
        return self

    def run(self) -> ExitReport:
        options = self.options[-1]
        options.session_dir.mkdir(exist_ok=True)
        if not self.with_database:
            write_settings(options.session_dir, options.settings)
            return ExitReport(True, "done")
        with Store.open(options.session_dir, now_utc_us=1) as store:
            app.remember(options, store, 1)
        return ExitReport(True, "done")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Watched:
    (tmp_path / "raw").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "token").write_text("0" * 40)
    for name in ("gain.mrc", "gain2.mrc", "map.mrc", "map2.mrc", "defects.txt", "defects2.txt", "token2"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *words: None)
    monkeypatch.setattr(watch_module, "log_to", lambda folder: None)
    fake = Watched()
    monkeypatch.setattr(app, "Daemon", fake)
    monkeypatch.setattr(watch_module, "ray_start", lambda options: contextlib.nullcontext())
    return fake


def run(*words: str) -> str:
    done = CliRunner().invoke(build("watch"), ["watch", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stderr


def value(settings: Settings, key: str) -> object:
    section, _, leaf = key.partition(".")
    found: object = getattr(getattr(settings, section), leaf)
    return found


HERE = "HERE/"
FLAGS: list[tuple[str, tuple[str, object], tuple[str, object]]] = [
    ("camera.gain", ("--gain gain.mrc", f"{HERE}gain.mrc"), ("--gain gain2.mrc", f"{HERE}gain2.mrc")),
    ("camera.gain", ("--gain gain.mrc", f"{HERE}gain.mrc"), ("--no-gain", None)),
    ("camera.no_gain", ("--no-gain", True), ("--gain gain.mrc", False)),
    ("camera.gain_orientation", ("--gain-orientation rot90", "rot90"), ("--gain-orientation rot180", "rot180")),
    ("camera.gain_convention", ("--gain-convention divide", "divide"), ("--gain-convention multiply", "multiply")),
    (
        "camera.defects",
        ("--defects defects.txt", f"{HERE}defects.txt"),
        ("--defects defects2.txt", f"{HERE}defects2.txt"),
    ),
    ("microscope.pixel_size_angstrom", ("--pixel-size-angstrom 0.83", 0.83), ("--pixel-size-angstrom 0.85", 0.85)),
    ("microscope.voltage_kv", ("--voltage-kv 300", 300.0), ("--voltage-kv 200", 200.0)),
    ("microscope.cs_mm", ("--cs-mm 2.7", 2.7), ("--cs-mm 0.01", 0.01)),
    ("microscope.amplitude_contrast", ("--amplitude-contrast 0.07", 0.07), ("--amplitude-contrast 0.1", 0.1)),
    (
        "microscope.dose_per_frame_e_per_a2",
        ("--dose-per-frame-e-per-a2 1.2", 1.2),
        ("--dose-per-frame-e-per-a2 1.0", 1.0),
    ),
    (
        "particles.diameter_angstrom",
        ("--particle-diameter-angstrom 120", 120.0),
        ("--particle-diameter-angstrom 90", 90.0),
    ),
    ("particles.symmetry", ("--symmetry O", "O"), ("--symmetry C1", "C1")),
    ("particles.map_classes", ("--map-classes 2", 2), ("--map-classes 3", 3)),
    (
        "particles.initial_map",
        ("--initial-map map.mrc", f"{HERE}map.mrc"),
        ("--initial-map map2.mrc", f"{HERE}map2.mrc"),
    ),
    ("workers.count", ("--workers 2", 2), ("--workers 1", 1)),
    ("workers.device", ("--device cpu", "cpu"), ("--device auto", "auto")),
    ("http.port", ("--http 8265", 8265), ("--http 8266", 8266)),
    ("http.port", ("--http 8265", 8265), ("--no-http", None)),
    (
        "http.token",
        ("--http 8265 --http-token-file token", f"file:{HERE}token"),
        ("--http-token-file token2", f"file:{HERE}token2"),
    ),
]


def in_turn() -> list[list[tuple[str, tuple[str, object], tuple[str, object]]]]:
    """The rows of `FLAGS` in groups in which no setting is twice and --gain and --no-gain do not meet."""
    groups: list[list[tuple[str, tuple[str, object], tuple[str, object]]]] = []
    for row in FLAGS:
        apart = {"camera.gain", "camera.no_gain"} if row[0].startswith(("camera.gain", "camera.no_gain")) else {row[0]}
        home = next((group for group in groups if not apart & {one[0] for one in group}), None)
        groups.append([row]) if home is None else home.append(row)
    return groups


@pytest.mark.parametrize("rows", in_turn(), ids=len)
def test_a_flag_holds_until_another_is_given(
    watched: Watched, tmp_path: Path, rows: list[tuple[str, tuple[str, object], tuple[str, object]]]
) -> None:
    def wanted(one: object) -> object:
        return one.replace(HERE, f"{tmp_path}/") if isinstance(one, str) else one

    run("raw", "--session", "s", *" ".join(first for _, (first, _), _ in rows).split())
    run("raw", "--session", "s")
    told = run("--session", "s", *" ".join(second for _, _, (second, _) in rows).split())
    told_again = run("--session", "s")
    for key, (_, first), (_, second) in rows:
        seen = [value(options.settings, key) for options in watched.options]
        assert seen == [wanted(first), wanted(first), wanted(second), wanted(second)]
        (line,) = [line for line in told.splitlines() if line.startswith(f"now {key}: ")]
        words = [("null" if one is None else str(one)) for one in (seen[2], seen[0])]
        assert line.startswith(f"now {key}: {words[0]} (flag --"), line
        assert f"; before {words[1]} (flag --" in line
    assert not [line for line in told_again.splitlines() if line.startswith("now ")]
    assert watched.options[-1].http_port == watched.options[-1].settings.http.port


SOURCES = ("flag", "variable", "file", "kept", "preset")
"""Strongest first."""


@pytest.mark.parametrize("given", range(1, 2 ** len(SOURCES)))
def test_the_strongest_of_what_is_given_wins(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: int
) -> None:
    """The truth table of a session that goes on: every set of sources, each with a voltage of its own."""
    watched.with_database = False
    by = {name for place, name in enumerate(SOURCES) if given >> place & 1}
    volts = dict(zip(SOURCES, (100.0, 120.0, 160.0, 200.0, 300.0), strict=True))  # krios-k3 says 300
    run("raw", "--session", "s", *(["--voltage-kv", "200"] if "kept" in by else []))
    if "variable" in by:
        monkeypatch.setenv("FRAZIL_MICROSCOPE__VOLTAGE_KV", "120")
    (tmp_path / "more.yaml").write_text("microscope: {voltage_kv: 160}\n")
    words = [
        *(["--voltage-kv", "100"] if "flag" in by else []),
        *(["--config", "more.yaml"] if "file" in by else []),
        *(["--preset", "krios-k3"] if "preset" in by else []),
    ]
    run("raw", "--session", "s", *words)
    strongest = next(name for name in SOURCES if name in by)
    assert watched.options[-1].settings.microscope.voltage_kv == volts[strongest]
    origin = watched.options[-1].settings.origins["microscope.voltage_kv"]
    assert (
        origin
        == {
            "flag": "flag --voltage-kv",
            "variable": "environment FRAZIL_MICROSCOPE__VOLTAGE_KV",
            "file": "more.yaml",
            "kept": "flag --voltage-kv",
            "preset": "preset krios-k3",
        }[strongest]
    )


def test_a_session_alone_finds_its_folder_and_says_what_holds(watched: Watched, tmp_path: Path) -> None:
    first = run("raw", "--session", "s", "--preset", "krios-k3", "--cs-mm", "2.6", "--once", "--exit-when-idle", "5")
    assert first.strip() == ""
    told = run("--session", "s")
    options = watched.options[-1]
    assert options.raw_root == tmp_path / "raw"
    assert (options.once, options.exit_when_idle_s) == (False, None), "these are of one run"
    assert told.splitlines() == [
        f"watches {tmp_path / 'raw'}",
        "as before: preset krios-k3",
        "as before: microscope.cs_mm 2.6 (flag --cs-mm)",
    ]


def test_a_file_adds_to_what_was_kept(watched: Watched, tmp_path: Path) -> None:
    run("raw", "--session", "s", "--pixel-size-angstrom", "0.83")
    (tmp_path / "more.yaml").write_text("particles: {symmetry: D7}\n")
    run("--session", "s", "--config", "more.yaml")
    settings = watched.options[-1].settings
    assert (settings.microscope.pixel_size_angstrom, settings.particles.symmetry) == (0.83, "D7")


def test_without_any_folder_there_is_nothing_to_watch(watched: Watched, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder was given"):
        run()
    with pytest.raises(UsageError, match="no frazil session here"):
        run("--session", "nowhere")
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(UsageError, match="of no use without --http"):
        run("raw", "--session", "s", "--http-token-file", "token")
    assert watched.options == []


def test_another_folder_than_before_is_told(tmp_path: Path) -> None:
    def told(raw: Path) -> list[str]:
        options = DaemonOptions(raw, tmp_path, Settings())
        with Store.open(tmp_path, now_utc_us=1) as store:
            app.tell_of_another_folder(options, Notices(store, utc_us=lambda: 1), [{"raw_root": str(tmp_path / "raw")}])
            store.flush()
            return [str(text) for text in store.named("alerts").column("text")]

    assert told(tmp_path / "raw") == []
    assert told(tmp_path / "moved") == [f"the session watches {tmp_path}/moved now; before it watched {tmp_path}/raw"]
