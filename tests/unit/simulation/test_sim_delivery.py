"""Sessions on disk: what readers get back, what faults do, what the clock sees."""

from __future__ import annotations

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

from frazil.config.errors import UsageError
from frazil.daemon.cli.main import build
from frazil.models.formats.image import read_image_2d
from frazil.models.formats.movie import open_movie
from frazil.models.formats.sidecar import read_sidecar, sidecar_candidates
from frazil.models.formats.structure import check_structure
from frazil.models.simulation import (
    DeliverySettings,
    SimulatedSession,
    SimulationSettings,
    preset,
    read_truth,
    write_session,
)
from frazil.models.simulation.delivery import GROWTH_STEPS
from frazil.models.simulation.faults import LATER_MOVIES, MOVIE_FAULTS, parse_faults
from frazil.models.simulation.sidecars import BEAM_SHIFT_UM_PER_UNIT


def small(movies: int = 2, **changes: object) -> SimulationSettings:
    base = preset("demo").with_changes(
        movies=movies,
        height_px=96,
        width_px=128,
        frame_count=4,
        pixel_size_angstrom=2.0,
        specimen={"structure": "gltph"},
        stage={"local_motion_rms_angstrom": 0.5},
    )
    return base.with_changes(**changes)


@pytest.mark.parametrize("file_format", ["tiff", "mrc", "eer"])
def test_readers_see_the_frames_of_the_truth(tmp_path: Path, file_format: str) -> None:
    delivery = DeliverySettings(file_format=file_format, sidecar="none")  # type: ignore[arg-type]
    truth = write_session(tmp_path / "s", small(1), delivery)
    path = tmp_path / "s" / "raw" / str(truth.movies[0].file)
    expected = np.stack(list(SimulatedSession(small(1)).movie(0).frames()))
    dose = truth.movies[0].expected_counts_per_px_per_frame / 2.0**2
    with open_movie(path, eer_dose_per_fraction_e_per_a2=dose) as reader:
        frames = np.stack([frame.copy() for frame in reader.frames()])
        assert reader.header.pixel_size_angstrom == pytest.approx(2.0, rel=1e-5)
    if file_format == "eer":
        assert frames.shape == expected.shape
        cool = expected < 15
        assert (frames <= expected).all()
        per_frame = truth.movies[0].eer_raw_frames_per_frame
        assert per_frame is not None
        assert reader.header.raw_frame_count == 4 * per_frame
        assert frames[cool].sum() > 0.9 * expected[cool].sum()
    else:
        np.testing.assert_array_equal(frames, np.minimum(expected, 127 if file_format == "mrc" else 255))


def test_tiff_is_upside_down_and_mrc_is_not(tmp_path: Path) -> None:
    write_session(tmp_path / "t", small(1), DeliverySettings(sidecar="none"))
    write_session(tmp_path / "m", small(1), DeliverySettings(file_format="mrc", mrc_type="uint16", sidecar="none"))
    tiff = tifffile.imread(next((tmp_path / "t" / "raw").glob("*.tif")))
    mrc = mrcfile.read(next((tmp_path / "m" / "raw").glob("*.mrc")))
    np.testing.assert_array_equal(tiff[:, ::-1], mrc)


@pytest.mark.parametrize(("mrc_type", "mode"), [("int8", 0), ("int16", 1), ("float32", 2), ("uint16", 6)])
def test_mrc_modes(tmp_path: Path, mrc_type: str, mode: int) -> None:
    delivery = DeliverySettings(file_format="mrc", mrc_type=mrc_type, sidecar="none")  # type: ignore[arg-type]
    write_session(tmp_path / "s", small(1), delivery)
    with mrcfile.open(next((tmp_path / "s" / "raw").glob("*.mrc"))) as mrc:
        assert int(mrc.header.mode) == mode
        assert mrc.is_image_stack()


def test_a_movie_does_not_depend_on_the_others_or_on_the_run() -> None:
    whole, alone = SimulatedSession(small(5)), SimulatedSession(small(5))
    list(whole.movie(0).frames())
    first = np.stack(list(whole.movie(3).frames()))
    movie = alone.movie(3)
    np.testing.assert_array_equal(first, np.stack(list(movie.frames())))
    np.testing.assert_array_equal(first, np.stack(list(movie.frames())))
    assert whole.truth(3) == alone.truth(3)
    other = np.stack(list(SimulatedSession(small(5, seed=2)).movie(3).frames()))
    assert (other != first).mean() > 0.3


@pytest.mark.parametrize("sidecar", ["epu", "mdoc"])
def test_sidecars_say_what_the_microscope_knows(tmp_path: Path, sidecar: str) -> None:
    out = tmp_path / "s"
    truth = write_session(out, small(2), DeliverySettings(sidecar=sidecar))  # type: ignore[arg-type]
    movie = truth.movies[1]
    path = out / "raw" / str(movie.sidecar)
    assert path in sidecar_candidates(Path(str(movie.file)), [out / "raw"])
    metadata = read_sidecar(path)
    assert metadata.voltage_kv == pytest.approx(300.0)
    assert metadata.pixel_size_angstrom == pytest.approx(2.0)
    assert metadata.dose_per_frame_e_per_a2 == pytest.approx(2.0)
    assert metadata.frame_count == 4
    assert metadata.exposure_time_s == pytest.approx(0.4)
    assert metadata.target_defocus_um == pytest.approx(movie.target_defocus_um)
    assert metadata.stage_x_um == pytest.approx(movie.stage_x_um, abs=1e-3)
    in_epus_unit = None if metadata.beam_shift_x_au is None else BEAM_SHIFT_UM_PER_UNIT * metadata.beam_shift_x_au
    shift_x_um = in_epus_unit if sidecar == "epu" else metadata.image_shift_x_um
    assert shift_x_um == pytest.approx(movie.image_shift_x_um, abs=1e-3)
    # EPU states UTC; SerialEM's clock has no zone.
    if sidecar == "epu":
        assert metadata.acquired_utc_us == movie.acquired_utc_us
        assert (metadata.grid_square, metadata.hole) == (movie.grid_square, movie.hole)


def test_truth_file_is_outside_raw_and_complete(tmp_path: Path) -> None:
    write_session(tmp_path / "s", small(2))
    content = read_truth(tmp_path / "s" / "truth" / "truth.json")
    assert len(content["movies"]) == 2
    movie = content["movies"][0]
    assert len(movie["shift_x_angstrom"]) == 4
    assert movie["defocus_u_angstrom"] >= movie["defocus_v_angstrom"] > 0
    assert (tmp_path / "s" / "raw" / movie["file"]).exists()
    assert not list((tmp_path / "s" / "raw").rglob("*truth*"))
    assert not (tmp_path / "s" / ".staging").exists()


@pytest.mark.parametrize(
    "fault", ["none", "gain-rotated", "gain-flipped", "gain-inverted", "gain-wrong", "gain-missing"]
)
def test_gain_file(tmp_path: Path, fault: str) -> None:
    settings = small(1).with_changes(height_px=96, width_px=96)
    truth = write_session(tmp_path / "s", settings, faults=[] if fault == "none" else [fault])
    detector = SimulatedSession(settings).detector
    path = tmp_path / "s" / "gain.mrc"
    if fault == "gain-missing":
        assert not path.exists()
        return
    written, pixel = read_image_2d(path)
    assert pixel == pytest.approx(2.0)
    multiplier = detector.gain_multiplier()
    expected = {
        "none": multiplier,
        "gain-rotated": np.rot90(multiplier),
        "gain-flipped": multiplier[::-1],
        "gain-inverted": detector.sensitivity,
    }.get(fault)
    if expected is None:
        assert np.corrcoef(written.ravel(), multiplier.ravel())[0, 1] < 0.5
    else:
        np.testing.assert_allclose(written, expected, rtol=1e-6)
    assert truth.gain_convention == ("divide" if fault == "gain-inverted" else "multiply")


def test_defect_list_names_every_bad_pixel(tmp_path: Path) -> None:
    settings = small(1, camera={"dead_pixel_fraction": 1e-3, "hot_pixel_fraction": 1e-3})
    write_session(tmp_path / "s", settings)
    marked = np.zeros((96, 128), bool)
    for line in (tmp_path / "s" / "defects.txt").read_text().split("\n")[:-1]:
        x, y, w, h = map(int, line.split())
        marked[y : y + h, x : x + w] = True
    np.testing.assert_array_equal(marked, SimulatedSession(settings).detector.defects)
    np.testing.assert_array_equal(marked, read_image_2d(tmp_path / "s" / "defects.mrc")[0] > 0)


def deliver(tmp_path: Path, *faults: str, movies: int = 1, **delivery: object) -> tuple[Path, list[dict[str, bool]]]:
    """Write a session; for every delivery, which files were there."""
    out, seen = tmp_path / "s", []
    settings = DeliverySettings(sidecar="mdoc", **delivery)  # type: ignore[arg-type]

    def look(index: int, path: Path) -> None:
        raw = out / "raw"
        report = {f.name: check_structure(f).complete for f in raw.iterdir() if f.suffix != ".mdoc"}
        seen.append(report | {f.name: True for f in raw.glob("*.mdoc")})

    write_session(out, small(movies), settings, faults=faults, on_movie=look)
    return out / "raw", seen


@pytest.mark.parametrize("file_format", ["tiff", "mrc"])
@pytest.mark.parametrize(
    ("fault", "damaged"), [("truncated", False), ("zero-length", False), ("bad-file", True), ("zero-tail", False)]
)
def test_broken_files_are_seen_as_such(tmp_path: Path, file_format: str, fault: str, damaged: bool) -> None:
    raw, _ = deliver(tmp_path, f"{fault}:0", file_format=file_format)
    movie = next(f for f in raw.iterdir() if f.suffix != ".mdoc")
    report = check_structure(movie, expected_frames=4)
    assert not report.complete
    assert report.damaged or not damaged


def test_few_frames_are_found_by_their_number(tmp_path: Path) -> None:
    raw, _ = deliver(tmp_path, "few-frames:0")
    movie = next(raw.glob("*.tif"))
    assert check_structure(movie).frames_present == 2
    assert not check_structure(movie, expected_frames=4).complete


def test_stalled_and_replaced_files_and_late_sidecars_come_later(tmp_path: Path) -> None:
    raw, seen = deliver(tmp_path, "stalled:0", "late-sidecar:1", "replaced:2", "missing-sidecar:3", movies=7)
    names = sorted(f.name for f in raw.glob("*.tif"))
    stalled = [state[names[0]] for state in seen]
    assert stalled == [False] * LATER_MOVIES + [True] * (7 - LATER_MOVIES)
    late = [f"{names[1]}.mdoc" in state for state in seen]
    assert late == [False] * (1 + LATER_MOVIES) + [True] * (6 - LATER_MOVIES)
    assert all(state[names[2]] for state in seen[2:])  # whole files both times
    assert check_structure(raw / names[2]).frames_present == 4
    assert not (raw / f"{names[3]}.mdoc").exists()
    assert all(check_structure(raw / name, expected_frames=4).complete for name in names)


def test_what_is_due_after_the_last_movie_still_comes(tmp_path: Path) -> None:
    raw, _ = deliver(tmp_path, "stalled:0", "late-sidecar:0")
    assert check_structure(next(raw.glob("*.tif"))).complete
    assert len(list(raw.glob("*.mdoc"))) == 1


class Clock:
    """Time that passes only in `sleep`."""

    def __init__(self) -> None:
        self.t, self.naps = 100.0, []

    def now(self) -> float:
        return self.t

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.t += seconds


@pytest.mark.parametrize("fault", [(), ("preallocated:0", "preallocated:1", "preallocated:2")])
def test_pace_and_growth(tmp_path: Path, fault: tuple[str, ...]) -> None:
    clock, starts, sizes = Clock(), [], []
    out = tmp_path / "s"

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        sizes.extend(f.stat().st_size for f in (out / "raw").glob("*00000.mrc"))

    write_session(
        out,
        small(3),
        DeliverySettings(pace_s=8.0, grow=True, file_format="mrc", sidecar="none"),
        faults=fault,
        sleep=sleep,
        now=clock.now,
        on_movie=lambda index, path: starts.append(clock.t),
    )
    assert starts == pytest.approx([104.0, 112.0, 120.0])  # a movie begins every 8 s and grows for half of that
    full = 1024 + 4 * 96 * 128
    if fault:
        assert set(sizes) == {full}
    else:
        assert len(set(sizes[:GROWTH_STEPS])) == GROWTH_STEPS
        assert sizes == sorted(sizes)
        assert sizes[-1] == full


def test_faults_of_specimen_and_stage(tmp_path: Path) -> None:
    truth = write_session(tmp_path / "s", small(4), faults=["thick-ice:0", "empty:1", "lost-stage:2", "drift-burst:3"])
    thick, empty, lost, burst = truth.movies
    assert thick.ice_thickness_nm == 250.0
    assert thick.transmitted_fraction < 0.6
    assert empty.particles == ()
    assert lost.drift_kind == "lost-stage"
    assert burst.drift_kind == "burst"
    assert lost.faults == ("lost-stage",)


def test_fault_texts() -> None:
    plan = parse_faults(["truncated:1,3", "thick-ice:3", "gain-flipped"], movie_count=4, seed=1)
    assert plan.movies == {1: ("truncated",), 3: ("truncated", "thick-ice")}
    assert plan.gain == "gain-flipped"
    assert parse_faults(["empty"], movie_count=9, seed=1) == parse_faults(["empty"], movie_count=9, seed=1)
    for texts, message in (
        (["trunkated"], "Did you mean truncated"),
        (["empty:9"], "no movie 9"),
        (["empty:x"], "KIND:3,7"),
        (["gain-flipped", "gain-missing"], "Choose one"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_faults(texts, movie_count=4, seed=1)
    assert len(MOVIE_FAULTS) >= 12


def test_refusals(tmp_path: Path) -> None:
    write_session(tmp_path / "s", small(0))
    with pytest.raises(UsageError, match="already"):
        write_session(tmp_path / "s", small(0))
    with pytest.raises(UsageError, match="clock"):
        write_session(tmp_path / "other", small(1), DeliverySettings(pace_s=1.0))
    with pytest.raises(UsageError, match="demo or standard"):
        preset("grand")


def test_command_line(tmp_path: Path) -> None:
    out = tmp_path / "s"
    result = CliRunner().invoke(
        build("simulate"),
        f"simulate {out} --movies 2 --size 96 --frames 3 --structure gltph --json "
        "--fault thick-ice:1 --sidecar mdoc --format mrc",
    )
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert [line["movie"] for line in lines[:-1]] == [0, 1]
    assert lines[-1]["faults"]["1"] == ["thick-ice"]
    assert len(list((out / "raw").glob("*.mrc"))) == 2
    listed = CliRunner().invoke(build("simulate"), ["simulate", str(out), "--fault", "list"])
    assert "gain-rotated" in listed.output


def test_map_of_the_session_is_the_specimen() -> None:
    session = SimulatedSession(small(0))
    volume = session.potential_map(box_px=48, pixel_size_angstrom=4.0)
    assert volume.shape == (48, 48, 48)
    weight = volume.clamp_min(0.5) - 0.5
    axis = torch.arange(48.0) - 24
    for dim in range(3):
        others = tuple(d for d in range(3) if d != dim)
        assert abs(float((weight.sum(dim=others) * axis).sum() / weight.sum())) < 0.5
    assert session.symmetry == "C3"
