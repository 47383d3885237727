"""Any table of a session, or the answer to a query, as CSV, Parquet or JSON for people's own analysis."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from frazil.config.errors import UsageError
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.table import Table, to_json

FORMATS = ("csv", "parquet", "json")
_LONG = frozenset(
    ("stages", "frame_shifts", "local_motion", "spectra", "causal_losses", "particles", "particle_frc", "particle_ssnr")
)
"""Many rows a movie: read some movies at a time."""
_NEXT_MOVIES = "SELECT movie_id FROM movies WHERE movie_id > {} ORDER BY movie_id LIMIT 200"
_ARROW_TYPES = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR": pa.string(),
}


def table_columns(reader: SessionReader) -> dict[str, dict[str, str]]:
    """Tables and views of the session: name -> column -> DuckDB type."""
    return {
        str(row["table"]): dict(str(part).split(" ", 1) for part in str(row["columns"]).split(", "))
        for row in reader.named("table_names").as_dicts()
    }


def export_table(reader: SessionReader, name: str, path: Path) -> int:
    """Write all of one table; the ending of `path` (.csv, .parquet, .json) says how. Returns the number of rows.

    Read in pages, so that it may be larger than memory or one answer of a daemon (JSON excepted). Raises `UsageError`
    for an unknown table or ending.
    """
    known = table_columns(reader)
    if name not in known:
        raise UsageError(f"there is no table {name!r}", remedy=f"use one of: {', '.join(known)}")
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise UsageError(f"{path.name} ends in no known format", remedy=f"end it in one of: .{', .'.join(FORMATS)}")
    pages = _pages(reader, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as temporary:
        if form == "csv":
            return _write_csv(temporary, list(known[name]), pages)
        if form == "parquet":
            return _write_parquet(temporary, known[name], pages)
        tables = list(pages)
        rows = tuple(row for table in tables for row in table.rows)
        temporary.write_text(to_json(Table(tuple(known[name]), rows), indent=1) + "\n", encoding="utf-8")
        return len(rows)


def export_all(reader: SessionReader, folder: Path) -> dict[str, int]:
    """Every table as `folder/TABLE.parquet`, curves and particles one row a point, and `tables.json`, which names their
    columns and types. Returns the rows of each. Raises OSError when a file cannot be written."""
    known = {name: columns for name, columns in table_columns(reader).items() if not name.endswith("_arrays")}
    written = {name: export_table(reader, name, folder / f"{name}.parquet") for name in known}
    about = {
        "note": "One Parquet file a table. Units are in the names of columns; times are UTC microseconds since 1970; "
        "null is not known. Movies are joined by movie_id. daemon/store/schema.sql of frazil says what columns mean.",
        "tables": {name: {"rows": written[name], "columns": columns} for name, columns in known.items()},
    }
    with _replacing(folder / "tables.json") as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return written


def _pages(reader: SessionReader, name: str) -> Iterator[Table]:
    # `name` is one of the tables that the database itself has listed.
    if name not in _LONG:
        yield reader.sql(f'SELECT * FROM "{name}" ORDER BY ALL')
        return
    after = ""
    while ids := [row[0] for row in reader.sql(_NEXT_MOVIES.format(_text(after))).rows]:
        yield from _movies(reader, name, after, [str(movie_id) for movie_id in ids])
        after = str(ids[-1])


def _movies(reader: SessionReader, name: str, after: str, ids: list[str]) -> Iterator[Table]:
    """Rows of the movies after one id up to the last of `ids`; asked for in halves when the answer was cut."""
    table = reader.sql(
        f'SELECT * FROM "{name}" WHERE movie_id > {_text(after)} AND movie_id <= {_text(ids[-1])} ORDER BY ALL'
    )
    if not table.truncated or len(ids) == 1:
        yield table
        return
    half = len(ids) // 2
    yield from _movies(reader, name, after, ids[:half])
    yield from _movies(reader, name, ids[half - 1], ids[half:])


def _text(movie_id: str) -> str:
    # The daemon's socket takes whole statements only; ids come from the database itself.
    return "'" + movie_id.replace("'", "''") + "'"


def _write_csv(path: Path, columns: list[str], pages: Iterator[Table]) -> int:
    count = 0
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for table in pages:
            writer.writerows(table.rows)
            count += len(table.rows)
    return count


def _write_parquet(path: Path, columns: dict[str, str], pages: Iterator[Table]) -> int:
    # Lists travel as JSON text (see `table.scalar`) and stay text here; the views hold them one row a point.
    schema = pa.schema([(name, _ARROW_TYPES.get(kind, pa.string())) for name, kind in columns.items()])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for table in pages:
            arrays = [pa.array(table.column(field.name), field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(table.rows)
    return count


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
