"""A deposition holds what is there, says what is not known, and goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mrcfile
import msgspec
import numpy as np
import pytest
from movie_results import movie_result
from typer.testing import CliRunner

from frazil.config.errors import UsageError
from frazil.config.sections.instrument import GainOrientation
from frazil.daemon.cli.main import build
from frazil.daemon.export.deposit import empiar, manifest
from frazil.daemon.export.deposit.checksums import ChecksumBook
from frazil.daemon.export.deposit.folder import DepositReport, export_deposit
from frazil.daemon.export.deposit.movies import DepositMovie, movie_set
from frazil.daemon.export.links import link, place
from frazil.daemon.store.rows import MovieRow, SessionRow, StoredVerdict
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.relion_motion import read_motion
from frazil.models.formats.star import read_star
from frazil.models.gain.gate import GainDecision, GainVerdict
from frazil.models.records import (
    AcquisitionMetadata,
    CtfEstimate,
    FrameShifts,
    MovieFiles,
    MovieHeader,
    MovieState,
    ParticlePicks,
)

FRAMES = 4
TIME_US = 1_700_000_000_000_000
PERSONS = {
    "title": "Apoferritin on holey gold",
    "release_date": "RE",
    "experiment_type": 3,
    "authors": [{"name": "('Chang', 'YW')", "order_id": 0}],
    "corresponding_author": {"first_name": "Y", "last_name": "C", "organization": "O", "email": "a@b", "country": "GB"},
    "principal_investigator": [{"first_name": "Y"}],
    "citation": [{"title": "none yet", "authors": [], "published": False, "j_or_nj_citation": True}],
}
"""What EMPIAR requires and only a person can say."""


def add_movie(store: Store, raw: Path, session: Path, number: int, *, side_px: int, sidecar: Path | None) -> None:
    """A real movie of `FRAMES` frames that drifts 2 A a frame along x, its sum, and two particles."""
    name = f"square {number}/movie_{number}.mrc"
    (raw / name).parent.mkdir(parents=True)
    rng = np.random.default_rng(number)
    write_mrc(raw / name, rng.integers(0, 9, (FRAMES, side_px, side_px)).astype(np.int16), 0.5)
    write_mrc(session / "motion" / f"{number}.mrc", np.zeros((side_px // 2, side_px // 2), np.float32), 1.0)
    write_mrc(session / "particles" / f"{number}.mrcs", np.zeros((2, 8, 8), np.float32), 1.5)
    row = MovieRow(
        f"m{number}", name, 0, 1, sequence=number, stem=f"movie_{number}", size_bytes=(raw / name).stat().st_size,
        sidecar_path=None if sidecar is None else str(sidecar), pixel_size_angstrom=0.5, dose_per_frame_e_per_a2=1.5,
        metadata=AcquisitionMetadata(
            target_defocus_um=1.0 + number, acquired_utc_us=TIME_US + number * 60_000_000, exposure_time_s=2.5,
            stage_x_um=10.0 * number,
        ),
    )  # fmt: skip
    result = movie_result(
        row.movie_id,
        header=MovieHeader(str(raw / name), "mrc", FRAMES, side_px, side_px, "int16"),
        pixel_size_angstrom=0.5,
        shifts=FrameShifts((-3.0, -1.0, 1.0, 3.0), (0.0,) * 4, (0.1,) * 4, 6.0, 4.0, 2.0, converged=True),
        ctf=CtfEstimate(15_200.0, 14_800.0, 30.0, 0.0, 20.0, 20.0, 4.25, 0.4, 0.1, reliable=True),
        picks=ParticlePicks((4.0, 9.0), (5.0, 8.0), (0.9, 0.8), 120.0),
        files=MovieFiles(micrograph=f"motion/{number}.mrc", particles=f"particles/{number}.mrcs"),
    )
    store.submit(movie_writes.register_movie, row).result()
    reason = "motion 31 A is above 15 A" if number == 2 else None
    store.submit(movie_writes.record_result, result, ready_utc_us=2, lag_s=1.0, rejection_reason=reason).result()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Four movies, one of them rejected and one of another shape; one set aside, one not yet processed."""
    session, raw = tmp_path / "session", tmp_path / "raw"
    for folder in (session / "motion", session / "particles", raw, tmp_path / "epu"):
        folder.mkdir(parents=True)
    (tmp_path / "gain.mrc").write_bytes(b"gain")
    decision = GainDecision(
        GainVerdict.CORRECT,
        "",
        None,
        str(tmp_path / "gain.mrc"),
        None,
        GainOrientation.ROT90,
        "multiply",
        3,
        None,
        None,
    )
    with Store.open(session, now_utc_us=1) as store:
        gate = msgspec.json.encode(StoredVerdict("q", decision)).decode()
        row = SessionRow(
            "s", "grid 4", str(raw), 1, "{}", "1.2", voltage_kv=300.0, cs_mm=2.7, amplitude_contrast=0.1,
            pixel_size_angstrom=0.5, camera="K3", gain_verdict=gate,
        )  # fmt: skip
        store.submit(session_writes.create_session, row).result()
        for number, side_px in enumerate((32, 32, 32, 16)):
            sidecar = (
                raw / f"square {number}/movie_{number}.mrc.mdoc" if number == 0 else tmp_path / "epu" / f"{number}.xml"
            )
            add_movie(store, raw, session, number, side_px=side_px, sidecar=sidecar)
            sidecar.write_text(f"of {number}")
        for number, state in ((4, MovieState.QUARANTINED), (5, MovieState.QUEUED)):
            row5 = MovieRow(f"m{number}", f"late_{number}.mrc", 0, 1, sequence=number, state=state)
            store.submit(movie_writes.register_movie, row5).result()
        yield store


def exported(store: Store, out: Path, **how: Any) -> DepositReport:
    return export_deposit(store, store.session_dir, out, **how)


def said(out: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((out / "deposition.json").read_text())
    return answer


def listed(out: Path) -> dict[str, list[str]]:
    lines = (out / "manifest.tsv").read_text().splitlines()
    assert lines[0] == "path\tsize_bytes\tsha256\tsource"
    return {line.split("\t")[0]: line.split("\t")[1:] for line in lines[1:]}


def test_every_file_is_listed_with_its_size_and_sum_and_nothing_is_copied(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = exported(store, out)
    assert (report.movies, report.left_out, report.listed.without_checksum) == (4, 2, ())
    files = listed(out)
    raw = tmp_path / "raw" / "square 1" / "movie_1.mrc"
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    assert files["data/movies/square 1/movie_1.mrc"] == [str(raw.stat().st_size), digest, str(raw)]
    assert {name for name in files if not name.startswith("data/processed/")} == {
        *(f"data/movies/square {number}/movie_{number}.mrc" for number in range(3)),
        "data/movies_2/square 3/movie_3.mrc",
        "data/movies/square 0/movie_0.mrc.mdoc",
        *(f"data/sidecars/epu/{number}.xml" for number in (1, 2, 3)),
        "data/gain/gain.mrc",
    }
    assert report.listed.files == len(files)
    assert report.listed.size_bytes == sum(int(facts[0]) for facts in files.values())
    checked = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert all(os.path.islink(out / name) for name in files if not name.endswith(".star"))
    assert (out / "left_out.tsv").read_text().splitlines() == ["movie\tstate\treason", "late_4.mrc\tquarantined\t"]
    assert report.notes == ("movies that are not processed yet: 1; export again when they are",)


def test_the_image_sets_are_what_the_files_are(store: Store, tmp_path: Path) -> None:
    exported(store, tmp_path / "out")
    movies, others, sums, particles = said(tmp_path / "out")["imagesets"]
    assert movies == {
        "name": "Movies",
        "directory": "data/movies",
        "category": "('T2', '')",
        "header_format": "('T1', '')",
        "data_format": "('T1', '')",
        "num_images_or_tilt_series": 3,
        "frames_per_image": FRAMES,
        "voxel_type": "('T4', '')",
        "pixel_width": 0.5,
        "pixel_height": 0.5,
        "image_width": 32,
        "image_height": 32,
        "details": "Not gain-corrected; the gain reference is data/gain/gain.mrc: multiply after rot90 (rotated first, "
        "then flipped, RELION's order).",
    }
    assert (others["directory"], others["num_images_or_tilt_series"], others["image_width"]) == ("data/movies_2", 1, 16)
    for one in (sums, particles):
        names = [name for name in os.listdir(tmp_path / "out" / one["directory"]) if name.endswith((".mrc", ".mrcs"))]
        with mrcfile.open(tmp_path / "out" / one["directory"] / names[0], header_only=True) as file:
            assert (one["image_width"], one["pixel_width"]) == (int(file.header.nx), pytest.approx(file.voxel_size.x))
    assert (sums["category"], sums["num_images_or_tilt_series"]) == ("('T1', '')", 4)
    # The rejected movie has no stack in the deposit: three stacks of two.
    assert (particles["category"], particles["num_images_or_tilt_series"]) == ("('T7', '')", 6)


REQUIRED_OF_SETS = (
    *("name", "directory", "category", "header_format", "data_format", "num_images_or_tilt_series"),
    *("frames_per_image", "voxel_type"),
)
"""`required` of an image set in EMPIAR's empiar_deposition.schema.json; the patterns of its codes are below."""
CODE = re.compile(r"^(\('T([2-9]|10?)', ''\))|\('OT', '[A-Z0-9 ]+'\)$")
IN_ENTRIES = (
    *("name", "directory", "category", "headerFormat", "dataFormat", "numImagesOrTiltSeries", "framesPerImage"),
    *("voxelType", "imageWidth", "pixelWidth", "imageHeight", "pixelHeight", "details"),
)
"""Elements of a public entry's `imageSet` (EMPIAR-10934), which the fields of a deposition become."""


def test_the_deposition_has_empiars_structure_once_a_person_has_filled_it_in(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = exported(store, out)
    assert {sentence.split(":")[0] for sentence in first.missing} == set(PERSONS)
    assert not set(PERSONS) & set(said(out))  # nothing is made up
    (out / "deposition.json").write_text(json.dumps(said(out) | PERSONS))
    assert exported(store, out).missing == ()
    filled = said(out)
    assert {name: filled[name] for name in PERSONS} == PERSONS
    as_in_entries = {re.sub("([A-Z])", lambda found: "_" + found[0].lower(), name) for name in IN_ENTRIES}
    for one in filled["imagesets"]:
        assert set(REQUIRED_OF_SETS) <= set(one) <= as_in_entries
        assert all(CODE.match(one[name]) for name in ("category", "header_format", "data_format", "voxel_type"))
        assert all(type(one[name]) is int for name in ("num_images_or_tilt_series", "frames_per_image", "image_width"))


def test_what_a_person_corrected_stays_and_what_frazil_wrote_follows_the_session(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported(store, out)
    written = said(out)
    written["imagesets"][0]["details"] = "Counting mode."
    written["imagesets"].append({"name": "Tilt series", "directory": "data/tilts"})
    (out / "deposition.json").write_text(json.dumps(written))
    store.submit(
        lambda connection: connection.execute("UPDATE movies SET state = 'outdated' WHERE movie_id = 'm2'")
    ).result()
    exported(store, out)
    sets = {one["directory"]: one for one in said(out)["imagesets"]}
    assert (sets["data/movies"]["details"], sets["data/movies"]["num_images_or_tilt_series"]) == ("Counting mode.", 2)
    assert sets["data/tilts"] == {"name": "Tilt series", "directory": "data/tilts"}
    assert "data/movies/square 2/movie_2.mrc" not in listed(out)


def test_an_interrupted_export_goes_on_with_the_next_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    compute = ChecksumBook.compute

    most = 3

    def counted(book: ChecksumBook, name: str, path: Path) -> str:
        if len(read) == most:
            raise KeyboardInterrupt
        read.append(name)
        return compute(book, name, path)

    monkeypatch.setattr(manifest.ChecksumBook, "compute", counted)
    with pytest.raises(KeyboardInterrupt):
        exported(store, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.tsv").exists()
    with open(tmp_path / "out" / ".checksums.jsonl", "a", encoding="utf-8") as book:
        book.write('["data/movies/squa')  # cut by a crash
    before = list(read)
    read.clear()
    most = 1000
    report = exported(store, tmp_path / "out")
    assert not set(before) & set(read)
    # STAR files are written anew by every export, and so read again.
    assert len(before) + len(read) == report.listed.files
    assert report.listed.without_checksum == ()


def test_a_movie_that_changed_is_read_again_and_one_that_is_gone_is_named(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = exported(store, out) and listed(out)
    changed, gone = (tmp_path / "raw" / f"square {number}" / f"movie_{number}.mrc" for number in (0, 1))
    changed.write_bytes(changed.read_bytes() + b"more")
    gone.unlink()
    report = exported(store, out)
    after = listed(out)
    assert after["data/movies/square 0/movie_0.mrc"][1] == hashlib.sha256(changed.read_bytes()).hexdigest()
    assert after["data/movies/square 2/movie_2.mrc"] == before["data/movies/square 2/movie_2.mrc"]
    assert report.listed.without_checksum == ("data/movies/square 1/movie_1.mrc",)
    assert [note.split(",")[0] for note in report.notes[1:]] == [
        "movies that are not where they were: 1",
        "movies of another size than when they were processed: 1",
    ]


def test_a_gain_reference_that_is_gone_is_named(store: Store, tmp_path: Path) -> None:
    notes = exported(store, tmp_path / "out").notes
    links = [path for path in (tmp_path / "out" / "data" / "gain").iterdir() if path.is_symlink()]
    for path in links:
        path.resolve().unlink()
    fresh = [note for note in exported(store, tmp_path / "out").notes if note not in notes]
    assert links
    assert len(fresh) == len(links)
    assert all("its link leads nowhere" in note for note in fresh)


def test_files_can_be_listed_without_being_read(store: Store, tmp_path: Path) -> None:
    report = exported(store, tmp_path / "out", checksums=False)
    assert len(report.listed.without_checksum) == report.listed.files
    assert (tmp_path / "out" / "SHA256SUMS").read_text().strip() == ""


def test_the_relion_folder_finds_the_movies_of_the_deposit(store: Store, tmp_path: Path) -> None:
    exported(store, tmp_path / "out")
    folder = tmp_path / "out" / "data" / "processed"
    for number in range(4):
        motion = read_motion(folder / "motion" / f"movie_{number}.star")
        assert (folder / motion.movie_name).resolve() == tmp_path / "raw" / f"square {number}" / f"movie_{number}.mrc"
    assert not (folder / "raw").exists()  # else a program that follows links would send the movies twice
    names = read_star(folder / "particles.star")["particles"].texts("rlnImageName")
    assert len(names) == 6
    assert all((folder / name.split("@")[1]).is_file() for name in names)


def test_ispyb_has_the_rows_under_its_own_names_and_units(store: Store, tmp_path: Path) -> None:
    exported(store, tmp_path / "out")
    tables = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "out" / "ispyb").iterdir()}
    assert {name: len(rows) for name, rows in tables.items()} == {
        "DataCollection": 1, "Movie": 4, "MotionCorrection": 4, "MotionCorrectionDrift": 16, "CTF": 4,
        "ParticlePicker": 4,
    }  # fmt: skip
    assert tables["Movie"][1] == {
        "movieId": 2,
        "dataCollectionId": 1,
        "movieNumber": 2,
        "movieFullPath": str(tmp_path / "raw/square 1/movie_1.mrc"),
        "createdTimeStamp": "2023-11-14 22:14:20",
        "positionX": 10.0,
        "nominalDefocus": 20_000.0,  # A
    }
    motion = tables["MotionCorrection"][2]
    assert (motion["movieId"], motion["totalMotion"], motion["averageMotionPerFrame"]) == (3, 6.0, 1.5)
    assert (motion["firstFrame"], motion["lastFrame"], motion["dosePerFrame"]) == (1, FRAMES, 1.5)
    assert motion["comments"] == "motion 31 A is above 15 A"
    drift = [row for row in tables["MotionCorrectionDrift"] if row["motionCorrectionId"] == 1]
    assert [(row["frameNumber"], row["deltaX"]) for row in drift] == [(1, 0.0), (2, 2.0), (3, 4.0), (4, 6.0)]
    ctf = tables["CTF"][0]
    assert (ctf["estimatedDefocus"], ctf["astigmatism"], ctf["astigmatismAngle"]) == (15_000.0, 400.0, 30.0)
    assert (ctf["estimatedResolution"], ctf["ccValue"]) == (4.25, 0.4)
    assert tables["ParticlePicker"][0] == {
        "particlePickerId": 1, "firstMotionCorrectionId": 1, "particleDiameter": 12.0, "numberOfParticles": 2,
    }  # fmt: skip
    (collection,) = tables["DataCollection"]
    assert (collection["voltage"], collection["totalExposedDose"], collection["numberOfImages"]) == (300.0, 6.0, 4)
    assert "imageSizeX" not in collection  # not the same for all


def test_oscem_says_what_is_the_same_for_all(store: Store, tmp_path: Path) -> None:
    exported(store, tmp_path / "out")
    about = json.loads((tmp_path / "out" / "oscem.json").read_text())
    acquisition = about["scientificMetadata"]["acquisition"]
    assert acquisition["nominal_defocus"] == {
        "maximal": {"unit": "nm", "value": -1000.0},
        "minimal": {"unit": "nm", "value": -4000.0},
    }
    assert acquisition["pixel_size"] == {"unit": "Å", "value": 0.5}
    assert acquisition["dose_per_movie"] == {"unit": "1/Å²", "value": 6.0}
    assert (acquisition["detector"], acquisition["images_generated"]) == ("K3", 4)
    assert acquisition["gainref_flip_rotate"] == "rot90"
    assert "image_size" not in acquisition
    assert about["scientificMetadata"]["instrument"] == {
        "acceleration_voltage": {"unit": "kV", "value": 300.0},
        "cs": {"unit": "mm", "value": 2.7},
    }


def test_a_deposit_within_the_raw_data_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="never written to"):
        exported(store, tmp_path / "raw" / "out")
    assert not (tmp_path / "raw" / "out").exists()


def test_the_command_says_what_is_there_and_what_is_still_to_be_said(store: Store, tmp_path: Path) -> None:
    store.close()

    def files() -> dict[str, int]:
        places = (store.session_dir, tmp_path / "raw")
        return {str(path): path.stat().st_mtime_ns for place in places for path in place.rglob("*")}

    before = files()
    done = CliRunner().invoke(build("export"), ["export", str(store.session_dir), "--deposit", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "4 movies, 2 left out" in done.output
    assert "7 things are still to be said in deposition.json" in done.output
    assert files() == before


@pytest.mark.parametrize(("frame_counts", "said_of_frames"), [((1000, 1000), 1000), ((1000, 1004), None)])
def test_what_is_not_known_of_eer_movies_is_left_out_and_named(
    frame_counts: tuple[int, ...], said_of_frames: int | None, tmp_path: Path
) -> None:
    eer = [
        DepositMovie(
            f"{number}.eer",
            True,
            "eer",
            frames,
            4096,
            4096,
            None,
            1,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
        )
        for number, frames in enumerate(frame_counts)
    ]
    one = movie_set("data/movies", eer, tmp_path, "")
    about = one.as_json()
    assert about.get("frames_per_image") == said_of_frames
    assert (about["data_format"], about["category"]) == ("('T9', '')", "('T2', '')")
    assert not {"voxel_type", "pixel_width", "pixel_height", "details"} & set(about)
    missing = [text for text in empiar.missing([one], {"imagesets": [about]}) if "data/movies" in text]
    frames_text = [] if said_of_frames else ["frames_per_image of data/movies: not the same for all, 1000 to 1004"]
    assert missing == [
        *frames_text,
        "voxel_type of data/movies: EER files hold events, not values",
        "pixel_width of data/movies: not known",
        "pixel_height of data/movies: not known",
    ]


@pytest.mark.parametrize("inside", ["data/movies", "frames"])
def test_a_folder_that_holds_the_raw_movies_is_refused_and_they_stay(store: Store, tmp_path: Path, inside: str) -> None:
    out = tmp_path / "all"
    raw = out / inside
    raw.parent.mkdir(parents=True)
    (tmp_path / "raw").rename(raw)
    kept = tmp_path / "kept.mrc"
    (raw / "square 1" / "movie_1.mrc").rename(kept)
    (raw / "square 1" / "movie_1.mrc").symlink_to(kept)
    before = {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    store.submit(lambda connection: connection.execute("UPDATE session SET raw_root = ?", [str(raw)])).result()
    with pytest.raises(UsageError, match="raw data lie within the folder"):
        exported(store, out)
    assert {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()} == before
    assert not (raw / "square 0" / "movie_0.mrc").is_symlink()


def test_a_link_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    source, other = tmp_path / "a.mrc", tmp_path / "b.mrc"
    source.write_bytes(b"movie")
    other.write_bytes(b"another")
    link(source, source)
    place(source, source, copy=False)
    place(source, source, copy=True)
    assert (source.is_symlink(), source.read_bytes()) == (False, b"movie")
    with pytest.raises(UsageError, match="a file that frazil did not make"):
        link(source, other)
    assert other.read_bytes() == b"another"
    place(source, other, copy=False)  # in a folder of frazil's own: a copy, made earlier
    assert (other.is_symlink(), other.read_bytes()) == (True, b"movie")


def test_a_copy_is_made_once_and_is_whole_or_not_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    exported(store, out)  # links first, which copies replace
    copied: list[str] = []
    copyfile = shutil.copyfile

    def counted(source: Path, target: Path) -> None:
        copied.append(Path(source).name)
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", counted)
    exported(store, out, copy=True)
    first = listed(out)
    assert sorted(copied) == ["0.mrc", "0.mrcs", "1.mrc", "1.mrcs", "2.mrc", "3.mrc", "3.mrcs"]
    sums = out / "data" / "processed" / "Frazil" / "job001"
    assert not any(path.is_symlink() for path in sums.iterdir())
    copied.clear()
    monkeypatch.setattr(ChecksumBook, "compute", lambda book, name, path: "read again")
    exported(store, out, copy=True)
    again = [name for name, (_, digest, _) in listed(out).items() if digest == "read again"]
    assert (copied, [name for name in again if not name.endswith(".star")]) == ([], [])
    assert set(listed(out)) == set(first)

    def cut(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", cut)
    whole = (sums / "movie_0.mrc").read_bytes()
    (store.session_dir / "motion" / "0.mrc").write_bytes(whole + b"made again")
    with pytest.raises(KeyboardInterrupt):
        exported(store, out, copy=True)
    assert (sums / "movie_0.mrc").read_bytes() == whole
    assert sorted(path.name for path in sums.iterdir()) == [f"movie_{number}.mrc" for number in range(4)]


@pytest.mark.parametrize("copy", [False, True])
def test_what_was_rejected_since_is_not_in_the_deposit_any_more(store: Store, tmp_path: Path, copy: bool) -> None:
    out = tmp_path / "out"
    exported(store, out, copy=copy)
    own = [out / "data" / name for name in ("tilts/mine.mrc", "processed/notes.txt", "processed/Frazil/job001/my.txt")]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    (out / "data" / "tilts" / "link.mrc").symlink_to(own[0])
    for change in ("state = 'outdated' WHERE movie_id = 'm0'", "state = 'rejected' WHERE movie_id = 'm1'"):
        store.submit(lambda connection, change=change: connection.execute(f"UPDATE movies SET {change}")).result()
    exported(store, out, copy=copy)
    exported(store, tmp_path / "fresh", copy=copy)
    mine = {path.relative_to(out).as_posix() for path in own} | {"data/tilts/link.mrc"}
    assert set(listed(out)) == set(listed(tmp_path / "fresh")) | mine
    assert not any("movie_0" in name for name in listed(out))
    assert "data/processed/Frazil/job002/movie_1.mrcs" not in listed(out)


@pytest.mark.parametrize("again_as_copy", [False, True])
@pytest.mark.parametrize("folders", [("particles",), ("particles", "motion")])
def test_copies_stay_where_the_session_has_removed_its_own(
    store: Store, tmp_path: Path, folders: tuple[str, ...], again_as_copy: bool
) -> None:
    out = tmp_path / "out"
    exported(store, out, copy=True)
    jobs = out / "data" / "processed" / "Frazil"
    before = {path: path.read_bytes() for path in jobs.rglob("*.mrc*")}
    for folder in folders:
        shutil.rmtree(store.session_dir / folder)
    exported(store, out, copy=again_as_copy)
    assert len(before) == 7
    assert {path: path.read_bytes() for path in jobs.rglob("*.mrc*")} == before
