"""The verdict: findings in their order, the worst of them in the line. Pure; a judge remembers what stands."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from frazil.models.session_verdict.broken import machinery
from frazil.models.session_verdict.not_good import not_good_words, of_movies
from frazil.models.session_verdict.quality import QualityRules
from frazil.models.session_verdict.records import (
    Class,
    Finding,
    SessionSeen,
    Verdict,
    VerdictLimits,
    Word,
    fitted,
)

_OVER = {"finished": Word.FINISHED, "stopping": Word.STOPPED, "ended": Word.ENDED}


class Judge:
    """Of one session. `step` in the order of time."""

    def __init__(self, limits: VerdictLimits) -> None:
        self._limits = limits
        self._quality = QualityRules(limits)

    def step(self, seen: SessionSeen) -> Verdict:
        """What a person is to be told now."""
        quality = tuple(self._quality.step(seen))
        over = _OVER.get(seen.status)
        if over is not None:
            return _over(over, seen, quality)
        found = ordered((*machinery(seen), *quality, *_pays(seen, self._limits)))
        if found and found[0].kind is not Class.PAYS:
            return _told(found, seen)
        if seen.status == "paused":
            return _paused(seen)
        if seen.status == "starting" and not seen.ended:
            return Verdict(Word.STARTING, "starting: workers are being started", "Workers are being started.")
        if seen.ended < self._limits.fewest:
            return _too_early(seen)
        return _told(found, seen) if found else _go_on(seen)


def ordered(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The worst first: what says stop; then what is broken, quality, machinery, what pays; each in its own order."""
    return tuple(sorted(found, key=lambda one: (one.word is not Word.STOP, one.kind)))


def _pays(seen: SessionSeen, limits: VerdictLimits) -> Iterator[Finding]:
    """The advice that surely brings most: one whose interval holds "no gain" is not told here."""
    sure = [one for one in seen.advised if one.net_low_ln_ssnr > math.log(limits.worth_changing)]
    if sure:
        best = max(sure, key=lambda one: one.net_ln_ssnr)
        gain, low = math.exp(best.net_ln_ssnr), math.exp(best.net_low_ln_ssnr)
        yield Finding(
            "pays",
            Word.CHANGE,
            Class.PAYS,
            f"{best.action}: x{gain:.1f} signal an hour",
            f"all is well, and this would be better: {best.action} (x{gain:.2f} signal an hour, surely x{low:.2f})",
            "see `frazil why` (or mode Causes)",
        )


def _told(found: Sequence[Finding], seen: SessionSeen) -> Verdict:
    first = found[0]
    also = "" if len(found) == 1 else " Also: " + "; ".join(one.short for one in found[1:]) + "."
    remedy = f" What to do: {first.remedy}." if first.remedy else ""
    not_good = not_good_words(of_movies(seen.newest))
    faults = f" Of the last {len(seen.newest)} movies {not_good}." if not_good else ""
    return Verdict(
        first.word,
        first.line,
        f"{_capital(first.word.value)}: {first.long}.{remedy}{also}{faults}",
        tuple(one.line for one in found),
        tuple(one.rule for one in found),
        first.remedy,
        not_good,
    )


def _go_on(seen: SessionSeen) -> Verdict:
    good, newest = sum(movie.fault is None for movie in seen.newest), len(seen.newest)
    before = ""
    if seen.ended_before >= newest:
        before = f", {100 * seen.good_before / seen.ended_before:.0f} % of those before"
    line = fitted(f"go on: {good} of the last {newest} movies are good")
    not_good = not_good_words(of_movies(seen.newest))
    faults = f" {_capital(not_good)}." if not_good else ""
    return Verdict(
        Word.GO_ON,
        line,
        f"Go on: {good} of the last {newest} movies are good{before}; nothing is broken.{faults}",
        (line, not_good) if not_good else (),
        not_good=not_good,
    )


def _too_early(seen: SessionSeen) -> Verdict:
    many = _movies(seen.ended)
    wait = f", {seen.waiting} wait" if seen.waiting else ""
    line = f"too early to say: {many}{wait}"
    return Verdict(Word.TOO_EARLY, fitted(line), f"Too early to say: {many} came to an end{wait}; nothing is broken.")


def _paused(seen: SessionSeen) -> Verdict:
    wait = f"{seen.waiting} wait" if seen.waiting else "none waits"
    line = f"paused: no movie is started, {wait}"
    return Verdict(Word.PAUSED, fitted(line), f"Paused by a person: no movie is started, {wait}.")


def _over(word: Word, seen: SessionSeen, quality: Sequence[Finding]) -> Verdict:
    """Of a session that has ended; `good_before` and `newest` together are all of it."""
    good = seen.good_before + sum(movie.fault is None for movie in seen.newest)
    all_of = seen.ended_before + len(seen.newest)
    wait = f", {seen.waiting} wait" if seen.waiting else ""
    of_map = f", {seen.map_words}" if seen.map_words else ""
    line = fitted(f"{word.value}: {good} of {all_of} movies are good{wait}{of_map}")
    last = "" if not quality else f" At its end: {'; '.join(one.long for one in quality)}."
    again = "start `frazil watch` again and it goes on" if seen.waiting else ""
    not_good = not_good_words(seen.not_good)
    faults = f" {_capital(not_good)}." if not_good else ""
    goes_on = f" {_capital(again)}." if again else ""
    sentence = f"{_capital(word.value)}: {good} of {all_of} movies are good{wait}{of_map}.{faults}{last}{goes_on}"
    told = (*(one.line for one in quality), *((not_good,) if not_good else ()))
    rules = tuple(one.rule for one in quality)
    return Verdict(word, line, sentence, (line, *told) if told else (), rules, again, not_good)


def _movies(count: int) -> str:
    return "1 movie" if count == 1 else f"{count} movies"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
