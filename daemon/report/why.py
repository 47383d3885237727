"""Why a movie, or a session, is as bad as it is: a pure function from the store's named queries to one record.

Works on a live and on a finished session alike. How it is shown is in `why_text.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx

from frazil.config.errors import NotThereError
from frazil.daemon.store.movie_states import GIVEN_UP
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.table import Scalar
from frazil.models.causal.evidence_weight import TERMS, EvidenceWeight, WeightTerm
from frazil.models.causal.factors import BESIDE_TOTAL, FACTOR_WORDS
from frazil.models.causal.graph import causal_graph, graph_of
from frazil.models.causal.nodes import Node
from frazil.models.records import MovieState

RESOLUTIONS_ANGSTROM = (8.0, 5.0, 4.0)
MEAN_MOVIES = 25
"""The newest finished ones: what the session is like now, as for the advice."""
_TWO_SIDED_95 = 1.96
_NAMED = 5

Row = dict[str, Scalar]


@dataclass(frozen=True, slots=True)
class LossAt:
    """Loss of ln SSNR at one resolution with its 95 % credible interval."""

    resolution_angstrom: float
    loss_ln_ssnr: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CauseLoss:
    """One cause."""

    factor: str
    words: str
    beside_total: bool
    """Processing can undo it, or has: it does not count in the total."""
    at: tuple[LossAt, ...]
    """In the order of `RESOLUTIONS_ANGSTROM`."""


@dataclass(frozen=True, slots=True)
class MovieWhy:
    """One movie's losses, largest at 5 A first."""

    movie_id: str
    relative_path: str
    state: str
    named_cause: str | None
    """What costs it most beyond what is usual in the session; None: nothing stands out."""
    named_words: str | None
    named_excess_ln_ssnr: float | None
    """By how much, at 5 A."""
    prior_version: int
    total_ln_ssnr: tuple[float, ...]
    losses: tuple[CauseLoss, ...]
    notes: tuple[str, ...] = ()
    """What is to be said of nodes that a person added to the causal graph."""
    ice_nm: float | None = None
    """Thickness; None: its counts do not tell it."""
    ice_sd_nm: float | None = None


@dataclass(frozen=True, slots=True)
class NoteCount:
    """Of how many movies something is to be said."""

    note: str
    movies: int


@dataclass(frozen=True, slots=True)
class NamedCount:
    """How often a cause is named; None: nothing stands out."""

    cause: str | None
    words: str
    movies: int


@dataclass(frozen=True, slots=True)
class Change:
    """A change point."""

    movie_number: int
    """From 1, in order of acquisition, of the first movie after it."""
    relative_path: str | None
    acquired_utc_us: int | None
    cause: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Advised:
    """One advice with its 95 % credible interval."""

    factor: str
    action: str | None
    scope: str
    sentence: str
    gain_ln_ssnr: float | None
    gain_low: float | None
    gain_high: float | None
    movies_saved_share: float | None
    movies_per_hour_change: float | None
    known_by: str | None = None
    """`measured` by an experiment, `adjusted` from the session's movies, or `physics`; None: an earlier frazil's."""
    known_how: str | None = None
    adjusted_for: tuple[str, ...] = ()
    """In words."""
    refuters: tuple[str, ...] = ()
    robustness_value: float | None = None
    """Share of what is left of both that a hidden cause would have to explain to make the movies' effect doubtful."""


@dataclass(frozen=True, slots=True)
class ShareKnown:
    """How well one cause's mean loss at 5 A is known."""

    factor: str
    words: str
    loss_ln_ssnr: float
    sd: float
    converged: bool
    """Known from the session, to within the tolerance."""
    movie_count: int
    """The newest kept movies, of which it is the mean."""
    prior_version: int
    first_sd: float | None = None
    """Of the same mean by version 0; None: a session of an earlier frazil."""
    told_nats: float | None = None
    held: str | None = None
    """What movies that were not seen say of the forecasts that it rests on; None: a session of an earlier frazil."""
    unseen: str | None = None
    """The same in words."""


@dataclass(frozen=True, slots=True)
class PredictionSaid:
    """How well one quantity of movies that were not seen was foretold, since the last change of the session."""

    quantity: str
    words: str
    movies: int
    inside_68: int
    inside_95: int
    crps: float
    """Mean score in ln units, smaller is better, ..."""
    first_crps: float
    """... by version 0, ..."""
    plain_crps: float
    """... and of a forecast that says: like the session's movies so far."""
    e_value: float
    held: str


@dataclass(frozen=True, slots=True)
class SessionWhy:
    """The session's causes."""

    name: str
    movies: int
    """Over which losses are averaged."""
    prior_version: int | None
    """The newest."""
    losses_prior_version: int | None
    """The oldest by which one of these losses was made."""
    total_ln_ssnr: tuple[float, ...]
    losses: tuple[CauseLoss, ...]
    named: tuple[NamedCount, ...]
    changes: tuple[Change, ...]
    advice: tuple[Advised, ...]
    shares: tuple[ShareKnown, ...]
    predictions: tuple[PredictionSaid, ...]
    weight: EvidenceWeight | None
    """How far the newest epoch's evidence was allowed to move the prior; None: a session of an earlier frazil."""
    last_change_sd: float | None
    """How far the newest version moved the strength that it moved most, in the sd that this had."""
    notes: tuple[NoteCount, ...] = ()
    """What is to be said of nodes that a person added to the causal graph."""
    ice: str = ""
    """How thick the ice of these movies is, with errors; empty: counts do not tell it."""


def ice_words(row: Row) -> str:
    """Of an answer to `ice`: `ice 45 nm (middle half 38 to 60), one movie's known to 8 nm`; empty: it is not known."""
    known = [_number(row.get(name)) for name in ("ice_nm", "quartile_1_nm", "quartile_3_nm", "ice_sd_nm")]
    if any(value is None for value in known):
        return ""
    middle, low, high, sd = known
    return f"ice {middle:.0f} nm (middle half {low:.0f} to {high:.0f}), one movie's known to {sd:.0f} nm"


def cause_words(factor: object) -> str:
    """What a person at the scope calls a cause; one of their own by the name of its node."""
    return (
        "nothing stands out" if factor in (None, "") else FACTOR_WORDS.get(str(factor), str(factor).replace("_", " "))
    )


def losses_at_5_angstrom(found: MovieWhy | SessionWhy) -> dict[str, float]:
    """By factor, for drawing the graph."""
    at_5 = RESOLUTIONS_ANGSTROM.index(5.0)
    return {cause.factor: cause.at[at_5].loss_ln_ssnr for cause in found.losses}


def session_graph(reader: SessionReader) -> nx.DiGraph:
    """The causal graph with which the session was explained; the shipped one where an earlier frazil kept none."""
    nodes = [
        Node(str(row["name"]), str(row["kind"]), str(row["unit"]), str(row["words"]), str(row["source"]))
        for row in reader.named("causal_nodes").as_dicts()
    ]
    edges = [(str(row["cause"]), str(row["effect"])) for row in reader.named("causal_edges").as_dicts()]
    return graph_of(nodes, edges) if nodes else causal_graph()


def find_movie(reader: SessionReader, text: str) -> Row:
    """The movie with this id, or the only one whose path ends with (else: holds) the text; its newest version.

    Raises `NotThereError` when there is none, or several.
    """
    asked: tuple[tuple[str, dict[str, Scalar]], ...] = (
        ("movie", {"movie_id": text}),
        ("movie_by_path", {"path": text}),
        ("movies", {"search": text, "limit": 100}),
    )
    for name, params in asked:
        newest: dict[Scalar, Row] = {}
        for row in reader.named(name, params).as_dicts():
            names = f"{row['relative_path']} {row['movie_id']}".lower()
            if text.lower() in names and row["state"] != MovieState.OUTDATED:
                newest.setdefault(row["relative_path"], row)
        if len(newest) > 1:
            some = ", ".join(str(path) for path in list(newest)[:_NAMED])
            raise NotThereError(
                f"{len(newest)} movies are meant by {text!r}: {some}{', ...' if len(newest) > _NAMED else ''}",
                remedy="give more of the path, or the movie's id",
            )
        if newest:
            return next(iter(newest.values()))
    raise NotThereError(
        f"no movie {text!r} in this session", remedy="give its id, or the end of its path as `frazil query` shows it"
    )


def why_movie(reader: SessionReader, text: str) -> MovieWhy:
    """Raises `NotThereError` for an unknown movie, and for one that has no losses yet."""
    row = find_movie(reader, text)
    movie_id = str(row["movie_id"])
    tables = {
        resolution: reader.named("losses_at", {"movie_id": movie_id, "resolution_angstrom": resolution}).as_dicts()
        for resolution in RESOLUTIONS_ANGSTROM
    }
    whole = reader.named("movie", {"movie_id": movie_id}).as_dicts()[0]
    losses = _losses(tables, _words(reader))
    if not losses:
        raise NotThereError(
            f"there are no losses of {row['relative_path']} ({row['state']})",
            remedy="wait until it is ready" if row["state"] not in GIVEN_UP else "see why in its failure_reason",
        )
    named = whole["named_cause"]
    return MovieWhy(
        movie_id=movie_id,
        relative_path=str(row["relative_path"]),
        state=str(row["state"]),
        named_cause=None if named is None else str(named),
        named_words=None if named is None else cause_words(named),
        named_excess_ln_ssnr=None if named is None else _number(whole["named_excess_ln_ssnr"]),
        prior_version=int(_number(tables[RESOLUTIONS_ANGSTROM[0]][0]["prior_version"]) or 0),
        total_ln_ssnr=_total(losses),
        losses=losses,
        notes=tuple(str(whole["cause_notes"] or "").splitlines()),
        ice_nm=_number(whole["ice_nm"]),
        ice_sd_nm=_number(whole["ice_sd_nm"]),
    )


def why_session(reader: SessionReader) -> SessionWhy:
    """What costs the newest movies most, what changed when, what to do, and how sure that is."""
    tables = {
        resolution: reader.named("mean_losses_at", {"resolution_angstrom": resolution, "last": MEAN_MOVIES}).as_dicts()
        for resolution in RESOLUTIONS_ANGSTROM
    }
    first = tables[RESOLUTIONS_ANGSTROM[0]]
    losses = _losses(tables, _words(reader))
    session = next(iter(reader.named("session").as_dicts()), {})
    prior = next(iter(reader.named("priors", {"limit": 1}).as_dicts()), None)
    oldest = min((int(_number(row["oldest_prior_version"]) or 0) for row in first), default=None)
    return SessionWhy(
        name=str(session.get("name") or ""),
        movies=max((int(_number(row["movies"]) or 0) for row in first), default=0),
        prior_version=oldest if prior is None else int(_number(prior["version"]) or 0),
        losses_prior_version=oldest,
        total_ln_ssnr=_total(losses),
        losses=losses,
        named=named_counts(reader),
        changes=changes(reader),
        advice=advised(reader),
        shares=tuple(
            ShareKnown(
                str(row["factor"]),
                cause_words(row["factor"]),
                _number(row["loss_ln_ssnr"]) or 0.0,
                _number(row["sd"]) or 0.0,
                bool(row["converged"]),
                int(_number(row["movie_count"]) or 0),
                int(_number(row["prior_version"]) or 0),
                _number(row["first_sd"]),
                _number(row["told_nats"]),
                None if row["held"] is None else str(row["held"]),
                None if row["unseen"] is None else str(row["unseen"]),
            )
            for row in reader.named("causal_shares").as_dicts()
        ),
        predictions=predictions(reader),
        weight=weight(reader),
        last_change_sd=None if prior is None else _largest(prior.get("change_sd")),
        notes=tuple(
            NoteCount(str(row["note"]), int(_number(row["movies"]) or 0))
            for row in reader.named("cause_notes").as_dicts()
        ),
        ice=ice_words(reader.named("ice", {"last": MEAN_MOVIES}).as_dicts()[0]),
    )


def predictions(reader: SessionReader) -> tuple[PredictionSaid, ...]:
    """By the newest version."""
    rows = reader.named("predictions").as_dicts()
    return tuple(
        PredictionSaid(
            quantity=str(row["quantity"]),
            words=str(row["words"]),
            movies=int(_number(row["movies"]) or 0),
            inside_68=int(_number(row["inside_68"]) or 0),
            inside_95=int(_number(row["inside_95"]) or 0),
            crps=_number(row["crps"]) or 0.0,
            first_crps=_number(row["first_crps"]) or 0.0,
            plain_crps=_number(row["plain_crps"]) or 0.0,
            e_value=_number(row["e_value"]) or 0.0,
            held=str(row["held"]),
        )
        for row in rows
        if row["prior_version"] == rows[0]["prior_version"]
    )


def weight(reader: SessionReader) -> EvidenceWeight | None:
    """Of the newest version."""
    rows = reader.named("evidence_weights").as_dicts()
    terms = {
        str(row["term"]): WeightTerm(
            str(row["term"]),
            _number(row["reliability"]),
            str(row["words"]),
            None if row["verdict_round"] is None else int(_number(row["verdict_round"]) or 0),
        )
        for row in rows
        if row["prior_version"] == rows[0]["prior_version"]
    }
    return EvidenceWeight(_number(rows[0]["g"]) or 0.0, tuple(terms[name] for name in TERMS)) if rows else None


def advised(reader: SessionReader) -> tuple[Advised, ...]:
    """Frazil's own advice, best first, and how it is known."""
    words = _words(reader)
    return tuple(
        Advised(
            factor=str(row["factor"]),
            action=None if row["action"] is None else str(row["action"]),
            scope=str(row["scope"]),
            sentence=str(row["sentence"]),
            gain_ln_ssnr=_number(row["gain_ln_ssnr"]),
            gain_low=_number(row["gain_low_ln_ssnr"]),
            gain_high=_number(row["gain_high_ln_ssnr"]),
            movies_saved_share=_number(row["movies_saved_share"]),
            movies_per_hour_change=_number(row["movies_per_hour_change"]),
            known_by=None if row["known_by"] is None else str(row["known_by"]),
            known_how=None if row["known_how"] is None else str(row["known_how"]),
            adjusted_for=tuple(words.get(name, name) for name in str(row["adjusted_for"] or "").split(", ") if name),
            refuters=tuple(str(row["refuters"] or "").splitlines()),
            robustness_value=_number(row["robustness_value"]),
        )
        for row in reader.named("interventions", {"limit": 100}).as_dicts()
        if row["place"] is not None
    )


def named_counts(reader: SessionReader) -> tuple[NamedCount, ...]:
    """How often each cause is named, most often first."""
    return tuple(
        NamedCount(
            None if row["named_cause"] is None else str(row["named_cause"]),
            cause_words(row["named_cause"]),
            int(_number(row["movies"]) or 0),
        )
        for row in reader.named("named_causes").as_dicts()
    )


def changes(reader: SessionReader) -> tuple[Change, ...]:
    """When the session became another one."""
    return tuple(
        Change(
            movie_number=int(_number(row["movie_number"]) or 0) + 1,
            relative_path=None if row["relative_path"] is None else str(row["relative_path"]),
            acquired_utc_us=None if row["acquired_utc_us"] is None else int(_number(row["acquired_utc_us"]) or 0),
            cause=str(row["cause"]),
            sentence=str(row["sentence"]),
        )
        for row in reader.named("change_points").as_dicts()
    )


def _words(reader: SessionReader) -> dict[str, str]:
    """Of the nodes of the session's causal graph."""
    return {str(row["name"]): str(row["words"]) for row in reader.named("causal_nodes").as_dicts()}


def _losses(tables: dict[float, list[Row]], words: dict[str, str]) -> tuple[CauseLoss, ...]:
    """By factor at each resolution; those of the total first, each by their loss at 5 A."""
    by_factor: dict[str, list[LossAt]] = {}
    for resolution, rows in tables.items():
        for row in rows:
            loss, sd = _number(row["loss_ln_ssnr"]) or 0.0, _number(row["loss_sd"]) or 0.0
            half = _TWO_SIDED_95 * sd
            entry = LossAt(resolution, loss, max(0.0, loss - half), loss + half)
            by_factor.setdefault(str(row["factor"]), []).append(entry)
    at_5 = RESOLUTIONS_ANGSTROM.index(5.0)
    found = [
        CauseLoss(factor, FACTOR_WORDS.get(factor) or words.get(factor, factor), factor in BESIDE_TOTAL, tuple(at))
        for factor, at in by_factor.items()
    ]
    return tuple(sorted(found, key=lambda cause: (cause.beside_total, -cause.at[at_5].loss_ln_ssnr, cause.factor)))


def _total(losses: tuple[CauseLoss, ...]) -> tuple[float, ...]:
    of_total = [cause for cause in losses if not cause.beside_total]
    return tuple(sum(cause.at[i].loss_ln_ssnr for cause in of_total) for i in range(len(RESOLUTIONS_ANGSTROM)))


def _largest(values_json: Scalar) -> float | None:
    values = [float(part) for part in str(values_json or "").strip("[]").split(",") if part.strip()]
    return max(values, default=None)


def _number(value: Scalar) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
