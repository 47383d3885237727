"""Why a movie or a session is as bad as it is, as text for a person and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from frazil.daemon.report.summary.text import utc_text
from frazil.daemon.report.why import (
    RESOLUTIONS_ANGSTROM,
    Advised,
    CauseLoss,
    LossAt,
    MovieWhy,
    PredictionSaid,
    SessionWhy,
    ShareKnown,
)
from frazil.daemon.store.session_names import session_title
from frazil.models.causal.information import no_advice
from frazil.models.causal.prediction_record import SPEAKS_AGAINST

_BAR = 30
KNOWN_BY_WORDS = {
    "measured": "measured, an experiment of this session",
    "adjusted": "adjusted, this session's movies with what confounds them held fixed",
    "physics": "physics, a mechanism's forward model alone",
}
_AT_5 = RESOLUTIONS_ANGSTROM.index(5.0)
_HEAD = "  {:24}" + "".join(f"{f'at {resolution:g} A':>18}" for resolution in RESOLUTIONS_ANGSTROM)
_LEAST_SHOWN = 0.005
_WITH = {"ice": " (with the spread of heights that it allows)"}
"""What a root cause brings with it and its excess counts."""


def to_text(found: MovieWhy | SessionWhy, *, how: bool = False) -> str:
    """Some thirty lines; `how`: also how each advice is known."""
    lines = _movie(found) if isinstance(found, MovieWhy) else _session(found, how=how)
    return "\n".join("".join(c if c.isprintable() else "\ufffd" for c in line).rstrip() for line in lines)


def to_json(found: MovieWhy | SessionWhy) -> str:
    """One object."""
    return json.dumps(asdict(found), indent=2)


def bar(loss: LossAt, full_scale: float, width: int = _BAR) -> str:
    """A loss and its interval: `#` to the lower end, `=` to the loss itself, `-` to the upper end."""
    scale = width / max(full_scale, 1e-9)
    low, middle, high = (min(width, round(value * scale)) for value in (loss.low, loss.loss_ln_ssnr, loss.high))
    return "#" * low + "=" * (middle - low) + "-" * (high - middle)


def _movie(found: MovieWhy) -> Iterator[str]:
    yield f"{found.relative_path} ({found.state})"
    if found.named_words is None or found.named_excess_ln_ssnr is None:
        yield "  nothing stands out: it loses what movies of this session usually lose"
    else:
        yield (
            f"  first cause: {found.named_words}, which costs {found.named_excess_ln_ssnr:.2f} of ln SSNR at 5 A more "
            f"than is usual in this session{_WITH.get(found.named_cause or '', '')}"
        )
    if found.ice_nm is not None:
        yield f"  ice {found.ice_nm:.0f} +- {found.ice_sd_nm or 0.0:.0f} nm thick, by its counts"
    yield ""
    yield "Loss of ln SSNR by cause, with 95 % credible intervals"
    yield from _losses(found.losses, found.total_ln_ssnr)
    yield f"  by version {found.prior_version} of what the session has taught"
    yield from (f"  {note}" for note in found.notes)


def _session(found: SessionWhy, *, how: bool) -> Iterator[str]:
    if not found.losses:
        yield f"{session_title(found.name)}: no movie has been attributed yet"
        return
    last = f"the last {found.movies} movies"
    yield f"{session_title(found.name)}: mean loss of ln SSNR of {last}, with 95 % credible intervals"
    yield from _losses(found.losses, found.total_ln_ssnr)
    if found.ice:
        yield f"  {found.ice}"
    yield f"  by version {found.losses_prior_version} of what the session has taught" + (
        f" or newer (the newest is {found.prior_version})" if found.losses_prior_version != found.prior_version else ""
    )
    yield from (f"  {said.note} ({said.movies} movies)" for said in found.notes)
    yield ""
    yield "Causes named, over all movies"
    for count in found.named:
        yield f"  {count.movies:6d}  {count.words}"
    if found.changes:
        yield ""
        yield "What changed"
        for change in found.changes:
            when = "" if change.acquired_utc_us is None else f", {utc_text(change.acquired_utc_us)} UTC"
            name = "" if change.relative_path is None else f" ({change.relative_path})"
            yield f"  from movie {change.movie_number} on{name}{when}: {change.sentence}"
    yield ""
    yield "What to change, best first"
    for number, advice in enumerate(found.advice, 1):
        yield f"  {number}. {advice.sentence}" + (f" [{advice.known_by}]" if advice.known_by else "")
        if how:
            yield from _how(advice)
    if not found.advice:
        first = found.shares[0] if found.shares else None
        yield f"  {'not known yet' if first is None else no_advice(first.movie_count, first.prior_version)}"
    yield ""
    yield from _convergence(found, how=how)


def _how(advice: Advised) -> Iterator[str]:
    """What stands behind an advice."""
    if advice.known_by is None:
        yield "     an earlier frazil did not keep how it is known"
        return
    yield f"     known by: {KNOWN_BY_WORDS.get(advice.known_by, advice.known_by)}"
    yield f"     {advice.known_how}"
    if advice.adjusted_for:
        yield f"     held fixed: {', '.join(advice.adjusted_for)}"
    for refuter in advice.refuters:
        yield f"     {refuter}"
    if advice.robustness_value is not None:
        yield f"     robustness: a hidden cause would have to explain {100 * advice.robustness_value:.0f} % of both"


def _convergence(found: SessionWhy, *, how: bool) -> Iterator[str]:
    if not found.shares:
        return
    known = sum(share.converged for share in found.shares)
    of = f"of {known} of {len(found.shares)} causes the movies fix what they cost"
    yield f"What is known so far: {of} (loss at 5 A)"
    for share in found.shares:
        yield f"  {'known' if share.converged else 'more movies wanted':18}  {share.words:24}{_told(share)}"
        if share.unseen and (how or share.held in SPEAKS_AGAINST):
            yield f"           {share.unseen}"
    if found.last_change_sd is not None:
        yield f"  the newest version moved no strength by more than {found.last_change_sd:.2f} of its error"

    if how and found.predictions:
        yield from _foretold(found.predictions)
    if how and found.weight is not None:
        yield f"  the newest movies count by g = {found.weight.g:.2f}, the geometric mean of how reliable they are by"
        for term in found.weight.terms:
            value = "left out" if term.reliability is None else f"{term.reliability:.2f}"
            yield f"    {term.name:18} {value:8}  {term.words}"


def _foretold(predictions: tuple[PredictionSaid, ...]) -> Iterator[str]:
    yield "  movies foretold before they were seen (score: mean error of the forecast in ln units; smaller is better)"
    for one in predictions:
        inside = f"{one.inside_68} of {one.movies} within 68 %, {one.inside_95} within 95 %"
        score = f"score {one.crps:.3f}, by version 0 {one.first_crps:.3f}, by the session's mean {one.plain_crps:.3f}"
        yield f"    {one.quantity.replace('_', ' '):18} {inside}; {score}"
        yield f"    {'':18} {one.held}; odds against the intervals {one.e_value:.2g} (20 is enough)"


def _told(share: ShareKnown) -> str:
    told = f"{share.loss_ln_ssnr:.2f} +- {share.sd:.2f}"
    if share.first_sd is None or share.told_nats is None:
        return told
    return f"{told} (before the first movie +- {share.first_sd:.2f}); its movies told {_learnt(share.told_nats)}"


def _learnt(told_nats: float) -> str:
    """How much a session has told, in words (`models/causal/information` has the measure)."""
    return "nothing" if told_nats < 0.1 else "a little" if told_nats < 0.5 else "much"


def _losses(losses: tuple[CauseLoss, ...], total: tuple[float, ...]) -> Iterator[str]:
    scale = max((cause.at[_AT_5].high for cause in losses), default=1.0)
    yield _HEAD.format("").rstrip() + f"   at 5 A, full width {scale:.2g}"
    beside = False
    for cause in losses:
        if cause.beside_total and not beside:
            beside = True
            yield "  {:24}".format("total") + "".join(f"{value:18.2f}" for value in total)
            yield "  beside the total, because processing can undo it or has:"
        if max(at.high for at in cause.at) < _LEAST_SHOWN:
            continue
        cells = "".join(f"{at.loss_ln_ssnr:6.2f} ({at.low:4.2f}-{at.high:4.2f})" for at in cause.at)
        yield f"  {cause.words:24}{cells}   {bar(cause.at[_AT_5], scale)}"
    if not beside:
        yield "  {:24}".format("total") + "".join(f"{value:18.2f}" for value in total)
