"""A finished round of the map goes into the store: its record, completed with what the session's data say of it."""

from __future__ import annotations

from dataclasses import replace

from frazil.actors.reconstruction_records import FinishedRound
from frazil.daemon.analysis.map.outlook import RoundOutlook, round_outlook
from frazil.daemon.session.notices import Notices
from frazil.daemon.store.rows import ClassChoiceRow, ClassRow, MapClassRow, ReconstructionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes
from frazil.models.map_round import as_values

_TILT_REMEDY = "tilt the stage by 20 to 40 deg, or change grid or detergent"


def record_round(
    store: Store, notices: Notices, done: FinishedRound, *, now_utc_us: int, goal_angstrom: float | None
) -> None:
    """Durable when it returns; preferred orientation is an alert.

    Parameters
    ----------
    goal_angstrom:
        The resolution that the session is for; None: the forecasts choose their own steps.

    Raises
    ------
    FrazilError
        The store does not take it, or cannot be read: the round is not recorded.
    """
    outlook = round_outlook(store, done, now_utc_us=now_utc_us, goal_angstrom=goal_angstrom)
    row = reconstruction_row(done, outlook, now_utc_us=now_utc_us)
    store.write(WritePolicy.DURABLE, session_writes.record_reconstruction, row)
    if row.preferred_orientation and row.orientation_sentence is not None:
        notices.alert("warning", "orientation", row.orientation_sentence, _TILT_REMEDY, "preferred-orientation")


def reconstruction_row(done: FinishedRound, outlook: RoundOutlook, *, now_utc_us: int) -> ReconstructionRow:
    """As the store takes it: pure."""
    report = done.report
    record = replace(done, created_utc_us=now_utc_us, **outlook.record_values())
    return ReconstructionRow(
        **as_values(record),
        frequency_per_angstrom=done.frequency_per_angstrom,
        fsc=done.fsc,
        fsc_unmasked=() if report is None else report.unmasked.fsc,
        fsc_masked=() if report is None else report.masked.fsc,
        fsc_randomised=() if report is None else report.randomised.fsc,
        fsc_uniform=done.uniform_fsc,
        classes=tuple(
            ClassRow(
                average.class_id,
                average.particle_count,
                average.resolution_angstrom,
                done.averages_path,
                average.score,
            )
            for average in done.classes
        ),
        class_choices=tuple(
            ClassChoiceRow(one.class_id, one.today, one.parent, one.score, one.spoken_for_by, one.chosen)
            for one in done.class_verdicts
        ),
        map_classes=tuple(
            MapClassRow(part.map_class, part.particle_count, part.resolution_0143_angstrom, part.map_path)
            for part in done.map_classes
        ),
        forecasts=outlook.forecast_rows(),
        gains=outlook.gains,
    )
