"""What can be done at the microscope, besides choosing holes, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal import counts, settle
from frazil.models.causal.advice.record import Option
from frazil.models.causal.advice.timeline import Timeline
from frazil.models.causal.factors import MODELLED_FACTORS
from frazil.models.causal.information import has_told
from frazil.models.causal.interventions import DOSE, Surgery, at_rate, waiting
from frazil.models.causal.mechanisms import dose_rate_e_per_px_per_s
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.structural_equations import Departure, World
from frazil.models.records import MovieEvidence

_LONGER_S, _LESS_S = (5.0, 10.0, 20.0), (-5.0, -10.0, -20.0)
_HIGHER_RATE, _LOWER_RATE = (1.4, 2.0, 4.0), (0.7, 0.5)
_DOSE_SHARES = (0.8, 0.65, 0.5)
_VARIED_LN = 0.2
"""Between the lowest and the highest dose rate: less does not part what a camera loses from what the ice takes."""
_CALIBRATED_SHARE = 0.2
"""Of the tilt that image shift makes, what a calibration leaves."""
_PARALLEL_MRAD = 0.01
_ALIGNMENT_H, _SESSION_LEFT_H = 0.25, 8.0
"""What an alignment at the column takes, and the time in which it has to pay: a night."""


@dataclass(frozen=True, slots=True)
class Scale:
    """One thing that can be done by more or by less."""

    sizes: tuple[float, ...]
    """To begin with, from little to much; between those that bring most others are tried."""
    unchanged: float
    """The size of doing nothing."""
    doing: Callable[[float], tuple[Option, Surgery]]
    may_begin_late: bool = False
    """Whether much may pay where little does not: a fast stage has to become slow before anything is seen."""

    def between(self, size: float) -> tuple[float, ...]:
        """Sizes half way to the neighbours of one of `sizes`."""
        row = (self.unchanged, *self.sizes)
        place = row.index(size)
        return tuple(_half_way(size, row[other]) for other in (place - 1, place + 1) if other < len(row))


def _half_way(one: float, other: float) -> float:
    """To two digits.

    >>> _half_way(5.0, 10.0), _half_way(1.4, 2.0)
    (7.5, 1.7)
    """
    return float(f"{(one + other) / 2:.2g}")


def scales(
    worlds: Sequence[World],
    lately: Sequence[MovieEvidence],
    prior: PriorSnapshot,
    first: PriorSnapshot,
    timeline: Timeline | None,
) -> list[Scale]:
    """What can be done, as far as movies tell what it takes. `lately`: more movies than `worlds`, for how often the
    stage moves; `first`: the session's version 0."""
    movies = [world.evidence for world in worlds]
    found = []
    if any(movie.settle_time_s is not None for movie in movies) and prior.settle_sums:
        moves = settle.moves_per_movie(lately)
        less = () if timeline is None else _less_s(timeline)
        found.append(Scale(_LONGER_S, 0.0, lambda extra_s: _wait(movies, extra_s, moves), may_begin_late=True))
        if less:
            found.append(Scale(less, 0.0, lambda extra_s: _wait(movies, extra_s, moves)))
    times = [m.exposure.exposure_time_s for m in movies if m.exposure.exposure_time_s]
    exposure_s = float(np.mean(times)) if times else 0.0
    if times and any(dose_rate_e_per_px_per_s(movie) for movie in movies):
        told = _coincidences_told(movies, prior, first)
        for shares in (_LOWER_RATE, _HIGHER_RATE):
            found.append(Scale(shares, 1.0, lambda share: _other_rate(movies, share, exposure_s, told)))
    if times:
        found.append(Scale(_DOSE_SHARES, 1.0, lambda share: _fewer_electrons(movies, share, exposure_s)))
    return found


def _less_s(timeline: Timeline) -> tuple[float, ...]:
    """Up to all of the wait."""
    if timeline.wait_s is None or timeline.wait_s < -_LESS_S[0]:
        return ()
    all_s = -np.floor(timeline.wait_s)
    return (*(extra_s for extra_s in _LESS_S if extra_s > all_s), float(all_s))


def alignments(worlds: Sequence[World], prior: PriorSnapshot, first: PriorSnapshot) -> list[tuple[Option, Surgery]]:
    """What can be done once at the column."""
    found = [_parallel_beam(worlds, told=_convergence_told(prior, first))]
    # Rings say nothing of the beam tilt that image shift leaves: only particles are a reason to change it.
    shifted = any(world.evidence.exposure.shifted for world in worlds)
    if shifted and all(world.causes.shifted_tilt_mrad is not None for world in worlds):
        found.append(_calibrate_beam_tilt(worlds))
    return found


def _convergence_told(prior: PriorSnapshot, first: PriorSnapshot) -> bool:
    """Whether the session has told of the beam's convergence. After another illumination the belief begins anew about
    another mean: that it lies elsewhere than version 0 is no news then, only that it has become narrow is."""
    place = MODELLED_FACTORS.index("spatial_coherence")
    (mean, sd), (first_mean, first_sd) = prior.strengths(), first.strengths()
    anew = any(point.cause == "illumination" for point in prior.change_points)
    return has_told(mean[place], sd[place], mean[place] if anew else first_mean[place], first_sd[place])


def _coincidences_told(movies: Sequence[MovieEvidence], prior: PriorSnapshot, first: PriorSnapshot) -> bool:
    """Whether the session's counts have told how many electrons the camera loses. Where the dose rate never varied,
    what they lack may as well be lost in the ice: only what is believed of both parts them."""
    rates = [rate for movie in movies if (rate := dose_rate_e_per_px_per_s(movie))]
    if np.ptp(np.log(rates)) < _VARIED_LN:
        return False
    _, _, mean, sd = counts.zero_and_loss(prior.count_belief())
    _, _, first_mean, first_sd = counts.zero_and_loss(first.count_belief())
    return has_told(mean, sd, first_mean, first_sd)


def _wait(movies: Sequence[MovieEvidence], extra_s: float, moves_per_movie: float) -> tuple[Option, Surgery]:
    option = Option(
        "motion",
        "settle_time",
        f"settle{extra_s:+g}s",
        f"wait {abs(extra_s):g} s {'longer' if extra_s > 0 else 'less'} after moving the stage",
        extra_s * moves_per_movie,
        upwards=extra_s > 0,
    )
    return option, waiting(movies, extra_s)


def _other_rate(movies: Sequence[MovieEvidence], share: float, exposure_s: float, told: bool) -> tuple[Option, Surgery]:
    words = f"lower the dose rate to {100 * share:.0f} % and expose longer"
    if share > 1.0:
        words = f"raise the dose rate to {share:g} times what it is and expose for as much less"
    longer_s = exposure_s * (1.0 / share - 1.0)
    option = Option("coincidence", "dose_rate", f"dose-rate*{share:g}", words, longer_s, upwards=share > 1.0, told=told)
    return option, at_rate(movies, share)


def _fewer_electrons(movies: Sequence[MovieEvidence], share: float, exposure_s: float) -> tuple[Option, Surgery]:
    """The same dose rate for a shorter time."""
    dose = np.mean([movie.dose_per_frame_e_per_a2 * movie.frame_count for movie in movies])
    words = f"end exposures after {share * dose:.0f} of {dose:.0f} e/A2"
    shorter_s = exposure_s * (1.0 - share)
    option = Option("radiation_damage", DOSE, f"dose*{share:g}", words, -shorter_s, upwards=False, told=False)
    return option, Surgery(DOSE, [Departure(share=share)] * len(movies))


def _parallel_beam(worlds: Sequence[World], *, told: bool) -> tuple[Option, Surgery]:
    values = [np.minimum(world.causes.source_half_angle_mrad, _PARALLEL_MRAD) for world in worlds]
    node, words = "illumination_angle", "make the illumination parallel"
    option = _alignment("spatial_coherence", node, "parallel-beam", words, told=told)
    return option, Surgery(node, values)


def _calibrate_beam_tilt(worlds: Sequence[World]) -> tuple[Option, Surgery]:
    """What image shift tilts the beam by becomes a share of what it was: as a smaller shift would."""
    node, words = "image_shift", "calibrate the beam tilt against the image shift"
    option = _alignment("aberrations", node, "calibrate-beam-tilt", words, told=True)
    return option, Surgery(node, [Departure(share=_CALIBRATED_SHARE)] * len(worlds))


def _alignment(factor: str, node: str, action: str, words: str, *, told: bool) -> Option:
    """What is done once at the column."""
    return Option(
        factor,
        node,
        action,
        words,
        cost_ln=float(np.log1p(-_ALIGNMENT_H / _SESSION_LEFT_H)),
        cost_words=f"takes some {60 * _ALIGNMENT_H:.0f} min",
        upwards=False,
        told=told,
    )
