"""`frazil retain`: what finished sessions could do without, and, if it is asked for, its removal."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import FrazilError, UsageError
from frazil.config.serving import RetentionRules
from frazil.config.serving_file import load_rules
from frazil.daemon.cli.status import state_of
from frazil.daemon.retention.plan import SessionPlan, plan_retention
from frazil.daemon.retention.remove import remove, this_account
from frazil.daemon.store.removed import KIND_WORDS


def retain(
    root: Annotated[Path, typer.Argument(help="A session's folder, or one that holds sessions.")],
    restored_days: Annotated[
        float | None, typer.Option(min=0.0, help="Restored micrographs, so many days after the session's end")
    ] = None,
    particles_days: Annotated[
        float | None, typer.Option(min=0.0, help="Particle stacks, so many days after the session's end")
    ] = None,
    sums_days: Annotated[
        float | None, typer.Option(min=0.0, help="Motion-corrected sums, so many days after the session's end")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Rules of `frazil serve`, for their part `retention`")] = None,
    remove_them: Annotated[
        bool, typer.Option("--remove", help="Remove them. Without this nothing is touched.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False,
) -> None:
    """Say what could be removed from finished sessions, with sizes; remove it only with --remove.

    Never the database, results, thumbnails or maps, never raw movies, never anything of a session that runs or has
    movies left. What was removed is noted in the session: summary, page and screen say when and by whom.

    \b
    Examples:
      frazil retain /data/sessions --restored-days 30 --particles-days 90
      frazil retain /data/sessions --rules /etc/frazil/serve.yaml --remove
    """
    kinds = _kinds(rules, restored_days, particles_days, sums_days)
    now_utc_us = time.time_ns() // 1000
    rows, failed = [], False
    for plan in plan_retention(root.resolve(), kinds, state_of, now_utc_us=now_utc_us):
        row = _row(plan)
        if remove_them and plan.removable:
            try:
                gone = remove(plan, by=this_account(), now_utc_us=now_utc_us)
                row |= {"removed_files": gone.files, "removed_bytes": gone.size_bytes, "failed": list(gone.failed)}
            except FrazilError as error:
                row |= {"removed_files": 0, "removed_bytes": 0, "failed": [str(error)]}
            failed = failed or bool(row["failed"])
        rows.append(row)
    typer.echo(json.dumps(rows, indent=1) if as_json else "\n".join(_text(rows, removed=remove_them)))
    raise typer.Exit(1 if failed else 0)


def _kinds(
    rules: Path | None, restored_days: float | None, particles_days: float | None, sums_days: float | None
) -> RetentionRules:
    """Flags before the file."""
    given = {"restored_days": restored_days, "particles_days": particles_days, "sums_days": sums_days}
    kept = RetentionRules() if rules is None else load_rules(rules).retention
    chosen = kept.model_copy(update={name: days for name, days in given.items() if days is not None})
    if all(getattr(chosen, name) is None for name in given):
        raise UsageError(
            "nothing is to be removed, whatever its age",
            path=rules,
            remedy="give --restored-days, --particles-days or --sums-days, or rules with a part `retention`",
        )
    return chosen


def _row(plan: SessionPlan) -> dict[str, object]:
    return {
        "session": str(plan.folder),
        "ended_days": None if plan.ended_days is None else round(plan.ended_days, 2),
        "why_not": plan.why_not,
        "size_bytes": plan.size_bytes,
        "kinds": [{"kind": one.kind, "files": len(one.files), "size_bytes": one.size_bytes} for one in plan.removable],
    }


def _text(rows: list[dict[str, object]], *, removed: bool) -> list[str]:
    lines, total = [], 0
    for row in rows:
        kinds = row["kinds"]
        assert isinstance(kinds, list)
        parts = [f"{KIND_WORDS[one['kind']]} {one['files']} files {one['size_bytes'] / 1e9:.2f} GB" for one in kinds]
        if row["why_not"]:
            parts.append(str(row["why_not"]))
        lines.append(f"{row['session']}: {', '.join(parts) or 'nothing of that age'}")
        failures = row.get("failed", [])
        assert isinstance(failures, list)
        lines += [f"  still there: {text}" for text in failures]
        size = row.get("removed_bytes", 0) if removed else row["size_bytes"]
        assert isinstance(size, int)
        total += size
    done = "removed" if removed else "could be removed (--remove does it)"
    return [*lines, f"{total / 1e9:.2f} GB {done}"]
