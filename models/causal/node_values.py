"""What a person's equation may name: values of the graph's nodes in their units, and quantities of the movie.

A value is an array of draws, or one number; None: this movie does not know it. Nodes that stand for names (a grid
square) or that follow from several movies (the order of holes) have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from frazil.models.causal import mechanisms, settle
from frazil.models.causal.bands import Array
from frazil.models.causal.structural_equations import Departure, World

Value = Array | float | None
_MRAD = 1e-3


def _departure(world: World, node: str) -> Departure:
    return world.departures.get(node, Departure())


def _dose_e_per_a2(world: World) -> Value:
    return world.evidence.dose_per_frame_e_per_a2 * world.evidence.frame_count


def _dose_rate_e_per_px_per_s(world: World) -> Value:
    rate = mechanisms.dose_rate_e_per_px_per_s(world.evidence)
    return None if rate is None else rate * world.causes.dose_rate_scale


def _image_shift_um(world: World) -> Value:
    x, y = world.evidence.exposure.image_shift_x_um, world.evidence.exposure.image_shift_y_um
    return None if x is None or y is None else float(np.hypot(x, y)) * world.causes.image_shift_scale


def _settle_time_s(world: World) -> Value:
    settled = world.evidence.settle_time_s
    return None if settled is None else max(settled + _departure(world, "settle_time").more, 0.0)


def _energy_filter(world: World) -> Value:
    known = world.evidence.exposure.energy_filter
    return None if known is None else float(known)


def _steady_drift_angstrom_per_s(world: World) -> Value:
    """After an intervention: what it takes off the late frames, in frames that are as much longer as the rate is
    lower."""
    speed, removed = settle.drift_speed_angstrom_per_s(world.evidence), world.causes.drift_removed
    if speed is None or removed is None:
        return speed
    late = removed[:, removed.shape[1] // 3 :].mean(axis=1)
    return np.asarray(speed * np.abs(1.0 - late) * world.causes.dose_rate_scale)


def _beam_motion_angstrom(world: World) -> Value:
    """Length of the path that is not the stage's steady drift."""
    frames = len(world.evidence.shift_x_angstrom)
    travel = mechanisms.travel_in_frames_angstrom(world.evidence, np.ones(max(frames, 1)))
    path, scale = float(np.hypot(*travel).sum()), world.causes.beam_motion_scale
    return path if scale is None else np.asarray(path * np.sqrt(scale))


def _transmitted_e_per_px(world: World) -> Value:
    stated = world.evidence.exposure.stated_dose_per_frame_e_per_a2
    if not stated:
        return None
    share = world.causes.transmitted_share
    share = mechanisms.transmitted_share(world.evidence, world.causes) if share is None else share
    return np.asarray(stated * world.evidence.frame_count * world.evidence.pixel_size_angstrom**2 * share)


def _beam_tilt_mrad(world: World) -> Value:
    tilt = world.causes.beam_tilt_rad
    return np.asarray(mechanisms.beam_tilt_rad(world.evidence, world.causes) if tilt is None else tilt) / _MRAD


def _height_spread_angstrom(world: World) -> Value:
    spread = world.causes.height_spread_angstrom
    return mechanisms.height_spread_angstrom(world.causes) if spread is None else spread


VALUES: Mapping[str, Callable[[World], Value]] = {
    "dose_e_per_a2": _dose_e_per_a2,
    "dose_rate": _dose_rate_e_per_px_per_s,
    "defocus_target": lambda world: world.evidence.defocus_angstrom,
    "illumination_angle": lambda world: world.causes.source_half_angle_mrad,
    "image_shift": _image_shift_um,
    "settle_time": _settle_time_s,
    "energy_filter": _energy_filter,
    "focal_spread": lambda world: world.causes.focal_spread_sd_angstrom,
    "count_loss": lambda world: world.causes.count_loss_s_px_per_e,
    "ice_thickness": lambda world: world.causes.ice_thickness_nm,
    "beam_tilt": _beam_tilt_mrad,
    "steady_drift": _steady_drift_angstrom_per_s,
    "beam_induced_motion": _beam_motion_angstrom,
    "height_spread": _height_spread_angstrom,
    "specimen_tilt": lambda world: world.evidence.tilt_angle_deg,
    "transmitted_counts": _transmitted_e_per_px,
}
"""Of shipped nodes that are no loss, by name, in the node's unit. Losses lie in `World.values`."""
REPLACEABLE: Mapping[str, float] = {
    "illumination_angle": 1.0,
    "focal_spread": 1.0,
    "count_loss": 1.0,
    "ice_thickness": 1.0,
    "height_spread": 1.0,
    "beam_tilt": _MRAD,
}
"""Shipped nodes, besides losses, whose value a person's equation may give: what the node's unit is in that of its slot
(`structural_equations.SLOTS`)."""
QUANTITIES: Mapping[str, tuple[str, Callable[[World], Value]]] = {
    "pixel_size_angstrom": ("A", lambda world: world.evidence.pixel_size_angstrom),
    "pixel_area_a2_per_px": ("A2/px", lambda world: world.evidence.pixel_size_angstrom**2),
    "voltage_kv": ("kV", lambda world: world.evidence.voltage_kv),
    "cs_mm": ("mm", lambda world: world.evidence.cs_mm),
    "pre_exposure_e_per_a2": ("e/A2", lambda world: world.evidence.pre_exposure_e_per_a2),
    "field_width_angstrom": ("A", lambda world: world.evidence.field_width_angstrom),
    "particle_diameter_angstrom": ("A", lambda world: world.evidence.particle_diameter_angstrom),
}
"""Of the movie, by name, with their units: what no node of the graph acts upon."""
FREQUENCY = "k_per_angstrom"
"""Where the loss is asked for; only a loss may name it."""
FREQUENCY_UNIT = "1/A"
