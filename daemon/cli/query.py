"""`frazil query`: read-only SQL on a session, running or finished."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.daemon.store.queries.catalogue import FOR_PEOPLE, NAMED
from frazil.daemon.store.queries.many_sessions import Skipped, ask_all, find_sessions
from frazil.daemon.store.reading import SessionReader, open_session
from frazil.daemon.store.table import Scalar, Table, to_json

_MAX_CELL = 60


def query(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SESSION] SQL", help="The session's folder (else this one) and one SQL statement."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array with one object per row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values with a header.")] = False,
    tables: Annotated[bool, typer.Option("--tables", help="List tables and columns instead.")] = False,
    named: Annotated[
        str | None, typer.Option("--named", help="Instead of SQL: a question that frazil knows; `--list` names them.")
    ] = None,
    list_named: Annotated[bool, typer.Option("--list", help="The questions that frazil knows, by name.")] = False,
    sessions: Annotated[
        str | None,
        typer.Option("--sessions", metavar="'DIR/*'", help="Ask many sessions; the first column says which."),
    ] = None,
    params: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter of a named query; repeat.")
    ] = None,
) -> None:
    """Ask a session: one of the questions that frazil knows by name, or SQL.

    `--list` has the questions, `--named` asks one. SQL is DuckDB's; it may only read, and is stopped when it runs too
    long. Times are microseconds since 1970 (UTC), units are in the column names (docs/numbers.md).

    \b
    Examples:
      frazil query --list
      frazil query /data/session1 --named acceptance_by_square
      frazil query /data/session1 --named losses_per_hour --param resolution_angstrom=4
      frazil query --tables /data/session1
      frazil query /data/session1 "SELECT state, count(*) FROM movies GROUP BY state"
      frazil query /data/session1 "SELECT relative_path, fit_resolution_angstrom FROM movies JOIN ctf
        USING (movie_id) ORDER BY 2 LIMIT 10" --json
      frazil query --sessions '/data/*' --named acceptance_by_square
    """
    if list_named or named == "list":
        typer.echo(_known_questions())
        return
    without_sql = tables or named is not None
    given = _params(named, params or [])
    if sessions is not None:
        text = _text_alone(words or [], without_sql)
        table, skipped = ask_all(find_sessions(sessions), lambda reader: _ask(reader, text, tables, named, given))
        tell_skipped(skipped)
    else:
        session, text = _session_and_text(words or [], without_sql)
        with open_session(session) as reader:
            table = _ask(reader, text, tables, named, given)
    if not table.rows and not as_json and not as_csv:
        typer.echo(_why_empty(named), err=True)
    if as_json:
        typer.echo(to_json(table, indent=1))
    elif as_csv:
        typer.echo(_csv(table), nl=False)
    elif tables:
        typer.echo("\n".join(f"{row['table']}\n    {row['columns']}" for row in table.as_dicts()))
    else:
        typer.echo(text_table(table))
    if table.truncated:
        typer.echo(f"(only the first {len(table.rows)} rows: add a LIMIT or a WHERE)", err=True)


def _ask(reader: SessionReader, text: str, tables: bool, named: str | None, given: dict[str, Scalar]) -> Table:
    return reader.named("table_names") if tables else reader.named(named, given) if named else reader.sql(text)


def tell_skipped(skipped: list[Skipped]) -> None:
    """Which sessions are not in the answer, and what to do about each; on the error stream."""
    for one in skipped:
        typer.echo(f"left out {one.folder}: {one.why}", err=True)


_EMPTY = {
    "alert_deliveries": "nothing was sent: no mail or webhook is set (alerts.smtp_host, alerts.webhooks)",
    "alerts": "no alerts",
    "alerts_by_day": "no alerts",
    "change_points": "the session has not changed into another one",
    "classes": "no 2-D classes: they are made only where the map starts from the particles alone (no --initial-map)",
    "feedback": "nobody said anything yet (keys on the screen, or the HTTP interface)",
    "failures": "no movie failed or was rejected",
    "forecast": "no forecast: there is no running map yet",
    "fsc": "no FSC: there is no running map yet",
    "interventions": "no advice: no change is known to gain more than it costs, or it is too early",
    "map_classes": "no several maps: they are made with particles.map_classes (--map-classes) above 1",
    "map_gains": "no running map yet",
    "reasons": "no movie failed or was rejected",
    "reconstructions": "no running map yet: it starts from --initial-map, or from some hundred particles",
    "scores": "nothing judged yet: a round needs five finished movies",
    "drift_after_stage_moves": "no stage moves are known: sidecars say where the stage was",
    "holes": "no stage positions are known: sidecars say where the stage was",
    "acceptance_by_position": "no positions in a template are known: sidecars say them",
    "optics_groups": "no movies yet",
}


def _why_empty(named: str | None) -> str:
    return f"(no rows{': ' + _EMPTY[named] if named in _EMPTY else ''})"


def _text_alone(words: list[str], without_sql: bool) -> str:
    if len(words) != (0 if without_sql else 1):
        raise UsageError(
            "with --sessions there is no session's folder, and one SQL statement or a --named question",
            remedy="for example `frazil query --sessions '/data/*' \"SELECT count(*) FROM movies\"`",
        )
    return "" if without_sql else words[0]


def _params(named: str | None, words: list[str]) -> dict[str, Scalar]:
    """Values of a named query's parameters by their types; unknown names are left for the query to refuse."""
    given: dict[str, Scalar] = {}
    known = NAMED[named].params if named is not None and named in NAMED else {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or named is None:
            raise UsageError(f"--param {word} is not NAME=VALUE of a named query", remedy="see `frazil query --list`")
        kind = known[name].kind if name in known else str
        try:
            given[name] = text.lower() in ("true", "yes", "1") if kind is bool else kind(text)
        except ValueError as error:
            raise UsageError(f"--param {word}: {name} is a {kind.__name__}", remedy="give a number") from error
    return given


def _known_questions() -> str:
    """What can be asked, with parameters: those in brackets have a value of their own."""
    lines = ["What people ask:", *map(_question, FOR_PEOPLE), "", "What screen and programs ask:"]
    return "\n".join([*lines, *(_question(name) for name in sorted(NAMED) if name not in FOR_PEOPLE)])


def _question(name: str) -> str:
    query = NAMED[name]
    words = [key if param.required else f"[{key}]" for key, param in query.params.items()]
    return f"  {name:24} {query.doc}{f'  ({chr(44).join(words)})' if words else ''}"


def _session_and_text(words: list[str], without_sql: bool) -> tuple[Path, str]:
    expected = (0, 1) if without_sql else (1, 2)
    if len(words) not in expected:
        raise UsageError(
            "give a session's folder and one SQL statement" if words else "there is no SQL statement",
            remedy='for example `frazil query SESSION "SELECT state, count(*) FROM movies GROUP BY state"`',
        )
    if without_sql:
        return Path(words[0]) if words else Path(), ""
    return (Path(words[0]), words[1]) if len(words) == 2 else (Path(), words[0])


def text_table(table: Table) -> str:
    """Columns side by side; long cells are cut, control characters shown as a replacement."""
    cells = [[_cell(value) for value in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(table.columns, *cells, strict=True)]
    numeric = [all(isinstance(row[i], int | float | None) for row in table.rows) for i in range(len(table.columns))]

    def line(words: list[str]) -> str:
        parts = (w.rjust(n) if right else w.ljust(n) for w, n, right in zip(words, widths, numeric, strict=True))
        return "  ".join(parts).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(list(table.columns)), rule, *(line(row) for row in cells)])


def _cell(value: Scalar) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 3] + "..."


def _csv(table: Table) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return buffer.getvalue()
