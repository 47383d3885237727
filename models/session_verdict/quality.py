"""Are the newest movies good, and as good as the session was: rules about what comes from the microscope. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

from frazil.models.session_verdict.records import Class, Fault, Finding, MovieSeen, SessionSeen, VerdictLimits, Word

_BACK = 0.1
"""A share that has come back by so much beyond its limit is good again: 2.4 movies of 24."""
_CALM_SHARE = 0.25
"""Of the movies that are judged, so many must have come since it is good again before nothing is said any more."""
_FEWEST_BAD = 5
"""Where not all of the movies to be judged have come yet: of sessions with one bad movie in ten two of a hundred have
five among their first sixteen."""
_WORSE_P = 0.001
"""Looked at after each movie: some 20 independent times in 500 movies."""
_WORSE_BY, _WORSE_BACK_BY = 0.2, 0.1
"""Of the share of good movies: five of 24 is a change that a person sees, too."""
REMEDIES = {
    Fault.ICE: "choose thinner areas: tighten the hole filter, or go to another square (`frazil next`)",
    Fault.DRIFT: "wait longer after stage moves; check holder, cooling (nitrogen level, boiling) and drift",
    Fault.CTF: "check focus, stigmation and dose, and look at the micrographs for ice and contamination",
    Fault.REJECTED: "see the reasons (`frazil query SESSION --named failures`), or other thresholds (`frazil what-if`)",
    Fault.SET_ASIDE: "see the reasons (mode System, or `frazil query SESSION --named failures`): files, disk, workers",
}

_VERB = {
    Fault.ICE: "have",
    Fault.DRIFT: "have",
    Fault.CTF: "have",
    Fault.REJECTED: "are",
    Fault.SET_ASIDE: "are",
}


@dataclass(slots=True)
class Standing:
    """A rule that speaks until what it speaks of has been good for a while, so that it does not flicker."""

    up: bool = False
    _calm_since: int | None = None
    """Movies that had come to an end when it was good again."""

    def step(self, ended: int, *, beyond: bool, back: bool, calm_movies: int) -> bool:
        """Whether it speaks. Between the two limits it stays what it is."""
        if not self.up:
            self.up, self._calm_since = beyond, None
        elif not back:
            self._calm_since = None
        else:
            self._calm_since = ended if self._calm_since is None else self._calm_since
            self.up = ended - self._calm_since < calm_movies
        return self.up


class QualityRules:
    """What they remember of the session."""

    def __init__(self, limits: VerdictLimits) -> None:
        self._limits = limits
        self._stop, self._bad, self._worse = Standing(), Standing(), Standing()

    def step(self, seen: SessionSeen) -> Iterator[Finding]:
        """What is wrong with the newest movies, in the order in which it is told."""
        limits, newest = self._limits, seen.newest
        if len(newest) < limits.fewest:
            return
        good = sum(movie.fault is None for movie in newest)
        share, calm = good / len(newest), round(_CALM_SHARE * limits.movies)

        bad_ones = len(newest) - good
        if not bad_ones:
            calm = 0

        def stands(rule: Standing, limit: float) -> bool:
            back = share >= min(1.0, limit + _BACK)
            beyond = share < limit and bad_ones >= _FEWEST_BAD
            return rule.step(seen.ended, beyond=beyond, back=back, calm_movies=calm)

        stop, bad = stands(self._stop, limits.stop_share), stands(self._bad, limits.good_share)
        worse = self._worse.step(
            seen.ended, beyond=is_worse(seen, good), back=_as_before(seen, share), calm_movies=calm
        )
        if stop or bad:
            yield _bad(newest, good, Word.STOP if stop else Word.CHANGE)
        if worse and not stop:
            yield _worse(seen, good)
        yield from _told_by_alerts(seen)


def is_worse(seen: SessionSeen, good: int) -> bool:
    """Whether the newest movies are worse than those before by an amount that matters and that is no accident: the
    chance of so few good ones among all of the session's is below 1 in 1000 (hypergeometric law, Fisher 1935)."""
    newest, before = len(seen.newest), seen.ended_before
    if before < newest or good / newest > seen.good_before / before - _WORSE_BY:
        return False
    all_good, all_bad = seen.good_before + good, before + newest - seen.good_before - good
    ways = sum(comb(all_good, found) * comb(all_bad, newest - found) for found in range(good + 1))
    return ways / comb(before + newest, newest) < _WORSE_P


def _as_before(seen: SessionSeen, share: float) -> bool:
    before = seen.ended_before
    return not before or share >= seen.good_before / before - _WORSE_BACK_BY


def _bad(movies: Sequence[MovieSeen], good: int, word: Word) -> Finding:
    fault, of = Counter(movie.fault for movie in movies if movie.fault is not None).most_common(1)[0]
    measured = _measured(fault, [movie for movie in movies if movie.fault is fault])
    number = f", {measured}" if measured else ""
    return Finding(
        f"quality:{fault.name.lower()}",
        word,
        Class.QUALITY,
        f"{fault.value}{number}: {good} of {len(movies)} movies are good",
        f"{good} of the last {len(movies)} movies are good; of the others {of} {_VERB[fault]} {fault.value}{number}",
        REMEDIES[fault],
    )


def _measured(fault: Fault, movies: list[MovieSeen]) -> str:
    """The quantity that a fault is about, of the movies that have it."""
    if fault in (Fault.REJECTED, Fault.SET_ASIDE):
        return ""
    values = {
        Fault.ICE: (movie.ice_nm for movie in movies),
        Fault.DRIFT: (movie.early_motion_angstrom for movie in movies),
        Fault.CTF: (movie.ctf_fit_angstrom for movie in movies),
    }[fault]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    return f"{median(known):.0f} nm" if fault is Fault.ICE else f"{median(known):.1f} A"


def _worse(seen: SessionSeen, good: int) -> Finding:
    newest, before = len(seen.newest), seen.good_before / seen.ended_before
    short = f"worse than before: {good} of {newest} good, {100 * before:.0f} % before"
    faults = Counter(movie.fault for movie in seen.newest if movie.fault is not None)
    fault = faults.most_common(1)[0][0] if faults else None
    most = "" if fault is None else f"; most often {fault.value}"
    remedy = "look at what was changed (`frazil why`)" if fault is None else REMEDIES[fault]
    return Finding(
        "worse",
        Word.CHANGE,
        Class.QUALITY,
        short,
        f"{good} of the last {newest} movies are good, of those before {100 * before:.0f} %{most}",
        remedy,
    )


def _told_by_alerts(seen: SessionSeen) -> Iterator[Finding]:
    """A common cause of loss, and a change of beam, gain, grid or stage that nobody has announced."""
    for alert in seen.alerts:
        if alert.alert_id.startswith(_CAUSE) or (alert.subject == "change" and alert.severity == "warning"):
            rule = "cause" if alert.alert_id.startswith(_CAUSE) else "changed"
            yield Finding(rule, Word.CHANGE, Class.QUALITY, alert.text, alert.text, alert.remedy)


_CAUSE = "rule-cause:"
