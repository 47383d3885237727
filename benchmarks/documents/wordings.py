"""How a truth is put into words: sentences and labels as methods sections and forms have them.

Rules were made with the first three lists in view. The last was written for the check when they stood; docs/setup.md says
what was found at its first run, before anything was mended.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from benchmarks.documents.truths import Truth

_FIRST: Mapping[str, tuple[str, ...]] = {
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
_SECOND: Mapping[str, tuple[str, ...]] = {
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
_FIRST_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
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
_SECOND_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
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
_THIRD: Mapping[str, tuple[str, ...]] = {
    "microscope": (
        "Single-particle data were gathered on a {microscope} (200-mesh grids, one session).",
        "A {microscope} was employed to record all images.",
        "Datasets were obtained using the {microscope} at the national facility.",
    ),
    "camera": (
        "Movies were saved from a {camera} detector operated in electron counting mode.",
        "Detection was by a {camera} direct detection device.",
        "It is equipped with a {camera} camera at the end of the column.",
    ),
    "voltage_kv": (
        "Electrons were accelerated to {voltage_kv:g} keV.",
        "The column operates at {voltage_kv:g} kV under parallel illumination.",
        "Data were taken at an operating voltage of {voltage_kv:g} kV.",
    ),
    "cs_mm": (
        "The objective lens has a spherical aberration constant (Cs) of {cs_mm:g} mm.",
        "Defocus was determined with a spherical aberration of {cs_mm:g} mm given.",
        "Nominal Cs: {cs_mm:g} mm.",
    ),
    "amplitude_contrast": (
        "The amplitude contrast was fixed to {amplitude_contrast:g} in CTF estimation.",
        "CTFs were estimated with an amplitude contrast of {percent:g} %.",
        "We took {amplitude_contrast:g} amplitude contrast.",
    ),
    "pixel_angstrom": (
        "This resulted in a final sampling of {pixel_angstrom:g} Å/pixel at the specimen.",
        "Movies (pixel size, {pixel_angstrom:g} Å) were gain-corrected.",
        "The images correspond to {pixel_angstrom:g} Å per pixel in the specimen plane.",
        "The calibrated pixel was {pixel_angstrom:g} Å.",
    ),
    "dose_e_per_a2": (
        "The specimen was subjected to {dose_e_per_a2:g} e−/Å2 in total.",
        "Exposures had an electron dose of {dose_e_per_a2:g} electrons/Å2.",
        "This gave a total electron exposure at the specimen of ∼{dose_e_per_a2:g} e− per Å2.",
    ),
    "frames": (
        "Images were dose-fractionated over {frames} movie frames.",
        "{frames} frames per movie were written to disk.",
        "Each micrograph is the sum of {frames} sub-frames.",
    ),
    "dose_frame_e_per_a2": (
        "They were taken with an exposure of {dose_frame_e_per_a2:g} e−/Å2/frame.",
        "The dose per frame was {dose_frame_e_per_a2:g} e/Å2.",
        "Individual frames carry {dose_frame_e_per_a2:g} e−/Å2 each.",
    ),
    "exposure_s": (
        "Total exposure time was {exposure_s:g} s.",
        "Each movie was acquired over {exposure_s:g} s.",
        "Movies were taken with exposures of {exposure_s:g} s.",
    ),
    "defocus_um": (
        "The target defocus was set between −{low:g} and −{high:g} µm.",
        "Movies were collected with defocus values from {low:g} to {high:g} μm.",
        "We applied an underfocus of {low:g}–{high:g} microns.",
        "Defocus (range: {low:g}-{high:g} µm) was changed after every hole.",
    ),
    "slit_ev": (
        "An energy filter with a {slit_ev:g} eV slit width was used in zero-loss mode.",
        "The energy-selecting slit was {slit_ev:g} eV wide.",
        "A filter was used (slit width, {slit_ev:g} eV).",
    ),
    "magnification": (
        "Images were taken at {magnification:,.0f}× magnification.",
        "Magnification was {magnification:,.0f}-fold.",
        "We imaged at a nominal magnification of {kilo:g},000 times.",
    ),
    "symmetry": (
        "Refinement with imposed {symmetry} symmetry improved the map.",
        "Symmetry ({symmetry}) was enforced in the last rounds.",
        "We applied {symmetry} point-group symmetry.",
    ),
    "diameter_angstrom": (
        "The protein diameter is {diameter_nm:g} nm.",
        "The particles, with a diameter of {diameter_angstrom:g} Å, are round.",
        "A particle diameter of {diameter_angstrom:g} Å was given to the picker.",
    ),
}
_THIRD_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "microscope": (("Microscope model", "{microscope}"), ("TEM", "{microscope}")),
    "camera": (("Camera model", "{camera}"), ("Electron detector", "{camera}")),
    "voltage_kv": (("Accelerating voltage (kV)", "{voltage_kv:g}"), ("HT", "{voltage_kv:g} kV")),
    "cs_mm": (("Spherical aberration, Cs", "{cs_mm:g} mm"), ("C_s [mm]", "{cs_mm:g}")),
    "amplitude_contrast": (("Amp. contrast", "{amplitude_contrast:g}"), ("Amplitude contrast fraction", "{amplitude_contrast:g}")),
    "pixel_angstrom": (("Pixel size", "{pixel_angstrom:g} Å"), ("Sampling (Å/pix)", "{pixel_angstrom:g}")),
    "dose_e_per_a2": (("Electron dose (e-/Å2)", "{dose_e_per_a2:g}"), ("Total electron dose", "{dose_e_per_a2:g} e−/Å²")),
    "frames": (("Frames", "{frames}"), ("Number of movie frames", "{frames}")),
    "dose_frame_e_per_a2": (("Dose/frame", "{dose_frame_e_per_a2:g} e/Å2"), ("Dose per fraction (e/A^2)", "{dose_frame_e_per_a2:g}")),
    "exposure_s": (("Exposure time", "{exposure_s:g} s"), ("Exp. time (s)", "{exposure_s:g}")),
    "defocus_um": (("Defocus (µm)", "−{high:g} to −{low:g}"), ("Defocus range", "{low:g} – {high:g} µm")),
    "slit_ev": (("Slit", "{slit_ev:g} eV"), ("Energy filter slit (eV)", "{slit_ev:g}")),
    "magnification": (("Magnification (×)", "{magnification:,.0f}"), ("Nominal mag", "{magnification:,.0f}x")),
    "symmetry": (("Symmetry", "{symmetry}"), ("Symmetry applied", "{symmetry}")),
    "diameter_angstrom": (("Diameter (Å)", "{diameter_angstrom:g}"), ("Molecule diameter", "{diameter_angstrom:g} Å")),
}
HELD_OUT: Mapping[str, tuple[str, ...]] = {
    "microscope": (
        "Micrographs were taken with a {microscope} that is fitted with a cold stage.",
        "Cryo-EM was carried out on a {microscope} in nanoprobe mode.",
        "The {microscope} of our institute was used for the whole session.",
    ),
    "camera": (
        "Frames were read out by a {camera}, mounted after the projector lens.",
        "The detector was a {camera}.",
        "Video stacks came from the {camera} camera.",
    ),
    "voltage_kv": (
        "The gun was set to {voltage_kv:g} kV.",
        "A primary beam energy of {voltage_kv:g} keV was chosen.",
        "This {voltage_kv:g}-kV instrument was aligned every morning.",
    ),
    "cs_mm": (
        "Values of Cs ({cs_mm:g} mm) and voltage were entered by hand.",
        "Parameters for CTF fitting: spherical aberration, {cs_mm:g} mm.",
        "The lens, with Cs of {cs_mm:g} mm, was not corrected.",
    ),
    "amplitude_contrast": (
        "For phase flipping an amplitude contrast ratio of {amplitude_contrast:g} was assumed.",
        "Amplitude contrast ({amplitude_contrast:g}) was not refined.",
        "The amplitude contrast amounts to {percent:g}%.",
    ),
    "pixel_angstrom": (
        "The nominal pixel size on the object scale was {pixel_angstrom:g} Å.",
        "Images were sampled at {pixel_angstrom:g} Å/pixel.",
        "At this setting the pixel size equals {pixel_nm:g} nm.",
        "Magnification was calibrated to {pixel_angstrom:g} Å px⁻¹.",
    ),
    "dose_e_per_a2": (
        "Altogether the sample saw {dose_e_per_a2:g} e–/Å2.",
        "We limited the total fluence to {dose_e_per_a2:g} e/Å².",
        "An overall exposure of {dose_e_per_a2:g} e-/A^2 was applied.",
        "The total accumulated dose reached {dose_e_per_a2:g} electrons per Å2.",
    ),
    "frames": (
        "Each exposure was recorded as a stack of {frames} frames.",
        "A movie has {frames} fractions.",
        "Data were stored in {frames}-frame movies.",
    ),
    "dose_frame_e_per_a2": (
        "Every fraction had {dose_frame_e_per_a2:g} e–/Å2.",
        "The electron exposure per frame was set to {dose_frame_e_per_a2:g} e-/Å2.",
        "This corresponds to {dose_frame_e_per_a2:g} e⁻/Å²/frame.",
    ),
    "exposure_s": (
        "It took {exposure_s:g} s to record one movie.",
        "The acquisition time of a movie was {exposure_s:g} s.",
        "The shutter was open for an exposure time of {exposure_s:g} seconds.",
    ),
    "defocus_um": (
        "Defocus values were spread from −{high:g} to −{low:g} µm.",
        "We chose underfocus values in the range of {low:g} µm to {high:g} µm.",
        "Images were acquired with a defocus ranging between {low:g} and {high:g} µm.",
        "The defocus was stepped between {low_nm:,.0f} nm and {high_nm:,.0f} nm.",
    ),
    "slit_ev": (
        "The width of the slit was kept at {slit_ev:g} eV.",
        "Imaging was zero-loss filtered ({slit_ev:g} eV slit).",
        "Energy filtering with a slit of {slit_ev:g} eV removed inelastic electrons.",
    ),
    "magnification": (
        "The microscope's nominal magnification was {kilo:g}kx.",
        "We collected at {magnification:,.0f} x (nominal).",
        "Indicated magnification: {magnification:,.0f}×.",
    ),
    "symmetry": (
        "The map was refined under {symmetry} symmetry.",
        "With {symmetry} symmetry imposed, the resolution rose.",
        "Imposing {symmetry} symmetry gave the final map.",
    ),
    "diameter_angstrom": (
        "With a particle diameter of {diameter_angstrom:g} Å the picker worked best.",
        "Our complex measures {diameter_angstrom:g} Å in diameter.",
        "The diameter of the complex is {diameter_nm:g} nm.",
    ),
}
HELD_OUT_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "microscope": (("Microscope", "FEI {microscope}"), ("Instrument model", "{microscope}")),
    "camera": (("Detector model", "{camera}"), ("Camera", "{camera} (counting)")),
    "voltage_kv": (("Voltage", "{voltage_kv:g} kV"), ("Acc. voltage [kV]", "{voltage_kv:g}")),
    "cs_mm": (("Spherical aberration", "{cs_mm:g} mm"), ("Cs (mm)", "{cs_mm:g}")),
    "amplitude_contrast": (("Amplitude contrast", "{percent:g} %"), ("Amp. contrast ratio", "{amplitude_contrast:g}")),
    "pixel_angstrom": (("Pixel size (Å/pixel)", "{pixel_angstrom:g}"), ("Image pixel size", "{pixel_nm:g} nm"), ("Apix", "{pixel_angstrom:g} Å")),
    "dose_e_per_a2": (("Total exposure (e-/Å^2)", "{dose_e_per_a2:g}"), ("Cumulative dose", "{dose_e_per_a2:g} e-/Å2"), ("Electron fluence (e–/Å2)", "{dose_e_per_a2:g}")),
    "frames": (("# frames", "{frames}"), ("Frames/movie", "{frames}"), ("No. frames", "{frames}")),
    "dose_frame_e_per_a2": (("Exposure per fraction (e-/Å2)", "{dose_frame_e_per_a2:g}"), ("Dose per frame", "{dose_frame_e_per_a2:g} e/Å2/frame")),
    "exposure_s": (("Exposure time per image", "{exposure_s:g} s"), ("Exposure (s)", "{exposure_s:g}")),
    "defocus_um": (("Defocus range (μm)", "{low:g}-{high:g}"), ("Nominal defocus", "−{low:g} μm to −{high:g} μm"), ("Defocus values (nm)", "{low_nm:.0f} - {high_nm:.0f}")),
    "slit_ev": (("Energy filter width (eV)", "{slit_ev:g}"), ("Slit width", "{slit_ev:g} eV")),
    "magnification": (("Nominal magnification (x)", "{magnification:,.0f}"), ("Magnification", "{kilo:g}k")),
    "symmetry": (("Point group symmetry", "{symmetry}"), ("Symmetry imposed (map)", "{symmetry}")),
    "diameter_angstrom": (("Particle diameter", "{diameter_nm:g} nm"), ("Complex diameter (Å)", "{diameter_angstrom:g}")),
}
SEEN = {name: (*_FIRST[name], *_SECOND[name], *_THIRD[name]) for name in _FIRST}
SEEN_LABELS = {name: (*_FIRST_LABELS[name], *_SECOND_LABELS[name], *_THIRD_LABELS[name]) for name in _FIRST_LABELS}
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
