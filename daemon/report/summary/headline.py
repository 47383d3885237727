"""The whole session in two sentences: how good it is; what costs it most and what to do. Pure."""

from __future__ import annotations

from pathlib import Path

from frazil.daemon.report.action_words import action_of
from frazil.daemon.report.summary.advice import (
    ASTIGMATISM_ANGSTROM,
    CTF_FIT_ANGSTROM,
    EARLY_MOTION_ANGSTROM,
    KEPT_SHARE,
    is_worse,
)
from frazil.daemon.report.summary.records import MapState, SessionSummary
from frazil.daemon.report.why import cause_words
from frazil.models.causal.factors import CHANGEABLE

_FEWEST_JUDGED = 8
_GRADES = ("A good session", "A fair session", "A poor session")
_RESERVED = "Nothing speaks against the session"
"""Said instead of the first, where the map is no witness for it."""


def headline(summary: SessionSummary) -> tuple[str, ...]:
    """Needs the summary's advice. The grade counts what is beyond the limits of `summary_advice`: none is good, one is
    fair, more are poor; the sentence says which."""
    finished = summary.kept + summary.rejected
    if not finished:
        waiting = f": {summary.waiting} wait" if summary.waiting else ""
        aside = f", {summary.set_aside} are set aside" if summary.set_aside else ""
        return (f"No movie is finished yet{waiting}{aside}.", _what_to_do(summary))
    against = _against(summary)
    known = _known(summary, finished)
    if finished < _FEWEST_JUDGED:
        return (f"Too few movies to judge the session by: {known}.", _what_to_do(summary))
    grade = _GRADES[min(len(against), len(_GRADES) - 1)]
    if not against and _map_is_no_witness(summary.map):
        grade = _RESERVED
    because = f" ({'; '.join(against)})" if against else ""
    return (f"{grade}{because}: {known}.", _costs(summary))


def _known(summary: SessionSummary, finished: int) -> str:
    aside = f", {summary.set_aside:,} more set aside" if summary.set_aside else ""
    parts = [f"{summary.kept:,} of {finished:,} finished movies kept ({100 * summary.kept / finished:.0f} %){aside}"]
    fit = next((metric for metric in summary.metrics if metric.name == "ctf_fit_angstrom"), None)
    if fit is not None:
        parts.append(f"CTF fits to {fit.median:.1f} A in the median of {fit.movies:,} movies")
    state = summary.map
    if state is not None and state.resolution_0143_angstrom is not None:
        parts.append(_of_map(state))
    return ", ".join(parts)


def _map_is_no_witness(state: MapState | None) -> bool:
    """It was started from a known map, or ends where its pixels do: how fine it is says little of the movies."""
    return state is not None and (state.initial_map is not None or state.at_pixel_limit)


def _of_map(state: MapState) -> str:
    """Its resolution with its own particles and round, its start and its limit."""
    start = "" if state.initial_map is None else f", started from {Path(state.initial_map).name},"
    limit = " or better, the limit of its pixels," if state.at_pixel_limit else ""
    return (
        f"the running map{start} is at {state.resolution_0143_angstrom:.2f} A{limit} from {state.particle_count:,} "
        f"particles (round {state.round})"
    )


def _against(summary: SessionSummary) -> list[str]:
    medians = {metric.name: metric.median for metric in summary.metrics}
    finished = summary.kept + summary.rejected
    said = []
    if summary.kept < KEPT_SHARE * finished:
        said.append("too many movies are rejected")
    if medians.get("ctf_fit_angstrom", 0.0) > CTF_FIT_ANGSTROM:
        said.append("the CTF fits badly")
    if medians.get("motion_early_angstrom", 0.0) > EARLY_MOTION_ANGSTROM:
        said.append("the specimen drifts")
    if medians.get("astigmatism_angstrom", 0.0) > ASTIGMATISM_ANGSTROM:
        said.append("astigmatism is large")
    if summary.thick_ice_kept:
        many = "1 kept movie has" if summary.thick_ice_kept == 1 else f"{summary.thick_ice_kept:,} kept movies have"
        said.append(f"{many} ice beyond {summary.thick_ice_nm:.0f} nm")
    worse = [metric.words for metric in summary.metrics if is_worse(metric)]
    if worse:
        said.append(f"it got worse: {', '.join(worse)}")
    if summary.map is not None and summary.map.preferred_orientation:
        said.append("views are preferred")
    return said


def _costs(summary: SessionSummary) -> str:
    lasting = [loss for loss in summary.losses if loss.factor in CHANGEABLE]
    if not lasting:
        return _what_to_do(summary)
    first = max(lasting, key=lambda loss: loss.loss_ln_ssnr)
    return f"Of what can be changed {cause_words(first.factor)} costs most signal; {_uncapped(_what_to_do(summary))}"


def _what_to_do(summary: SessionSummary) -> str:
    """The first advice that is sure: one whose interval holds "no gain" is no headline."""
    unsure = {one.sentence for one in summary.advised if not one.surely_pays}
    sure = [sentence for sentence in summary.advice if sentence not in unsure]
    if not sure:
        return (
            "What to do: go on; no change surely pays." if summary.advice else "What to do: wait for the first results."
        )
    first = sure[0]
    if first in summary.interventions:
        first = action_of(first)  # what it would gain is told where advice is listed
    return f"What to do: {first.rstrip('.')}."


def _uncapped(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
