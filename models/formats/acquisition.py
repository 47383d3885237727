"""One set of numbers for a movie from everybody who said something about it.

Who is believed, strongest first: a person (flags, environment, YAML), the sidecar, the movie's header, the preset, the
default. A preset or default only fills. Two of the others that differ by more than the tolerance are not averaged and
not overruled in silence: one of them is wrong, and everything computed after it would be (`ContradictionError`). Where
a person knows that the sidecar is wrong, `intake.sidecar_distrust` says so. What cannot be at all (`metadata_limits`),
and a TIFF's resolution tag that contradicts the others, is not used (`AcquisitionMetadata.not_used`).

Tolerances: pixel size 1 %, voltage 2 %, Cs 2 %, dose 5 %. The dose in an EER header is measured behind specimen and
filter and only fills, like a preset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePath
from typing import Any

from frazil.config.errors import ContradictionError, SettingsError
from frazil.config.loading import flag_name, said_by_a_person
from frazil.config.settings import Settings
from frazil.models.formats.epu_xml import epu_names
from frazil.models.formats.metadata_limits import why_impossible, without_impossible
from frazil.models.records import AcquisitionMetadata, ExposureFacts, MovieHeader

RELATIVE_TOLERANCE = {
    "pixel_size_angstrom": 0.01,
    "voltage_kv": 0.02,
    "cs_mm": 0.02,
    "dose_per_frame_e_per_a2": 0.05,
}
UNITS = {"pixel_size_angstrom": "A", "voltage_kv": "kV", "cs_mm": "mm", "dose_per_frame_e_per_a2": "e/A2"}
_SAMPLING = (0.25, 0.5, 1.0, 2.0, 4.0)
_SENSORS_PX = ((5760, 4092), (3838, 3710))
"""Physical pixels of Gatan's K3 and K2; in super-resolution they deliver exactly twice as many along each axis."""


@dataclass(frozen=True, slots=True)
class AcquisitionParameters:
    """What the processing of one movie needs, with nothing left open but the dose."""

    pixel_size_angstrom: float
    """Of the movie's frames as they are read."""
    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float
    dose_per_frame_e_per_a2: float | None
    """For one delivered frame (EER: fraction). None: nobody said; the caller estimates it from the counts
    (`camera.counts_per_electron`)."""
    pre_exposure_e_per_a2: float
    phase_plate: bool
    sources: tuple[tuple[str, str], ...]
    """(field, where its value came from)."""
    exposure: ExposureFacts = field(default_factory=ExposureFacts)


@dataclass(frozen=True, slots=True)
class _Said:
    value: float
    source: str
    fills_only: bool = False


def merge_metadata(
    *, settings: Settings, header: MovieHeader, sidecar: AcquisitionMetadata | None = None
) -> AcquisitionMetadata:
    """Everything known of the exposure, each value from the strongest source that gives it (`sources` says which).

    Facts about the exposure (stage, time, target defocus, ...) are the sidecar's; grid square and hole also come from
    the path of the movie. Sampling differences between the sidecar's image and the movie are undone: the pixel size in
    the result is that of the movie's frames.

    Raises
    ------
    ContradictionError
        Two sources differ by more than `RELATIVE_TOLERANCE`; names both values and both sources.
    """
    sidecar = AcquisitionMetadata() if sidecar is None else sidecar
    distrusted = settings.intake.sidecar_distrust
    person_knows = said_by_a_person(settings, "microscope.pixel_size_angstrom") is not None
    pixel_sizes = _pixel_sizes(sidecar, header, person_knows=person_knows)
    in_header, not_used = _header_pixel_size(
        header, pixel_sizes, settings.microscope.pixel_size_angstrom if person_knows else None
    )
    said: dict[str, list[_Said]] = {
        "voltage_kv": _said_in(sidecar, "voltage_kv"),
        "cs_mm": _said_in(sidecar, "cs_mm"),
        "pixel_size_angstrom": [*pixel_sizes, *in_header],
    }
    values: dict[str, float | None] = {}
    sidecar = _calibrated_shift(sidecar, settings)
    sources = {name: source for name, source in sidecar.sources if getattr(sidecar, name) is not None}
    for name, others in said.items():
        values[name] = _decide(name, settings, others, header, distrusted=name in distrusted, sources=sources)
    doses, impossible = _doses(sidecar, header, values["pixel_size_angstrom"])
    values["dose_per_frame_e_per_a2"] = _decide(
        "dose_per_frame_e_per_a2",
        settings,
        doses,
        header,
        distrusted="dose_per_frame_e_per_a2" in distrusted,
        sources=sources,
    )
    amplitude = "amplitude_contrast"
    values[amplitude] = settings.microscope.amplitude_contrast
    sources[amplitude] = settings.origins.get(f"microscope.{amplitude}", "default")

    phase_plate = sidecar.phase_plate
    if said_by_a_person(settings, "microscope.phase_plate") is not None or phase_plate is None:
        phase_plate = settings.microscope.phase_plate
        sources["phase_plate"] = settings.origins.get("microscope.phase_plate", "default")
    return replace(
        sidecar,
        **values,  # type: ignore[arg-type]
        **_facts(settings, header, sidecar),
        phase_plate=phase_plate,
        not_used=tuple(dict.fromkeys((*sidecar.not_used, *not_used, *impossible))),
        sources=tuple((field.name, sources[field.name]) for field in fields(sidecar) if field.name in sources),
    )


def _facts(settings: Settings, header: MovieHeader, sidecar: AcquisitionMetadata) -> dict[str, Any]:
    """What only fills: the sidecar's word, else that of the path, the settings or the header."""
    names = epu_names(PurePath(header.path))
    return {
        "grid_square": sidecar.grid_square or names.grid_square,
        "hole": sidecar.hole or names.hole,
        "beam_shift_group": sidecar.beam_shift_group or names.beam_shift_group,
        "camera": sidecar.camera or settings.camera.name,
        "microscope": sidecar.microscope or settings.microscope.name,
        "exposure_time_s": sidecar.exposure_time_s or header.exposure_time_s,
    }


def resolve(metadata: AcquisitionMetadata, *, settings: Settings) -> AcquisitionParameters:
    """Plain numbers for the processing from what `merge_metadata` found.

    Raises
    ------
    SettingsError
        A needed value that nobody gives, by the name of its flag.
    """
    shift_x_au, shift_y_au = shift_of_no_unit(metadata)
    return AcquisitionParameters(
        pixel_size_angstrom=_needed(metadata, "pixel_size_angstrom"),
        voltage_kv=_needed(metadata, "voltage_kv"),
        cs_mm=_needed(metadata, "cs_mm"),
        amplitude_contrast=_needed(metadata, "amplitude_contrast"),
        dose_per_frame_e_per_a2=metadata.dose_per_frame_e_per_a2,
        pre_exposure_e_per_a2=settings.microscope.pre_exposure_e_per_a2,
        phase_plate=bool(metadata.phase_plate),
        sources=metadata.sources,
        exposure=ExposureFacts(
            acquired_utc_us=metadata.acquired_utc_us,
            exposure_time_s=metadata.exposure_time_s,
            stated_dose_per_frame_e_per_a2=metadata.dose_per_frame_e_per_a2,
            stage_x_um=metadata.stage_x_um,
            stage_y_um=metadata.stage_y_um,
            image_shift_x_um=metadata.image_shift_x_um,
            image_shift_y_um=metadata.image_shift_y_um,
            shift_x_au=shift_x_au,
            shift_y_au=shift_y_au,
            energy_filter=metadata.energy_filter
            if settings.microscope.energy_filter is None
            else settings.microscope.energy_filter,
            grid_square=metadata.grid_square,
            microscope=metadata.microscope,
        ),
    )


def _needed(metadata: AcquisitionMetadata, name: str) -> float:
    value = getattr(metadata, name)
    if value is None:
        raise SettingsError(
            f"{name} is needed, and neither a setting nor the sidecar nor the movie's header gives it",
            remedy=f"give {flag_name(name)}, or set microscope.{name}",
        )
    return float(value)


def _said_in(sidecar: AcquisitionMetadata, name: str) -> list[_Said]:
    value = getattr(sidecar, name)
    return [] if value is None else [_Said(float(value), dict(sidecar.sources).get(name, "sidecar"))]


def _decide(
    name: str,
    settings: Settings,
    others: Sequence[_Said],
    header: MovieHeader,
    *,
    distrusted: bool,
    sources: dict[str, str],
) -> float | None:
    """The strongest value of one quantity after all that count were compared; notes its source."""
    key = f"microscope.{name}"
    set_value = getattr(settings.microscope, name)
    person = said_by_a_person(settings, key) if set_value is not None else None
    preset = [] if set_value is None else [_Said(float(set_value), settings.origins.get(key, "settings"), True)]
    if person is not None and distrusted:
        others = []
    voices = [_Said(float(set_value), person), *others] if person is not None else [*others, *preset]
    for voice in voices[1:]:
        if not voice.fills_only:
            _compare(name, voices[0], voice, header)
    if not voices:
        sources.pop(name, None)
        return None
    sources[name] = voices[0].source
    return voices[0].value


def _compare(name: str, first: _Said, second: _Said, header: MovieHeader) -> None:
    if not _differ(name, first.value, second.value):
        return
    unit = UNITS[name]
    raise ContradictionError(
        f"{name} is {first.value:g} {unit} ({first.source}) and {second.value:g} {unit} ({second.source}), "
        f"more than {RELATIVE_TOLERANCE[name]:.0%} apart",
        path=header.path,
        remedy=f"correct the wrong one; if it is the file, give {flag_name(name)} and set "
        f"intake.sidecar_distrust: [{name}]",
    )


def _differ(name: str, first: float, second: float) -> bool:
    return abs(first - second) > RELATIVE_TOLERANCE[name] * max(abs(first), abs(second))


def _pixel_sizes(sidecar: AcquisitionMetadata, header: MovieHeader, *, person_knows: bool) -> list[_Said]:
    said: list[_Said] = []
    for voice in _said_in(sidecar, "pixel_size_angstrom"):
        scale = _sampling(sidecar, header)
        if scale is not None:
            said.append(replace(voice, value=voice.value * scale))
        elif not person_knows:
            raise ContradictionError(
                f"the {voice.source} is of an image of {sidecar.image_width_px} x {sidecar.image_height_px} px, the "
                f"movie has frames of {header.width_px} x {header.height_px} px, and neither is the other's binning",
                path=header.path,
                remedy=f"check that the sidecar belongs to this movie, or give {flag_name('pixel_size_angstrom')}",
            )
    return said


def _header_pixel_size(
    header: MovieHeader, others: Sequence[_Said], set_angstrom: float | None
) -> tuple[list[_Said], tuple[tuple[str, str], ...]]:
    """What the movie's header says of its pixel size, and why it is not used where it is not.

    Programs that have copied or converted a TIFF leave the resolution of a printer or of a screen in its tag, or that
    of another binning: a tag that contradicts a sidecar or a person (`set_angstrom`) is a doubtful tag, not a doubtful
    movie.
    """
    # Writers that do not know it leave 0 or 1.
    if header.pixel_size_angstrom in (None, 0.0, 1.0):
        return [], ()
    voice = _Said(float(header.pixel_size_angstrom or 0.0), "header of the movie")
    name = "pixel_size_angstrom"
    if (reason := why_impossible(name, voice.value, voice.source)) is not None:
        return [], ((name, reason),)
    believed = [said.value for said in others] + ([] if set_angstrom is None else [set_angstrom])
    if header.file_format == "tiff" and any(_differ(name, voice.value, value) for value in believed):
        reason = f"{name} is {voice.value:g} A by the TIFF's resolution tag; {believed[0]:g} A is used"
        return [], ((name, reason),)
    return [voice], ()


def _sampling(sidecar: AcquisitionMetadata, header: MovieHeader) -> float | None:
    """Size of the movie's pixel relative to that of the image the sidecar describes; None: they do not match.

    The field of view is the same, whatever binning or super-resolution the two were saved with. Either may be turned
    by 90 degrees.
    """
    movie = sorted((header.width_px, header.height_px))
    if sidecar.image_width_px and sidecar.image_height_px:
        image = sorted((sidecar.image_width_px, sidecar.image_height_px))
        for scale in _SAMPLING:
            if all(abs(i / m - scale) <= 0.02 * scale for i, m in zip(image, movie, strict=True)):
                return scale
        return None
    if sidecar.image_binning:
        # SerialEM gives the binning of the image it kept, which need not be that of the frames it saved.
        for width, height in _SENSORS_PX:
            for binning in (0.5, 1.0, 2.0):
                if movie == sorted((int(width / binning), int(height / binning))):
                    return binning / sidecar.image_binning
    return 1.0


def _doses(
    sidecar: AcquisitionMetadata, header: MovieHeader, pixel_size_angstrom: float | None
) -> tuple[list[_Said], tuple[tuple[str, str], ...]]:
    """Doses a frame that somebody says, and why a quotient of a total and the frames of the movie is none."""
    total_source = dict(sidecar.sources).get("total_dose_e_per_a2", "sidecar")
    said: list[_Said] = []
    impossible: list[tuple[str, str]] = []
    if header.file_format != "eer":
        said += _said_in(sidecar, "dose_per_frame_e_per_a2")
    if not said and sidecar.total_dose_e_per_a2:
        # EER fractions share all raw frames, none is dropped.
        total = sidecar.total_dose_e_per_a2
        how = f"{total_source}: {total:g} e/A2 over the {header.frame_count} frames of {PurePath(header.path).name}"
        said += _possible_dose(_Said(total / header.frame_count, total_source), how, impossible)
    if header.total_dose_e_per_px and pixel_size_angstrom:
        total = header.total_dose_e_per_px / pixel_size_angstrom**2
        how = f"header of {PurePath(header.path).name}: {total:g} e/A2 over {header.frame_count} frames"
        voice = _Said(total / header.frame_count, "header of the movie", fills_only=True)
        said += _possible_dose(voice, how, impossible)
    return said, tuple(impossible)


def _possible_dose(voice: _Said, how: str, impossible: list[tuple[str, str]]) -> list[_Said]:
    """The voice where a camera can have had that dose in a frame; else none, and `impossible` gets how it was made."""
    reason = why_impossible("dose_per_frame_e_per_a2", voice.value, how)
    if reason is None:
        return [voice]
    impossible.append(("dose_per_frame_e_per_a2", reason))
    return []


def _calibrated_shift(sidecar: AcquisitionMetadata, settings: Settings) -> AcquisitionMetadata:
    """EPU's beam shift in um where somebody knows its unit; its files do not tell one, and nothing else makes um of it.

    A sidecar that speaks in EPU's unit has no other image shift: what an older frazil took for um goes.
    """
    if sidecar.beam_shift_x_au is None and sidecar.image_shift_x_au is None:
        return sidecar
    key = "microscope.beam_shift_um_per_unit"
    unit_um, x, y = settings.microscope.beam_shift_um_per_unit, sidecar.beam_shift_x_au, sidecar.beam_shift_y_au
    names = ("image_shift_x_um", "image_shift_y_um")
    others = tuple((name, said) for name, said in sidecar.sources if name not in names)
    if unit_um is None or x is None or y is None:
        return replace(sidecar, image_shift_x_um=None, image_shift_y_um=None, sources=others)
    source = f"BeamShift of {dict(sidecar.sources).get('beam_shift_x_au', 'the sidecar')} times {key}"
    sources = (*others, *((name, source) for name in names))
    in_um = replace(sidecar, image_shift_x_um=unit_um * x, image_shift_y_um=unit_um * y, sources=sources)
    return without_impossible(in_um)


def shift_of_no_unit(metadata: AcquisitionMetadata) -> tuple[float | None, float | None]:
    """EPU's beam shift, or image shift where only that is used; (None, None) where um are known or nothing is said."""
    m = metadata
    if m.image_shift_x_um is not None or (m.beam_shift_x_au is None and m.image_shift_x_au is None):
        return None, None
    if m.beam_shift_x_au or m.beam_shift_y_au or m.image_shift_x_au is None:
        return m.beam_shift_x_au, m.beam_shift_y_au
    return m.image_shift_x_au, m.image_shift_y_au
