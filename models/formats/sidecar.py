"""Finding and reading the metadata file of a movie, whoever wrote it.

Pairing is by name: EPU's `FoilHole_..._Data_....xml` belongs to `FoilHole_..._Data_..._Fractions.tiff` or
`..._EER.eer`, often under another root; SerialEM's `movie.tif.mdoc` (or `movie.mdoc`) lies beside `movie.tif`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from frazil.config.errors import UnsupportedFormatError
from frazil.models.formats.epu_xml import epu_names, read_epu_xml, with_source
from frazil.models.formats.metadata_limits import without_impossible
from frazil.models.formats.serialem_mdoc import read_mdoc
from frazil.models.records import AcquisitionMetadata

_MOVIE_SUFFIXES = (".tif", ".tiff", ".mrc", ".mrcs", ".eer")
_TAIL = re.compile(r"(?:[_-](?:fractions|eer|frames|movie))+$", re.IGNORECASE)
_DISC = re.compile(r"Images-Disc\d+", re.IGNORECASE)


def is_sidecar(path: PurePath) -> bool:
    """Whether the name is one that a sidecar has (not whether it belongs to a movie)."""
    return path.suffix.lower() in (".xml", ".mdoc")


def sidecar_key(path: PurePath) -> str:
    """The same for a movie and for its sidecar: the name without suffixes and without `_Fractions`, `_EER`, ...

    `a_Fractions.tiff`, `a_EER.eer`, `a.xml`, `a.tif.mdoc` and `a.mdoc` all give `a`. Other dots stay (SerialEM puts
    times with dots into names).
    """
    name = path.name
    lower = name.lower()
    for suffix in (".mdoc", ".xml"):
        if lower.endswith(suffix):
            name = name[: -len(suffix)]
            break
    lower = name.lower()
    for suffix in _MOVIE_SUFFIXES:
        if lower.endswith(suffix):
            name = name[: -len(suffix)]
            break
    return _TAIL.sub("", name) or name


def sidecar_candidates(movie_relative_path: str | PurePath, roots: Sequence[Path]) -> list[Path]:
    """Where the sidecar of a movie may lie, most likely first; nothing is looked up.

    Parameters
    ----------
    movie_relative_path:
        Path of the movie, relative to the folder that is watched.
    roots:
        That folder first, then further ones that hold metadata (`intake.sidecar_roots`).

    Raises
    ------
    ValueError
        The path is absolute or leads out of the folder.
    """
    relative = PurePath(movie_relative_path)
    if relative.is_absolute() or ".." in relative.parts:
        raise ValueError(f"{movie_relative_path} is not a path within the watched folder")
    key = sidecar_key(relative)
    stem = relative.name[: -len(relative.suffix)] if relative.suffix else relative.name
    names = list(dict.fromkeys((f"{relative.name}.mdoc", f"{stem}.mdoc", f"{key}.mdoc", f"{key}.xml", f"{stem}.xml")))
    # EPU leaves out the tail in the XML's name more often than not, and an XML is never named after an mdoc's movie.
    if epu_names(relative).hole is not None:
        names.sort(key=lambda name: not name.endswith(".xml"))
    candidates = [
        root / folder / name
        for root in dict.fromkeys(roots)
        for folder in _folders(relative, other_root=root != roots[0])
        for name in names
    ]
    return list(dict.fromkeys(candidates))


def _folders(relative: PurePath, *, other_root: bool) -> list[PurePath]:
    """Folders of one root in which to look, relative to it."""
    folder = relative.parent
    folders = [folder]
    if not other_root:
        return folders
    disc = next((index for index, part in enumerate(folder.parts) if _DISC.fullmatch(part)), None)
    if disc is not None:
        # The movie's root may lie above or within the session, the sidecar's root elsewhere in it.
        folders += [PurePath(*folder.parts[disc:]), PurePath(*folder.parts[disc + 1 :])]
    else:
        folders.append(PurePath("Images-Disc1") / folder)
    if epu_names(relative).hole is not None:
        # EPU's names are unique in a session; with others, the same name in two folders would share one sidecar.
        folders.append(PurePath())
    return folders


def read_sidecar(path: Path, *, movie_name: str | None = None, settled: bool = False) -> AcquisitionMetadata:
    """What a sidecar says, each field with its source; without what cannot be (`metadata_limits`).

    Parameters
    ----------
    movie_name:
        File name of the movie; needed only for an mdoc of many movies.
    settled:
        True: the file has stood still for long; take an mdoc although its end looks unfinished.

    Raises
    ------
    RetryLaterError
        Not there, or not fully written yet: read it again later.
    FormatError
        It will never become readable. This is about the sidecar: the movie may still be fine.
    UnsupportedFormatError
        Neither EPU XML nor an mdoc.
    """
    return without_impossible(_as_written(path, movie_name, settled=settled))


def _as_written(path: Path, movie_name: str | None, *, settled: bool) -> AcquisitionMetadata:
    match path.suffix.lower():
        case ".xml":
            return read_epu_xml(path)
        case ".mdoc":
            name = movie_name if movie_name is not None else path.name[: -len(".mdoc")]
            metadata = read_mdoc(path, movie_name=name, settled=settled)
            names = epu_names(path)
            if names.hole is not None:  # SerialEM-style metadata for EPU-style names
                metadata = replace(
                    metadata,
                    grid_square=names.grid_square or metadata.grid_square,
                    hole=names.hole,
                    beam_shift_group=names.beam_shift_group,
                )
            return with_source(metadata, f"sidecar {path.name}")
        case other:
            raise UnsupportedFormatError(
                f"is no sidecar that frazil reads ({other or 'no suffix'})",
                path=path,
                remedy="EPU XML (.xml) and SerialEM metadata (.mdoc) are read",
            )
