"""The evaluators' verdicts as lines, and their evidence as text. Pure; knows no Textual.

Evidence is JSON of a form that each evaluator chooses: all of it is shown, keys without their underscores, and with a
sign where something is proved, refuted, robust, fragile or unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from frazil.daemon.transport.messages import Row
from frazil.tui.words.formatting import clean, number
from frazil.tui.words.interval_bar import interval_bar
from frazil.tui.words.palette import BLUE, GRAY, GREEN, ORANGE, VERMILION, Look

WORDS: dict[str, str] = {
    "hyperscore": "HyperScore",
    "value": "V",
    "logic": "consistency",
    "novelty": "novelty",
    "impact": "citations",
    "reproducibility": "reproducibility",
    "meta": "self-check",
    "temper": "learning pace",
    "sandbox": "robustness",
    "feasibility": "goal in reach",
}
"""What a person reads for an evaluator, in the order of the list: the sum first, then its terms."""
MEANS: dict[str, str] = {
    "hyperscore": "V, steeper where it is high: 100 is worst, 111 all terms at best; more only with citations to come",
    "value": "weighted mean of the terms that are defined: 0 is worst, 1 best; weights and their last step are below",
    "logic": "the share of what must hold that was proved from the session's numbers; 1 is best",
    "novelty": "how far the map is from what is known: 0 known, 1 like nothing known; neither is better",
    "impact": "how often the structure may be cited",
    "reproducibility": "whether what was found comes out the same: half-sets, even and odd frames, reruns, cost",
    "meta": "how far the other verdicts can be believed: contradictions, steadiness, calibration, drift; 1 is best",
    "temper": "how much this round's movies teach of the causes of loss; 1: they count in full",
    "sandbox": "the share of results that stand when run again with the instrument off by its errors; 1 is best",
    "feasibility": "what the goal needs over what is left, of the scarcest; below 1 it is within reach (no term of V)",
}
SETTLED: dict[str, Look] = {
    "proved": Look("✓", "proved", GREEN),
    "refuted": Look("✗", "refuted", VERMILION),
    "robust": Look("✓", "robust", GREEN),
    "fragile": Look("✗", "fragile", VERMILION),
    "unknown": Look("?", "unknown", GRAY),
}
_GOAL = "feasibility"
"""The one of which less is better: as a bar, a goal in reach would look like a failure."""
_WITHIN_REACH, _OUT_OF_REACH = Look("✓", "within reach", GREEN), Look("✗", "out of reach", VERMILION)
_SPANS = {"hyperscore": (100.0, 200.0)}
"""Where a verdict lies, if not between 0 and 1."""
_ONE_SIGMA = 1.0
_BAR_WIDTH = 16
_LONGEST_LIST = 12
_BELOW_INDENT = 2
_HIDDEN = ("does_not_know",)
_NAME_WIDTH, _VALUE_WIDTH = 15, 12


def in_order(evaluators: Sequence[object]) -> list[str]:
    """Known ones in the order of `WORDS`, then the others."""
    names = {str(name) for name in evaluators}
    return [name for name in WORDS if name in names] + sorted(names - set(WORDS))


def evaluator_word(name: object) -> str:
    return WORDS.get(str(name), clean(name))


def value_text(row: Row) -> str:
    """`0.87 ±0.04`; a word when nothing can be said."""
    verdict, error = row.get("verdict"), row.get("uncertainty")
    if not isinstance(verdict, int | float):
        return "nothing yet"
    digits = 1 if abs(verdict) >= 10 else 2
    if isinstance(error, int | float) and 0 < error < 0.5 * 10**-digits:
        digits += 1
    return number(verdict, digits) + (f" ±{number(error, digits)}" if isinstance(error, int | float) else "")


def change_mark(now: object, before: object) -> str:
    """How a verdict stands to the round before."""
    if not isinstance(now, int | float) or not isinstance(before, int | float):
        return " "
    if abs(now - before) <= 0.01 * max(abs(now), abs(before), 0.1):
        return "→"
    return "↑" if now > before else "↓"


def heading(width: int) -> Text:
    """Titles of the columns of `verdict_line`."""
    text = f"{'evaluator':{_NAME_WIDTH}} {'verdict ± 1σ':{_VALUE_WIDTH}}   "
    if width >= 50:
        text += f"{'0' + '─' * (_BAR_WIDTH - 2) + '1'} "
    return Text(text + "reliable")


def verdict_line(row: Row, before: Row | None, width: int) -> Text:
    """Name, verdict ± one sigma, arrow against the round before, bar with its error, reliability."""
    verdict, error = row.get("verdict"), row.get("uncertainty")
    name = str(row.get("evaluator"))
    known = isinstance(verdict, int | float)
    line = Text(no_wrap=True)
    line.append(
        f"{evaluator_word(name)[:_NAME_WIDTH]:{_NAME_WIDTH}} ", "bold" if name in ("hyperscore", "value") else ""
    )
    line.append(f"{value_text(row):{_VALUE_WIDTH}}", BLUE if known else GRAY)
    line.append(f" {change_mark(verdict, None if before is None else before.get('verdict'))} ")
    if width >= 50 and name == _GOAL and isinstance(verdict, int | float):
        look = _WITHIN_REACH if verdict <= 1 else _OUT_OF_REACH
        line.append(f"{look.text:{_BAR_WIDTH}} ", look.color)
    elif width >= 50:
        line.append(_bar(name, verdict, error), BLUE).append(" ")
    reliability = row.get("reliability")
    if known and isinstance(reliability, int | float):
        low = reliability < 0.5
        line.append(f"{'! ' if low else '  '}{reliability:.0%}", ORANGE if low else GRAY)
    if not known:
        line.append("?", GRAY)
    return line


def _bar(name: str, verdict: object, error: object) -> str:
    if not isinstance(verdict, int | float):
        return " " * _BAR_WIDTH
    low, high = _SPANS.get(name, (0.0, 1.0))
    share = (verdict - low) / (high - low)
    half = _ONE_SIGMA * (error if isinstance(error, int | float) else 0.0) / (high - low)
    if not 0.0 <= share <= 1.0:
        return " " * _BAR_WIDTH
    drawn = interval_bar(share, max(0.0, share - half), min(1.0, share + half), full_scale=1.0, width=_BAR_WIDTH)
    return drawn.ljust(_BAR_WIDTH)


def evidence_text(row: Row | None, evidence_json: str | None) -> Text:
    """What one verdict rests on, and what its evaluator does not know."""
    if row is None:
        return Text("nothing judged yet: a round needs five finished movies", GRAY)
    name = str(row.get("evaluator"))
    text = Text.assemble((evaluator_word(name), f"bold {BLUE}"), "  ", value_text(row))
    unit = clean(row.get("unit") or "")
    if unit:
        text.append(f"  ({unit})", GRAY)
    if name in MEANS:
        text.append(f"\n{MEANS[name]}", GRAY)
    evidence = _parsed(evidence_json)
    if evidence is None:
        return text.append("\n\nits evidence is not here yet", GRAY)
    unknown = evidence.get("does_not_know")
    if isinstance(unknown, list) and unknown:
        text.append("\n\nwhat it does not know", f"bold {BLUE}")
        for sentence in unknown:
            text.append("\n? ", f"bold {ORANGE}").append(clean(sentence))
    shown = [(key, value) for key, value in evidence.items() if key not in _HIDDEN]
    if shown:
        text.append("\n\nwhat it rests on", f"bold {BLUE}")
    for key, value in shown:
        for line in _lines(key, value, 0):
            text.append("\n").append_text(line)
    return text


def _parsed(evidence_json: str | None) -> Mapping[str, Any] | None:
    if evidence_json is None:
        return None
    try:
        evidence = json.loads(evidence_json)
    except ValueError:
        return None
    return evidence if isinstance(evidence, dict) else {"evidence": evidence}


def _lines(key: str, value: Any, indent: int) -> Iterator[Text]:
    """One entry: a value beside its key, a list of values in one line, or what is nested below it."""
    start = Text(" " * indent).append(f"{_words(key)}: ", GRAY)
    if isinstance(value, dict) and value:
        if all(not isinstance(item, dict | list) for item in value.values()):
            yield start.append(", ".join(f"{_words(name)} {_scalar(item)}" for name, item in value.items()))
            return
        yield start
        for name, item in value.items():
            yield from _lines(name, item, indent + _BELOW_INDENT)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield start.append(str(len(value)))
        for item in sorted(value, key=_rank)[:_LONGEST_LIST]:
            yield from _record(item, indent + _BELOW_INDENT)
        if len(value) > _LONGEST_LIST:
            yield Text(" " * (indent + _BELOW_INDENT)).append(f"… and {len(value) - _LONGEST_LIST} more", GRAY)
    elif isinstance(value, list):
        shown = ", ".join(_scalar(item) for item in value[:_LONGEST_LIST])
        more = f", … ({len(value)} in all)" if len(value) > _LONGEST_LIST else ""
        yield start.append(f"{shown}{more}" if value else "none")
    else:
        yield start.append(_scalar(value))


_FIRST = ("refuted", "fragile", "unknown", "robust", "proved")
"""Of a long list: what is wrong or open comes first, what is proved last."""


def _rank(item: Any) -> int:
    return _FIRST.index(item["settled"]) if _has_mark(item) else 0


def _has_mark(item: Any) -> bool:
    return isinstance(item, dict) and item.get("settled") in SETTLED


def _record(item: Any, indent: int) -> Iterator[Text]:
    """One of several objects of the same form: the sign of its outcome, its statement as a sentence, the rest."""
    if not isinstance(item, dict):
        yield Text(" " * indent + _scalar(item))
        return
    rest = {key: value for key, value in item.items() if value is not None and value != ""}
    look = SETTLED[rest.pop("settled")] if _has_mark(item) else None
    line = Text(" " * indent)
    if look is None:
        line.append("· ", GRAY)
    else:
        line.append(f"{look.text} ", look.color)
    statement = rest.pop("statement", None)
    if statement is not None:
        rest.pop("name", None)
        line.append(clean(statement))
    plain = {key: value for key, value in rest.items() if not isinstance(value, dict | list)}
    if plain:
        values = ", ".join(f"{_words(key)} {_scalar(value)}" for key, value in plain.items())
        line.append(f" ({values})" if statement is not None else values, GRAY if statement is not None else "")
    yield line
    for key, value in rest.items():
        if key not in plain:
            yield from _lines(key, value, indent + _BELOW_INDENT)


def _words(key: object) -> str:
    return clean(key).replace("_", " ")


def _scalar(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict | list):
        return clean(json.dumps(value))[:200]
    return clean(value)
