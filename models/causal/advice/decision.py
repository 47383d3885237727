"""What to change: of all that could be done what brings most signal an hour, and silence where nothing surely does.

Each thing that can be done is tried at several sizes on the movies of now, by surgery on the causal graph
(`interventions`). Its gain in ln SSNR becomes angstrom by the slope of the session's own SSNR curve at the resolution
it has, and movies by the number that the same map would have needed without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from frazil.models.causal.advice.options import Scale, alignments, scales
from frazil.models.causal.advice.record import PAYS, SESSION, Advice, Option
from frazil.models.causal.advice.sentence import sentence
from frazil.models.causal.advice.thin_ice import thinner_ice
from frazil.models.causal.advice.timeline import timeline_of
from frazil.models.causal.bands import Array, curves_at
from frazil.models.causal.information import LEAST_MOVIES
from frazil.models.causal.interventions import Surgery, gain_of_map, gains, touched, worlds_of
from frazil.models.causal.moved_resolution import CREDIBLE, fall_of_signal_angstrom2, moved_angstrom
from frazil.models.causal.naming import NAMED_PER_ANGSTROM
from frazil.models.causal.particles import SessionParticles
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.structural_equations import World
from frazil.models.causal.structural_model import StructuralModel, structural_model
from frazil.models.records import MovieEvidence

PAYS_UNTOLD = 0.975
"""Where the session has told nothing of what it rests on, and physics alone speaks."""
LEAST_NET_LN_SSNR = 0.03
"""What nobody would get up for."""
_SECONDS_PER_HOUR = 3600.0


def advise(
    movies: Sequence[MovieEvidence],
    prior: PriorSnapshot,
    *,
    lately: Sequence[MovieEvidence] = (),
    first: PriorSnapshot | None = None,
    together: SessionParticles | None = None,
    scope: str = SESSION,
    map_resolution_angstrom: float | None = None,
    seconds_per_movie: float | None = None,
    model: StructuralModel | None = None,
) -> tuple[Advice, ...]:
    """What to change, the largest net gain first; empty where nothing would pay, or too little is known.

    Parameters
    ----------
    movies:
        The recent ones (some 25 are enough) of the scope.
    lately:
        More of the scope's movies, rejected ones too (some 100), for the ice of its holes and for where its time goes;
        empty: `movies`.
    first:
        The session's version 0: advice rests on what the session has told, not on what was believed before it. None:
        physics alone.
    together:
        What the session's particles say of its beam tilt; None: nothing yet.
    map_resolution_angstrom:
        Of the running map; None: there is none yet.
    seconds_per_movie:
        From one movie to the next, for what waiting costs.
    model:
        The session's causal graph; None: the one that ships.
    """
    if len(movies) < LEAST_MOVIES or prior.version == 0:
        return ()
    model = structural_model() if model is None else model
    of_scope = _Scope(movies, prior, model, scope, map_resolution_angstrom, seconds_per_movie)
    worlds = worlds_of(movies, prior, touched(model), model, together)
    lately = lately or movies
    found = list(_considered(of_scope, worlds, lately, physics_prior() if first is None else first))
    return tuple(sorted((advice for option, advice in found if _speaks(option, advice)), key=lambda a: -a.net_ln_ssnr))


def _speaks(option: Option, advice: Advice) -> bool:
    sure = PAYS if option.told else PAYS_UNTOLD
    return advice.pays_probability >= sure and advice.net_ln_ssnr >= LEAST_NET_LN_SSNR


@dataclass(frozen=True, slots=True)
class _Scope:
    """What advice is about."""

    movies: Sequence[MovieEvidence]
    prior: PriorSnapshot
    model: StructuralModel
    name: str
    map_resolution_angstrom: float | None
    seconds_per_movie: float | None

    def advice(self, option: Option, gain: Array) -> Advice:
        """Of what could be done, by its gain (S, K)."""
        at_5 = curves_at(NAMED_PER_ANGSTROM, gain)
        low, high = (float(np.quantile(at_5, q)) for q in CREDIBLE)
        fits = [m.fit_resolution_angstrom for m in self.movies if m.fit_resolution_angstrom is not None]
        fit_from = float(np.median(fits)) if fits else None
        map_from, seconds = self.map_resolution_angstrom, self.seconds_per_movie
        change, cost_ln = None, option.cost_ln
        if option.extra_s_per_movie and seconds:
            then_s = seconds + option.extra_s_per_movie
            cost_ln += float(np.log(seconds / then_s))
            change = _SECONDS_PER_HOUR / then_s - _SECONDS_PER_HOUR / seconds
        advice = Advice(
            factor=option.factor,
            action=option.action,
            scope=self.name,
            gain_ln_ssnr=float(at_5.mean()),
            gain_low=low,
            gain_high=high,
            fit_resolution_from_angstrom=fit_from,
            fit_resolution_to_angstrom=self._moved(fit_from, gain),
            map_resolution_from_angstrom=map_from,
            map_resolution_to_angstrom=self._moved(map_from, gain),
            movies_saved_share=float(1 - np.exp(-max(float(at_5.mean()), 0.0))),
            movies_per_hour_change=change,
            sentence="",
            net_ln_ssnr=float(at_5.mean()) + cost_ln,
            pays_probability=float(np.mean(at_5 + cost_ln > 0.0)),
            node=option.node,
            upwards=option.upwards,
        )
        return replace(advice, sentence=sentence(option, advice))

    def _moved(self, start_angstrom: float | None, gain: Array) -> tuple[float, float, float] | None:
        if start_angstrom is None:
            return None
        nyquist = 2 * max(m.pixel_size_angstrom for m in self.movies)
        return moved_angstrom(start_angstrom, gain, fall_of_signal_angstrom2(self.prior), nyquist)


def _considered(
    scope: _Scope, worlds: Sequence[World], lately: Sequence[MovieEvidence], first: PriorSnapshot
) -> Iterator[tuple[Option, Advice]]:
    """All that was tried."""
    model = scope.model
    total = np.array([sum(world.values[name] for name in touched(model)) for world in worlds])  # (M, S, K)

    def tried(done: tuple[Option, Surgery]) -> tuple[Option, Advice] | None:
        option, surgery = done
        if option.extra_s_per_movie and not scope.seconds_per_movie:
            return None  # who does not know the pace does not know what waiting costs
        if _costs_more_than_is_lost(option, worlds, total, scope.seconds_per_movie):
            return None
        return option, scope.advice(option, gain_of_map(gains(surgery, worlds, model), total))

    timeline = timeline_of(lately)
    for scale in scales(worlds, lately, scope.prior, first, timeline):
        yield from _sizes(scale, tried)
    yield from (found for done in alignments(worlds, scope.prior, first) if (found := tried(done)))
    if (thin := thinner_ice(lately, scope.prior, timeline, scope.seconds_per_movie, model)) is not None:
        yield thin[0], scope.advice(*thin)


_Tried = Callable[[tuple[Option, Surgery]], tuple[Option, Advice] | None]


def _sizes(scale: Scale, tried: _Tried) -> Iterator[tuple[Option, Advice]]:
    """From little to much as long as it brings more, then half way to both neighbours of the best."""
    best: tuple[float, float] | None = None  # net gain and size
    for size in scale.sizes:
        found = tried(scale.doing(size))
        if found is not None:
            yield found
        net = -np.inf if found is None else found[1].net_ln_ssnr
        if net > (0.0 if best is None else best[0]):
            best = net, size
        elif not scale.may_begin_late:
            break
    if best is not None:
        yield from (found for size in scale.between(best[1]) if (found := tried(scale.doing(size))) is not None)


def _costs_more_than_is_lost(
    option: Option, worlds: Sequence[World], total: Array, seconds_per_movie: float | None
) -> bool:
    """Of waiting longer: no draw of the causes loses as much by motion as it would cost. It need not be computed."""
    if option.node != "settle_time" or not option.upwards or not seconds_per_movie:
        return False
    still = gain_of_map(np.array([np.maximum(world.values["motion"], 0.0) for world in worlds]), total)
    most = float(curves_at(NAMED_PER_ANGSTROM, still).max())
    return bool(most < np.log1p(option.extra_s_per_movie / seconds_per_movie))
