"""The running reconstruction in words: how good, how even, what more movies would bring. Pure; knows no Textual."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.text import Text

from frazil.daemon.transport.messages import MAP_BEGUN_ANEW, Row
from frazil.tui.words.formatting import clean, count, number, quantity
from frazil.tui.words.palette import BLUE, GRAY, GREEN, ORANGE

_ANGSTROM = re.compile(r"(?<=\d )A\b")
NO_MAP_MADE = (
    "no map was made: it takes particles.initial_map, or 700 particles (`frazil query SESSION --named alerts`)"
)
_MASKS = {"map": "the map's own outline", "sphere": "a sphere"}


def map_text(
    rounds: Sequence[Row],
    forecast: Sequence[Row],
    classes: Sequence[Row],
    alerts: Sequence[Row] = (),
    *,
    over: bool = False,
) -> Text:
    """Of the answers to `reconstructions`, `forecast`, `classes` and `alerts`; `over`: the session has ended."""
    if not rounds:
        return Text(NO_MAP_MADE if over else "no round yet: the map is renewed every ten movies, and at the end", GRAY)
    last = rounds[-1]
    begun_anew = next((row.get("text") for row in alerts if row.get("alert_id") == MAP_BEGUN_ANEW), None)
    if last.get("map_path") is None and classes:
        return _begun_anew(_classes(last, classes), begun_anew)
    text = Text()
    resolution = last.get("resolution_0143_angstrom")
    head = "not resolved yet" if resolution is None else quantity(resolution, "Å", 2)
    text.append(head, f"bold {BLUE}")
    if resolution is not None:
        text.append(f" at FSC 0.143, {quantity(last.get('resolution_05_angstrom'), 'Å', 2)} at 0.5")
    text.append(f"\nfrom {_whole(last, 'particle_count')} particles of {_whole(last, 'movie_count')} movies")
    text.append(f", {clean(last.get('symmetry') or 'C1')}")
    mask = _MASKS.get(str(last.get("mask")))
    if mask is not None:
        text.append(f"; mask: {mask}")
    weighted = last.get("weights_sentence")
    if weighted:
        text.append("\n" + _ANGSTROM.sub("Å", clean(weighted)), GRAY)
    _begun_anew(text, begun_anew)
    best, worst = last.get("best_direction_angstrom"), last.get("worst_direction_angstrom")
    if best is not None:
        text.append(f"\nby direction {number(best, 1)} to {quantity(worst, 'Å', 1)}")
        text.append(f", sphericity {number(last.get('sphericity'), 2)}")
    _orientations(text, last)
    _kinds(text, last)
    if last.get("b_factor_a2") is not None:
        low, high = number(last.get("b_factor_low_a2"), 0), number(last.get("b_factor_high_a2"), 0)
        text.append(f"\nB-factor {number(last.get('b_factor_a2'), 0)} Å² (80 %: {low} to {high})")
    if resolution is not None and not forecast:
        text.append("\nno forecast yet: particles still have the orientations that the start map gave them", GRAY)
    for row in forecast:
        sentence = _ANGSTROM.sub("Å", clean(row.get("sentence", "")))
        text.append("\n")
        sign, color = ("→ ", GREEN) if row.get("reachable") else ("✗ ", ORANGE)
        text.append(sign, color)
        text.append(sentence)
    _verdicts(text, classes)
    return text


def _begun_anew(text: Text, sentence: object) -> Text:
    return text.append(f"\n{clean(sentence)}", ORANGE) if sentence else text


def _orientations(text: Text, last: Row) -> None:
    efficiency = last.get("orientation_efficiency")
    if not isinstance(efficiency, int | float):
        return
    text.append(f"\norientations: {efficiency:.0%} of the signal of even views")
    if last.get("preferred_orientation"):
        text.append("\n! ", f"bold {ORANGE}")
        text.append(clean(last.get("orientation_sentence") or "preferred orientation"), ORANGE)


def _kinds(text: Text, last: Row) -> None:
    share = last.get("discarded_share")
    if isinstance(share, int | float) and round(100 * share):
        text.append(f"\n{share:.0%} of the particles hardly count: their boxes show no particle")
    if last.get("map_class_sentence"):
        text.append("\n" + clean(last["map_class_sentence"]).replace("+-", "±"))


def _classes(last: Row, classes: Sequence[Row]) -> Text:
    text = Text()
    text.append(f"{len(classes)} class averages", f"bold {BLUE}")
    text.append(f" of {_whole(last, 'particle_count')} particles of {_whole(last, 'movie_count')} movies")
    sizes = [str(row.get("particle_count")) for row in classes[:8]]
    if sizes:
        text.append(f"\nparticles in the largest: {', '.join(sizes)}")
    text.append("\nno map yet: it starts from particles.initial_map, or from 700 particles alone", GRAY)
    _verdicts(text, classes)
    return text


def _verdicts(text: Text, classes: Sequence[Row]) -> None:
    """A line a class: its score, what a person says, and whether it is in the map; nothing where none was judged."""
    if all(row.get("score") is None for row in classes):
        return
    out = sum(row.get("chosen") is False for row in classes)
    text.append(f"\n2-D classes, {out} of {len(classes)} left out", f"bold {BLUE}")
    for row in classes:
        verdict = row.get("verdict")
        said = "" if verdict in (None, "undecided") else f", {clean(verdict)} ({clean(row.get('who'))})"
        sign, color = ("✗ ", ORANGE) if row.get("chosen") is False else ("✓ ", GREEN)
        text.append(f"\n{sign}", color)
        size, score = _whole(row, "particle_count"), number(row.get("score"), 2)
        text.append(f"{row.get('class_id')}: {size}, score {score}{said}")


def _whole(row: Row, name: str) -> str:
    return count(_int(row.get(name)))


def _int(value: object) -> int | None:
    return value if isinstance(value, int) else None
