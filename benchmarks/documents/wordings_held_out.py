"""Wordings for the check: written when the rules stood, and no rule was made for them."""

from __future__ import annotations

from collections.abc import Mapping

HELD_OUT: Mapping[str, tuple[str, ...]] = {
    "microscope": (
        "Movies were acquired using a {microscope} operated by trained staff.",
        "The grids were examined in a {microscope} cryo-electron microscope.",
        "Cryo-EM images were acquired with a {microscope}.",
    ),
    "camera": (
        "The movies were collected with a {camera} camera in electron-counting mode.",
        "Images were recorded on a {camera} positioned post-filter.",
        "The {camera} detector was used throughout.",
    ),
    "voltage_kv": (
        "The microscope operated with an accelerating voltage of {voltage_kv:g} kV.",
        "All images were taken at {voltage_kv:g} kV.",
        "The acceleration voltage is {voltage_kv:g} kV.",
    ),
    "cs_mm": (
        "The spherical aberration (Cs) of the microscope is {cs_mm:g} mm.",
        "Cs was {cs_mm:g} mm.",
        "A Cs value of {cs_mm:g} mm entered the CTF fit.",
    ),
    "amplitude_contrast": (
        "The amplitude contrast was assumed to be {amplitude_contrast:g}.",
        "We set the amplitude contrast to {percent:g}%.",
        "{amplitude_contrast:g} was used as amplitude contrast.",
    ),
    "pixel_angstrom": (
        "The calibrated pixel size at this magnification was {pixel_angstrom:g} Å.",
        "The final pixel size is {pixel_angstrom:g} Å per pixel.",
        "Images have {pixel_angstrom:g} Å/pixel.",
        "We recorded movies with a pixel size of {pixel_nm:g} nm.",
    ),
    "dose_e_per_a2": (
        "The total electron dose was {dose_e_per_a2:g} e−/Å2 per movie.",
        "The accumulated exposure was {dose_e_per_a2:g} electrons per square angstrom.",
        "Movies were exposed to {dose_e_per_a2:g} e-/Å2.",
        "The cumulative dose of a movie was {dose_e_per_a2:g} e−/Å².",
    ),
    "frames": (
        "Movies were split into {frames} frames.",
        "Every movie comprised {frames} frames.",
        "The exposures were dose-fractionated into {frames} fractions.",
    ),
    "dose_frame_e_per_a2": (
        "The electron dose per frame was {dose_frame_e_per_a2:g} e−/Å2.",
        "Each frame had an exposure of {dose_frame_e_per_a2:g} e−/Å².",
        "Frames were recorded at {dose_frame_e_per_a2:g} e-/Å2/frame.",
    ),
    "exposure_s": (
        "Movies were acquired with an exposure of {exposure_s:g} s.",
        "Each exposure was {exposure_s:g} s long.",
        "The total exposure time per movie was {exposure_s:g} s.",
    ),
    "defocus_um": (
        "The defocus of the images was between {low:g} and {high:g} µm.",
        "Data were recorded with a nominal defocus from −{low:g} to −{high:g} µm.",
        "The underfocus range was {low:g}–{high:g} µm.",
        "Movies were acquired over a defocus range of −{high_nm:.0f} to −{low_nm:.0f} nm.",
    ),
    "slit_ev": (
        "The energy filter was used with a slit of {slit_ev:g} eV.",
        "Slit width was {slit_ev:g} eV.",
        "Filtered images were taken with an energy slit of {slit_ev:g} eV.",
    ),
    "magnification": (
        "The nominal magnification used was {magnification:,.0f}x.",
        "Movies were recorded at {magnification:,.0f}× nominal magnification.",
        "The magnification is {magnification:,.0f}×.",
    ),
    "symmetry": (
        "{symmetry} symmetry was applied during refinement.",
        "The map was calculated with {symmetry} symmetry.",
        "Symmetry {symmetry} was imposed throughout.",
    ),
    "diameter_angstrom": (
        "The particle diameter was set to {diameter_angstrom:g} Å.",
        "The diameter of the protein is {diameter_angstrom:g} Å.",
        "Particles have a diameter of {diameter_nm:g} nm.",
    ),
}
HELD_OUT_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "microscope": (("Microscope name", "{microscope}"), ("Microscope", "{microscope}")),
    "camera": (("Camera", "{camera} direct detector"), ("Recording detector", "{camera}")),
    "voltage_kv": (("Voltage (kV)", "{voltage_kv:.0f}"), ("Operating voltage", "{voltage_kv:g} kV")),
    "cs_mm": (("Cs, mm", "{cs_mm:g}"), ("Spherical aberration", "{cs_mm:g} mm")),
    "amplitude_contrast": (
        ("Amplitude contrast", "{percent:g}%"),
        ("Amplitude contrast value", "{amplitude_contrast:g}"),
    ),
    "pixel_angstrom": (
        ("Pixel size (Å/px)", "{pixel_angstrom:g}"),
        ("Movie pixel size", "{pixel_angstrom:g} Å"),
        ("Nominal pixel size (nm)", "{pixel_nm:g}"),
    ),
    "dose_e_per_a2": (
        ("Total electron dose (e-/Å2)", "{dose_e_per_a2:g}"),
        ("Exposure (e−/Å²)", "{dose_e_per_a2:g}"),
        ("Cumulative exposure", "{dose_e_per_a2:g} e–/Å2"),
    ),
    "frames": (
        ("Number of frames", "{frames}"),
        ("Frames per exposure", "{frames}"),
        ("No. of movie frames", "{frames}"),
    ),
    "dose_frame_e_per_a2": (
        ("Dose per movie frame (e-/Å2)", "{dose_frame_e_per_a2:g}"),
        ("Frame dose (e-/Å2)", "{dose_frame_e_per_a2:g}"),
    ),
    "exposure_s": (("Exposure time, s", "{exposure_s:g}"), ("Exposure duration (s)", "{exposure_s:g}")),
    "defocus_um": (
        ("Defocus range", "−{low:g} to −{high:g} µm"),
        ("Defocus range, µm", "{low:g}-{high:g}"),
        ("Nominal underfocus (µm)", "{low:g} – {high:g}"),
    ),
    "slit_ev": (("Slit width, eV", "{slit_ev:g}"), ("Energy slit width", "{slit_ev:g} eV")),
    "magnification": (
        ("Nominal magnification", "{magnification:,.0f}×"),
        ("Indicated magnification", "{magnification:,.0f}"),
    ),
    "symmetry": (("Point-group symmetry", "{symmetry}"), ("Symmetry (imposed)", "{symmetry}")),
    "diameter_angstrom": (
        ("Particle diameter [Å]", "{diameter_angstrom:g}"),
        ("Complex diameter", "{diameter_nm:g} nm"),
    ),
}
