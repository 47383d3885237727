"""Losses by cause as bars with their intervals, and what to do about them, as text. Pure; knows no Textual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from frazil.daemon.transport.messages import Row, Scalar
from frazil.tui.words.causes import BESIDE_TOTAL, MEDIUM, NOT_OF_THE_SESSION, beyond_usual, cause_word, no_advice
from frazil.tui.words.formatting import clean, clock, movie_name, number
from frazil.tui.words.interval_bar import interval_bar
from frazil.tui.words.palette import BLUE, GRAY, GREEN, ORANGE, PURPLE

_TWO_SIDED_95 = 1.96
_VALUE_WIDTH = 11
_WORD_WIDTH = (12, 24)
_BAR_MIN = 6
SPEAKS_AGAINST = ("fails", "no better")
"""What movies that were not seen may say of a cause that would count as known without them."""
_KNOWN_BY_COLOR = {"measured": GREEN, "adjusted": BLUE, "physics": ORANGE}


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of ln SSNR to one cause with its 95 % credible interval."""

    factor: str
    loss: float
    low: float
    high: float

    @property
    def beside_total(self) -> bool:
        return self.factor in BESIDE_TOTAL


def losses_of(rows: Sequence[Row]) -> list[Loss]:
    """Rows with factor, loss_ln_ssnr and loss_sd: of the total what can be changed, then the rest of it, then what is
    beside it; each by size."""
    losses = []
    for row in rows:
        loss, sd = row.get("loss_ln_ssnr"), row.get("loss_sd")
        if isinstance(loss, int | float) and isinstance(sd, int | float):
            half = _TWO_SIDED_95 * sd
            losses.append(Loss(str(row["factor"]), float(loss), max(0.0, loss - half), loss + half))
    return sorted(losses, key=lambda one: (one.beside_total, one.factor in NOT_OF_THE_SESSION, -one.loss, one.factor))


def scale_of(*movies: Sequence[Loss]) -> float:
    """What a bar of full length means, so that bars side by side can be compared: the upper end of the largest loss
    that counts in a total."""
    return max((one.high for losses in movies for one in losses if not one.beside_total), default=1.0)


def bars_text(losses: Sequence[Loss], full_scale: float, width: int, height: int) -> Text:
    """One line a cause: word, bar, loss ± half the interval; the total and what stands beside it last. Of what there
    is no room for, the smallest are left out."""
    if not losses:
        return Text("no losses yet", GRAY)
    inside = [one for one in losses if not one.beside_total]
    beside = [one for one in losses if one.beside_total]
    word = min(_WORD_WIDTH[1], max(_WORD_WIDTH[0], width - _VALUE_WIDTH - 2 - 2 * _BAR_MIN))
    room = max(_BAR_MIN, width - word - _VALUE_WIDTH - 2)
    fixed = 2 + bool(beside)  # total, and the line above what stands beside it
    inside_shown = inside[: max(1, height - fixed - len(beside) + 1)]
    lines = [_line(one, full_scale, word, room, BLUE) for one in inside_shown]
    lines.append(Text.assemble(("total".ljust(word), "bold"), (f" {sum(one.loss for one in inside):5.2f}", "bold")))
    if beside:
        lines.append(Text("processing can undo it, or has:", GRAY))
        lines += [_line(one, full_scale, word, room, PURPLE) for one in beside]
    return Text("\n").join(lines[: max(1, height)])


def _line(loss: Loss, full_scale: float, word: int, room: int, color: str) -> Text:
    name = cause_word(loss.factor)
    if len(name) > word or word < _WORD_WIDTH[1]:
        name = MEDIUM.get(loss.factor, name)[:word]
    line = Text(name.ljust(word), no_wrap=True)
    line.append(f" {loss.loss:5.2f}").append(f" ±{(loss.high - loss.loss):.2f}".ljust(6), GRAY).append(" ")
    drawn = interval_bar(loss.loss, loss.low, loss.high, full_scale=full_scale, width=room)
    return line.append(drawn, color)


def advice_text(
    advice: Sequence[Row], changes: Sequence[Row], shares: Sequence[Row], prior: Row | None, *, how: bool = False
) -> Text:
    """What to change, what has changed, and how sure that is; lines are wrapped where it is shown. `how`: also how each
    advice is known."""
    text = Text()
    text.append("what to change, best first\n", f"bold {BLUE}")
    ranked = [row for row in advice if row.get("place") is not None]
    for place, row in enumerate(ranked, 1):
        text.append(f"{place}. ", "bold").append(clean(row["sentence"]))
        text.append_text(_known_by(row)).append("\n")
        if how:
            text.append_text(_how(row))
    if not ranked:
        text.append(f"{_no_advice(shares)}\n", GRAY)
    text.append("\nwhat has changed\n", f"bold {BLUE}")
    for row in changes:
        movie = row.get("movie_number")
        since = f"from movie {movie + 1} on" if isinstance(movie, int) else "since then"
        when = "" if row.get("acquired_utc_us") is None else f" ({clock(row['acquired_utc_us'])})"
        text.append("! ", f"bold {ORANGE}").append(f"{since}{when}: {clean(row['sentence'])}\n")
    people = [row for row in advice if row.get("place") is None]
    for row in people:
        when = clock(row.get("created_utc_us"))
        text.append("· ", BLUE).append(f"{when} {clean(row.get('who'))}: {clean(row['sentence'])}\n")
    if not changes and not people:
        text.append("✓ nothing since the first movie\n", GRAY)
    text.append("\nwhat is known so far\n", f"bold {BLUE}")
    text.append_text(_sure(shares, prior))
    return text


def _known_by(row: Row) -> Text:
    """The short word beside an advice."""
    word = clean(row.get("known_by") or "")
    return Text.assemble("  ", (f"[{word}]", _KNOWN_BY_COLOR.get(word, GRAY))) if word else Text()


def _how(row: Row) -> Text:
    """What stands behind an advice, indented."""
    said = str(row.get("known_how") or "how it is known was not kept").splitlines()
    said += str(row.get("refuters") or "").splitlines()
    return Text("".join(f"   {clean(line)}\n" for line in said), GRAY)


def _no_advice(shares: Sequence[Row]) -> str:
    if not shares:
        return "not known yet"
    movies, version = (shares[0].get(name) for name in ("movie_count", "prior_version"))
    return no_advice(movies if isinstance(movies, int) else 0, version if isinstance(version, int) else 0)


def _sure(shares: Sequence[Row], prior: Row | None) -> Text:
    if not shares:
        return Text("nothing has been learnt from this session yet: it takes some movies", GRAY)
    known = [row for row in shares if row.get("converged")]
    text = Text.assemble(
        ("✓ " if len(known) == len(shares) else "… ", GREEN if len(known) == len(shares) else ORANGE),
        f"of {len(known)} of {len(shares)} causes the movies fix what they cost"
        + ("" if known == shares else "; not yet of:"),
    )
    for row in shares:
        if not row.get("converged"):
            text.append(f"\n… {cause_word(row['factor'])}: {number(row['loss_ln_ssnr'], 2)} ± {number(row['sd'], 2)}")
            if row.get("held") in SPEAKS_AGAINST:
                text.append(f"\n  {clean(row.get('unseen'))}", GRAY)
    if prior is not None:
        text.append(f"\nlearnt from {prior.get('movie_count')} movies", GRAY)
    return text


def causes_tree(nodes: Sequence[Row], edges: Sequence[Row], losses: Sequence[Loss]) -> Text:
    """The causal graph from its losses upwards: every factor, the largest first, and what acts on it."""
    words = {row["name"]: clean(row["words"]) for row in nodes}
    kinds = {row["name"]: row["kind"] for row in nodes}
    above: dict[Scalar, list[Scalar]] = {}
    for row in edges:
        above.setdefault(row["effect"], []).append(row["cause"])
    known = {one.factor: one.loss for one in losses}
    text = Text()
    factors = [name for name in words if kinds[name] == "factor"]
    for factor in sorted(factors, key=lambda name: -known.get(str(name), 0.0)):
        loss = f" {known[str(factor)]:.2f}" if str(factor) in known else ""
        text.append(f"{words[factor]}{loss}\n")
        for cause in above.get(factor, []):
            further = ", ".join(words[name] for name in above.get(cause, []))
            text.append(f"  ← {words[cause]}{f' ← {further}' if further else ''}\n", GRAY)
    return text


def movie_heading(row: Row | None, *, attributed: bool) -> str:
    """First cause and name of a movie, for the title of its bars: what matters first, because titles are cut."""
    if row is None:
        return "no movie selected"
    name = movie_name(row.get("relative_path", ""))
    if not attributed:
        return name
    if not row.get("named_cause"):
        flags = clean(row.get("flags") or "")
        return f"no single cause{f', seen: {flags}' if flags else ''} · {name}"
    heights = " with heights" if row["named_cause"] == "ice" else ""
    parts = (f"{cause_word(row['named_cause'])}{heights}", beyond_usual(row.get("named_excess_ln_ssnr")))
    return " ".join(part for part in parts if part) + f" · {name}"
