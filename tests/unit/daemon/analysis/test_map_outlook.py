"""The outlook of a round: views as the map has them, the session's end from its movies, the largest cause."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from frazil.actors.reconstruction_records import FinishedRound
from frazil.daemon.analysis.map.outlook import round_outlook
from frazil.models.reconstruction.orientation.orientations import view_vectors
from frazil.models.reconstruction.orientation.view_counts import FINE_BINS, bin_angles_deg, bin_numbers
from frazil.models.reconstruction.refine.round_report import RoundReport
from frazil.models.reconstruction.resolution.fsc import FscCurve

K = np.arange(1, 40) / 200.0


def finished(movies: int, particles: int) -> FinishedRound:
    values = np.exp(-150 * (K**2 - 1 / 64)) / 3
    curve = FscCurve(tuple(K.tolist()), tuple((values / (2 + values)).tolist()))
    nothing = FscCurve(curve.frequency_per_angstrom, (0.0,) * len(K))
    covariance = tuple(map(tuple, np.diag(1 / np.arange(1, 40) ** 2).tolist()))
    report = RoundReport(curve, curve, curve, nothing, "map", None, 0.95, 7.0, 9.0, covariance)
    return FinishedRound(
        1, None, movies, particles, "C1", frequency_per_angstrom=curve.frequency_per_angstrom, fsc=curve.fsc,
        resolution_0143_angstrom=curve.resolution_angstrom(0.143), report=report, diameter_angstrom=120.0,
    )  # fmt: skip


def views(rot, tilt) -> tuple[tuple[float, float, int], ...]:
    """As the actor tells them."""
    numbers = bin_numbers(view_vectors(rot, tilt), FINE_BINS)
    return bin_angles_deg(np.bincount(numbers, minlength=FINE_BINS[0] * FINE_BINS[1]).reshape(FINE_BINS))


def test_a_round_comes_with_views_end_and_cause(store, put) -> None:
    for sequence in range(3):
        put(sequence)
    rng = np.random.default_rng(1)
    even = rng.uniform(-180, 180, 100), np.degrees(np.arccos(rng.uniform(-1, 1, 100)))
    rot, tilt = np.append(rng.normal(30, 4, 900), even[0]), np.append(rng.normal(20, 4, 900), even[1])
    done = replace(finished(2, 1000), views=views(rot, tilt))
    shares = [("ice", 0.9, 0.1, True, 3, 1), ("motion", 0.3, 0.1, True, 3, 1)]
    for share in shares:
        store.submit(
            lambda c, s: c.execute("INSERT INTO causal_shares VALUES (?, ?, ?, ?, ?, ?)", list(s)) and None, share
        )
    store.flush()
    outlook = round_outlook(store, done, now_utc_us=2_000_000)
    assert outlook.orientations is not None
    assert outlook.orientations.preferred
    assert outlook.orientations.particle_count == 1000
    end, *steps = outlook.forecast_rows()
    assert (end.kind, end.movies, end.place) == ("end", 3, 1)
    assert [row.kind for row in steps] == ["step"] * 3
    limited = [row.limited_by for row in steps if not row.reachable]
    assert set(limited) <= {"ice thickness", "pixel size of the running map"}
    early = replace(done, own_orientations=False)
    outlook = round_outlook(store, early, now_utc_us=2_000_000)
    assert outlook.orientations is not None
    assert outlook.outlook is None


def test_a_curve_without_a_forecast_does_not_stop_the_daemon(store, put) -> None:
    put(0)
    done = finished(1, 100)
    assert done.report is not None
    outlook = round_outlook(
        store,
        replace(done, report=replace(done.report, chance_covariance=((1.0,),))),
        now_utc_us=2_000_000,
    )
    assert outlook.outlook is None


def test_an_unresolved_map_foretells_nothing(store) -> None:
    outlook = round_outlook(store, FinishedRound(0, None, 0, 0, "C1"), now_utc_us=1)
    assert (outlook.orientations, outlook.outlook, outlook.forecast_rows()) == (None, None, ())
