"""All that could be done in a drawn session, and what each would really gain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.advice.truth import signal_per_hour
from benchmarks.advice.world import World, draw_world, grid_of

PAYS_LN, NOTHING_PAYS_LN = 0.08, 0.03
"""True net gain of a session's best action: at least the former, or at most the latter (which frazil calls what nobody
would get up for). Sessions between the two are drawn again."""
_KEPT_SHARES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
FEW_MOVIES = 10
"""From fewer nothing may be advised."""
_ATTEMPTS = 400
_TYPICAL = {
    "settle longer": ("settle", 10.0), "lower rate": ("rate", 0.5), "coma": ("coma", 0.0),
    "parallel": ("parallel", 0.0), "fewer electrons": ("electrons", 0.5),
}  # fmt: skip
"""What is looked at first: a session of the kind in which this brings next to nothing is drawn again at once."""


@dataclass(frozen=True, slots=True)
class Gain:
    """One action, by its kind and size, and its true net gain in ln signal per hour at 5 A."""

    kind: str
    size: float
    net_ln: float


class TrueGains:
    """Judges actions in one session."""

    def __init__(self, world: World) -> None:
        self.world, self.grid = world, grid_of(world)
        self._before, self._low = signal_per_hour(world, self.grid)

    def of(self, kind: str, size: float) -> float:
        """Net gain of an action. Sizes: seconds more or less, shares of what is set, nm for `ice limit`."""
        done = self.world.with_settings(**_settings(self.world, kind, size))
        if kind == "electrons":  # an exposure that ends sooner has fewer frames, each as long as before
            done = replace(done, frames=max(round(self.world.frames * size), 1))
        if kind == "ice limit" and not (self.grid.thickness_nm <= size).any():
            return -np.inf
        return signal_per_hour(done, self.grid, self._low)[0] - self._before

    def all(self) -> list[Gain]:
        """Of everything that could be done, the best first."""
        limits = [float(np.quantile(self.grid.thickness_nm, share)) for share in _KEPT_SHARES]
        sizes = {
            "settle": (-30.0, -20.0, -15.0, -10.0, -5.0, -2.0, 2.0, 5.0, 7.5, 10.0, 15.0, 20.0),
            "rate": (0.5, 0.7, 1.4, 1.7, 2.0, 2.8, 4.0),
            "electrons": (0.5, 0.65, 0.8, 1.25),
            "parallel": (0.0,),
            "coma": (0.0,),
            "shift": (0.7, 0.5, 0.35),
            "defocus": (0.6, 1.5),
            "ice limit": tuple(limits),
        }
        found = [Gain(kind, size, self.of(kind, size)) for kind, some in sizes.items() for size in some]
        return sorted(found, key=lambda gain: -gain.net_ln)


def _settings(world: World, kind: str, size: float) -> dict[str, float]:
    now, column = world.settings, {"column_min": world.column_min}
    if kind == "settle":
        return {"wait_s": max(now.wait_s + size, 0.5)}
    if kind == "rate":
        return {"rate_e_per_px_s": now.rate_e_per_px_s * size}
    if kind == "electrons":
        return {"dose_e_per_a2": now.dose_e_per_a2 * size}
    if kind == "parallel":
        return {"half_angle_mrad": min(now.half_angle_mrad, 0.01), **column}
    if kind == "coma":
        return {"coma_left": world.coma_calibrated_to, "axial_left": 0.2, **column}
    if kind == "shift":
        return {"shift_share": size}
    if kind == "defocus":
        return {"defocus_scale": size}
    return {"ice_limit_nm": size}


def family(kind: str, size: float) -> str:
    """Of an action, in the words of `world.KINDS`."""
    if kind in ("settle", "rate", "electrons"):
        more = {"settle": "settle longer", "rate": "higher rate", "electrons": "more electrons"}
        less = {"settle": "settle shorter", "rate": "lower rate", "electrons": "fewer electrons"}
        return more[kind] if size > (0.0 if kind == "settle" else 1.0) else less[kind]
    return {"ice limit": "thin ice", "shift": "coma"}.get(kind, kind)


def session_of(seed: int, kind: str, movies: int | None = None) -> tuple[World, TrueGains, list[Gain]]:
    """The first session of a seed whose truth is of its kind: the planted action is the best one and pays, or nothing
    does. Chosen by the truth alone. A session of a few movies is the first that is drawn: whatever pays there, nothing
    may be said.

    Raises
    ------
    ValueError
        None of many was.
    """
    for attempt in range(_ATTEMPTS):
        world = draw_world(seed, kind, movies, attempt)
        gains = TrueGains(world)
        few = movies is not None and movies < FEW_MOVIES
        if not few and kind in _TYPICAL and gains.of(*_TYPICAL[kind]) < PAYS_LN / 2:
            continue
        ranked = gains.all()
        if few:
            return world, gains, ranked
        best = ranked[0]
        if kind == "nothing":
            if best.net_ln <= NOTHING_PAYS_LN:
                return world, gains, ranked
        elif best.net_ln >= PAYS_LN and family(best.kind, best.size) == kind:
            return world, gains, ranked
    raise ValueError(f"no session of kind {kind} with seed {seed}")
