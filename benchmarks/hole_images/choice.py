"""What images bring to the choice of holes: the belief's ranking of those that are left, by what is known of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import spearmanr

from benchmarks.hole_images.sessions import Index, Session, Surveyed
from frazil.models.grid_target import GridTarget
from frazil.models.hole_images.ice_calibration import Exposed, ice_by_brightness
from frazil.models.hole_images.looks import Array
from frazil.models.simulation.grid.exposure import draw_luck, shoot
from frazil.models.simulation.grid.survey import chosen_holes, known_targets
from frazil.models.simulation.grid.truth import hole_target_id
from frazil.models.targets.features import ICE_NM, ICE_SD_NM, with_features
from frazil.models.targets.image_faults import fault_features
from frazil.models.targets.policy import arranged, outlooks_of
from frazil.models.targets.records import Outcome, TargetSettings


def choice_figures(session: Session, surveyed: Surveyed, exposures: int) -> dict[str, float]:
    """Spearman's correlation of the expected resolution and the one that a shot gives (its luck is in it), of chosen
    holes that were not exposed: without features, with the brightness that a program writes, with frazil's ice."""
    truth, at = surveyed.truth, surveyed.hole
    chosen = chosen_holes(truth, surveyed.written)
    exposed = session.exposed(exposures)
    shots = shoot(truth, draw_luck(truth))
    names = [hole_target_id(int(number)) for number in truth.holes.number]
    shot = at[exposed.hole]
    outcomes = [Outcome(names[hole], float(shots.resolution_angstrom[hole])) for hole in shot.tolist()]
    more = _features(session, exposed, [names[hole] for hole in at.tolist()])
    bare = known_targets(truth, None, chosen)
    written = known_targets(truth, surveyed.written, chosen)
    left = chosen.copy()
    left[shot] = False
    asked = np.flatnonzero(left)
    return {
        "none": _correlation(bare, outcomes, names, asked, shots.resolution_angstrom),
        "brightness_written": _correlation(written, outcomes, names, asked, shots.resolution_angstrom),
        "ice": _correlation(with_features(written, more), outcomes, names, asked, shots.resolution_angstrom),
    }


def _features(session: Session, exposed: Exposed, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """As the daemon hands them in."""
    ice, looks = ice_by_brightness(session.brightness, exposed, session.references), session.looks
    found = {}
    for at, name in enumerate(names):
        dark, ring = float(looks.dark_share[at]), float(looks.ring_share[at])
        found[name] = fault_features(dark, ring) if math.isfinite(dark) else {}
        if math.isfinite(ice.ice_nm[at]):
            found[name] |= {ICE_NM: float(ice.ice_nm[at]), ICE_SD_NM: float(ice.ice_sd_nm[at])}
    return found


def _correlation(
    targets: Iterable[GridTarget], outcomes: Sequence[Outcome], names: Sequence[str], asked: Index, true: Array
) -> float:
    settings = TargetSettings()
    places = arranged(targets, settings)
    known = outlooks_of(places, outcomes, settings)
    mine = [places.holes.index[names[hole]] for hole in asked.tolist()]
    return float(spearmanr(known.forecast.mean[mine], true[asked]).statistic)
