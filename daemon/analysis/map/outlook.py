"""How the views of a round's particles are spread, and what more movies would bring to its map."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from frazil.actors.reconstruction_records import FinishedRound
from frazil.daemon.report.why import cause_words
from frazil.daemon.store.movie_states import ENDED, current, in_state, kept
from frazil.daemon.store.rows import ForecastRow, GainRow
from frazil.daemon.store.store import Store
from frazil.models.causal.factors import CHANGEABLE
from frazil.models.reconstruction.orientation.orientations import OrientationReport, orientation_report
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.resolution.forecast import Ssnr, ssnr_of
from frazil.models.reconstruction.resolution.outlook import Outlook, outlook

_log = logging.getLogger(__name__)
_PACE_WINDOW_S = 3600.0
_GAINS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)
_SESSION_SQL = f"""
SELECT count(*) FILTER ({kept()}) AS kept,
       count(*) FILTER ({in_state(ENDED)}) AS ended,
       count(*) FILTER ({current()}) AS total
FROM movies
"""
_CAUSE_SQL = """
SELECT factor FROM causal_shares WHERE list_contains(?, factor) ORDER BY loss_ln_ssnr DESC, factor LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class RoundOutlook:
    """None: not known yet."""

    orientations: OrientationReport | None
    outlook: Outlook | None
    gains: tuple[GainRow, ...] = ()
    """The map with fewer and with more particles."""

    def record_values(self) -> dict[str, Any]:
        """The fields of `MapRoundRecord` that follow from it."""
        values: dict[str, Any] = {}
        if self.orientations is not None:
            values["orientation_efficiency"] = self.orientations.scf
            values["preferred_orientation"] = self.orientations.preferred
            values["orientation_sentence"] = self.orientations.sentence
        b_factor = None if self.outlook is None else self.outlook.b_factor_a2
        if b_factor is not None:
            values["b_factor_a2"] = b_factor.median
            values["b_factor_low_a2"], values["b_factor_high_a2"] = b_factor.low, b_factor.high
        return values

    def forecast_rows(self) -> tuple[ForecastRow, ...]:
        """As the store keeps them."""
        if self.outlook is None:
            return ()
        return tuple(ForecastRow(place, **asdict(row)) for place, row in enumerate(self.outlook.rows, start=1))


def round_outlook(
    store: Store, done: FinishedRound, *, now_utc_us: int, goal_angstrom: float | None = None
) -> RoundOutlook:
    """From a finished round and what the store knows of its session. A curve that no forecast can be made from is
    logged, and gives no forecast."""
    report = done.report
    resolution = done.resolution_0143_angstrom
    if report is None or resolution is None:
        return RoundOutlook(None, None)
    views = None
    pace = _pace(store, now_utc_us)
    kept, ended, total = (int(value) for value in store.rows(_SESSION_SQL)[0])
    causes = store.rows(_CAUSE_SQL, list(CHANGEABLE))
    try:
        if done.diameter_angstrom is not None:
            bins = np.array(done.views, dtype=np.float64).reshape(-1, 3)
            views = orientation_report(
                bins[:, 0],
                bins[:, 1],
                bins[:, 2],
                symmetry_matrices(done.symmetry),
                diameter_angstrom=done.diameter_angstrom,
                resolution_angstrom=resolution,
            )
        if not done.own_orientations:
            return RoundOutlook(views, None)
        ssnr = ssnr_of(report.corrected, np.array(report.chance_covariance))
        foreseen = outlook(
            ssnr,
            movie_count=done.movie_count,
            particle_count=done.particle_count,
            resolution_angstrom=resolution,
            movies_at_end=round(total * kept / ended) if ended else None,
            movies_per_hour=pace,
            largest_cause=cause_words(causes[0][0]) if causes else None,
            goal_angstrom=goal_angstrom,
        )
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        _log.warning("no forecast of the map: %s", error)
        return RoundOutlook(views, None)
    return RoundOutlook(views, foreseen, _gains(ssnr))


def _gains(ssnr: Ssnr) -> tuple[GainRow, ...]:
    resolutions = [(gain, ssnr.resolution(gain)) for gain in _GAINS]
    return tuple(GainRow(gain, interval.low, interval.median, interval.high) for gain, interval in resolutions)


def _pace(store: Store, now_utc_us: int) -> float | None:
    """Kept movies per hour over the last one; None: none."""
    rates = store.named("rate_per_hour", {"now_utc_us": now_utc_us, "window_s": _PACE_WINDOW_S}).as_dicts()
    kept_per_hour = rates[0]["kept_per_hour"] if rates else None
    return float(kept_per_hour) if kept_per_hour else None
