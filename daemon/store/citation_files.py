"""Reads a citation graph from Parquet or CSV as OpenAlex has it (docs.openalex.org, "Work object").

One file of works, or a folder with `works.parquet` (or .csv) and, if the works do not list what they cite,
`citations.parquet` (or .csv) with the columns `citing` and `cited`. Columns of works, others are not looked at:

- `id`: as a number, `W2741809807`, or with `https://openalex.org/` before it.
- `publication_date` (or `publication_year`: then the middle of the year is taken).
- `type`: `patent` and `dataset` are told apart from articles; may be missing.
- `field`, or `primary_topic` (its `field.display_name`), or `concepts` (the first); may be missing.
- `referenced_works`: a list of ids; in CSV separated by `|`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np

from frazil.config.errors import FormatError, SettingsError
from frazil.daemon.store import engine
from frazil.models.evaluation.impact.citation_graph import ARTICLE, DATASET, KINDS, OTHER, PATENT, CitationGraph

MOST_WORKS = 1_000_000
MOST_CITATIONS = 5_000_000
"""Messages along so many take some 3 GB."""
_SUFFIXES = (".parquet", ".csv", ".csv.gz")
_BAD_SHARE = 0.01
"""Works without a usable id or date: more than this, and the file is not what it should be."""
_ARTICLES = ("article", "journal-article", "review", "letter", "editorial", "preprint", "proceedings-article", "")
_COLUMNS_REMEDY = (
    "give OpenAlex's columns: id, publication_date (or publication_year), referenced_works, and if known type and field"
)


@dataclass(frozen=True, slots=True)
class CitationFile:
    """What was read."""

    graph: CitationGraph
    works_left_out: int
    """Without an id or a date, named before, or dated in the future."""
    citations_left_out: int
    """Of works that are not in the file, of the citing work itself, or named twice."""


def work_id(text: str) -> str:
    """An id as the graph holds it: without OpenAlex's address before it."""
    return text.strip().removeprefix("https://openalex.org/").removeprefix("http://openalex.org/")


def read_citation_graph(path: Path, *, today: date | None = None) -> CitationFile:
    """The graph in a file or a folder.

    Raises
    ------
    SettingsError
        Nothing is there, or it is neither Parquet nor CSV.
    FormatError
        The file is damaged, lacks a column, has no works, too many bad rows, or more works or citations than are read.
    """
    works_path = _table(path, "works") if path.is_dir() else path
    if works_path is None or not works_path.is_file():
        raise SettingsError(
            "there is no citation graph here",
            path=path,
            remedy="give a Parquet or CSV file of works, or a folder with works.parquet (or works.csv), as"
            " evaluation.citation_graph",
        )
    edges_path = _table(path, "citations") if path.is_dir() else None
    last_date = today or date.today()
    try:
        with closing(engine.open_for_files()) as connection:
            return _read(connection, works_path, edges_path, last_date)
    except duckdb.Error as error:
        reason = str(error).split("\n")[0]
        raise FormatError(
            f"the citation graph cannot be read ({reason})",
            path=path,
            remedy="write it again as Parquet, or as CSV with a header line and UTF-8 text",
        ) from error


def graph_and_notes(path: Path) -> tuple[CitationGraph, tuple[str, ...]]:
    """The graph, and what was left out of it in sentences. Raises as `read_citation_graph`."""
    found = read_citation_graph(path)
    notes = []
    if found.works_left_out:
        notes.append(f"{found.works_left_out} works of the graph have no usable id or date and are left out")
    if found.citations_left_out:
        notes.append(f"{found.citations_left_out} citations lead out of the graph, or stand twice, and are left out")
    return found.graph, tuple(notes)


def write_citation_graph(graph: CitationGraph, path: Path) -> None:
    """One table of works with OpenAlex's columns; Parquet or CSV by the name. Dates are rounded to days, so that what
    is read again differs by up to a day."""
    order = np.argsort(graph.citing, kind="stable")
    ends = np.cumsum(np.bincount(graph.citing, minlength=len(graph)))
    targets = np.split(graph.cited[order], ends[:-1]) if len(graph) else []
    rows = [
        (
            f"https://openalex.org/{name}",
            _day(year).isoformat(),
            KINDS[kind],
            graph.field_names[field] if field >= 0 else None,
            [f"https://openalex.org/{graph.work_ids[target]}" for target in cited],
        )
        for name, year, kind, field, cited in zip(
            graph.work_ids, graph.published_year, graph.kind, graph.field, targets, strict=True
        )
    ]
    text = "'" + str(path).replace("'", "''") + "'"
    with closing(engine.open_for_files()) as connection:
        connection.execute(
            "CREATE TABLE works (id VARCHAR, publication_date DATE, type VARCHAR, field VARCHAR,"
            " referenced_works VARCHAR[])"
        )
        connection.executemany("INSERT INTO works VALUES (?, ?, ?, ?, ?)", rows)
        if path.suffix == ".parquet":
            connection.execute(f"COPY works TO {text} (FORMAT parquet)")
        else:
            listed = "* REPLACE (array_to_string(referenced_works, '|') AS referenced_works)"
            connection.execute(f"COPY (SELECT {listed} FROM works) TO {text} (FORMAT csv, HEADER)")


def _day(year: float) -> date:
    """The reverse of `_decimal_year`."""
    whole = int(year)
    return date(whole, 1, 1) + timedelta(days=min(int((year - whole) * 366.0), 364 + (whole % 4 == 0)))


def _table(folder: Path, name: str) -> Path | None:
    return next((found for suffix in _SUFFIXES if (found := folder / f"{name}{suffix}").is_file()), None)


def _source(path: Path) -> str:
    """SQL of a table function; the path goes in as text of SQL."""
    text = "'" + str(path).replace("'", "''") + "'"
    if path.name.lower().endswith(".parquet"):
        return f"read_parquet({text})"
    if path.name.lower().endswith((".csv", ".csv.gz")):
        return f"read_csv({text}, header = true, all_varchar = true, null_padding = false)"
    raise SettingsError(
        "the citation graph is neither .parquet nor .csv", path=path, remedy="convert it to one of the two"
    )


def _columns(connection: engine.Connection, source: str) -> dict[str, str]:
    """Name to type, both in small letters."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    return {str(row[0]).lower(): str(row[1]).lower() for row in rows}


def _read(connection: engine.Connection, works_path: Path, edges_path: Path | None, last: date) -> CitationFile:
    source = _source(works_path)
    columns = _columns(connection, source)
    dates = [name for name in ("publication_date", "publication_year") if name in columns]
    if "id" not in columns or not dates or ("referenced_works" not in columns and edges_path is None):
        raise FormatError(
            f"the table of works has the columns {', '.join(columns) or 'none'}",
            path=works_path,
            remedy=_COLUMNS_REMEDY,
        )
    _refuse_more_than(MOST_WORKS, _count(connection, source), "works", works_path)
    connection.execute(
        f"CREATE TEMP TABLE works AS SELECT row_number() OVER () - 1 AS row, {_id('id')} AS id,"
        f" {_year(dates)} AS year, {_kind(columns)} AS kind, {_field(columns)} AS field FROM {source}"
    )
    total = _count(connection, "works")
    connection.execute(
        "CREATE TEMP TABLE kept AS SELECT row_number() OVER (ORDER BY row) - 1 AS place, * FROM ("
        "SELECT * FROM works WHERE id <> '' AND year IS NOT NULL AND year < ? AND year > 1500 QUALIFY"
        " row_number() OVER (PARTITION BY id ORDER BY row) = 1)",
        [_decimal_year(last) + 1 / 365],
    )
    kept = _count(connection, "kept")
    if kept == 0 or total - kept > max(_BAD_SHARE * total, 1):
        raise FormatError(
            f"{total - kept} of {total} works have no id, no date up to {last.isoformat()}, or an id that stood before",
            path=works_path,
            remedy="write ids that differ and dates as YYYY-MM-DD (or publication_year as YYYY)",
        )
    named, citing, cited = _citations(connection, source, columns, works_path, edges_path)
    read = connection.execute("SELECT id, year, kind, field FROM kept ORDER BY place").fetchall()
    names = sorted({row[3] for row in read if row[3]})
    place = {name: number for number, name in enumerate(names)}
    years = np.array([row[1] for row in read], np.float64)
    graph = CitationGraph(
        tuple(row[0] for row in read),
        years,
        np.array([row[2] for row in read], np.int8),
        np.array([place.get(row[3], -1) for row in read], np.int32),
        tuple(names),
        citing,
        cited,
        _end(years, dates[0] == "publication_date"),
    )
    return CitationFile(graph, total - kept, named - len(citing))


def _citations(
    connection: engine.Connection, source: str, columns: dict[str, str], works_path: Path, edges_path: Path | None
) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """How many were named, and the ends of those that are kept."""
    if edges_path is not None:
        edge_source = _source(edges_path)
        found = _columns(connection, edge_source)
        if not {"citing", "cited"} <= set(found):
            raise FormatError(
                f"the table of citations has the columns {', '.join(found) or 'none'}",
                path=edges_path,
                remedy="name the two columns citing and cited; both hold ids of works",
            )
        pairs = f"SELECT {_id('citing')} AS citing, {_id('cited')} AS cited FROM {edge_source}"
    else:
        kind = columns["referenced_works"]
        listed = "referenced_works" if kind.endswith("[]") else "string_split(referenced_works, '|')"
        pairs = (
            f"SELECT citing, {_id('target')} AS cited FROM (SELECT {_id('id')} AS citing, unnest({listed}) AS target"
            f" FROM {source})"
        )
    connection.execute(f"CREATE TEMP TABLE pairs AS SELECT * FROM ({pairs}) WHERE cited <> ''")
    named = _count(connection, "pairs")
    _refuse_more_than(MOST_CITATIONS, named, "citations", works_path)
    ends = connection.execute(
        "SELECT DISTINCT a.place AS citing, b.place AS cited FROM pairs JOIN kept a ON a.id = pairs.citing"
        " JOIN kept b ON b.id = pairs.cited WHERE a.place <> b.place ORDER BY 1, 2"
    ).fetchnumpy()
    return named, np.asarray(ends["citing"], np.int64), np.asarray(ends["cited"], np.int64)


def _id(column: str) -> str:
    return f"regexp_replace(trim(coalesce(CAST({column} AS VARCHAR), '')), '^https?://openalex.org/', '')"


def _year(columns: Sequence[str]) -> str:
    """Decimal years; where a date is missing, the middle of the year."""
    found = []
    if "publication_date" in columns:
        day = "TRY_CAST(CAST(publication_date AS VARCHAR) AS DATE)"
        found.append(f"year({day}) + (dayofyear({day}) - 0.5) / 366.0")
    if "publication_year" in columns:
        year = "TRY_CAST(CAST(publication_year AS VARCHAR) AS INTEGER)"
        # Of this year's works the middle of what there has been of it: none lies in the future.
        passed = "dayofyear(current_date) / 366.0"
        found.append(f"{year} + CASE WHEN {year} = year(current_date) THEN 0.5 * {passed} ELSE 0.5 END")
    return f"CAST(coalesce({', '.join(found)}) AS DOUBLE)"


def _kind(columns: dict[str, str]) -> str:
    if "type" not in columns:
        return str(ARTICLE)
    articles = ", ".join(f"'{name}'" for name in _ARTICLES)
    return (
        f"CASE WHEN lower(coalesce(type, '')) IN ({articles}) THEN {ARTICLE} WHEN lower(type) = 'patent' THEN {PATENT}"
        f" WHEN lower(type) = 'dataset' THEN {DATASET} ELSE {OTHER} END"
    )


def _field(columns: dict[str, str]) -> str:
    if "field" in columns and columns["field"] == "varchar":
        return "trim(coalesce(field, ''))"
    topic = columns.get("primary_topic", "")
    if topic.startswith("struct") and "field struct" in topic.replace('"', ""):
        return "coalesce(primary_topic.field.display_name, '')"
    concepts = columns.get("concepts", "")
    if concepts == "varchar":
        return "trim(coalesce(string_split(concepts, '|')[1], ''))"
    if concepts == "varchar[]":
        return "trim(coalesce(concepts[1], ''))"
    if concepts.startswith("struct") and "display_name" in concepts:
        return "coalesce(concepts[1].display_name, '')"
    return "''"


def _count(connection: engine.Connection, source: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {source}").fetchone()
    return 0 if row is None else int(row[0])


def _refuse_more_than(most: int, count: int, what: str, path: Path) -> None:
    if count > most:
        raise FormatError(
            f"{count} {what} are more than the {most} that are read",
            path=path,
            remedy="cut the graph down to the neighbourhood of the work's field",
        )


def _decimal_year(day: date) -> float:
    return day.year + (day.timetuple().tm_yday - 0.5) / 366.0


def _end(years: np.ndarray[tuple[int], np.dtype[np.float64]], by_day: bool) -> float:
    """A graph ends with its newest work; where only years are known, with that year."""
    newest = float(years.max())
    return newest if by_day else float(np.floor(newest)) + 1.0
