"""What changing a cause would buy: do(cause := value) on the graph, along all of its paths.

An intervention is carried out on every recent movie by surgery on the graph (`structural_model`): the cause is set,
what lies downstream is computed again, everything else stays as it was drawn. Its gain in ln SSNR becomes angstrom by
the slope of the session's own SSNR curve at the resolution it has, and movies by the number that the same map would
have needed without it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from frazil.models.causal import counts, settle
from frazil.models.causal.causes import CauseDraws
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.factors import (
    BAND_COUNT,
    MODELLED_FACTORS,
    Array,
    band_frequencies_per_angstrom,
    curves_at,
)
from frazil.models.causal.information import LEAST_MOVIES, has_told
from frazil.models.causal.learned_arrows import learned
from frazil.models.causal.mechanisms import dose_rate_e_per_px_per_s
from frazil.models.causal.moved_resolution import CREDIBLE, fall_of_signal_angstrom2, moved_angstrom
from frazil.models.causal.naming import NAMED_PER_ANGSTROM
from frazil.models.causal.pace import LEAST_OF_A_HOLE, Pace, pace_of
from frazil.models.causal.particles import SessionParticles, draw_particles
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.provenance import Provenance
from frazil.models.causal.structural_equations import Departure, NodeValue, StageHistory, World
from frazil.models.causal.structural_model import StructuralModel, structural_model
from frazil.models.records import MovieEvidence

PAYS = 0.9
"""So probable it has to be that an intervention gains more than it costs, or nothing is said."""
PAYS_UNTOLD = 0.975
"""Where the session has told nothing of what it rests on, and physics alone speaks."""
LEAST_NET_LN_SSNR = 0.03
"""What nobody would get up for."""
_WAIT_S = (-20.0, -10.0, -5.0, 5.0, 10.0, 20.0)
_RATE_SHARES = (0.5, 0.7, 1.4, 2.0, 4.0)
_VARIED_LN = 0.2
"""Between the lowest and the highest dose rate: less does not part what a camera loses from what the ice takes."""
_DOSE_SHARES = (0.8, 0.65, 0.5)
_LOW_PER_ANGSTROM = 1 / 15
"""By what they show here particles are found and turned: electrons that do not count at 5 A still count for that."""
_CALIBRATED_SHARE = 0.2
"""Of the tilt that image shift makes, what a calibration leaves."""
_KEPT_SHARES = (0.9, 0.75, 0.5, 0.25)
_PARALLEL_MRAD = 0.01
_ALIGNMENT_H, _SESSION_LEFT_H = 0.25, 8.0
"""What an alignment at the column takes, and the time in which it has to pay: a night."""
_SECONDS_PER_HOUR = 3600.0
_DOSE = "dose_e_per_a2"
ADVISED_NODES = ("settle_time", "dose_rate", "ice_thickness", "illumination_angle", "image_shift", _DOSE)
"""Of the graph: what advice sets."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One intervention on a movie, a square or the session: what it would buy, with 95 % credible intervals."""

    factor: str
    """The cause that is acted upon, by the name of its factor."""
    action: str
    """Short name: `settle+10s`, `settle-5s`, `dose-rate*0.5`, `dose*0.8`, `thin-ice`, `calibrate-beam-tilt`,
    `parallel-beam`."""
    scope: str
    gain_ln_ssnr: float
    """At 5 A, of a map of the scope's movies."""
    gain_low: float
    gain_high: float
    fit_resolution_from_angstrom: float | None
    fit_resolution_to_angstrom: tuple[float, float, float] | None
    """(expected, best, worst) of the CTF fit."""
    map_resolution_from_angstrom: float | None
    map_resolution_to_angstrom: tuple[float, float, float] | None
    movies_saved_share: float
    """Share of the movies that could be left out for the same map: 1 - exp(-gain)."""
    movies_per_hour_change: float | None
    sentence: str
    net_ln_ssnr: float = 0.0
    """Gain less cost (movies per hour, holes given up, time of an alignment), as ln of the signal per hour at 5 A."""
    pays_probability: float = 0.0
    """Probability that the net gain is above 0."""
    node: str = ""
    """Of the causal graph: what is acted upon."""
    upwards: bool = True
    """Whether that becomes more; False: less."""
    provenance: Provenance = field(default_factory=Provenance)
    """How it is known."""


@dataclass(frozen=True, slots=True)
class _Option:
    """What could be done, and what it costs."""

    factor: str
    node: str
    """Of the causal graph: what is set."""
    action: str
    words: str
    values: Sequence[NodeValue | None]
    """Of the node, a movie of the scope each; None: nothing is done to this one."""
    extra_s_per_movie: float = 0.0
    cost_ln: float = 0.0
    """Besides the time per movie: ln of the share of the session that is left for movies, negative."""
    cost_words: str = ""
    upwards: bool = True
    """Whether the node becomes more by it."""
    told: bool = True
    """Whether the session has told of what it rests on."""


def advise(
    movies: Sequence[MovieEvidence],
    prior: PriorSnapshot,
    *,
    first: PriorSnapshot | None = None,
    together: SessionParticles | None = None,
    scope: str = "session",
    map_resolution_angstrom: float | None = None,
    seconds_per_movie: float | None = None,
    model: StructuralModel | None = None,
) -> tuple[Advice, ...]:
    """What to change, the largest net gain first; empty where nothing would pay, or too little is known.

    Parameters
    ----------
    movies:
        The recent ones (some 25 are enough) of the scope.
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
    worlds = _worlds(movies, prior, model, together)
    touched = _touched(model)
    total = np.array([sum(world.values[name] for name in touched) for world in worlds])  # (M, S, K)
    fall_angstrom2 = fall_of_signal_angstrom2(prior)
    advice = []
    pace = pace_of(movies, seconds_per_movie)
    for option in _options(worlds, prior, physics_prior() if first is None else first, pace):
        if option.extra_s_per_movie and not seconds_per_movie:
            continue  # who does not know the pace does not know what waiting costs
        if _costs_more_than_is_lost(option, worlds, total, seconds_per_movie):
            continue
        gain = _gain_of_map(_gains(option, worlds, model), total)
        made = _advice(option, gain, movies, fall_angstrom2, scope, map_resolution_angstrom, seconds_per_movie)
        if made.pays_probability >= (PAYS if option.told else PAYS_UNTOLD) and made.net_ln_ssnr >= LEAST_NET_LN_SSNR:
            advice.append(made)
    return tuple(sorted(advice, key=lambda one: -one.net_ln_ssnr))


def _costs_more_than_is_lost(
    option: _Option, worlds: Sequence[World], total: Array, seconds_per_movie: float | None
) -> bool:
    """Of waiting longer: no draw of the causes loses as much by motion as it would cost. It need not be computed."""
    if option.node != "settle_time" or not option.upwards or not seconds_per_movie:
        return False
    still = _gain_of_map(np.array([np.maximum(world.values["motion"], 0.0) for world in worlds]), total)
    most = float(curves_at(NAMED_PER_ANGSTROM, still).max())
    return bool(most < np.log1p(option.extra_s_per_movie / seconds_per_movie))


def gain_of_settling(movies: Sequence[MovieEvidence], prior: PriorSnapshot, extra_s: float) -> Array:
    """(S, K) mean gain in ln SSNR on the prior's bands if every movie had waited `extra_s` longer."""
    return _mean_gain(_wait(movies, extra_s), movies, prior)


def gain_of_dose_rate(movies: Sequence[MovieEvidence], prior: PriorSnapshot, share: float) -> Array:
    """(S, K) mean gain in ln SSNR on the prior's bands at `share` of the dose rate, the dose kept."""
    return _mean_gain(_other_rate(movies, share, 0.0), movies, prior)


def _mean_gain(option: _Option, movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> Array:
    model = structural_model()
    return np.asarray(_gains(option, _worlds(movies, prior, model, None), model).mean(axis=0))


def _touched(model: StructuralModel) -> list[str]:
    """Factors that some intervention changes, and a person's own: by these movies of one session differ."""
    reached = {name for node in ADVISED_NODES for name in model.factors_reached(node)}
    return sorted(reached.union(model.own_losses))


def _worlds(
    movies: Sequence[MovieEvidence], prior: PriorSnapshot, model: StructuralModel, together: SessionParticles | None
) -> list[World]:
    """Every movie as it was taken."""
    bands, touched, belief = band_frequencies_per_angstrom(), _touched(model), prior.settle_belief()
    arrows = learned(prior.arrows)
    stages = [
        StageHistory(belief, settled_s, before_s)
        for settled_s, before_s in zip(settle.settled_of(movies), settle.exposed_before_s(movies), strict=True)
    ]
    drawn = [_with_tilt(movie, draw_causes(movie, prior), together) for movie in movies]
    return [
        model.world(movie, draws, bands, stage=stage, arrows=arrows, wanted=touched)
        for movie, draws, stage in zip(movies, drawn, stages, strict=True)
    ]


def _gains(option: _Option, worlds: Sequence[World], model: StructuralModel) -> Array:
    """(M, S, K) what the factors that the intervention reaches lose less, movie by movie."""
    names = model.factors_reached(option.node)
    gains = []
    for world, value in zip(worlds, option.values, strict=True):
        done = world if value is None else model.done(world, option.node, value)
        gain = np.sum([world.values[name] - done.values[name] for name in names], axis=0)
        gain = gain + done.ln_dose + np.reshape(done.ln_particles, (-1, 1))
        gains.append(_less_at_low(gain) if option.node == _DOSE else gain)
    return np.array(gains)


def _less_at_low(gain: Array) -> Array:
    """(S, K) the lesser of the gains here and at low frequencies: the last electrons have little to give at high ones,
    and particles are found and turned by low ones."""
    at_low = curves_at(_LOW_PER_ANGSTROM, gain)
    return np.asarray(np.minimum(gain, at_low[:, None]))


def _gain_of_map(gains: Array, total: Array) -> Array:
    """(S, K) gain in ln SSNR of a map of all movies: SSNRs add up, so that a movie that is lost anyway counts little,
    and one that is saved for as much as it then gives."""
    least = total.min(axis=0)
    before = np.exp(least - total).sum(axis=0)
    after = np.exp(least - total + gains).sum(axis=0)
    return np.asarray(np.log(after / before))


def _options(worlds: Sequence[World], prior: PriorSnapshot, first: PriorSnapshot, pace: Pace | None) -> list[_Option]:
    """What can be done, as far as the session has told what it rests on."""
    movies = [world.evidence for world in worlds]
    options = []
    if any(movie.settle_time_s is not None for movie in movies) and prior.settle_sums:
        waits = [extra_s for extra_s in _WAIT_S if extra_s > 0 or (pace is not None and pace.can_wait_less(-extra_s))]
        options += [_wait(movies, extra_s) for extra_s in waits]
    times = [m.exposure.exposure_time_s for m in movies if m.exposure.exposure_time_s]
    exposure_s = float(np.mean(times)) if times else 0.0
    if times and any(dose_rate_e_per_px_per_s(movie) for movie in movies):
        told = _coincidences_told(movies, prior, first)
        options += [replace(_other_rate(movies, share, exposure_s), told=told) for share in _RATE_SHARES]
    options += [_fewer_electrons(worlds, share, exposure_s) for share in _DOSE_SHARES if times]
    options += _thinner_ice(worlds, pace)
    if _convergence_told(prior, first):
        options.append(_parallel_beam(worlds))
    # Rings say nothing of the beam tilt that image shift leaves: only particles are a reason to change it.
    shifted = any(movie.exposure.shifted for movie in movies)
    if shifted and all(world.causes.shifted_tilt_mrad is not None for world in worlds):
        options.append(_calibrate_beam_tilt(worlds))
    return options


def _with_tilt(movie: MovieEvidence, draws: CauseDraws, together: SessionParticles | None) -> CauseDraws:
    if together is None or not together.tilt_mean:
        return draws
    of_particles = draw_particles(together, movie, None, np.zeros(BAND_COUNT))
    return draws.doing(axial_tilt_mrad=of_particles.axial_tilt_mrad, shifted_tilt_mrad=of_particles.shifted_tilt_mrad)


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


def _wait(movies: Sequence[MovieEvidence], extra_s: float) -> _Option:
    words = f"wait {abs(extra_s):g} s {'longer' if extra_s > 0 else 'less'} after moving the stage"
    per_movie_s = extra_s * settle.moves_per_movie(movies)
    values = [Departure(more=extra_s)] * len(movies)
    return _Option("motion", "settle_time", f"settle{extra_s:+g}s", words, values, per_movie_s, upwards=extra_s > 0)


def _other_rate(movies: Sequence[MovieEvidence], share: float, exposure_s: float) -> _Option:
    """The same dose in another time. At a lower rate: fewer coincidences, and each frame sees more of the stage's
    drift, which has had the longer exposures before it to settle."""
    lower = share < 1.0
    words = f"lower the dose rate to {100 * share:.0f} % and expose longer"
    if not lower:
        words = f"raise the dose rate to {share:g} times what it is and expose for as much less"
    values = [Departure(share=share)] * len(movies)
    longer_s = exposure_s * (1.0 / share - 1.0)
    return _Option("coincidence", "dose_rate", f"dose-rate*{share:g}", words, values, longer_s, upwards=not lower)


def _fewer_electrons(worlds: Sequence[World], share: float, exposure_s: float) -> _Option:
    """The same dose rate for a shorter time."""
    dose = np.mean([world.evidence.dose_per_frame_e_per_a2 * world.evidence.frame_count for world in worlds])
    words = f"end exposures after {share * dose:.0f} of {dose:.0f} e/A2"
    shorter_s = exposure_s * (1.0 - share)
    values = [Departure(share=share)] * len(worlds)
    return _Option("radiation_damage", _DOSE, f"dose*{share:g}", words, values, -shorter_s, upwards=False, told=False)


def _thinner_ice(worlds: Sequence[World], pace: Pace | None) -> list[_Option]:
    """To skip holes above a thickness, and take others like those that are kept."""
    typical_nm = np.array([float(np.median(world.causes.ice_thickness_nm)) for world in worlds])
    order = np.argsort(typical_nm, kind="stable")
    options = []
    for share in _KEPT_SHARES:
        kept, given_up = np.split(order, [round(share * len(worlds))])
        if kept.size and given_up.size and typical_nm[kept[-1]] < typical_nm[given_up[0]]:
            limit_nm = float(0.5 * (typical_nm[kept[-1]] + typical_nm[given_up[0]]))
            options.append(_skip_thick(worlds, limit_nm, kept.tolist(), sorted(given_up.tolist()), pace))
    return options


def _skip_thick(
    worlds: Sequence[World], limit_nm: float, kept: list[int], given_up: list[int], pace: Pace | None
) -> _Option:
    """`kept`: places of the movies that stay, thinnest first. The ice of the others becomes that of a kept one, each in
    its turn: what is taken instead is like what is kept."""
    values: list[NodeValue | None] = [None] * len(worlds)
    for place, stand_in in zip(given_up, itertools.cycle(kept)):
        values[place] = worlds[stand_in].causes.ice_thickness_nm
    return _Option(
        "ice",
        "ice_thickness",
        "thin-ice",
        f"skip holes with ice above {limit_nm:.0f} nm",
        values,
        cost_ln=-float(np.log1p((LEAST_OF_A_HOLE if pace is None else pace.of_a_hole) * len(given_up) / len(kept))),
        cost_words=f"gives up {len(given_up)} of {len(worlds)} holes",
        upwards=False,
    )


def _parallel_beam(worlds: Sequence[World]) -> _Option:
    values = [np.minimum(world.causes.source_half_angle_mrad, _PARALLEL_MRAD) for world in worlds]
    return _alignment(
        "spatial_coherence", "illumination_angle", "parallel-beam", "make the illumination parallel", values
    )


def _calibrate_beam_tilt(worlds: Sequence[World]) -> _Option:
    """What image shift tilts the beam by becomes a share of what it was: as a smaller shift would."""
    words = "calibrate the beam tilt against the image shift"
    values = [Departure(share=_CALIBRATED_SHARE)] * len(worlds)
    return _alignment("aberrations", "image_shift", "calibrate-beam-tilt", words, values)


def _alignment(factor: str, node: str, action: str, words: str, values: Sequence[NodeValue]) -> _Option:
    """What is done once at the column."""
    return _Option(
        factor,
        node,
        action,
        words,
        values,
        cost_ln=float(np.log1p(-_ALIGNMENT_H / _SESSION_LEFT_H)),
        cost_words=f"takes some {60 * _ALIGNMENT_H:.0f} min",
        upwards=False,
    )


def _advice(
    option: _Option,
    gain: Array,
    movies: Sequence[MovieEvidence],
    fall_angstrom2: float,
    scope: str,
    map_resolution_angstrom: float | None,
    seconds_per_movie: float | None,
) -> Advice:
    at_5 = curves_at(NAMED_PER_ANGSTROM, gain)
    low, high = (float(np.quantile(at_5, q)) for q in CREDIBLE)
    fits = [m.fit_resolution_angstrom for m in movies if m.fit_resolution_angstrom is not None]
    fit_from = float(np.median(fits)) if fits else None
    nyquist = 2 * max(m.pixel_size_angstrom for m in movies)
    fit_to = None if fit_from is None else moved_angstrom(fit_from, gain, fall_angstrom2, nyquist)
    map_to = None
    if map_resolution_angstrom is not None:
        map_to = moved_angstrom(map_resolution_angstrom, gain, fall_angstrom2, nyquist)
    change, cost_ln = None, option.cost_ln
    if option.extra_s_per_movie and seconds_per_movie:
        then_s = seconds_per_movie + option.extra_s_per_movie
        cost_ln += float(np.log(seconds_per_movie / then_s))
        change = _SECONDS_PER_HOUR / then_s - _SECONDS_PER_HOUR / seconds_per_movie
    advice = Advice(
        factor=option.factor,
        action=option.action,
        scope=scope,
        gain_ln_ssnr=float(at_5.mean()),
        gain_low=low,
        gain_high=high,
        fit_resolution_from_angstrom=fit_from,
        fit_resolution_to_angstrom=fit_to,
        map_resolution_from_angstrom=map_resolution_angstrom,
        map_resolution_to_angstrom=map_to,
        movies_saved_share=float(1 - np.exp(-max(float(at_5.mean()), 0.0))),
        movies_per_hour_change=change,
        sentence="",
        net_ln_ssnr=float(at_5.mean()) + cost_ln,
        pays_probability=float(np.mean(at_5 + cost_ln > 0.0)),
        node=option.node,
        upwards=option.upwards,
    )
    return replace(advice, sentence=_sentence(option, advice))


def _sentence(option: _Option, advice: Advice) -> str:
    """ "wait 10 s longer after moving the stage: map 3.9 -> 3.5 A (3.3-3.7); costs 70 movies/h; in all ..."."""
    parts = []
    for name, start, moved in (
        ("map", advice.map_resolution_from_angstrom, advice.map_resolution_to_angstrom),
        ("CTF fit", advice.fit_resolution_from_angstrom, advice.fit_resolution_to_angstrom),
    ):
        if start is not None and moved is not None and f"{start:.1f}" != f"{moved[0]:.1f}":
            parts.append(f"{name} {start:.1f} -> {moved[0]:.1f} A ({moved[1]:.1f}-{moved[2]:.1f})")
    gained = f"signal at 5 A x{np.exp(advice.gain_ln_ssnr):.2f}"
    gained += f" (x{np.exp(advice.gain_low):.2f}-{np.exp(advice.gain_high):.2f})"
    parts.append(gained)
    if advice.movies_saved_share > 0.0:
        parts.append(f"the same map from {100 * advice.movies_saved_share:.0f} % fewer movies")
    if advice.movies_per_hour_change:
        more = advice.movies_per_hour_change > 0.0
        parts.append(f"{'brings' if more else 'costs'} {abs(advice.movies_per_hour_change):.0f} movies/h")
    if option.cost_words:
        parts.append(option.cost_words)
    parts.append(f"all in all x{np.exp(advice.net_ln_ssnr):.2f} an hour")
    return f"{option.words}: {'; '.join(parts)}"
