"""Read-only SQL: writing is refused, running away is interrupted, files and memory addresses are out of reach."""

from __future__ import annotations

import threading

import pytest

from frazil.config.errors import QueryError
from frazil.daemon.store.sql_guard import QueryLimits, run_guarded, run_read_only
from frazil.daemon.store.store import Store

RUNAWAY = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT state, count(*) FROM movies GROUP BY 1",
        "WITH kept AS (SELECT * FROM movies WHERE state = 'ready') SELECT count(*) FROM kept",
        "FROM ctf",
        "VALUES (1), (2)",
        "DESCRIBE movies",
        "SHOW TABLES",
        "SUMMARIZE quality",
        "EXPLAIN SELECT * FROM movies",
        "EXPLAIN ANALYZE SELECT * FROM movies",
        "SELECT * FROM movies; -- and no more",
        "SELECT * FROM range(3)",
    ],
)
def test_reading_in_all_its_forms_is_answered(read_only: Store, text: str) -> None:
    assert read_only.sql(text).rows


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO alerts VALUES ('a', 1, 'info', 'x', 'y', NULL, NULL, NULL)",
        "UPDATE movies SET state = 'ready'",
        "DELETE FROM movies",
        "WITH gone AS (DELETE FROM movies RETURNING *) SELECT * FROM gone",
        "DROP TABLE movies",
        "CREATE TABLE mine AS SELECT 1",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "SELECT 1; DELETE FROM movies",
        "EXPLAIN ANALYZE DELETE FROM movies",
        "EXPLAIN (FORMAT json) DELETE FROM movies",
        "BEGIN",
        "COMMIT",
        "CHECKPOINT",
        "SELECT * FROM checkpoint()",
        "SELECT * FROM force_checkpoint()",
        "SET threads = 1",
        "SET lock_configuration = false",
        "PRAGMA disable_checkpoint_on_shutdown",
        "ATTACH ':memory:' AS other",
        "COPY movies TO 'movies.csv'",
        "EXPORT DATABASE 'elsewhere'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CALL pragma_version()",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        'SELECT * FROM (SELECT * FROM "PANDAS_SCAN"(1))',
        "SELECT * FROM query('SELECT 1')",
        "SELECT (SELECT count(*) FROM read_text('/etc/hostname'))",
        "SELECT write_log('x')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT nothing FROM nowhere",
        "SELEC 1",
        "",
    ],
)
def test_whatever_is_not_reading_is_refused_and_changes_nothing(read_only: Store, text: str) -> None:
    before = read_only.sql("SELECT * FROM movies ORDER BY movie_id").rows
    with pytest.raises(QueryError):
        read_only.sql(text)
    assert read_only.sql("SELECT * FROM movies ORDER BY movie_id").rows == before
    assert read_only.sql("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'mine'").rows == ((0,),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DELETE FROM movies", "read-only"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled by configuration"),
        ("SET enable_external_access = true", "locked"),
        ("SET lock_configuration = false", "locked"),
    ],
)
def test_the_inner_fences_hold_without_the_outer_ones(read_only: Store, text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        read_only.read(run_read_only, text, None, QueryLimits())


def test_python_variables_are_out_of_reach(read_only: Store) -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(QueryError, match="frame"):
        read_only.sql("SELECT * FROM frame")
    assert len(frame) == 1


def test_a_runaway_query_is_interrupted_and_the_next_one_is_not(read_only: Store) -> None:
    with pytest.raises(QueryError, match=r"stopped after 0\.2 s"):
        read_only.sql(RUNAWAY, timeout_s=0.2)
    assert read_only.sql("SELECT 1").rows == ((1,),)


def test_a_person_cannot_lengthen_the_limit() -> None:
    assert QueryLimits(timeout_s=5.0).shorter(3600.0).timeout_s == 5.0


def test_writes_go_on_beside_a_runaway_query(filled: Store) -> None:
    refused = threading.Event()

    def run_away() -> None:
        with pytest.raises(QueryError):
            filled.sql(RUNAWAY, timeout_s=0.5)
        refused.set()

    reader = threading.Thread(target=run_away)
    reader.start()
    filled.submit(lambda c: c.execute("UPDATE movies SET attempts = 9 WHERE movie_id = 'm00000'") and None).result()
    assert filled.sql("SELECT attempts FROM movies WHERE movie_id = 'm00000'").rows == ((9,),)
    reader.join()
    assert refused.is_set()


def test_a_cut_table_says_so(read_only: Store) -> None:
    table = run_guarded(read_only._cursor, "SELECT * FROM range(10)", QueryLimits(max_rows=4))
    assert (len(table.rows), table.truncated) == (4, True)
    table = run_guarded(read_only._cursor, "SELECT * FROM range(4)", QueryLimits(max_rows=4))
    assert (len(table.rows), table.truncated) == (4, False)


def test_values_are_plain_scalars(read_only: Store) -> None:
    table = read_only.sql(
        "SELECT 1.5::DECIMAL(5, 2), [1, 2], {'a': 1}, DATE '2026-01-02', 'x'::BLOB, NULL, "
        "170141183460469231731687303715::HUGEINT"
    )
    assert table.rows == ((1.5, "[1, 2]", '{"a": 1}', "2026-01-02", "78", None, 1.7014118346046923e29),)
