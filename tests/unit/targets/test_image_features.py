"""What frazil's own look at images adds to what is known of holes: which columns it becomes, and how it is told."""

from __future__ import annotations

import numpy as np

from frazil.daemon.analysis.targets.rounds import with_ice
from frazil.models.grid_target import GridTarget
from frazil.models.targets.features import ICE_NM, ICE_SD_NM, columns_of, with_features
from frazil.models.targets.layout import holes_of
from frazil.models.targets.policy import arranged, next_targets, outlooks_of
from frazil.models.targets.records import Outcome, TargetSettings

COUNT = 60


def grid(seed: int = 1) -> tuple[list[GridTarget], np.ndarray]:
    """One square; ice in nm, and a brightness that says it less well."""
    rng = np.random.default_rng(seed)
    ice = rng.uniform(15.0, 90.0, COUNT)
    counts = 900.0 * np.exp(-ice / 300.0) * np.exp(0.05 * rng.normal(size=COUNT))
    holes = [
        GridTarget(
            f"h{n}", "hole", "epu", str(n), "s", "chosen", n, stage_x_um=float(n % 8), stage_y_um=float(n // 8),
            features=(("intensity_mean_counts", float(counts[n])),),
        )
        for n in range(COUNT)
    ]  # fmt: skip
    return [GridTarget("s", "square", "epu", "1"), *holes], ice


def told(ice: np.ndarray, known: int = COUNT) -> dict[str, dict[str, float]]:
    return {f"h{n}": {ICE_NM: float(ice[n]), ICE_SD_NM: 5.0} for n in range(known)}


def test_ice_stands_for_the_brightness_that_a_program_wrote_where_nearly_all_of_it_is_known() -> None:
    targets, ice = grid()
    whole = columns_of(holes_of(with_features(targets, told(ice))), (), 6.0)
    assert whole.names == (ICE_NM, f"{ICE_NM} squared")
    half = columns_of(holes_of(with_features(targets, told(ice, COUNT // 2))), (), 6.0)
    assert "intensity_mean_counts" in half.names
    assert ICE_SD_NM not in half.names
    bare = columns_of(holes_of(targets), (), 6.0)
    assert bare.names == ("intensity_mean_counts", "intensity_mean_counts squared")


def test_a_belief_with_ice_ranks_what_is_left_better_than_one_with_brightness() -> None:
    better = 0
    for seed in range(6):
        targets, ice = grid(seed)
        truth = np.log(3.2 * (1.0 + (ice / 80.0) ** 2)) + 0.03 * np.random.default_rng(seed).normal(size=COUNT)
        outcomes = [Outcome(f"h{n}", resolution_angstrom=float(np.exp(truth[n]))) for n in range(20)]
        settings = TargetSettings()
        ranks = []
        for known in (targets, with_features(targets, told(ice))):
            expected = outlooks_of(arranged(known, settings), outcomes, settings).forecast.mean
            ranks.append(np.corrcoef(expected[20:], truth[20:])[0, 1])
        better += ranks[1] > ranks[0]
    assert better >= 5


def test_reasons_tell_the_ice_where_it_is_known() -> None:
    targets, ice = grid()
    seen = told(ice, 30)
    settings = TargetSettings(ranked=COUNT)
    answer = next_targets(arranged(with_features(targets, seen), settings), [], 600.0, settings)
    reasons = {one.target_id: one.reason for one in with_ice(answer, seen).ranked}
    assert reasons["h3"].endswith(f"; ice {ice[3]:.0f} +- 5 nm")
    assert not any("ice" in reasons[f"h{n}"] for n in range(30, COUNT))
    assert [one.target_id for one in answer.ranked] == list(reasons), "words change no order"
