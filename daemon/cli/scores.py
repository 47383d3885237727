"""`frazil scores`: what the evaluators say of the session, with their evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer

from frazil.daemon.report import score_sentences
from frazil.daemon.report.summary.text import clean
from frazil.daemon.store.reading import open_session
from frazil.daemon.store.table import Table

_ALL_ROUNDS = 1_000_000
_WIDTH = 118
_TABLE = "sensitivities"
"""Of the sandbox: told row by row."""


def scores(
    session: Annotated[Path | None, typer.Argument(help="The session's folder [default: this one]")] = None,
    history: Annotated[bool, typer.Option("--history", help="Every round, not the newest alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array with one object per verdict.")] = False,
) -> None:
    """Say how far the results can be believed: one line for each check, what it rests on and what it does not know.

    \b
    Examples:
      frazil scores /data/2026-09-21_apoferritin
      frazil scores /data/2026-09-21_apoferritin --history --json
    """
    with open_session(session or Path()) as reader:
        found = verdicts(reader.named("scores", {"limit": _ALL_ROUNDS}), history=history)
    typer.echo(json.dumps(found, indent=1) if as_json else text(found))


def verdicts(table: Table, *, history: bool = False) -> list[dict[str, Any]]:
    """The newest round's verdicts (or all, newest first), their evidence as objects."""
    rows = table.as_dicts()
    newest = max((int(row["round"] or 0) for row in rows), default=None)
    found = []
    for row in rows:
        if history or row["round"] == newest:
            evidence = row.pop("evidence_json")
            found.append({**row, "evidence": json.loads(str(evidence))})
    return found


def text(found: list[dict[str, Any]]) -> str:
    """For people: what is judged, the verdict, what it rests on and what is not known. Evidence itself: `--json`."""
    if not found:
        return "nothing judged yet: a round needs five finished movies"
    lines: list[str] = []
    by_round = sorted(found, key=lambda one: (-int(one["round"]), score_sentences.place(str(one["evaluator"]))))
    for number, of_round in groupby(by_round, key=lambda one: one["round"]):
        lines.append(f"round {number}")
        for one in of_round:
            lines += _verdict(one)
    return "\n".join(lines)


def _verdict(one: dict[str, Any]) -> Iterator[str]:
    name, evidence = str(one["evaluator"]), one["evidence"] if isinstance(one["evidence"], dict) else {}
    value = score_sentences.value_words(name, one["verdict"], one["uncertainty"], one["unit"], evidence)
    yield f"  {score_sentences.title(name)} [{name}]: {value}"
    if one["verdict"] is not None and (scale := score_sentences.scale(name)):
        yield f"      ({scale})"
    for sentence in score_sentences.sentences(name, evidence):
        yield from wrap(clean(sentence), _WIDTH, initial_indent="      ", subsequent_indent="        ")
    for sentence in score_sentences.unknown(evidence):
        yield from wrap(f"not known: {clean(sentence)}", _WIDTH, initial_indent="      ", subsequent_indent="        ")
    table = evidence.get(_TABLE)
    if isinstance(table, list):
        yield from (f"        {_sensitivity(row)}" for row in table)


def _sensitivity(row: dict[str, Any]) -> str:
    """What an error of one parameter does to one result."""
    times, slope = row.get("in_own_errors"), row.get("per_unit")
    size = "no error of its own is stated" if times is None else f"{times:.2g} of its own errors"
    per_unit = "" if slope is None else f", {slope:.4g} a unit" + ("" if row.get("smooth") else " (rough)")
    off = row.get("error")
    by = "" if off is None else f" +- {off:.3g}"
    return f"{row.get('settled', ''):8} {row.get('output')} against {row.get('parameter')}{by}: {size}{per_unit}"
