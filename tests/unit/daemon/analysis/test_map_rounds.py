"""A number of the map has one name, from the record over the store's column to the summary."""

from __future__ import annotations

from typing import get_type_hints

import numpy as np

from frazil.actors.reconstruction_records import ClassSummary, FinishedRound, MapClassSummary
from frazil.daemon.analysis.map.outlook import RoundOutlook
from frazil.daemon.analysis.map.rounds import reconstruction_row
from frazil.daemon.store.rows import ReconstructionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes
from frazil.models.map_round import NAMES, MapRoundRecord, as_values, record_from_row, record_values
from frazil.models.reconstruction.orientation.orientations import orientation_report
from frazil.models.reconstruction.refine.round_report import RoundReport
from frazil.models.reconstruction.resolution.fsc import FscCurve


def filled_record() -> MapRoundRecord:
    """Another value in every field, of the field's type, also in fields that are added one day."""
    values: dict[str, object] = {}
    for place, (name, kind) in enumerate(get_type_hints(MapRoundRecord).items(), start=1):
        types = getattr(kind, "__args__", (kind,))
        values[name] = (
            True if bool in types else place if int in types else place + 0.25 if float in types else f"text {place}"
        )
    return MapRoundRecord(**values)  # type: ignore[arg-type]


def test_every_number_of_a_round_is_a_column_and_every_column_a_number(tmp_path) -> None:
    with Store.open(tmp_path, now_utc_us=1) as store:
        assert set(store.named("reconstructions").columns) == set(NAMES)


def test_a_record_comes_back_from_the_named_query_as_it_was_stored(tmp_path) -> None:
    record = filled_record()
    with Store.open(tmp_path, now_utc_us=1) as store:
        row = ReconstructionRow(**as_values(record))
        store.write(WritePolicy.DURABLE, session_writes.record_reconstruction, row)
        (read,) = store.named("reconstructions").as_dicts()
    assert record_from_row(read) == record
    assert None not in read.values()


def test_what_a_source_names_as_the_record_does_is_taken_from_it() -> None:
    curve = FscCurve((0.1, 0.2), (1.0, 0.0))
    report = RoundReport(curve, curve, curve, curve, "sphere", 0.1, 0.9, 6.0, 8.0, ((1.0,),))
    assert record_values(report) == {
        "resolution_0143_angstrom": curve.resolution_angstrom(0.143),
        "resolution_05_angstrom": curve.resolution_angstrom(0.5),
        "mask": "sphere",
        "randomised_from_per_angstrom": 0.1,
        "sphericity": 0.9,
        "best_direction_angstrom": 6.0,
        "worst_direction_angstrom": 8.0,
    }
    assert record_values(None) == {}


def test_a_row_has_the_actors_numbers_the_outlooks_and_the_time() -> None:
    done = FinishedRound(
        2, None, 17, 900, "D2", sphericity=0.9, averages_path="maps/averages.mrcs", fsc=(0.9,), uniform_fsc=(0.8,),
        frequency_per_angstrom=(0.1,), classes=(ClassSummary(3, 40, 9.5),),
        map_classes=(MapClassSummary(1, 30.5, 8.0, "maps/class1.mrc"),),
    )  # fmt: skip
    views = orientation_report(
        np.array([10.0]), np.array([20.0]), np.array([100.0]), np.eye(3)[None], diameter_angstrom=100.0,
        resolution_angstrom=8.0,
    )  # fmt: skip
    row = reconstruction_row(done, RoundOutlook(views, None), now_utc_us=7)
    assert (row.round, row.created_utc_us, row.movie_count, row.particle_count) == (2, 7, 17, 900)
    assert (row.symmetry, row.sphericity, row.fsc_uniform, row.fsc_masked) == ("D2", 0.9, (0.8,), ())
    assert (row.preferred_orientation, row.orientation_efficiency) == (views.preferred, views.scf)
    assert row.orientation_sentence == views.sentence
    assert row.classes[0].average_path == "maps/averages.mrcs"
    assert row.map_classes[0].map_path == "maps/class1.mrc"
    assert row.b_factor_a2 is None
