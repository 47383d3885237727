"""What evaluators say, in words: known evidence in, known sentences out; JSON never reaches a person."""

from __future__ import annotations

import pytest

from frazil.daemon.report.score_sentences import CONTRADICTION, SCALES, TITLES, scale, sentences, unknown, value_words
from frazil.models.evaluation.panel import ALL
from frazil.models.evaluation.value import term_weights
from frazil.models.evaluation.value.hyperscore import hyperscore


def test_every_evaluator_of_the_panel_has_its_words() -> None:
    assert set(TITLES) == set(ALL) == set(SCALES)
    assert term_weights.KEY == "weights_in_use", "the summary looks V's weights up by this name"


def test_a_contradiction_of_the_map_comes_first() -> None:
    evidence = {
        "parts": {"consistency": 0.7, "steadiness": 1.0},
        "contradictions": [
            {"name": "small", "severity": 0.1, "sentence": "a small thing"},
            {"name": "fsc-against-halves", "severity": 0.3, "sentence": "the FSC levels off at 0.36"},
        ],
    }
    said = sentences("meta", evidence)
    assert said[0] == f"{CONTRADICTION}the FSC levels off at 0.36"
    assert said[-1] == "verdicts do not contradict each other 70 %, verdicts are steady 100 %"


def test_what_was_refuted_is_named() -> None:
    rows = [{"name": "a", "statement": "frames add up", "settled": "refuted"}, {"name": "b", "settled": "proved"}]
    said = sentences("logic", {"proved": 1, "refuted": 1, "unknown": 2, "obligations": rows})
    assert said == (
        "1 of 4 claims that must hold are proved from the session's numbers",
        "refuted: frames add up",
    )


@pytest.mark.parametrize(
    ("evaluator", "verdict", "uncertainty", "evidence", "words"),
    [
        ("feasibility", 0.0, None, {"reached": True}, "yes, it is reached"),
        ("feasibility", 1.5, 0.25, {"reached": False}, "no: 1.5 +- 0.2 of what is left is needed"),
        ("logic", 1.0, 0.0, {}, "100 %"),
        ("reproducibility", 0.7297, 0.0312, {}, "73 % (+- 3 %)"),
        ("hyperscore", 102.451, 0.0607, {}, "102.45 +- 0.06"),
        ("value", 0.82, 0.00241, {}, "0.820 +- 0.002"),
        ("impact", 12.0, 4.2, {}, "12 +- 4 citations in five years"),
        ("of-tomorrow", 3.14159, None, {}, "3.14 (a unit)"),
        ("logic", None, None, {}, "nothing can be said"),
    ],
)
def test_values_are_words_with_as_many_digits_as_their_error_allows(
    evaluator: str, verdict: float | None, uncertainty: float | None, evidence: dict[str, bool], words: str
) -> None:
    assert value_words(evaluator, verdict, uncertainty, "a unit", evidence) == words


def test_an_evaluator_that_is_not_known_is_told_by_its_plain_numbers() -> None:
    evidence = {"claims_made": 12, "nested": {"a": 1}, "name": "x", "does_not_know": ["much"], "odd": [1, 2]}
    assert sentences("of-tomorrow", evidence) == ("claims made: 12, name: x",)
    assert unknown(evidence) == ("much",)


@pytest.mark.parametrize("evaluator", [*ALL, "of-tomorrow"])
@pytest.mark.parametrize("evidence", [{}, {"parts": None, "terms": [], "contradictions": [3], "does_not_know": "no"}])
def test_evidence_of_another_form_does_no_harm(evaluator: str, evidence: dict[str, object]) -> None:
    assert all(isinstance(sentence, str) for sentence in sentences(evaluator, evidence))
    assert unknown(evidence) == ()


def test_a_new_reader_sees_which_value_is_good() -> None:
    """The ends that are named are those of the formula."""
    assert hyperscore(0.0) == 100.0
    assert f"{hyperscore(1.0):.0f} has every term at its best" in scale("hyperscore")
    assert scale("of-tomorrow") == ""
