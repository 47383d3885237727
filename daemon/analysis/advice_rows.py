"""What a version of the prior says to a person, as rows: change points, advice, how well causes are known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import mean

from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.store.rows import ADVISER, AlertRow, ChangeRow, InterventionRow, PredictionRow, ShareRow, WeightRow
from frazil.models.causal.advice.record import SESSION, Advice
from frazil.models.causal.change_points import ChangePoint
from frazil.models.causal.convergence import Share
from frazil.models.causal.factors import ALL_FACTORS, FACTORS
from frazil.models.causal.graph import causal_graph
from frazil.models.causal.independence import broken_claim
from frazil.models.causal.information import LEAST_MOVIES
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.provenance import Refuter
from frazil.models.records import MovieEvidence

ADVISED_MOVIES = 25
"""The newest kept ones: what the session is like now."""
_WORTH_A_WORD_LN_SSNR = 0.05
_AS_ANNOUNCED = "nothing if this is what was meant"
_OTHERWISE = "look at what was changed at the microscope then"
_REMEDIES = {
    "illumination": "if fewer electrons are counted, look at the ice of these movies first; then check spot size, C2 "
    "aperture and beam centring, and measure the dose again",
    "ln_stated_rate": "nothing if it was meant; otherwise set spot size and beam back, and check the dose on the "
    "specimen",
    "gain": "take a new gain reference and start a new session with it",
    "grid": "nothing if grid or square was changed on purpose; otherwise look for crystalline or thick ice and "
    "for contamination",
    "stage": "check the holder and the cooling (nitrogen level, boiling), and wait longer after stage moves",
}


def change_rows(prior: PriorSnapshot, found_with: Mapping[int, int]) -> tuple[ChangeRow, ...]:
    """All change points that a version knows. `found_with`: by number, the version that found those known before."""
    return tuple(
        ChangeRow(
            number=number,
            movie_number=point.movie_number,
            acquired_utc_us=point.utc_us,
            cause=point.cause,
            channel=point.channel,
            value_before=point.before,
            value_after=point.after,
            likelihood_ratio=point.likelihood_ratio,
            sentence=_told(point),
            prior_version=found_with.get(number, prior.version),
        )
        for number, point in enumerate(prior.change_points, 1)
    )


def change_alert(point: ChangePoint, *, utc_us: int) -> AlertRow:
    """A word to a person, by an id that is the same however often the change is found."""
    meant = bool(point.announced)
    return AlertRow(
        severity="info" if meant else "warning",
        subject="change",
        text=f"from movie {point.movie_number + 1} on: {_told(point)}",
        created_utc_us=utc_us,
        remedy=_AS_ANNOUNCED if meant else _REMEDIES.get(point.channel) or _REMEDIES.get(point.cause, _OTHERWISE),
        alert_id=change_alert_id(point),
    )


def change_alert_id(point: ChangePoint) -> str:
    return f"change-{point.cause.replace(' ', '-')}-{point.utc_us or point.movie_number}"


def graph_alert(name: str, *, utc_us: int) -> AlertRow:
    """A word to a person about a claim of the causal graph that the session refutes; by an id that stays the same."""
    return AlertRow(
        severity="warning",
        subject="graph",
        text=broken_claim(causal_graph(), name),
        created_utc_us=utc_us,
        remedy="nothing: movies are processed as before; advice that rests on it is withdrawn, frazil learns slower",
        alert_id=f"graph-{name.replace('|', '-').replace('_', '-')}",
    )


def _told(point: ChangePoint) -> str:
    """What a change is, and what a person said of it."""
    return f"{point.sentence}; announced: {point.announced}" if point.announced else point.sentence


def before_change(prior: PriorSnapshot, movie: MovieEvidence, sequence: int) -> ChangePoint | None:
    """The first change after a movie that made the prior forget what it knew of the movie's part of the session."""
    for point in prior.change_points:
        if not point.forgets_counts:
            continue
        acquired = movie.exposure.acquired_utc_us
        timed = acquired is not None and point.utc_us is not None
        if acquired < point.utc_us if timed else sequence < point.movie_number:  # type: ignore[operator]
            return point
    return None


def as_of(prior: PriorSnapshot, change: ChangePoint | None, snapshot: Callable[[int], PriorSnapshot]) -> PriorSnapshot:
    """What a version knows of the part of the session that a change ended.

    With another beam the zero of the ice is another one: an earlier movie judged by it would seem to have thicker ice.
    So counts and what is usual are as the last version knew them that had seen nothing later; the strengths of the
    mechanisms are the newest. After a change of grid the specimen's own curve is another one, too.
    """
    if change is None:
        return prior
    earlier = snapshot(min(change.movie_number // EPOCH_MOVIES, prior.version))
    if change.cause == "grid":
        return replace(earlier, version=prior.version)
    return replace(prior, count_weights=earlier.count_weights, window=earlier.window, usual=earlier.usual)


def scopes(movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> dict[str, tuple[MovieEvidence, ...]]:
    """The session, and its worst grid square (largest mean loss) where there are several."""
    found = {SESSION: tuple(movies)}
    losses: dict[str, list[float]] = {}
    of_total = [ALL_FACTORS.index(name) for name in FACTORS]
    for row in prior.window:
        if row.grid_square:
            losses.setdefault(row.grid_square, []).append(sum(row.losses_at_5_angstrom[place] for place in of_total))
    own = {square: [m for m in movies if m.exposure.grid_square == square] for square in losses}
    several = [square for square in losses if len(own[square]) >= LEAST_MOVIES]
    if len(several) > 1:
        worst = max(several, key=lambda square: (mean(losses[square]), square))
        found[worst] = tuple(own[worst])
    return found


def advice_rows(advice: Iterable[Advice], prior_version: int, *, utc_us: int) -> tuple[InterventionRow, ...]:
    """Of each scope and cause the action that is worth most per hour; the session's first, then by net gain.

    Of a square only what is worth more there.
    """
    best: dict[tuple[str, str], Advice] = {}
    for one in advice:
        key = one.scope, one.factor
        if key not in best or one.net_ln_ssnr > best[key].net_ln_ssnr:
            best[key] = one
    told = [one for one in best.values() if one.scope == SESSION or _is_news(one, best.get((SESSION, one.factor)))]
    ranked = sorted(told, key=lambda one: (one.scope != SESSION, -one.net_ln_ssnr, one.action))
    return tuple(_row(one, place, prior_version, utc_us) for place, one in enumerate(ranked, 1))


def _is_news(of_square: Advice, of_session: Advice | None) -> bool:
    """Whether acting on one square is worth more than acting on the whole session, which says the same."""
    return of_session is None or of_square.net_ln_ssnr > of_session.net_ln_ssnr + _WORTH_A_WORD_LN_SSNR


def _row(advice: Advice, place: int, prior_version: int, utc_us: int) -> InterventionRow:
    fit, of_map = advice.fit_resolution_to_angstrom, advice.map_resolution_to_angstrom
    where = "" if advice.scope == SESSION else f"on grid square {advice.scope}: "
    return InterventionRow(
        intervention_id=f"advice-{place:02d}",
        created_utc_us=utc_us,
        factor=advice.factor,
        scope=advice.scope,
        sentence=where + advice.sentence,
        who=ADVISER,
        gain_ln_ssnr=advice.gain_ln_ssnr,
        gain_sd=(advice.gain_high - advice.gain_low) / (2 * 1.96),
        ctf_resolution_from_angstrom=advice.fit_resolution_from_angstrom,
        ctf_resolution_to_angstrom=None if fit is None else fit[0],
        place=place,
        action=advice.action,
        gain_low_ln_ssnr=advice.gain_low,
        gain_high_ln_ssnr=advice.gain_high,
        ctf_resolution_best_angstrom=None if fit is None else fit[1],
        ctf_resolution_worst_angstrom=None if fit is None else fit[2],
        map_resolution_from_angstrom=advice.map_resolution_from_angstrom,
        map_resolution_to_angstrom=None if of_map is None else of_map[0],
        map_resolution_best_angstrom=None if of_map is None else of_map[1],
        map_resolution_worst_angstrom=None if of_map is None else of_map[2],
        movies_saved_share=advice.movies_saved_share,
        movies_per_hour_change=advice.movies_per_hour_change,
        prior_version=prior_version,
        net_ln_ssnr=advice.net_ln_ssnr,
        pays_probability=advice.pays_probability,
        known_by=advice.provenance.known_by.value,
        known_how=advice.provenance.sentence,
        adjusted_for=", ".join(advice.provenance.adjusted_for) or None,
        refuters="\n".join(_refuter_line(refuter) for refuter in advice.provenance.refuters) or None,
        robustness_value=advice.provenance.robustness_value,
    )


def _refuter_line(refuter: Refuter) -> str:
    return f"{refuter.name}: {'passed' if refuter.passed else 'REFUTED'}: {refuter.words}"


def withdrawn_texts(withdrawn: Iterable[Advice]) -> dict[str, str]:
    """By an id that is the same for one node, what a person is told of advice that this session speaks against."""
    return {
        f"withdrawn-{one.node.replace('_', '-')}": (
            f"not advised: {one.sentence.partition(': ')[0]}: {one.provenance.sentence}"
        )
        for one in withdrawn
    }


def share_rows(shares: Iterable[Share], prior_version: int, movie_count: int) -> tuple[ShareRow, ...]:
    """How well each cause is known."""
    return tuple(
        ShareRow(
            share.factor,
            share.loss_ln_ssnr,
            share.sd,
            share.converged,
            movie_count,
            prior_version,
            share.first_sd,
            share.told_nats,
            share.held.value,
            share.unseen,
        )
        for share in shares
    )


def prediction_rows(snapshot: PriorSnapshot) -> tuple[PredictionRow, ...]:
    """How well the versions up to the one before this foretold what they had not seen."""
    return tuple(
        PredictionRow(
            prior_version=snapshot.version,
            quantity=one.quantity,
            movies=one.movies,
            inside_68=one.inside_68,
            inside_95=one.inside_95,
            crps=one.crps / one.movies,
            first_crps=one.first_crps / one.movies,
            plain_crps=one.plain_crps / one.movies,
            e_value=one.e_value,
            held=one.held.value,
            words=one.words,
            pit=one.pit,
        )
        for one in snapshot.predictions.foretold
        if one.movies
    )


def weight_rows(snapshot: PriorSnapshot) -> tuple[WeightRow, ...]:
    """What g of the epoch that made a version follows from."""
    weight = snapshot.weight
    return tuple(
        WeightRow(snapshot.version, one.name, one.reliability, one.verdict_round, one.words, weight.g)
        for one in weight.terms
    )
