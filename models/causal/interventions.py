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
from frazil.models.causal.mechanisms import dose_rate_e_per_px_per_s
from frazil.models.causal.naming import NAMED_PER_ANGSTROM
from frazil.models.causal.particles import SessionParticles, draw_particles
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.provenance import Provenance
from frazil.models.causal.structural_equations import Departure, NodeValue, StageHistory, World
from frazil.models.causal.structural_model import StructuralModel, structural_model
from frazil.models.records import MovieEvidence

CREDIBLE = (0.025, 0.975)
PAYS = 0.9
"""So probable it has to be that an intervention gains more than it costs, or nothing is said."""
LEAST_NET_LN_SSNR = 0.03
"""What nobody would get up for."""
_WAIT_S = (5.0, 10.0, 20.0)
_RATE_SHARES = (0.5,)
_CALIBRATED_SHARE = 0.2
"""Of the tilt that image shift makes, what a calibration leaves."""
_KEPT_SHARES = (0.9, 0.75, 0.5, 0.25)
_SKIPPED_HOLE = 0.1
"""What a hole costs that is given up, in movies: the move to the next one, and the squares that are used up sooner."""
_PARALLEL_MRAD = 0.01
_ALIGNMENT_H, _SESSION_LEFT_H = 0.25, 8.0
"""What an alignment at the column takes, and the time in which it has to pay: a night."""
_SECONDS_PER_HOUR = 3600.0
ADVISED_NODES = ("settle_time", "dose_rate", "ice_thickness", "illumination_angle", "image_shift")
"""Of the graph: what advice sets."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One intervention on a movie, a square or the session: what it would buy, with 95 % credible intervals."""

    factor: str
    """The cause that is acted upon, by the name of its factor."""
    action: str
    """Short name: `settle+10s`, `dose-rate*0.5`, `thin-ice`, `calibrate-beam-tilt`, `parallel-beam`."""
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


def advise(
    movies: Sequence[MovieEvidence],
    prior: PriorSnapshot,
    *,
    first: PriorSnapshot | None = None,
    together: SessionParticles | None = None,
    scope: str = "session",
    map_resolution_angstrom: float | None = None,
    seconds_per_movie: float | None = None,
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
    """
    if len(movies) < LEAST_MOVIES or prior.version == 0:
        return ()
    model = structural_model()
    worlds = _worlds(movies, prior, model, together)
    touched = _touched(model)
    total = np.array([sum(world.values[name] for name in touched) for world in worlds])  # (M, S, K)
    fall_angstrom2 = _fall_of_signal_angstrom2(prior)
    advice = []
    for option in _options(worlds, prior, physics_prior() if first is None else first):
        if option.extra_s_per_movie and not seconds_per_movie:
            continue  # who does not know the pace does not know what waiting costs
        gain = _gain_of_map(_gains(option, worlds, model), total)
        made = _advice(option, gain, movies, fall_angstrom2, scope, map_resolution_angstrom, seconds_per_movie)
        if made.pays_probability >= PAYS and made.net_ln_ssnr >= LEAST_NET_LN_SSNR:
            advice.append(made)
    return tuple(sorted(advice, key=lambda one: -one.net_ln_ssnr))


def gain_of_settling(movies: Sequence[MovieEvidence], prior: PriorSnapshot, extra_s: float) -> Array:
    """(S, K) mean gain in ln SSNR on the prior's bands if every movie had waited `extra_s` longer."""
    return _mean_gain(_settle_longer(movies, extra_s), movies, prior)


def gain_of_dose_rate(movies: Sequence[MovieEvidence], prior: PriorSnapshot, share: float) -> Array:
    """(S, K) mean gain in ln SSNR on the prior's bands at `share` of the dose rate, the dose kept."""
    return _mean_gain(_lower_rate(movies, share, 0.0), movies, prior)


def _mean_gain(option: _Option, movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> Array:
    model = structural_model()
    return np.asarray(_gains(option, _worlds(movies, prior, model, None), model).mean(axis=0))


def _touched(model: StructuralModel) -> list[str]:
    """Factors that some intervention changes."""
    return sorted({name for node in ADVISED_NODES for name in model.factors_reached(node)})


def _worlds(
    movies: Sequence[MovieEvidence], prior: PriorSnapshot, model: StructuralModel, together: SessionParticles | None
) -> list[World]:
    """Every movie as it was taken."""
    bands, touched, belief = band_frequencies_per_angstrom(), _touched(model), prior.settle_belief()
    stages = [
        StageHistory(belief, settled_s, before_s)
        for settled_s, before_s in zip(settle.settled_of(movies), settle.exposed_before_s(movies), strict=True)
    ]
    drawn = [_with_tilt(movie, draw_causes(movie, prior), together) for movie in movies]
    return [
        model.world(movie, draws, bands, stage=stage, wanted=touched)
        for movie, draws, stage in zip(movies, drawn, stages, strict=True)
    ]


def _gains(option: _Option, worlds: Sequence[World], model: StructuralModel) -> Array:
    """(M, S, K) what the factors that the intervention reaches lose less, movie by movie."""
    names = model.factors_reached(option.node)
    gains = []
    for world, value in zip(worlds, option.values, strict=True):
        done = world if value is None else model.done(world, option.node, value)
        gains.append(np.sum([world.values[name] - done.values[name] for name in names], axis=0))
    return np.array(gains)


def _gain_of_map(gains: Array, total: Array) -> Array:
    """(S, K) gain in ln SSNR of a map of all movies: SSNRs add up, so that a movie that is lost anyway counts little,
    and one that is saved for as much as it then gives."""
    least = total.min(axis=0)
    before = np.exp(least - total).sum(axis=0)
    after = np.exp(least - total + gains).sum(axis=0)
    return np.asarray(np.log(after / before))


def _options(worlds: Sequence[World], prior: PriorSnapshot, first: PriorSnapshot) -> list[_Option]:
    """What can be done, as far as the session has told what it rests on."""
    movies = [world.evidence for world in worlds]
    options = []
    if any(movie.settle_time_s is not None for movie in movies) and prior.settle_sums:
        options += [_settle_longer(movies, extra_s) for extra_s in _WAIT_S]
    times = [m.exposure.exposure_time_s for m in movies if m.exposure.exposure_time_s]
    if times and any(dose_rate_e_per_px_per_s(movie) for movie in movies) and _coincidences_told(prior, first):
        options += [_lower_rate(movies, share, float(np.mean(times))) for share in _RATE_SHARES]
    options += _thinner_ice(worlds)
    if _strength_told("spatial_coherence", prior, first):
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


def _strength_told(name: str, prior: PriorSnapshot, first: PriorSnapshot) -> bool:
    place = MODELLED_FACTORS.index(name)
    (mean, sd), (first_mean, first_sd) = prior.strengths(), first.strengths()
    return has_told(mean[place], sd[place], first_mean[place], first_sd[place])


def _coincidences_told(prior: PriorSnapshot, first: PriorSnapshot) -> bool:
    """Whether the session's counts have told how many electrons the camera loses."""
    _, _, mean, sd = counts.zero_and_loss(prior.count_belief())
    _, _, first_mean, first_sd = counts.zero_and_loss(first.count_belief())
    return has_told(mean, sd, first_mean, first_sd)


def _settle_longer(movies: Sequence[MovieEvidence], extra_s: float) -> _Option:
    words = f"wait {extra_s:g} s longer after moving the stage"
    per_movie_s = extra_s * settle.moves_per_movie(movies)
    values = [Departure(more=extra_s)] * len(movies)
    return _Option("motion", "settle_time", f"settle+{extra_s:g}s", words, values, per_movie_s)


def _lower_rate(movies: Sequence[MovieEvidence], share: float, exposure_s: float) -> _Option:
    """The same dose in more time: fewer coincidences, and each frame sees more of the stage's drift, which has had the
    longer exposures before it to settle."""
    words = f"lower the dose rate to {100 * share:.0f} % and expose longer"
    values = [Departure(share=share)] * len(movies)
    return _Option("coincidence", "dose_rate", f"dose-rate*{share:g}", words, values, exposure_s * (1.0 / share - 1.0))


def _thinner_ice(worlds: Sequence[World]) -> list[_Option]:
    """To skip holes above a thickness, and take others like those that are kept."""
    typical_nm = np.array([float(np.median(world.causes.ice_thickness_nm)) for world in worlds])
    order = np.argsort(typical_nm, kind="stable")
    options = []
    for share in _KEPT_SHARES:
        kept, given_up = np.split(order, [round(share * len(worlds))])
        if kept.size and given_up.size and typical_nm[kept[-1]] < typical_nm[given_up[0]]:
            limit_nm = float(0.5 * (typical_nm[kept[-1]] + typical_nm[given_up[0]]))
            options.append(_skip_thick(worlds, limit_nm, kept.tolist(), sorted(given_up.tolist())))
    return options


def _skip_thick(worlds: Sequence[World], limit_nm: float, kept: list[int], given_up: list[int]) -> _Option:
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
        cost_ln=-float(np.log1p(_SKIPPED_HOLE * len(given_up) / len(kept))),
        cost_words=f"gives up {len(given_up)} of {len(worlds)} holes",
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
    fit_to = None if fit_from is None else _moved_angstrom(fit_from, gain, fall_angstrom2, nyquist)
    map_to = None
    if map_resolution_angstrom is not None:
        map_to = _moved_angstrom(map_resolution_angstrom, gain, fall_angstrom2, nyquist)
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
    parts += [gained, f"the same map from {100 * advice.movies_saved_share:.0f} % fewer movies"]
    if advice.movies_per_hour_change:
        parts.append(f"costs {-advice.movies_per_hour_change:.0f} movies/h")
    if option.cost_words:
        parts.append(option.cost_words)
    parts.append(f"all in all x{np.exp(advice.net_ln_ssnr):.2f} an hour")
    return f"{option.words}: {'; '.join(parts)}"


def _fall_of_signal_angstrom2(prior: PriorSnapshot) -> float:
    """-d ln SSNR / d(k^2) in A^2 of the session's specimen as it is seen, a straight line through its known bands."""
    mean, covariance = prior.moments()
    bands = band_frequencies_per_angstrom()
    sd = np.sqrt(np.diag(covariance)[:BAND_COUNT])
    known = (sd < 1.0) & (bands > 1 / 15)
    if known.sum() < 4:
        return _USUAL_FALL_ANGSTROM2
    x, weight = bands[known] ** 2, 1 / sd[known] ** 2
    centred = x - np.average(x, weights=weight)
    fall = -float((weight * centred * mean[:BAND_COUNT][known]).sum() / (weight * centred**2).sum())
    return max(fall, 0.5 * _USUAL_FALL_ANGSTROM2)


_USUAL_FALL_ANGSTROM2 = 50.0
"""B / 2 of a B-factor of 100 A^2 (Rosenthal & Henderson 2003): amplitudes fall as exp(-B k^2 / 4), power as B/2 k^2."""


def _moved_angstrom(
    start_angstrom: float, gain: Array, fall_angstrom2: float, nyquist_angstrom: float
) -> tuple[float, float, float]:
    """(expected, best, worst) resolution after a gain (S, K): where the risen curve meets the old threshold, Nyquist at
    the finest."""
    k2 = 1 / start_angstrom**2
    at_start = curves_at(1 / start_angstrom, gain)
    # The gain itself changes with k: its slope against k^2 flattens the fall.
    step = 0.1 * k2
    beyond = curves_at(float(np.sqrt(k2 + step)), gain)
    slope = np.clip((beyond - at_start) / step, 0.0, 0.7 * fall_angstrom2)
    moved = k2 + at_start / (fall_angstrom2 - slope)
    low, high = (float(np.quantile(moved, q)) for q in CREDIBLE)
    expected, best, worst = (
        max(float(1 / np.sqrt(max(v, 0.25 * k2))), nyquist_angstrom) for v in (float(moved.mean()), high, low)
    )
    return expected, best, worst
