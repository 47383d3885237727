"""An experiment's verdict in words: what to set, what it is worth, how sure that is, or what is still needed."""

from __future__ import annotations

import math
from collections.abc import Iterable

from frazil.models.causal.experiments.design import Design
from frazil.models.causal.experiments.outcomes import outcome_of
from frazil.models.causal.experiments.verdict import COMPLIED_ENOUGH, WORTH_LN, Interval, Verdict

_EXAMPLE_H = 10.0


def sentence(design: Design, verdict: Verdict) -> str:
    """What a person is told first."""
    match verdict.state:
        case "not started":
            return "not yet: no pair of movies has come"
        case "decided" if verdict.better:
            return f"{_better_words(design, verdict)}; {_worth(design, verdict)}"
        case "decided":
            return f"no difference worth anything: within {100 * WORTH_LN:.0f} % an hour ({_factor(verdict.net)})"
    more = needed(verdict)
    if verdict.state == "undecided":
        return f"not decided after {2 * verdict.pairs} movies: {_factor(verdict.net)}; {more} would be needed"
    return f"not yet: {_factor(verdict.net)} after {2 * verdict.pairs} movies; {more} needed"


def needed(verdict: Verdict) -> str:
    """ "about 120 movies more (2.4 h)"."""
    if verdict.movies_more is None:
        return "some 20 movies more"
    many = "10,000 movies more, or none that would end it," if verdict.movies_more > 10_000 else ""
    hours = "" if verdict.hours_more is None else f" ({verdict.hours_more:.1f} h)"
    return many or f"about {verdict.movies_more} movies more{hours}"


def compliance_sentence(design: Design, verdict: Verdict) -> str:
    """How many movies were taken as assigned, and what to do where too few were."""
    share = verdict.complied_share
    if not verdict.pairs:
        return "no pair of movies yet, so nobody knows whether they are taken as assigned"
    if share is None:
        return f"nothing measured says which {design.quantity.words} the movies had: the assignment is believed"
    words = f"{100 * share:.0f} % of the movies were taken as assigned"
    if share >= COMPLIED_ENOUGH:
        return words
    return (
        f"ONLY {words}: the difference is watered down, and may be missed. Check that the microscope takes its "
        f"{design.quantity.words} from the plan, hole by hole, and that no hole was skipped"
    )


def _better_words(design: Design, verdict: Verdict) -> str:
    return f"{design.quantity.arm_words(design.value_of(verdict.better))} is better"


def _worth(design: Design, verdict: Verdict) -> str:
    sign = 1.0 if verdict.better == "A" else -1.0
    gain, net = _signed(verdict.gain, sign), _signed(verdict.net, sign)
    if not outcome_of(design.outcome).is_signal:
        return f"{outcome_of(design.outcome).words} x{math.exp(-gain.value):.2f} ({_ends(_signed(gain, -1.0))})"
    parts = [f"signal {_factor(gain)}"]
    if verdict.fit_from_angstrom is not None and verdict.fit_to_angstrom is not None:
        parts.append(f"CTF fit {verdict.fit_from_angstrom:.2f} -> {verdict.fit_to_angstrom:.2f} A")
    parts.append(_fewer_movies(gain.value))
    if verdict.rate is None:
        return "; ".join([*parts, "the movies do not say when they were taken: what it costs in time is not known"])
    parts.append(f"movies per hour {_factor(_signed(verdict.rate, sign))}")
    parts.append(
        f"all in all {_factor(net)} an hour: {_EXAMPLE_H:.0f} h become {_EXAMPLE_H * math.exp(-net.value):.1f} h"
    )
    return "; ".join(parts)


def _fewer_movies(gain: float) -> str:
    if gain >= 0.0:
        return f"the same map from {100 * (1 - math.exp(-gain)):.0f} % fewer movies"
    return f"the same map takes {100 * (math.exp(-gain) - 1):.0f} % more movies"


def _signed(interval: Interval, sign: float) -> Interval:
    low, high = sorted((sign * interval.low, sign * interval.high))
    return Interval(sign * interval.value, low, high)


def _factor(interval: Interval) -> str:
    """ "x1.24 (x1.08-1.42)"."""
    if not math.isfinite(interval.low) or not math.isfinite(interval.high):
        return "nothing can be said of the difference"
    return f"x{math.exp(interval.value):.2f} ({_ends(interval)})"


def _ends(interval: Interval) -> str:
    return f"x{math.exp(interval.low):.2f}-{math.exp(interval.high):.2f}"


def decided(experiments: Iterable[tuple[Design, Verdict]], node: str) -> tuple[tuple[Design, Verdict], ...]:
    """The decided experiments of this session about this node of the causal graph.

    `node` is a name of graph.yaml: settle_time, dose_rate, image_shift or defocus_target. What one of them says may be
    called *measured*; decided for neither arm (`better` empty) is a measurement, too: nothing to gain between the two.
    """
    return tuple(
        (design, verdict)
        for design, verdict in experiments
        if verdict.state == "decided" and design.quantity.node == node
    )
