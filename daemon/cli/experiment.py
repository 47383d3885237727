"""`frazil experiment`: a randomised comparison of two settings at the microscope, and its verdict as it grows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from frazil.config.errors import NotThereError, UsageError
from frazil.daemon.client import connect, user_name
from frazil.daemon.report.experiments import experiment_lines, plan_csv, plan_rows
from frazil.daemon.store.reading import SessionReader, open_session

_VERBS = ("plan", "status", "stop", "list")


def experiment(
    what: Annotated[str, typer.Argument(help="plan, status, stop or list.")],
    session: Annotated[Path, typer.Argument(help="The session's folder.")] = Path(),
    which: Annotated[
        str | None,
        typer.Argument(
            help="plan: what to compare, as settle=5,20; status, stop: which experiment [default: the newest]"
        ),
    ] = None,
    outcome: Annotated[
        str, typer.Option(help="What is compared: ln_ssnr (signal), fit_resolution, particles, motion or drift.")
    ] = "ln_ssnr",
    movies: Annotated[int, typer.Option(help="At most so many movies.")] = 200,
    squares: Annotated[
        str, typer.Option(help="Names of the grid squares, comma-separated, in the order in which they are taken.")
    ] = "",
    holes: Annotated[
        Path | None, typer.Option(help="The holes: .csv (name,square,group,ice,defocus_um) or SerialEM .nav.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same throws of the coin [default: drawn, and kept].")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the order into this CSV file.")] = None,
    serialem: Annotated[
        Path | None,
        typer.Option(
            help="Write it for SerialEM: .nav (a copy of --holes, settings in it), else lines to read one by one."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compare two settings at the microscope: a coin says which hole gets which, so that chance alone decides.

    frazil never drives the microscope: the plan says what to set for each hole. The verdict may be looked at as often
    as one likes, and the experiment stops by itself. Settings: settle (s), dose-rate (e/px/s), image-shift (up to um),
    defocus (um).

    \b
    Examples:
      frazil experiment plan /data/s1 settle=5,20 --movies 200 --out plan.csv
      frazil experiment plan /data/s1 dose-rate=8,15 --holes grid.nav --serialem grid_plan.nav
      frazil experiment status /data/s1
      frazil experiment stop /data/s1
    """
    if what not in _VERBS:
        raise UsageError(f"frazil experiment cannot {what[:40]!r}", remedy=f"use {', '.join(_VERBS)}")
    if what == "plan":
        _plan(session, which, (outcome, movies, squares, holes, seed), out, serialem, as_json=as_json)
    elif what == "stop":
        typer.echo(_stop(session, which or "", as_json=as_json))
    else:
        with open_session(session) as reader:
            typer.echo(_list(reader, as_json=as_json) if what == "list" else _status(reader, which, as_json=as_json))


def _plan(
    session: Path,
    comparison: str | None,
    asked: tuple[str, int, str, Path | None, int | None],
    out: Path | None,
    serialem: Path | None,
    *,
    as_json: bool,
) -> None:
    from frazil.daemon.changes.experiments import Wanted  # slow, and not for --help
    from frazil.daemon.transport.messages import experiment_args
    from frazil.models.formats.hole_list import read_holes

    if comparison is None:
        raise UsageError("a plan needs what to compare", remedy="give it behind the folder, as settle=5,20")
    outcome, movies, squares, holes, seed = asked
    names = tuple(name.strip() for name in squares.split(",") if name.strip())
    listed = () if holes is None else read_holes(holes)
    if serialem is not None and serialem.suffix.lower() == ".nav" and (holes is None or holes.suffix.lower() != ".nav"):
        raise UsageError("a .nav is made of a .nav", remedy="give --holes FILE.nav, or --serialem FILE.txt")
    if serialem is not None and holes is not None and serialem.exists() and serialem.samefile(holes):
        raise UsageError("the file of holes would be written over", path=holes, remedy="give --serialem another name")
    wanted = Wanted(comparison, outcome, movies, names, listed, seed)
    client = connect(session)
    if client is None:
        told = _kept_without_daemon(session, wanted)
    else:
        with client:
            told = json.loads(client.command("experiment-plan", **experiment_args(wanted)).message)
    with open_session(session) as reader:
        rows = plan_rows(reader, str(told["experiment_id"]))
        row = _one(reader, str(told["experiment_id"]))
    written = _write_files(rows, row, holes, out, serialem)
    if as_json:
        typer.echo(json.dumps({**told, "files": written, "assignments": rows}, indent=1))
        return
    left = f"; {told['left_out']} without a neighbour in their square are left out" if told["left_out"] else ""
    typer.echo(f"{told['experiment_id']}: {told['words']}, {told['holes']} holes (seed {told['seed']}){left}")
    for path in written:
        typer.echo(f"wrote {path}")
    if not written:
        typer.echo(plan_csv(rows), nl=False)


def _kept_without_daemon(session: Path, wanted: Any) -> dict[str, object]:
    from frazil.daemon.changes.experiments import keep_plan, told
    from frazil.daemon.changes.interventions import store_without_daemon

    now_utc_us = time.time_ns() // 1000
    with store_without_daemon(session, now_utc_us=now_utc_us) as store:
        return told(keep_plan(store, session, wanted, who=user_name(), now_utc_us=now_utc_us))


def _write_files(
    rows: list[dict[str, Any]], row: dict[str, Any], holes: Path | None, out: Path | None, serialem: Path | None
) -> list[str]:
    from frazil.daemon.report.experiments import serialem_lines
    from frazil.models.causal.experiments.quantities import quantity_of
    from frazil.models.formats.grid.navigator import read_navigator_text
    from frazil.models.formats.hole_list import navigator_with_settings

    written = []
    if out is not None:
        out.write_text(plan_csv(rows), encoding="utf-8")
        written.append(str(out))
    if serialem is not None:
        if serialem.suffix.lower() == ".nav" and holes is not None:
            settings = {str(one["target"]): (str(one["arm"]), f"{one['setting']:g}") for one in rows}
            unit = quantity_of(str(row["quantity"])).unit
            text = navigator_with_settings(read_navigator_text(holes), holes, settings, unit)
        else:
            text = serialem_lines(rows)
        # Notes of a navigator file may be in any code page: every byte of them comes back.
        serialem.write_bytes(text.encode("utf-8", "surrogateescape"))
        written.append(str(serialem))
    return written


def _stop(session: Path, which: str, *, as_json: bool) -> str:
    client = connect(session)
    if client is not None:
        with client:
            message = client.command("experiment-stop", experiment_id=which).message
    else:
        from frazil.daemon.changes.experiments import stop
        from frazil.daemon.changes.interventions import store_without_daemon

        now_utc_us = time.time_ns() // 1000
        with store_without_daemon(session, now_utc_us=now_utc_us) as store:
            message = stop(store, session, which, who=user_name(), now_utc_us=now_utc_us)
    return json.dumps({"message": message}) if as_json else message


def _list(reader: SessionReader, *, as_json: bool) -> str:
    rows = reader.named("experiments", {"limit": 1000}).as_dicts()
    if as_json:
        return json.dumps(rows, indent=1)
    return "\n".join(f"{row['experiment_id']}  {row['words']}: {row['sentence']}" for row in rows) or "no experiments"


def _status(reader: SessionReader, which: str | None, *, as_json: bool) -> str:
    row = _one(reader, which)
    return json.dumps(row, indent=1) if as_json else "\n".join(experiment_lines(row))


def _one(reader: SessionReader, which: str | None) -> dict[str, Any]:
    """Raises `NotThereError`."""
    if which is None:
        rows = reader.named("experiments", {"limit": 1}).as_dicts()
    else:
        rows = reader.named("experiment", {"experiment_id": which}).as_dicts()
    if not rows:
        raise NotThereError(
            f"no experiment {which}" if which else "no experiment was planned in this session",
            remedy="see `frazil experiment list`, or plan one: `frazil experiment plan SESSION settle=5,20`",
        )
    return dict(rows[0])
