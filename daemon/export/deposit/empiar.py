"""What EMPIAR's deposition system wants to be told, as the JSON that its `empiar-depositor` takes.

Field names and codes are those of EMPIAR's `empiar_deposition.schema.json` (emdb-empiar/empiar-depositor); public
entries say the same in words (`numImagesOrTiltSeries`, `UNSIGNED BYTE`). A value that frazil does not know is left out
and named: `missing`. What a person wrote into an earlier file stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_CATEGORIES = {
    "micrographs - single frame": "T1",
    "micrographs - multiframe": "T2",
    "picked particles - single frame - processed": "T7",
}
_FORMATS = {"MRC": "T1", "MRCS": "T2", "TIFF": "T3", "EER": "T9"}
_VOXELS = {
    "uint8": ("T1", ""),
    "int8": ("T2", ""),
    "uint16": ("T3", ""),
    "int16": ("T4", ""),
    "uint32": ("T5", ""),
    "int32": ("T6", ""),
    "float32": ("T7", ""),
    "float16": ("OT", "16 BIT FLOAT"),
}
"""EMPIAR's code by the NumPy name of a file's values."""

_OF_PERSONS = {
    "title": "10 to 255 characters",
    "release_date": "RE at once, EP with the EMDB entry, HP with the publication, HO after a year",
    "experiment_type": "3 for images of a structure that is in the EMDB",
    "authors": "names as EMPIAR writes them, in their order",
    "corresponding_author": "name, organisation, e-mail, country",
    "principal_investigator": "at least one, with the same",
    "citation": "title and authors at least, also where nothing is published yet",
}
"""What EMPIAR requires and no microscope knows."""
_ASKED = ("frames_per_image", "voxel_type", "pixel_width", "pixel_height", "image_width", "image_height")
"""Of an image set: what may not be known."""


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images of one kind in one folder of the deposit. `None`: not known."""

    name: str
    directory: str
    """Relative to the deposit; begins with `data/`."""
    category: str
    """One of EMPIAR's, in words."""
    file_format: str
    """`MRC`, `MRCS`, `TIFF` or `EER`."""
    image_count: int
    frames_per_image: int | None
    dtype: str | None
    """NumPy name of what the files hold."""
    pixel_size_angstrom: float | None
    """As stored."""
    width_px: int | None
    height_px: int | None
    details: str = ""
    unknown: tuple[tuple[str, str], ...] = ()
    """(field, why it is not known), where there is more to say than that."""

    def as_json(self) -> dict[str, Any]:
        """EMPIAR's fields of it, without those that are not known."""
        code = _pair(_FORMATS[self.file_format])
        said = {
            "name": self.name,
            "directory": self.directory,
            "category": _pair(_CATEGORIES[self.category]),
            "header_format": code,
            "data_format": code,
            "num_images_or_tilt_series": self.image_count,
            "frames_per_image": self.frames_per_image,
            "voxel_type": None if self.dtype not in _VOXELS else _pair(*_VOXELS[self.dtype]),
            "pixel_width": self.pixel_size_angstrom,
            "pixel_height": self.pixel_size_angstrom,
            "image_width": self.width_px,
            "image_height": self.height_px,
            "details": self.details or None,
        }
        return {name: value for name, value in said.items() if value is not None}


def deposition(
    sets: Sequence[ImageSet], earlier: Mapping[str, Any], written: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The deposition's JSON: `earlier` as a person has filled it in, with the image sets as they are now.

    `written`: the image sets as frazil wrote them last; what differs from them in `earlier` is a person's, and stays.
    """
    in_file, by_frazil = _by_directory(earlier.get("imagesets", [])), _by_directory(written)
    imagesets = []
    for one in sets:
        mine = by_frazil.get(one.directory, {})
        persons = {
            name: value
            for name, value in in_file.pop(one.directory, {}).items()
            if name not in mine or mine[name] != value
        }
        imagesets.append(one.as_json() | persons)
    others = [one for directory, one in in_file.items() if directory not in by_frazil]
    return {**earlier, "imagesets": [*imagesets, *others]}


def missing(sets: Sequence[ImageSet], said: Mapping[str, Any]) -> list[str]:
    """What EMPIAR requires and the deposition does not say yet, one sentence each."""
    filled = _by_directory(said["imagesets"])
    sentences = [f"{field}: {what}" for field, what in _OF_PERSONS.items() if not said.get(field)]
    for one in sets:
        why, there = dict(one.unknown), filled.get(one.directory, {})
        sentences += [
            f"{field} of {one.directory}: {why.get(field, 'not known')}" for field in _ASKED if field not in there
        ]
    return sentences


def _by_directory(imagesets: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(one.get("directory")): one for one in imagesets}


def _pair(code: str, text: str = "") -> str:
    """EMPIAR writes a choice as the text of a pair.

    >>> _pair("T1")
    "('T1', '')"
    """
    return f"('{code}', '{text}')"
