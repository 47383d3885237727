"""`frazil simulate`: a simulated microscope that fills a folder with movies, with known truth."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from frazil.models.simulation.truth import SessionTruth


class Format(StrEnum):
    TIFF = "tiff"
    MRC = "mrc"
    EER = "eer"


class Sidecar(StrEnum):
    EPU = "epu"
    MDOC = "mdoc"
    NONE = "none"


class Preset(StrEnum):
    DEMO = "demo"
    STANDARD = "standard"


def simulate(
    out: Annotated[
        Path, typer.Argument(help="New folder: movies go to OUT/raw, truth to OUT/truth, gain to OUT/gain.mrc")
    ],
    movies: Annotated[
        int | None, typer.Option(min=1, help="How many movies [default: 24; of a grid what the hours allow]")
    ] = None,
    preset: Annotated[
        Preset, typer.Option(help="demo: 768 x 768 x 16 frames, 32 e/A2; standard: 1024 x 1024 x 40 frames, 40 e/A2")
    ] = Preset.DEMO,
    format: Annotated[Format, typer.Option(help="tiff (LZW), mrc (mode 0) or eer")] = Format.TIFF,
    sidecar: Annotated[
        Sidecar, typer.Option(help="epu: EPU's folders and XML; mdoc: SerialEM's; none: one folder without metadata")
    ] = Sidecar.EPU,
    pace: Annotated[float, typer.Option(min=0.0, help="Seconds from movie to movie; 0: as fast as possible")] = 0.0,
    grow: Annotated[
        bool, typer.Option("--grow", help="Movies grow under their final name instead of appearing whole by rename")
    ] = False,
    fault: Annotated[
        list[str] | None, typer.Option(help="KIND or KIND:INDEX,INDEX; repeat for more; 'list' shows them all")
    ] = None,
    structure: Annotated[
        str | None, typer.Option(help="t20s, apoferritin, gltph or a PDB/mmCIF file [default: t20s]")
    ] = None,
    trajectory: Annotated[
        Path | None,
        typer.Option(help="Move every movie as in this RELION motion STAR (pixels of --trajectory-pixel-size)"),
    ] = None,
    trajectory_pixel_size_angstrom: Annotated[
        float | None, typer.Option("--trajectory-pixel-size", help="Pixel size that the trajectory's STAR is in, A")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames per movie [default: the preset's]")] = None,
    size: Annotated[int | None, typer.Option(min=64, help="Width and height in pixels [default: the preset's]")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same session")] = 1,
    grid: Annotated[
        bool,
        typer.Option("--grid", help="A whole grid: atlas, squares, holes with truth, and shots in the --order given"),
    ] = False,
    kind: Annotated[
        str, typer.Option(help="Of the grid: uniform, gradient, half-bad, few-good, patchy or all-bad")
    ] = "gradient",
    squares: Annotated[int, typer.Option(min=1, help="Squares of the grid whose holes are known before a shot")] = 12,
    order: Annotated[
        str,
        typer.Option(
            help="scan, random, or a CSV or JSON list of targets, as `frazil next --json` prints it: it is read again "
            "before each shot, and the scan goes on where it is not there"
        ),
    ] = "scan",
    sample: Annotated[int, typer.Option(min=1, help="Of the grid: its slot in the autoloader")] = 1,
    start_hours: Annotated[
        float, typer.Option(min=0.0, help="Of the grid: how long after the microscope's session began it is put in")
    ] = 0.0,
    hours: Annotated[float, typer.Option(min=0.0, help="On the grid, by the simulated microscope's clock")] = 8.0,
    no_movies: Annotated[
        bool, typer.Option("--no-movies", help="Of a grid only what each shot gave, in OUT/outcomes/exposures.csv")
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per movie, then the summary")
    ] = False,
) -> None:
    """Write a session of simulated movies whose motion, defocus, particles and faults are known.

    Example: 24 movies, one every 2 seconds, one of them cut short and one in thick ice:

      frazil simulate /tmp/s1 --pace 2 --fault truncated:5 --fault thick-ice

    and, in another terminal: frazil watch /tmp/s1/raw --preset simulated --gain /tmp/s1/gain.mrc

    With --grid, squares and holes come first, as EPU and SerialEM list them; the microscope shoots what it is told to:

      frazil simulate /tmp/g1 --grid --kind half-bad --order /tmp/g1.json
    """
    # torch and gemmi take a second to load: only when there is something to do.
    from frazil.models.simulation.delivery import write_session
    from frazil.models.simulation.faults import GAIN_FAULTS, MOVIE_FAULTS
    from frazil.models.simulation.layout import DeliverySettings
    from frazil.models.simulation.settings import preset as preset_settings

    if fault and "list" in fault:
        for kind, meaning in (MOVIE_FAULTS | GAIN_FAULTS).items():
            typer.echo(f"{kind:16s} {meaning}")
        return
    count = 24 if movies is None else movies
    changes: dict[str, Any] = {"movies": count, "seed": seed, "name": out.name}
    if frames is not None:
        changes["frame_count"] = frames
    if size is not None:
        changes |= {"height_px": size, "width_px": size}
    if structure is not None:
        changes["specimen"] = {"structure": structure}
    if trajectory is not None:
        changes["stage"] = {"trajectory_angstrom": _shifts_of(trajectory, trajectory_pixel_size_angstrom)}
    settings = preset_settings(preset.value).with_changes(**changes)
    if grid:
        from frazil.daemon.cli.simulate_grid import shoot

        shoot(
            out, settings, kind=kind, squares=squares, order=order, hours=hours, most_shots=movies,
            movies=not no_movies, pace_s=pace, as_json=json_output, sample=sample, begun_s=3600.0 * start_hours,
        )  # fmt: skip
        return
    delivery = DeliverySettings(file_format=format.value, sidecar=sidecar.value, pace_s=pace, grow=grow)

    def report(index: int, path: Path) -> None:
        name = path.relative_to(out)
        if json_output:
            typer.echo(json.dumps({"movie": index, "file": str(name)}))
        else:
            typer.echo(f"{index + 1:5d}/{count}  {name}", err=True)

    truth = write_session(
        out, settings, delivery, faults=fault or (), sleep=time.sleep, now=time.monotonic, on_movie=report
    )
    _show_summary(out, truth, as_json=json_output)


def _shifts_of(trajectory: Path, pixel_size_angstrom: float | None) -> tuple[tuple[float, float], ...]:
    """Shifts of the frames in a motion STAR of RELION, in angstrom. Raises `UsageError` without a pixel size."""
    from frazil.config.errors import UsageError
    from frazil.models.simulation.trajectory import trajectory_from_relion_star

    if pixel_size_angstrom is None:
        raise UsageError(
            "the trajectory is in pixels of unknown size", path=trajectory, remedy="give --trajectory-pixel-size"
        )
    return trajectory_from_relion_star(trajectory, pixel_size_angstrom)


def _show_summary(out: Path, truth: SessionTruth, *, as_json: bool) -> None:
    summary = {
        "raw": str(out / "raw"),
        "truth": str(out / "truth" / "truth.json"),
        "gain": str(out / "gain.mrc") if (out / "gain.mrc").exists() else None,
        "movies": len(truth.movies),
        "symmetry": truth.symmetry,
        "faults": {str(movie.index): movie.faults for movie in truth.movies if movie.faults}
        | {"session": truth.faults},
    }
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        typer.echo(f"{summary['movies']} movies in {summary['raw']}; truth in {summary['truth']}")
