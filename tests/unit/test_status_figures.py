"""Every figure of docs/status.md is the one that a benchmark has kept, and docs/status_figures.yaml leaves none out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kept_figures import RESULTS, half_a_digit, looked_up, numbers_of, result, value_of

from benchmarks import made_by
from benchmarks.run import CLAIMS

ROOT = Path(__file__).resolve().parents[2]
_ROW = re.compile(
    r"^\| (?P<claim>[^|]+?)(?P<older> °)? \| (?P<figure>[^|]+) \| \[measured\]\(measurements\.md#[\w-]+\) \|$", re.M
)
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
PAGE = {row["claim"]: row for row in _ROW.finditer((ROOT / "docs" / "status.md").read_text(encoding="utf-8"))}
TABLE = yaml.safe_load((ROOT / "docs" / "status_figures.yaml").read_text(encoding="utf-8"))
FIGURES: dict[str, Any] = TABLE["figures"]
OLDER: dict[str, str] = TABLE["made_by_older_code"]
_SECTIONS = {
    heading.strip(): text
    for heading, _, text in (
        part.partition("\n") for part in (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8").split("\n### ")
    )
}


def _sources(claim: str) -> list[tuple[str, Any]]:
    told = FIGURES[claim]
    return [("", told)] if isinstance(told, dict) else [next(iter(entry.items())) for entry in told]


def _places(source: Any) -> Iterator[str]:
    if isinstance(source, str):
        yield source
    elif not {"names", "shown_by", "not_kept"} & set(source):
        for part in source.values():
            yield from part if isinstance(part, list) else [part]


def _files(claim: str) -> set[str]:
    return {place.split("/")[0] for _, source in _sources(claim) for place in _places(source)}


def _graphs_won(place: str) -> int:
    """Graphs whose citations frazil tells with a higher log-likelihood than each of the three baselines."""
    rivals = ("preferential attachment", "regression, own past", "regression, 40 graphs")
    graphs = result(place.split("/")[0])["held_out"]
    ours = [graph["frazil"]["log_likelihood"] for graph in graphs]
    return sum(
        all(own > graph[rival]["log_likelihood"] for rival in rivals) for own, graph in zip(ours, graphs, strict=True)
    )


def _disagreement(number: str, source: Any) -> str | None:
    """Why a number is not what its source says; None where it is."""
    match source:
        case {"names": str()} | {"not_kept": str()}:
            return None
        case {"shown_by": str(file), "says": str(text)}:
            path = ROOT / file
            return None if path.exists() and text in path.read_text(encoding="utf-8") else f"{file} does not say {text}"
        case {"below": str(place)}:
            found = looked_up(place)
            return None if found <= value_of(number) else f"{found}, which is not below {number}"
        case {"ratio": [str(above), str(under)]}:
            found = looked_up(above) / looked_up(under)
        case {"won": str(place)}:
            found = float(_graphs_won(place))
        case str(place):
            found = looked_up(place)
        case _:
            return f"no source: {source}"
    return None if abs(found - value_of(number)) <= half_a_digit(number) * (1 + 1e-9) else f"{found}, told as {number}"


def test_the_table_has_the_rows_of_the_page() -> None:
    rows = [
        line for line in (ROOT / "docs" / "status.md").read_text(encoding="utf-8").splitlines() if "[measured]" in line
    ]
    assert len(PAGE) == len(rows)
    assert list(FIGURES) == list(PAGE)


@pytest.mark.parametrize("claim", PAGE)
def test_every_number_of_a_row_has_a_source(claim: str) -> None:
    numbers = numbers_of(_LINK.sub(r"\1", PAGE[claim]["figure"]))
    assert [number for number, _ in _sources(claim) if number] == numbers


@pytest.mark.parametrize("claim", PAGE)
def test_every_number_of_a_row_is_what_its_source_says(claim: str) -> None:
    told = [(number, source, _disagreement(number, source)) for number, source in _sources(claim)]
    assert [wrong for wrong in told if wrong[2] is not None] == []


@pytest.mark.parametrize("claim", PAGE)
def test_every_figure_of_a_row_stands_in_its_section_of_measurements(claim: str) -> None:
    figures = [number for number, source in _sources(claim) if number and any(_places(source))]
    told = {value_of(number) for number in numbers_of(_SECTIONS[claim])}
    assert [number for number in figures if value_of(number) not in told and value_of(number) > 0] == []


def test_a_file_of_figures_by_older_code_is_called_so() -> None:
    unsigned = set()
    for file in {file for claim in FIGURES for file in _files(claim)}:
        told = result(file).get("made_by", {})
        if told.get("benchmark") != made_by.hash_of(CLAIMS[file.removesuffix("_factors")]):
            unsigned.add(file)
    assert unsigned - set(OLDER) == set(), "name them in made_by_older_code, or run their benchmarks again"
    assert [file for file in OLDER if not (RESULTS / f"{file}.json").exists()] == []


@pytest.mark.parametrize("claim", PAGE)
def test_a_row_by_older_code_is_marked(claim: str) -> None:
    lost = any("not_kept" in source for _, source in _sources(claim) if isinstance(source, dict))
    assert (PAGE[claim]["older"] is not None) is (lost or bool(_files(claim) & set(OLDER)))


@pytest.mark.parametrize(
    ("number", "source"),
    [
        ("0.14", "simulated_truth/summary/shift_rms_angstrom_p50_p95/0"),
        ("21", "simulated_truth/summary/movies"),
        ("0.4", {"below": "store_50k/query_s/[!summary] | max"}),
        ("twelve", {"won": "impact_forecast/held_out/*"}),
        ("1.46", {"ratio": ["map_session/sessions/0/in_the_maps_mask_05_angstrom", "map_session/sessions/1/ratio"]}),
        ("20", {"shown_by": "tests/system/test_kill_session.py", "says": "range(19)"}),
        ("20", {"seen_by": "somebody"}),
    ],
)
def test_a_figure_that_is_not_the_kept_one_is_found(number: str, source: Any) -> None:
    assert _disagreement(number, source) is not None


def test_numbers_of_a_sentence() -> None:
    sentence = "F1 0.93 to 1.00, 50,000 movies of 4k, +- 1.5 at 95 %: ten of ten, none wrong (z3, C5)"
    assert numbers_of(sentence) == ["0.93", "1.00", "50,000", "4", "1.5", "95", "ten", "ten", "none"]
    assert [value_of(number) for number in ("50,000", "ten", "none")] == [50000.0, 10.0, 0.0]


def test_a_benchmark_signs_what_it_wrote_and_nothing_else(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    figures.write_text('{"error_angstrom": 0.1}')
    written_ns = figures.stat().st_mtime_ns
    made_by.record(figures, "motion.truth", written_ns + 1)
    assert json.loads(figures.read_text()) == {"error_angstrom": 0.1}  # of an earlier run
    made_by.record(figures, "motion.truth", written_ns)
    told = json.loads(figures.read_text())
    assert told["error_angstrom"] == 0.1
    assert told["made_by"]["benchmark"] == made_by.hash_of("motion.bench") != made_by.hash_of("ctf.bench")
    assert set(told["made_by"]) == {"frazil", "benchmark", "commit"}
    assert str(ROOT) not in figures.read_text()
