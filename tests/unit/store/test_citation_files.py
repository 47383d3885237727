"""Citation graphs from files: OpenAlex's shapes, and what is wrong with a file in words."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest

from frazil.config.errors import FormatError, FrazilError, SettingsError
from frazil.daemon.store.citation_files import (
    graph_and_notes,
    read_citation_graph,
    work_id,
    write_citation_graph,
)
from frazil.models.evaluation.impact.citation_graph import DATASET, OTHER, PATENT
from frazil.models.evaluation.impact.citation_growth import synthetic_graph

TODAY = date(2026, 6, 1)
CSV = """id,publication_date,type,field,referenced_works
https://openalex.org/W1,2001-01-01,article,Biology,
W2,2002-07-02,patent,,https://openalex.org/W1|W1|W9
W3,2003-12-31,dataset,Physics,W1|W2|W3
W4,2004-02-29,paratext,Biology,W2
"""


def written(folder: Path, text: str, name: str = "works.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["graph.parquet", "graph.csv"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    graph, _ = synthetic_graph(3).until(2004.0)
    write_citation_graph(graph, tmp_path / name)
    found = read_citation_graph(tmp_path / name, today=TODAY)
    assert found.graph.work_ids == graph.work_ids
    assert found.graph.field_names == graph.field_names
    for field in ("kind", "field", "citing", "cited"):
        np.testing.assert_array_equal(getattr(found.graph, field), getattr(graph, field))
    np.testing.assert_allclose(found.graph.published_year, graph.published_year, atol=1.5 / 365)
    assert (found.works_left_out, found.citations_left_out) == (0, 0)


def test_openalex_csv_by_hand(tmp_path: Path) -> None:
    found = read_citation_graph(written(tmp_path, CSV), today=TODAY)
    graph = found.graph
    assert graph.work_ids == ("W1", "W2", "W3", "W4")
    assert list(zip(graph.citing.tolist(), graph.cited.tolist(), strict=True)) == [(1, 0), (2, 0), (2, 1), (3, 1)]
    assert graph.kind.tolist()[1:] == [PATENT, DATASET, OTHER]
    assert [graph.field_names[i] if i >= 0 else None for i in graph.field] == ["Biology", None, "Physics", "Biology"]
    assert graph.published_year.tolist() == pytest.approx([2001.0, 2002.5, 2003.997, 2004.162], abs=0.003)
    assert graph.as_of_year == graph.published_year[3]
    assert found.citations_left_out == 3  # named twice, not in the file, of itself
    assert work_id(" https://openalex.org/W1 ") == "W1"


def test_years_alone_and_citations_in_a_table_of_their_own(tmp_path: Path) -> None:
    written(tmp_path, "id,publication_year\n1,2001\n2,2003\n")
    written(tmp_path, "citing,cited\n2,1\n", "citations.csv")
    graph = read_citation_graph(tmp_path, today=TODAY).graph
    assert graph.published_year.tolist() == [2001.5, 2003.5]
    assert graph.as_of_year == 2004.0
    assert (graph.citing.tolist(), graph.cited.tolist()) == ([1], [0])


@pytest.mark.parametrize(
    "field",
    [
        "{'id': 'T1', 'field': {'id': 'F', 'display_name': 'Biology'}} AS primary_topic",
        "[{'display_name': 'Biology', 'score': 0.9}, {'display_name': 'Virus', 'score': 0.2}] AS concepts",
        "['Biology', 'Virus'] AS concepts",
    ],
)
def test_nested_parquet_as_openalex_has_it(tmp_path: Path, field: str) -> None:
    path = tmp_path / "works.parquet"
    duckdb.sql(
        f"COPY (SELECT 'https://openalex.org/W' || i AS id, DATE '2001-01-01' + i::INTEGER AS publication_date,"
        f" {field},"
        f" CASE WHEN i > 1 THEN ['https://openalex.org/W1'] END AS referenced_works FROM range(1, 4) t(i)) TO '{path}'"
    )
    graph = read_citation_graph(path, today=TODAY).graph
    assert graph.field_names == ("Biology",)
    assert graph.cited.tolist() == [0, 0]


def test_a_few_bad_rows_are_left_out_and_told(tmp_path: Path) -> None:
    rows = [f"{i},2001-01-01," for i in range(300)]
    rows += ["300,,", "301,2099-01-01,1", "5,2002-01-01,1"]  # no date, in the future, an id that stood before
    path = written(tmp_path, "id,publication_date,referenced_works\n" + "\n".join(rows))
    graph, notes = graph_and_notes(path)
    assert len(graph) == 300
    assert graph.as_of_year < 2002
    assert "3 works of the graph" in notes[0]


@pytest.mark.parametrize(
    ("name", "text", "error", "why"),
    [
        ("works.txt", "id\n", SettingsError, "neither .parquet nor .csv"),
        ("works.parquet", "no magic", FormatError, "cannot be read"),
        ("works.csv", "", FormatError, "has the columns"),
        ("works.csv", "id,name\n1,a\n", FormatError, "has the columns id, name"),
        ("works.csv", "id,publication_date,referenced_works\n", FormatError, "0 of 0 works"),
        (
            "works.csv",
            "id,publication_date,referenced_works\n1,soon,\n2,,\n3,2001-01-01,\n",
            FormatError,
            "2 of 3 works",
        ),
    ],
)
def test_a_bad_file_is_named_with_the_remedy(
    tmp_path: Path, name: str, text: str, error: type[FrazilError], why: str
) -> None:
    path = written(tmp_path, text, name)
    with pytest.raises(error, match=why) as raised:
        read_citation_graph(path, today=TODAY)
    assert raised.value.path == str(path)
    assert raised.value.remedy


def test_bad_tables_of_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no citation graph here"):
        read_citation_graph(tmp_path, today=TODAY)
    written(tmp_path, "id,publication_year\n1,2001\n")
    edges = written(tmp_path, "a,b\n1,1\n", "citations.csv")
    with pytest.raises(FormatError, match="citing and cited") as raised:
        read_citation_graph(tmp_path, today=TODAY)
    assert raised.value.path == str(edges)


def test_a_graph_that_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frazil.daemon.store.citation_files.MOST_CITATIONS", 3)
    with pytest.raises(FormatError, match="citations are more than the 3"):
        read_citation_graph(written(tmp_path, CSV), today=TODAY)
