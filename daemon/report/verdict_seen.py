"""What the verdict is given of a session, from the store's named queries: for the live record and for a summary."""

from __future__ import annotations

from dataclasses import dataclass

from frazil.config.errors import SettingsError
from frazil.config.loading import settings_of
from frazil.config.settings import VerdictSettings
from frazil.daemon.report.action_words import action_of
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.rows import ADVISER
from frazil.daemon.store.table import Scalar
from frazil.daemon.transport.messages import VerdictState
from frazil.models.causal.advice.record import SESSION
from frazil.models.session_verdict.judge import Judge
from frazil.models.session_verdict.records import (
    Advised,
    Fault,
    MovieSeen,
    NotGood,
    OpenAlert,
    SessionSeen,
    Verdict,
    VerdictLimits,
)

_ADVICE_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class QualitySeen:
    """The newest movies and those before them."""

    newest: tuple[MovieSeen, ...] = ()
    good_before: int = 0
    ended_before: int = 0

    @property
    def ended(self) -> int:
        """Movies that came to an end."""
        return len(self.newest) + self.ended_before


def verdict_limits(settings: VerdictSettings) -> VerdictLimits:
    """Those of the limits that the core needs; the others are the queries'."""
    return VerdictLimits(
        movies=settings.movies,
        fewest=settings.fewest,
        good_share=settings.good_share,
        stop_share=settings.stop_share,
        worth_changing=settings.worth_changing,
    )


def quality_seen(reader: SessionReader, settings: VerdictSettings) -> QualitySeen:
    """Raises what the reader raises."""
    limits = _of_a_movie(settings)
    rows = reader.named("newest_faults", {"last": settings.movies, **limits}).as_dicts()
    newest = tuple(
        MovieSeen(
            fault=None if row["fault"] is None else Fault(str(row["fault"])),
            reason=str(row["reason"] or ""),
            ice_nm=_float(row["ice_nm"]),
            early_motion_angstrom=_float(row["motion_early_angstrom"]),
            ctf_fit_angstrom=_float(row["fit_resolution_angstrom"]),
            square=str(row["grid_square"] or ""),
        )
        for row in rows
    )
    counts = reader.named("fault_counts", limits).as_dicts()[0]
    good = int(str(counts["good"])) - sum(movie.fault is None for movie in newest)
    return QualitySeen(newest, good, int(str(counts["ended"])) - len(newest))


def not_good_seen(reader: SessionReader, settings: VerdictSettings) -> tuple[NotGood, ...]:
    """Of all movies that came to an end. Raises what the reader raises."""
    return tuple(
        NotGood(Fault(str(row["fault"])), str(row["grid_square"] or ""), int(str(row["movies"])))
        for row in reader.named("not_good", _of_a_movie(settings)).as_dicts()
    )


def kept_faults(reader: SessionReader) -> dict[str, int]:
    """Kept movies that are not good by their fault, the commonest first. Raises what the reader raises."""
    rows = reader.named("session").as_dicts()
    settings = settings_kept(str(rows[0]["settings_yaml"] or "") if rows else "")
    found = reader.named("kept_faults", _of_a_movie(settings)).as_dicts()
    return {str(row["fault"]): int(str(row["movies"])) for row in found}


def settings_kept(settings_yaml: str) -> VerdictSettings:
    """Of the session's settings; those that ship where an earlier frazil kept none."""
    try:
        return settings_of(settings_yaml).verdict if settings_yaml else VerdictSettings()
    except SettingsError:
        return VerdictSettings()


def _of_a_movie(settings: VerdictSettings) -> dict[str, Scalar]:
    return {
        "ctf_fit_angstrom": settings.ctf_fit_angstrom,
        "early_motion_angstrom": settings.early_motion_angstrom,
        "ice_nm": settings.ice_nm,
    }


def map_told(resolution_angstrom: float | None, *, at_pixel_limit: bool) -> str:
    """How far the map is in the verdict; empty: there is none.

    >>> map_told(4.65, at_pixel_limit=True)
    'map 4.7 A or better'
    """
    if resolution_angstrom is None:
        return ""
    return f"map {resolution_angstrom:.1f} A" + (" or better" if at_pixel_limit else "")


def verdict_on_the_end(
    reader: SessionReader, settings: VerdictSettings, *, waiting: int, closed: bool, map_words: str
) -> VerdictState:
    """Of a session that no daemon has: `stopped` where movies wait, else `finished`; `closed` False: its daemon was
    killed. Raises what the reader raises."""
    quality = quality_seen(reader, settings)
    seen = SessionSeen(
        status="ended" if not closed else "stopping" if waiting else "finished",
        ended=quality.ended,
        total=quality.ended + waiting,
        waiting=waiting,
        newest=quality.newest,
        good_before=quality.good_before,
        ended_before=quality.ended_before,
        not_good=not_good_seen(reader, settings),
        map_words=map_words,
    )
    return told(Judge(verdict_limits(settings)).step(seen))


def told(verdict: Verdict) -> VerdictState:
    """As it goes over the wire."""
    return VerdictState(
        verdict.word.value,
        verdict.line,
        verdict.sentence,
        verdict.reasons,
        verdict.rules,
        verdict.action,
        verdict.not_good,
    )


def alerts_seen(reader: SessionReader) -> tuple[OpenAlert, ...]:
    """Raises what the reader raises."""
    return tuple(
        OpenAlert(
            str(row["alert_id"]),
            str(row["severity"]),
            str(row["subject"]),
            str(row["text"]),
            str(row["remedy"] or ""),
        )
        for row in reader.named("standing_alerts").as_dicts()
    )


def advice_seen(reader: SessionReader) -> tuple[Advised, ...]:
    """Frazil's own about the whole session. Raises what the reader raises."""
    return tuple(
        one
        for row in reader.named("interventions", {"limit": _ADVICE_LOOKED_AT}).as_dicts()
        if row["who"] == ADVISER and row["scope"] == SESSION and (one := advised(row)) is not None
    )


def advised(row: dict[str, Scalar]) -> Advised | None:
    """Of a row of `interventions`; None: an earlier frazil did not keep its net gain.

    What it costs is known as well as the pace is: the interval of the gain less the cost is that of the net gain.
    """
    gain, low, net = (_float(row[name]) for name in ("gain_ln_ssnr", "gain_low_ln_ssnr", "net_ln_ssnr"))
    if gain is None or low is None or net is None:
        return None
    return Advised(action_of(str(row["sentence"])), net, low + net - gain)


def _float(value: Scalar) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
