"""Wordings that rules were made with: the first list from the start, each further one after its own first run."""

from __future__ import annotations

from collections.abc import Mapping

_FIRST: Mapping[str, tuple[str, ...]] = {
    "microscope": ("Movies were recorded on a {microscope}.", "Grids were loaded into a {microscope} microscope."),
    "camera": (
        "Images were recorded with a {camera} camera.",
        "Data were collected on a {camera} direct electron detector.",
    ),
    "voltage_kv": (
        "The microscope was operated at {voltage_kv:g} kV.",
        "The accelerating voltage was {voltage_kv:g} keV.",
    ),
    "cs_mm": ("The spherical aberration was {cs_mm:g} mm.",),
    "amplitude_contrast": ("An amplitude contrast of {amplitude_contrast:g} was used.",),
    "pixel_angstrom": (
        "The pixel size was {pixel_angstrom:g} Å.",
        "This gave a pixel size of {pixel_angstrom:g} Å/pixel.",
    ),
    "dose_e_per_a2": (
        "The total dose was {dose_e_per_a2:g} e-/Å2.",
        "Movies had a total exposure of {dose_e_per_a2:g} e−/Å^2.",
    ),
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
    "amplitude_contrast": (
        ("Amplitude contrast (%)", "{percent:g}"),
        ("Amplitude contrast ratio", "{amplitude_contrast:g}"),
    ),
    "pixel_angstrom": (("Calibrated pixel size", "{pixel_angstrom:g} Å/px"), ("Pixel spacing (nm)", "{pixel_nm:g}")),
    "dose_e_per_a2": (("Total dose", "{dose_e_per_a2:g} e/Å²"), ("Accumulated exposure (e−/Å²)", "{dose_e_per_a2:g}")),
    "frames": (("Frames per movie (no.)", "{frames}"), ("No. of fractions", "{frames}")),
    "dose_frame_e_per_a2": (
        ("Exposure per frame (e⁻/Å²)", "{dose_frame_e_per_a2:g}"),
        ("Frame dose", "{dose_frame_e_per_a2:g} e/Å^2"),
    ),
    "exposure_s": (("Exposure", "{exposure_s:g} s"), ("Exposure time per movie (s)", "{exposure_s:g}")),
    "defocus_um": (("Nominal defocus range (µm)", "{low:g}–{high:g}"), ("Underfocus", "{low:g} to {high:g} um")),
    "slit_ev": (("Energy filter slit width", "{slit_ev:g} eV"), ("Energy slit (eV)", "{slit_ev:g}")),
    "magnification": (("Nominal magnification", "{magnification:,.0f} x"), ("Mag.", "{kilo:g} kx")),
    "symmetry": (("Point group", "{symmetry}"), ("Imposed symmetry", "{symmetry}")),
    "diameter_angstrom": (
        ("Expected particle diameter (nm)", "{diameter_nm:g}"),
        ("Particle size", "{diameter_angstrom:g} Å"),
    ),
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
    "amplitude_contrast": (
        ("Amp. contrast", "{amplitude_contrast:g}"),
        ("Amplitude contrast fraction", "{amplitude_contrast:g}"),
    ),
    "pixel_angstrom": (("Pixel size", "{pixel_angstrom:g} Å"), ("Sampling (Å/pix)", "{pixel_angstrom:g}")),
    "dose_e_per_a2": (
        ("Electron dose (e-/Å2)", "{dose_e_per_a2:g}"),
        ("Total electron dose", "{dose_e_per_a2:g} e−/Å²"),
    ),
    "frames": (("Frames", "{frames}"), ("Number of movie frames", "{frames}")),
    "dose_frame_e_per_a2": (
        ("Dose/frame", "{dose_frame_e_per_a2:g} e/Å2"),
        ("Dose per fraction (e/A^2)", "{dose_frame_e_per_a2:g}"),
    ),
    "exposure_s": (("Exposure time", "{exposure_s:g} s"), ("Exp. time (s)", "{exposure_s:g}")),
    "defocus_um": (("Defocus (µm)", "−{high:g} to −{low:g}"), ("Defocus range", "{low:g} – {high:g} µm")),
    "slit_ev": (("Slit", "{slit_ev:g} eV"), ("Energy filter slit (eV)", "{slit_ev:g}")),
    "magnification": (("Magnification (×)", "{magnification:,.0f}"), ("Nominal mag", "{magnification:,.0f}x")),
    "symmetry": (("Symmetry", "{symmetry}"), ("Symmetry applied", "{symmetry}")),
    "diameter_angstrom": (("Diameter (Å)", "{diameter_angstrom:g}"), ("Molecule diameter", "{diameter_angstrom:g} Å")),
}
_FOURTH: Mapping[str, tuple[str, ...]] = {
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
_FOURTH_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "microscope": (("Microscope", "FEI {microscope}"), ("Instrument model", "{microscope}")),
    "camera": (("Detector model", "{camera}"), ("Camera", "{camera} (counting)")),
    "voltage_kv": (("Voltage", "{voltage_kv:g} kV"), ("Acc. voltage [kV]", "{voltage_kv:g}")),
    "cs_mm": (("Spherical aberration", "{cs_mm:g} mm"), ("Cs (mm)", "{cs_mm:g}")),
    "amplitude_contrast": (("Amplitude contrast", "{percent:g} %"), ("Amp. contrast ratio", "{amplitude_contrast:g}")),
    "pixel_angstrom": (
        ("Pixel size (Å/pixel)", "{pixel_angstrom:g}"),
        ("Image pixel size", "{pixel_nm:g} nm"),
        ("Apix", "{pixel_angstrom:g} Å"),
    ),
    "dose_e_per_a2": (
        ("Total exposure (e-/Å^2)", "{dose_e_per_a2:g}"),
        ("Cumulative dose", "{dose_e_per_a2:g} e-/Å2"),
        ("Electron fluence (e–/Å2)", "{dose_e_per_a2:g}"),
    ),
    "frames": (("# frames", "{frames}"), ("Frames/movie", "{frames}"), ("No. frames", "{frames}")),
    "dose_frame_e_per_a2": (
        ("Exposure per fraction (e-/Å2)", "{dose_frame_e_per_a2:g}"),
        ("Dose per frame", "{dose_frame_e_per_a2:g} e/Å2/frame"),
    ),
    "exposure_s": (("Exposure time per image", "{exposure_s:g} s"), ("Exposure (s)", "{exposure_s:g}")),
    "defocus_um": (
        ("Defocus range (μm)", "{low:g}-{high:g}"),
        ("Nominal defocus", "−{low:g} μm to −{high:g} μm"),
        ("Defocus values (nm)", "{low_nm:.0f} - {high_nm:.0f}"),
    ),
    "slit_ev": (("Energy filter width (eV)", "{slit_ev:g}"), ("Slit width", "{slit_ev:g} eV")),
    "magnification": (("Nominal magnification (x)", "{magnification:,.0f}"), ("Magnification", "{kilo:g}k")),
    "symmetry": (("Point group symmetry", "{symmetry}"), ("Symmetry imposed (map)", "{symmetry}")),
    "diameter_angstrom": (
        ("Particle diameter", "{diameter_nm:g} nm"),
        ("Complex diameter (Å)", "{diameter_angstrom:g}"),
    ),
}
_FIFTH: Mapping[str, tuple[str, ...]] = {
    "microscope": (
        "Grids were transferred to a {microscope} electron microscope.",
        "High-resolution imaging was conducted using a {microscope} equipped with an autoloader.",
        "Data were recorded in one session at the {microscope}.",
    ),
    "camera": (
        "Images were collected on a {camera} direct detector in counted mode.",
        "We used a {camera} camera at the bottom of the column.",
        "Movies were captured with the {camera} electron detector.",
    ),
    "voltage_kv": (
        "The instrument works at an accelerating voltage of {voltage_kv:g} kV.",
        "Imaging was done at {voltage_kv:g} kV with a field emission gun.",
        "The high tension was {voltage_kv:g} kV.",
    ),
    "cs_mm": (
        "The Cs value of the microscope is {cs_mm:g} mm.",
        "A spherical aberration coefficient (Cs) of {cs_mm:g} mm was used for fitting.",
        "CTF parameters were fitted with Cs={cs_mm:g} mm.",
    ),
    "amplitude_contrast": (
        "CTF estimation used {amplitude_contrast:g} for amplitude contrast.",
        "The amplitude contrast was set at {percent:g}%.",
        "We fitted CTFs with an amplitude contrast of {amplitude_contrast:g}.",
    ),
    "pixel_angstrom": (
        "The corresponding pixel size was {pixel_angstrom:g} Å.",
        "Images had a calibrated pixel size of {pixel_angstrom:g} Å per pixel.",
        "This yields {pixel_angstrom:g} Å/pix on the specimen.",
        "The data had a nominal pixel size of {pixel_nm:g} nm/pixel.",
    ),
    "dose_e_per_a2": (
        "Each movie was recorded with a total dose of approximately {dose_e_per_a2:g} e-/Å2.",
        "A cumulative electron exposure of {dose_e_per_a2:g} e−Å−2 was spread over the movie.",
        "The total fluence per movie was {dose_e_per_a2:g} electrons per Å^2.",
        "The specimen received a dose of {dose_e_per_a2:g} e- per Å2.",
    ),
    "frames": (
        "The dose was divided into {frames} frames.",
        "Movies with {frames} frames each were saved as TIFF.",
        "A total of {frames} subframes were recorded for each image.",
    ),
    "dose_frame_e_per_a2": (
        "The dose per frame amounted to {dose_frame_e_per_a2:g} e-/Å2.",
        "The exposure was {dose_frame_e_per_a2:g} e-/Å2 per movie frame.",
        "A fraction has a dose of {dose_frame_e_per_a2:g} e−/Å2/fraction.",
    ),
    "exposure_s": (
        "Movies were recorded for {exposure_s:g} s.",
        "We used an exposure time of {exposure_s:g} sec.",
        "A {exposure_s:g} s exposure was taken in each hole.",
    ),
    "defocus_um": (
        "Data were collected in a defocus range of {low:g} to {high:g} μm.",
        "The nominal defocus was varied from −{low:g} μm to −{high:g} μm.",
        "Micrographs were taken at defoci between {low:g} and {high:g} µm.",
        "Target defocus values lay between -{low_nm:.0f} and -{high_nm:.0f} nm.",
    ),
    "slit_ev": (
        "The energy filter was operated in zero-loss mode with a slit of {slit_ev:g} eV.",
        "A {slit_ev:g} eV energy slit was inserted.",
        "An energy filter (slit width of {slit_ev:g} eV) was used.",
    ),
    "magnification": (
        "The magnification was set to {magnification:,.0f}×, calibrated with a grid.",
        "A nominal magnification of {magnification:,.0f}x was used.",
        "Micrographs were acquired at a magnification of ×{magnification:,.0f}.",
    ),
    "symmetry": (
        "Final maps were computed with {symmetry} symmetry applied.",
        "Non-uniform refinement in {symmetry} symmetry was done last.",
        "The reconstruction has {symmetry} symmetry.",
    ),
    "diameter_angstrom": (
        "Particles of {diameter_angstrom:g} Å diameter were picked.",
        "The expected diameter of the particles is {diameter_angstrom:g} Å.",
        "The protein has a longest diameter of {diameter_nm:g} nm.",
    ),
}
_FIFTH_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "microscope": (("Microscope type", "{microscope}"), ("Microscope", "{microscope} (Thermo Fisher)")),
    "camera": (("Detector type", "{camera}"), ("Camera/detector", "{camera}")),
    "voltage_kv": (("Accelerating voltage", "{voltage_kv:g} kV"), ("Voltage [kV]", "{voltage_kv:g}")),
    "cs_mm": (("Nominal Cs (mm)", "{cs_mm:g}"), ("Spherical aberration coefficient (mm)", "{cs_mm:g}")),
    "amplitude_contrast": (("Amplitude contrast", "{amplitude_contrast:g}"), ("Amplitude contrast [%]", "{percent:g}")),
    "pixel_angstrom": (
        ("Calibrated pixel size (Å)", "{pixel_angstrom:g}"),
        ("Pixel size", "{pixel_angstrom:g} Å/pixel"),
        ("Physical pixel size (Å)", "{pixel_angstrom:g}"),
    ),
    "dose_e_per_a2": (
        ("Electron exposure (e−/Å2)", "{dose_e_per_a2:g}"),
        ("Total dose (e/Å2)", "{dose_e_per_a2:g}"),
        ("Total electron exposure", "{dose_e_per_a2:g} e–/Å2"),
    ),
    "frames": (("Number of frames per movie", "{frames}"), ("Frames (no.)", "{frames}"), ("Fractions", "{frames}")),
    "dose_frame_e_per_a2": (
        ("Dose per frame (e−/Å2/frame)", "{dose_frame_e_per_a2:g}"),
        ("Exposure per frame", "{dose_frame_e_per_a2:g} e-/Å2"),
    ),
    "exposure_s": (("Exposure time (sec)", "{exposure_s:g}"), ("Exposure time/movie (s)", "{exposure_s:g}")),
    "defocus_um": (
        ("Defocus range (µm)", "{low:g} to {high:g}"),
        ("Defocus (μm)", "-{low:g} – -{high:g}"),
        ("Underfocus range (µm)", "{low:g}-{high:g}"),
    ),
    "slit_ev": (("Energy filter slit width (eV)", "{slit_ev:g}"), ("Filter slit", "{slit_ev:g} eV")),
    "magnification": (("Magnification", "×{magnification:,.0f}"), ("Nominal magnification", "{magnification:.0f}")),
    "symmetry": (("Symmetry imposed", "{symmetry}"), ("Symmetry", "{symmetry} (imposed)")),
    "diameter_angstrom": (("Particle diameter (Å)", "{diameter_angstrom:g}"), ("Protein size (nm)", "{diameter_nm:g}")),
}
_SIXTH: Mapping[str, tuple[str, ...]] = {
    "microscope": (
        "A {microscope} was used for automated data acquisition.",
        "Frozen grids were imaged on a {microscope} (cold field emission gun).",
        "Images were obtained on a {microscope} over two days.",
    ),
    "camera": (
        "Movies were recorded on a {camera}.",
        "The {camera} direct electron detector was run in counting mode.",
        "Micrographs were recorded using a {camera} detector placed behind the filter.",
    ),
    "voltage_kv": (
        "The microscope was operating at {voltage_kv:g} kV.",
        "We imaged at an accelerating voltage of {voltage_kv:g}kV.",
        "An electron beam of {voltage_kv:g} keV was used.",
    ),
    "cs_mm": (
        "The microscope has a Cs of {cs_mm:g} mm.",
        "For CTF correction, {cs_mm:g} mm was given as spherical aberration.",
        "Spherical aberration was {cs_mm:g} mm.",
    ),
    "amplitude_contrast": (
        "An amplitude contrast value of {amplitude_contrast:g} was used for CTF estimation.",
        "The CTF was calculated with {percent:g}% amplitude contrast.",
        "Amplitude contrast was held at {amplitude_contrast:g}.",
    ),
    "pixel_angstrom": (
        "This corresponds to a calibrated pixel size of {pixel_angstrom:g} Å/pixel.",
        "A pixel size of {pixel_angstrom:g} Å was used for processing.",
        "The magnified pixel size is {pixel_angstrom:g} Å/px.",
        "Each pixel was {pixel_angstrom:g} Å at the specimen.",
    ),
    "dose_e_per_a2": (
        "Movies were taken for an accumulated dose of {dose_e_per_a2:g} e−/Å2.",
        "The total dose on the specimen was ~{dose_e_per_a2:g} e-/Å2.",
        "Dose-fractionated stacks had a total electron dose of {dose_e_per_a2:g} electrons per Å2.",
        "An exposure of {dose_e_per_a2:g} e⁻/Å² was given to every area.",
    ),
    "frames": (
        "Intermediate frames were recorded for a total of {frames} frames per micrograph.",
        "Exposures were fractionated into {frames} subframes.",
        "Each stack contains {frames} movie frames.",
    ),
    "dose_frame_e_per_a2": (
        "This gave {dose_frame_e_per_a2:g} e-/Å2 for each frame.",
        "Frames had a dose of {dose_frame_e_per_a2:g} e−/Å2/frame.",
        "We used {dose_frame_e_per_a2:g} e−/Å2 per fraction.",
    ),
    "exposure_s": (
        "The camera was exposed for {exposure_s:g} s.",
        "Movies were collected with a total exposure time of {exposure_s:g} s.",
        "The exposure lasted {exposure_s:g} s.",
    ),
    "defocus_um": (
        "Images were collected at a nominal defocus range of {low:g} – {high:g} μm.",
        "Defocus values ranged between {low:g} µm and {high:g} µm underfocus.",
        "The defocus ranged from -{low:g} to -{high:g} µm.",
        "We used a target underfocus of {low_nm:,.0f}–{high_nm:,.0f} nm.",
    ),
    "slit_ev": (
        "The slit width of the energy filter was {slit_ev:g} eV.",
        "The filter's slit was closed to {slit_ev:g} eV.",
        "A zero-loss slit of {slit_ev:g} eV was used.",
    ),
    "magnification": (
        "The nominal magnification of the images was {magnification:,.0f}×.",
        "Data were acquired at {kilo:g}kx magnification.",
        "A magnification of {magnification:,.0f} was selected.",
    ),
    "symmetry": (
        "Refinement was carried out imposing {symmetry} symmetry.",
        "In the final round {symmetry} symmetry was used.",
        "Particles were refined with {symmetry} symmetry enforced.",
    ),
    "diameter_angstrom": (
        "The particle has a diameter of {diameter_angstrom:g} Å.",
        "Particles with a diameter of {diameter_nm:g} nm were selected by the picker.",
        "Our protein is a disc with a diameter of {diameter_angstrom:g} Å.",
    ),
}
_SIXTH_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "microscope": (("Microscope used", "{microscope}"), ("Cryo-TEM", "{microscope}")),
    "camera": (("Camera used", "{camera}"), ("Direct detector", "{camera}")),
    "voltage_kv": (("Voltage, kV", "{voltage_kv:g}"), ("Microscope voltage (kV)", "{voltage_kv:g}")),
    "cs_mm": (("Cs [mm]", "{cs_mm:g}"), ("Spherical aberration (Cs)", "{cs_mm:g} mm")),
    "amplitude_contrast": (
        ("Amplitude contrast used", "{amplitude_contrast:g}"),
        ("Amplitude contrast (%)", "{percent:g}"),
    ),
    "pixel_angstrom": (
        ("Pixel size at specimen (Å)", "{pixel_angstrom:g}"),
        ("Detector pixel size", "{pixel_angstrom:g} Å"),
        ("Pixel size, Å", "{pixel_angstrom:g}"),
    ),
    "dose_e_per_a2": (
        ("Total electron exposure (e–/Å2)", "{dose_e_per_a2:g}"),
        ("Electron dose, total", "{dose_e_per_a2:g} e-/Å2"),
        ("Dose (e−/Å²)", "{dose_e_per_a2:g}"),
    ),
    "frames": (
        ("Frames collected (no.)", "{frames}"),
        ("Number of fractions", "{frames}"),
        ("Movie frames", "{frames}"),
    ),
    "dose_frame_e_per_a2": (
        ("Electron exposure per frame (e-/Å2)", "{dose_frame_e_per_a2:g}"),
        ("Dose/fraction (e/Å2)", "{dose_frame_e_per_a2:g}"),
    ),
    "exposure_s": (("Total exposure time (s)", "{exposure_s:g}"), ("Exposure", "{exposure_s:g} sec")),
    "defocus_um": (
        ("Defocus range [µm]", "-{low:g} to -{high:g}"),
        ("Target defocus range", "{low:g}–{high:g} μm"),
        ("Defocus range (nm)", "{low_nm:,.0f}–{high_nm:,.0f}"),
    ),
    "slit_ev": (("GIF slit width (eV)", "{slit_ev:g}"), ("Slit width of filter", "{slit_ev:g} eV")),
    "magnification": (
        ("Magnification (nominal)", "{magnification:,.0f}"),
        ("EFTEM magnification", "{magnification:,.0f}×"),
    ),
    "symmetry": (("Symmetry imposed", "{symmetry}"), ("Applied symmetry", "{symmetry}")),
    "diameter_angstrom": (
        ("Particle diameter, Å", "{diameter_angstrom:g}"),
        ("Diameter of particle (nm)", "{diameter_nm:g}"),
    ),
}
_SENTENCES = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH)
_LABELS = (_FIRST_LABELS, _SECOND_LABELS, _THIRD_LABELS, _FOURTH_LABELS, _FIFTH_LABELS, _SIXTH_LABELS)
SEEN = {name: tuple(words for one in _SENTENCES for words in one[name]) for name in _FIRST}
SEEN_LABELS = {name: tuple(words for one in _LABELS for words in one[name]) for name in _FIRST_LABELS}
