"""How a truth is put into words: sentences and labels as methods sections and forms have them.

Two lists of everything. Rules were made with the first in view; the second was written for the check, and no rule was
made for it (docs/setup.md says what it found at its first run).
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from benchmarks.documents.truths import Truth

SEEN: Mapping[str, tuple[str, ...]] = {
    "microscope": ("Movies were recorded on a {microscope}.", "Grids were loaded into a {microscope} microscope."),
    "camera": ("Images were recorded with a {camera} camera.", "Data were collected on a {camera} direct electron detector."),
    "voltage_kv": ("The microscope was operated at {voltage_kv:g} kV.", "The accelerating voltage was {voltage_kv:g} keV."),
    "cs_mm": ("The spherical aberration was {cs_mm:g} mm.",),
    "amplitude_contrast": ("An amplitude contrast of {amplitude_contrast:g} was used.",),
    "pixel_angstrom": ("The pixel size was {pixel_angstrom:g} Å.", "This gave a pixel size of {pixel_angstrom:g} Å/pixel."),
    "dose_e_per_a2": ("The total dose was {dose_e_per_a2:g} e-/Å2.", "Movies had a total exposure of {dose_e_per_a2:g} e−/Å^2."),
    "frames": ("Each movie was fractionated into {frames} frames.", "Movies of {frames} frames were recorded."),
    "dose_frame_e_per_a2": ("The dose was {dose_frame_e_per_a2:g} e-/Å2 per frame.",),
    "exposure_s": ("The exposure time was {exposure_s:g} s.",),
    "defocus_um": ("The defocus range was {low:g} to {high:g} µm.", "Defocus was set from −{low:g} to −{high:g} μm."),
    "slit_ev": ("The energy filter had a slit width of {slit_ev:g} eV.",),
    "magnification": ("The nominal magnification was {magnification:,.0f}×.",),
    "symmetry": ("{symmetry} symmetry was imposed.",),
    "diameter_angstrom": ("The particle diameter is {diameter_angstrom:g} Å.",),
}
HELD_OUT: Mapping[str, tuple[str, ...]] = {
    "microscope": (
        "Vitrified specimens were imaged in a {microscope} transmission electron microscope (the facility's second).",
        "All cryo-EM data come from a {microscope} with autoloader.",
        "For acquisition we used a {microscope} instrument.",
    ),
    "camera": (
        "Exposures were captured by a {camera} detector behind the column.",
        "The instrument carries a {camera} camera, run by the vendor's software.",
        "Electrons were counted with the {camera} detector.",
    ),
    "voltage_kv": (
        "It was run with an acceleration voltage of {voltage_kv:g} kV throughout.",
        "Working at {voltage_kv:g} keV, we took images overnight.",
        "At {voltage_kv:g} kV, two grids were imaged.",
    ),
    "cs_mm": (
        "CTF fitting assumed Cs = {cs_mm:g} mm.",
        "For the objective lens a Cs of {cs_mm:g} mm was taken.",
        "With a spherical aberration coefficient of {cs_mm:g} mm, fits converged.",
    ),
    "amplitude_contrast": (
        "The fraction of amplitude contrast was kept at {amplitude_contrast:g}.",
        "We assumed {percent:g}% amplitude contrast.",
        "Amplitude contrast: {amplitude_contrast:g}.",
    ),
    "pixel_angstrom": (
        "On the specimen level one pixel corresponds to a sampling of {pixel_angstrom:g} Å per pixel.",
        "Calibration with a gold grid gave {pixel_angstrom:g} Å/px.",
        "The physical size sampled at the specimen was {pixel_angstrom:g} Å pixel−1.",
        "Micrographs have a calibrated pixel size of {pixel_nm:g} nm.",
    ),
    "dose_e_per_a2": (
        "A cumulative fluence of {dose_e_per_a2:g} electrons per square ångström hit the specimen.",
        "In sum, {dose_e_per_a2:g} e⁻ Å⁻² were used for every exposure.",
        "The accumulated electron dose amounted to {dose_e_per_a2:g} e−/Å².",
    ),
    "frames": (
        "The camera wrote {frames} dose fractions for each exposure.",
        "Stacks contained {frames} subframes.",
        "Every stack was split into {frames} frames before alignment.",
    ),
    "dose_frame_e_per_a2": (
        "Each frame received {dose_frame_e_per_a2:g} e⁻/Å².",
        "That is {dose_frame_e_per_a2:g} electrons per Å2 per frame.",
        "Per fraction, {dose_frame_e_per_a2:g} e-/Å2 were deposited.",
    ),
    "exposure_s": (
        "Single exposures lasted {exposure_s:g} seconds.",
        "Specimens were exposed for {exposure_s:g} s.",
        "We used {exposure_s:g}-s exposures.",
    ),
    "defocus_um": (
        "Underfocus was varied between {low:g} µm and {high:g} µm.",
        "Images were taken {low:g}–{high:g} μm under focus, with the defocus cycled in steps.",
        "Nominal defocus values ranged from −{high:g} μm to −{low:g} μm.",
        "The defocus was cycled from {low_nm:,.0f} to {high_nm:,.0f} nm.",
    ),
    "slit_ev": (
        "Zero-loss imaging was done with a {slit_ev:g}-eV slit.",
        "Inelastically scattered electrons were removed by a filter with an energy window of {slit_ev:g} eV.",
        "The slit of the filter was set to {slit_ev:g} eV.",
    ),
    "magnification": (
        "EFTEM magnification was {kilo:g}k×.",
        "We worked at ×{magnification:,.0f} nominal magnification.",
        "At a nominal magnification of {magnification:,.0f} we recorded one image a hole.",
    ),
    "symmetry": (
        "The final refinement was done with {symmetry} symmetry.",
        "During refinement, the symmetry was set to {symmetry}.",
        "Point group symmetry {symmetry} was applied.",
    ),
    "diameter_angstrom": (
        "The complex has a diameter of {diameter_angstrom:g} Å.",
        "Particles were picked with an expected particle diameter of {diameter_nm:g} nm.",
        "The diameter of the particle is about {diameter_angstrom:g} Å.",
    ),
}
SEEN_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "microscope": (("Microscope", "{microscope}"),),
    "camera": (("Camera", "{camera}"),),
    "voltage_kv": (("Voltage (kV)", "{voltage_kv:g}"),),
    "cs_mm": (("Spherical aberration (mm)", "{cs_mm:g}"),),
    "amplitude_contrast": (("Amplitude contrast", "{amplitude_contrast:g}"),),
    "pixel_angstrom": (("Pixel size (Å)", "{pixel_angstrom:g}"),),
    "dose_e_per_a2": (("Electron exposure (e–/Å2)", "{dose_e_per_a2:g}"),),
    "frames": (("Number of frames", "{frames}"),),
    "dose_frame_e_per_a2": (("Dose per frame (e-/Å2)", "{dose_frame_e_per_a2:g}"),),
    "exposure_s": (("Exposure time (s)", "{exposure_s:g}"),),
    "defocus_um": (("Defocus range (μm)", "−{low:g} to −{high:g}"),),
    "slit_ev": (("Slit width (eV)", "{slit_ev:g}"),),
    "magnification": (("Magnification", "{magnification:,.0f}"),),
    "symmetry": (("Symmetry imposed", "{symmetry}"),),
    "diameter_angstrom": (("Particle diameter (Å)", "{diameter_angstrom:g}"),),
}
HELD_OUT_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "microscope": (("Electron microscope", "{microscope}"), ("Instrument", "{microscope}")),
    "camera": (("Detector", "{camera}"), ("Direct electron detector", "{camera}")),
    "voltage_kv": (("Acceleration voltage", "{voltage_kv:g} kV"), ("High tension [kV]", "{voltage_kv:g}")),
    "cs_mm": (("Cs", "{cs_mm:g} mm"), ("Spherical aberration Cs (mm)", "{cs_mm:g}")),
    "amplitude_contrast": (("Amplitude contrast (%)", "{percent:g}"), ("Amplitude contrast ratio", "{amplitude_contrast:g}")),
    "pixel_angstrom": (("Calibrated pixel size", "{pixel_angstrom:g} Å/px"), ("Pixel spacing (nm)", "{pixel_nm:g}")),
    "dose_e_per_a2": (("Total dose", "{dose_e_per_a2:g} e/Å²"), ("Accumulated exposure (e−/Å²)", "{dose_e_per_a2:g}")),
    "frames": (("Frames per movie (no.)", "{frames}"), ("No. of fractions", "{frames}")),
    "dose_frame_e_per_a2": (("Exposure per frame (e⁻/Å²)", "{dose_frame_e_per_a2:g}"), ("Frame dose", "{dose_frame_e_per_a2:g} e/Å^2")),
    "exposure_s": (("Exposure", "{exposure_s:g} s"), ("Exposure time per movie (s)", "{exposure_s:g}")),
    "defocus_um": (("Nominal defocus range (µm)", "{low:g}–{high:g}"), ("Underfocus", "{low:g} to {high:g} um")),
    "slit_ev": (("Energy filter slit width", "{slit_ev:g} eV"), ("Energy slit (eV)", "{slit_ev:g}")),
    "magnification": (("Nominal magnification", "{magnification:,.0f} x"), ("Mag.", "{kilo:g} kx")),
    "symmetry": (("Point group", "{symmetry}"), ("Imposed symmetry", "{symmetry}")),
    "diameter_angstrom": (("Expected particle diameter (nm)", "{diameter_nm:g}"), ("Particle size", "{diameter_angstrom:g} Å")),
}
FILLER = (
    "Grids were glow-discharged for 45 s at 15 mA and blotted for 4 s at 95% humidity and 4 °C.",
    "The sample was concentrated to 3.1 mg/ml and 3 µl were applied to the grid.",
    "Lamellae were milled with a focused ion beam at 30 kV and polished at 50 pA to a thickness of 150 nm.",
    "Negatively stained grids were screened at 120 kV on a Tecnai Spirit.",
    "The scale bar corresponds to 100 nm; 2D classes had a mask diameter of 250 Å.",
    "The map has a resolution of 3.2 Å by FSC, after low-pass filtering to 40 Å.",
    "Cells were grown at 37 °C with 5% CO2 for 48 h and lysed by sonication for 90 s.",
    "From the first 2 frames nothing was used, as they move most.",
)
"""Sentences with numbers that are no setting of the session."""


def values_of(truth: Truth) -> dict[str, object]:
    """What templates may name."""
    told = truth.told()
    if truth.defocus_um is not None:
        told |= {"low": truth.defocus_um[0], "high": truth.defocus_um[1]}
        told |= {"low_nm": truth.defocus_um[0] * 1000, "high_nm": truth.defocus_um[1] * 1000}
    if truth.pixel_angstrom is not None:
        told["pixel_nm"] = round(truth.pixel_angstrom / 10, 5)
    if truth.diameter_angstrom is not None:
        told["diameter_nm"] = truth.diameter_angstrom / 10
    if truth.magnification is not None:
        told["kilo"] = truth.magnification / 1000
    if truth.amplitude_contrast is not None:
        told["percent"] = round(truth.amplitude_contrast * 100, 3)
    return told


def prose(truth: Truth, seed: int, templates: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Sentences in a random order, with others between them."""
    chance = random.Random(seed)
    values = values_of(truth)
    said = [chance.choice(templates[name]).format(**values) for name in truth.told()] + chance.sample(FILLER, 3)
    chance.shuffle(said)
    return said


def table(truth: Truth, seed: int, labels: Mapping[str, tuple[tuple[str, str], ...]]) -> list[tuple[str, str]]:
    """Rows of label and value, in a random order."""
    chance = random.Random(seed)
    values = values_of(truth)
    rows = [(label, value.format(**values)) for name in truth.told() for label, value in (chance.choice(labels[name]),)]
    chance.shuffle(rows)
    return rows
