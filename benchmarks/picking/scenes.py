"""Micrographs with known particles, or with nothing to pick, for `picking.py`.

Physics by `ctf_scenes.py` (which shares no code with frazil): 36 e/A2 at 300 kV, 1.0 to 2.0 um of defocus, amorphous
ice that moves, Poisson electrons. Here: what lies in the ice. Five specimens, crowded (5 to 40 % of the field) among a
film of disordered protein under an uneven background, some beside a carbon edge or contamination; and six kinds of
field in which there is nothing to pick. Centres are x and y in pixels (RELION's).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from benchmarks.ctf import scenes as ctf_scenes
from benchmarks.ctf.scenes import Array
from benchmarks.picking import specimens as picking_specimens
from benchmarks.picking.specimens import Specimen

NOTHING = ("carbon", "carbon edge", "empty ice", "crystalline", "contamination", "hole edge")
SIZE_PX = {"capsid": 2048, "ribosome": 1280}
PIXELS = (1.0, 1.2, 1.35)
_DIAMETERS_OF_NOTHING = (100.0, 160.0, 220.0)
"""What a person may look for in a field without particles."""
_CLOSEST = 0.85
"""Least distance of two centres, in diameters."""
_MEAN_FREE_PATH_ANGSTROM = 3000.0
"""Of ice, behind an energy filter."""


@dataclass(frozen=True, slots=True)
class Scene:
    name: str
    """A specimen or one of NOTHING."""
    truth: ctf_scenes.Truth
    image: Array = field(repr=False)
    """(h, w) aligned, dose-weighted electrons."""
    centres_px: NDArray[Any]
    """(n, 2) x and y, those outside the field included."""
    axes_px: tuple[NDArray[Any], ...]
    """Fibres' axes: points x, y about 1 A apart."""
    diameters_angstrom: tuple[float, float]
    """Shortest and longest extent of the specimen; of a fibre its width; of nothing what is looked for."""


def draw_scene(name: str, seed: int, folder: Path) -> Scene:
    """A scene; the same seed gives the same scene."""
    rng = np.random.default_rng([seed, 29, *name.encode()])
    specimen = None if name in NOTHING else picking_specimens.load(name, folder)
    plain = name in NOTHING
    truth = ctf_scenes.Truth(
        kind=name,
        seed=seed,
        size_px=SIZE_PX.get(name, 1024),
        pixel_size=PIXELS[seed % len(PIXELS)],
        voltage_kv=300.0,
        cs_mm=2.7,
        amplitude_contrast=float(rng.choice([0.07, 0.1])),
        dose=36.0,
        defocus=float(rng.uniform(10_000.0, 20_000.0)),
        astigmatism=float(min(abs(rng.normal(0.0, 400.0)), 1500.0)),
        angle=float(rng.uniform(-90.0, 90.0)),
        coverage=0.0 if plain else float(rng.uniform(0.05, 0.40)),
        ice_thickness=float(rng.uniform(250.0, 700.0)),
        film=float(rng.uniform(0.0, 20.0)) if not plain or rng.random() < 0.5 else 0.0,
        carbon=float(rng.uniform(40.0, 150.0)) if name.startswith("carbon") or name == "hole edge" else 0.0,
        carbon_share=float(rng.uniform(0.3, 0.7)) if name in ("carbon edge", "hole edge") else 1.0,
        crystals=float(rng.uniform(0.05, 0.3)) if name == "crystalline" else 0.0,
        b_factor=float(rng.uniform(60.0, 120.0)),
    )
    guests = rng.random() if specimen is not None else 1.0
    if guests < 0.2:
        truth = replace(truth, carbon=float(rng.uniform(60.0, 150.0)), carbon_share=float(rng.uniform(0.15, 0.3)))
    sheet = _Sheet(truth, np.random.default_rng([seed, 31, *name.encode()]))
    image, centres, axes = sheet.expose(name, specimen, contaminated=name == "contamination" or 0.2 <= guests < 0.4)
    if specimen is None:
        diameter = _DIAMETERS_OF_NOTHING[seed // len(PIXELS) % len(_DIAMETERS_OF_NOTHING)]
        return Scene(name, truth, image, centres, axes, (0.8 * diameter, diameter))
    return Scene(name, truth, image, centres, axes, specimen.diameters_angstrom)


class _Sheet(ctf_scenes.Canvas):
    """A canvas with places where nothing may lie, blobs of contamination and an uneven background."""

    def expose(
        self, name: str, specimen: Specimen | None, contaminated: bool
    ) -> tuple[Array, NDArray[Any], tuple[NDArray[Any], ...]]:
        truth, n = self.truth, self.size
        thick = self.blobs() if contaminated else np.zeros((n, n), dtype=np.float32)
        edge = truth.carbon > 0.0 and truth.carbon_share < 1.0
        foil = self.carbon_mask() if edge else np.full((n, n), 1.0 if truth.carbon else 0.0, dtype=np.float32)
        free = (thick < 5.0) & (foil < 0.5) if specimen is not None else np.ones((n, n), dtype=bool)
        layers = 3
        solid, centres, axes = self.place(specimen, free, layers)
        if truth.film > 0:
            solid[1] = solid[1] + self.film(truth.film)
        still = self.forward(thick) * np.float32(ctf_scenes.WATER_VOLTS * self.sigma)
        if truth.carbon > 0:
            still = still + self.carbon(truth.carbon)
        light = np.exp(-thick / _MEAN_FREE_PATH_ANGSTROM) * self.wedge()
        light = light * (1 - (1 - math.exp(-truth.carbon / 1600.0)) * foil)
        if truth.crystals > 0:
            still = still + self.crystals(truth.crystals)
            light = light * self.patches()
        if name == "hole edge" and truth.seed % 2:
            # Gold lets little through, grain by grain.
            grains = scipy.ndimage.gaussian_filter(
                self.rng.standard_normal((n, n), dtype=np.float32), 60 / truth.pixel_size
            )
            light = light * (1 - foil * np.clip(0.8 + 0.1 * grains / grains.std(), 0.5, 0.95))
        first = (n - truth.size_px) // 2
        image = self.count(solid, still, light.astype(np.float32), slice(first, first + truth.size_px))
        return image, centres - first, tuple(axis - first for axis in axes)

    def count(self, solid: list[Array], still: Array, light: Array, window: slice) -> Array:
        """The dose-weighted sum; the same steps as in `ctf_scenes.make_scene`."""
        truth = self.truth
        ice = self.ice(truth.ice_thickness)
        damp = np.exp(-0.25 * truth.b_factor * self.k**2)
        spread = 0.25 * truth.ice_thickness
        kernels = [
            (2 * damp * ctf_scenes.transfer(truth, self.kx, self.ky, spread * (layer - 1))).astype(np.float32)
            for layer in range(len(solid))
        ]
        per_step = truth.dose / ctf_scenes.STEPS * truth.pixel_size**2
        halves, exposures = [], []
        for step in range(ctf_scenes.STEPS):
            exposures.append(truth.dose * (step + 0.5) / ctf_scenes.STEPS)
            left = np.exp(-0.5 * exposures[-1] / ctf_scenes.critical_dose(self.k)).astype(np.float32)
            total = sum(phase * left * kernel for phase, kernel in zip(solid, kernels, strict=True))
            contrast = self.back(total + (still + ice[step]) * kernels[1])[window, window]
            mean = 0.5 * per_step * light[window, window] * np.maximum(1.0 + contrast, 0.02)
            halves.append([self.rng.poisson(mean).astype(np.float32) for _ in range(2)])
        return np.asarray(ctf_scenes._dose_weighted(halves, exposures, truth), dtype=np.float32)

    def place(
        self, specimen: Specimen | None, free: NDArray[np.bool_], layers: int
    ) -> tuple[list[Array], NDArray[Any], tuple[NDArray[Any], ...]]:
        """Transforms of the particles' phase by layer, their centres, and the axes if they are fibres."""
        if specimen is None:
            return [np.zeros(self.k.shape, dtype=np.complex64) for _ in range(layers)], np.zeros((0, 2)), ()
        truth, rng = self.truth, self.rng
        radius = specimen.diameters_angstrom[1] / 2
        side = self.size * truth.pixel_size
        maps = np.zeros((layers, 4, self.size * self.size), dtype=np.float32)
        if specimen.fibre:
            axes = self.fibres(specimen, free, maps)
            return self.phases(maps), np.zeros((0, 2)), axes
        # What may not lie on carbon or contamination may not hang over its edge either.
        coarse = max(1, int(20 / truth.pixel_size))
        room = scipy.ndimage.distance_transform_edt(np.pad(free[::coarse, ::coarse], 1, constant_values=True))[
            1:-1, 1:-1
        ]
        room = room * coarse * truth.pixel_size if not free.all() else np.full(room.shape, np.inf)
        wanted = max(2, round(truth.coverage * side * side * free.mean() / (math.pi * radius * radius)))
        centres: list[NDArray[Any]] = []
        for _ in range(40 * wanted):
            if len(centres) >= wanted:
                break
            new = rng.uniform(0, side, 2)
            at = (new / truth.pixel_size / coarse).astype(int).clip(0, min(room.shape) - 1)
            if room[at[1], at[0]] > radius and all(
                np.hypot(*(new - other)) > 2 * _CLOSEST * radius for other in centres
            ):
                centres.append(new)
        for index, centre in enumerate(centres):
            turned = specimen.xyz @ ctf_scenes._rotation(rng).astype(np.float32)
            self.add(maps[index % layers], turned[:, :2] + centre.astype(np.float32), specimen.element)
        return self.phases(maps), np.array(centres) / truth.pixel_size, ()

    def fibres(self, specimen: Specimen, free: NDArray[np.bool_], maps: Array) -> tuple[NDArray[Any], ...]:
        """Long, gently bent fibres across the field; a tenth of the usual coverage is plenty."""
        truth, rng = self.truth, self.rng
        side, step = self.size * truth.pixel_size, specimen.rise_angstrom
        axes = []
        for number in range(int(rng.integers(2, 6))):
            length = rng.uniform(0.5, 1.2) * side
            s = np.arange(0, length, step)
            direction = rng.uniform(0, 2 * math.pi) + (s - length / 2) / (rng.choice([-1, 1]) * rng.uniform(3e3, 2e4))
            way = np.cumsum(np.stack([np.cos(direction), np.sin(direction)], 1) * step, axis=0)
            way += rng.uniform(0.15, 0.85, 2) * side - way[len(way) // 2]
            inside = ((way > 0) & (way < side)).all(1)
            at = (way / truth.pixel_size).astype(int).clip(0, self.size - 1)
            inside &= free[at[:, 1], at[:, 0]]
            first = rng.uniform(0, 360)
            for index in np.nonzero(inside)[0]:
                turn = math.radians(first + index * specimen.turn_deg)
                c, d = math.cos(turn), math.sin(turn)
                across = specimen.xyz[:, 0] * c - specimen.xyz[:, 1] * d
                along = specimen.xyz[:, 2]
                t = np.array([math.cos(direction[index]), math.sin(direction[index])])
                xy = way[index] + along[:, None] * t + across[:, None] * np.array([-t[1], t[0]])
                self.add(maps[number % len(maps)], xy.astype(np.float32), specimen.element)
            fine = np.linspace(0, len(way) - 1, int(length))
            keep = np.interp(fine, np.arange(len(way)), inside.astype(float)) > 0.5
            dense = np.stack([np.interp(fine, np.arange(len(way)), way[:, axis]) for axis in (0, 1)], 1)
            axes.append(dense[keep] / truth.pixel_size)
        return tuple(axis for axis in axes if len(axis))

    def add(self, maps: Array, xy_angstrom: Array, element: NDArray[Any]) -> None:
        """Atoms onto their four nearest pixels."""
        x, y = xy_angstrom.T / np.float32(self.truth.pixel_size)
        x0, y0 = np.floor(x), np.floor(y)
        left, top = x0.astype(np.int64), y0.astype(np.int64)
        fx, fy = x - x0, y - y0
        # A window of its own keeps the histogram small.
        x_low, y_low, width = left.min(), top.min(), int(left.max() - left.min()) + 2
        height = int(top.max() - top.min()) + 2
        patch = np.zeros((4, height * width))
        for dx in (0, 1):
            for dy in (0, 1):
                weight = np.abs(1 - dx - fx) * np.abs(1 - dy - fy)
                flat = (top + dy - y_low) * width + left + dx - x_low
                for kind in range(4):
                    mine = element == kind
                    if mine.any():
                        patch[kind] += np.bincount(flat[mine], weight[mine], minlength=height * width)
        rows = (np.arange(height) + y_low) % self.size
        columns = (np.arange(width) + x_low) % self.size
        whole = maps.reshape(4, self.size, self.size)
        whole[:, rows[:, None], columns[None, :]] += patch.reshape(4, height, width).astype(np.float32)

    def phases(self, maps: Array) -> list[Array]:
        """Sharp atoms to transforms of their phase, displaced water taken off (as `ctf_scenes.Canvas.particles`
        does)."""
        axis, area = self.axis(), self.truth.pixel_size**2
        hydrogen = ctf_scenes.scattering_factor("H", axis)
        volume = ctf_scenes.VOLUME_A3
        water = ctf_scenes.WATER_VOLTS * volume * np.exp(-(math.pi**2) * axis**2 * (volume ** (2 / 3)) / math.pi)
        pixel = self.truth.pixel_size
        bilinear = np.maximum((np.sinc(self.kx * pixel) * np.sinc(self.ky * pixel)) ** 2, 0.2)
        factors = []
        for element, hydrogens in (("C", 1.2), ("N", 1.25), ("O", 0.2), ("P", 0.0)):
            free_atom = ctf_scenes.scattering_factor(element, axis) + hydrogens * hydrogen * np.exp(-8 * axis**2)
            factors.append(self.of_k(self.sigma * (47.878 * free_atom - water) / area) / bilinear.astype(np.float32))
        return [
            sum(
                self.forward(image.reshape(self.size, self.size)) * factor
                for image, factor in zip(layer, factors, strict=True)
            )
            for layer in maps
        ]

    def blobs(self) -> Array:
        """Thickness (A) of contaminating ice: lumps of several hundred A."""
        rng, pixel = self.rng, self.truth.pixel_size
        grid = np.arange(self.size, dtype=np.float32)
        thick = np.zeros((self.size, self.size), dtype=np.float32)
        for _ in range(int(rng.integers(1, 5))):
            cx, cy = rng.uniform(0.1, 0.9, 2) * self.size
            radius, height = rng.uniform(80, 300) / pixel, rng.uniform(200, 800)
            dx, dy = grid[None] - cx, grid[:, None] - cy
            theta = np.arctan2(dy, dx)
            outline = radius * (
                1 + sum(rng.normal(0, 0.25 / m) * np.cos(m * theta + rng.uniform(0, 6)) for m in range(2, 6))
            )
            soft = rng.uniform(10, 40) / pixel
            thick = np.maximum(thick, height / (1 + np.exp(np.clip((np.hypot(dx, dy) - outline) / soft, -30, 30))))
        return thick.astype(np.float32)

    def wedge(self) -> Array:
        """Uneven ice and beam: a slope and a bulge of up to a tenth."""
        rng = self.rng
        u = np.linspace(-1, 1, self.size, dtype=np.float32)
        slope, bulge = rng.uniform(-0.05, 0.05, 2), rng.uniform(-0.08, 0.08)
        cx, cy = rng.uniform(-1, 1, 2)
        return (
            1
            + slope[0] * u[None]
            + slope[1] * u[:, None]
            + bulge * np.exp(-((u[None] - cx) ** 2 + (u[:, None] - cy) ** 2) / 0.3)
        )

    def patches(self) -> Array:
        """Crystals diffract electrons out of the picture, or back into it."""
        rng, pixel = self.rng, self.truth.pixel_size
        grid = np.arange(self.size, dtype=np.float32)
        light = np.ones((self.size, self.size), dtype=np.float32)
        for _ in range(int(rng.integers(3, 12))):
            cx, cy = rng.uniform(0, self.size, 2)
            width = rng.uniform(60, 250) / pixel
            light += rng.normal(0, 0.05) * np.exp(
                -0.5 * ((grid[None] - cx) ** 2 + (grid[:, None] - cy) ** 2) / width**2
            )
        return light
