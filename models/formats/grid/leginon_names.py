"""Grid, area, square, patch and exposure from the name of a Leginon image.

`session_grid_00021gr_00007sq_v01_00002hl_v01_00002en-a`: each level adds its target's number and its preset to the name
of the image that the target was chosen on; `v##` is a version of the level before it, a word before a number the name
of a target list, `-a` or `-DW` an aligned sum. Presets are named by people: those of the levels above an exposure begin
as below nearly everywhere, and the last one is the exposure.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from frazil.models.formats.sidecar import sidecar_key
from frazil.models.grid_target import GridTarget

PROGRAM = "leginon"
_LEVEL = re.compile(r"(\d{5})([A-Za-z]\w*?)(?=_|\Z)")
_VERSION = re.compile(r"_v\d{2}(?=_|\Z)")
_SUM = re.compile(r"-(?:a|DW|a-DW|b|c)\Z")
_PRESETS = (("gr", "area"), ("sq", "square"), ("hl", "patch"))
_FOCUS = re.compile(r"f[acoz]\w*\Z")


def leginon_targets(path: PurePath | str) -> tuple[GridTarget, ...]:
    """From the grid down to the exposure; () where the name is not one of Leginon's exposures.

    >>> [(one.level, one.name) for one in leginon_targets("s_g_00021gr_00007sq_v01_00002hl_00003en-a.mrc")]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('grid', 's_g'), ('area', 's_g_00021gr'), ('square', 's_g_00021gr_00007sq_v01'),
     ('patch', 's_g_00021gr_00007sq_v01_00002hl'), ('exposure', 's_g_00021gr_00007sq_v01_00002hl_00003en')]
    """
    name = _SUM.sub("", sidecar_key(PurePath(path)))
    places = [match for match in _LEVEL.finditer(name) if match.start() > 0 and name[match.start() - 1] == "_"]
    if len(places) < 2 or _FOCUS.match(places[-1][2]):
        return ()
    ends = [_end(name, match) for match in places]
    if ends[-1] != len(name):
        return ()
    levels = [next((level for start, level in _PRESETS if match[2].startswith(start)), None) for match in places]
    levels[-1] = "exposure" if levels[-1] is None else levels[-1]
    if levels[-1] != "exposure":
        return ()
    targets = [_target("grid", name[: places[0].start() - 1], None)]
    for level, match, end in zip(levels, places, ends, strict=True):
        if level is not None:
            targets.append(_target(level, name[:end], targets[-1].target_id, int(match[1])))
    return tuple(targets)


def _end(name: str, match: re.Match[str]) -> int:
    version = _VERSION.match(name, match.end())
    return match.end() if version is None else version.end()


def _target(level: str, name: str, parent_id: str | None, number: int | None = None) -> GridTarget:
    """`order`: the number that Leginon gave the target on its image, counted from 1 there."""
    order = None if number is None else max(0, number - 1)
    return GridTarget(f"leginon:{name}", level, PROGRAM, name, parent_id, "exposed", order, said_by="name of the movie")
