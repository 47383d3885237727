"""Names of instruments, programs, point groups and modes as they are printed, and the one name of each."""

from __future__ import annotations

import re

from frazil.models.documents.fields import Field

_MICROSCOPES = (
    (r"(?:FEI |TFS |Thermo(?:Fisher|Scientific| Fisher)?(?: Scientific)? )?(?:Titan )?Krios(?:[ "
     r"-]?(?P<a>G[1-4]i?)\b)?(?: (?P<b>[A-Z])\b(?! ?[a-z]))?", "Titan Krios"),
    (r"(?:FEI |TFS |Tecnai )?(?:G2 )?Polara(?: 300)?", "Polara"),
    (r"(?:FEI |TFS |Thermo Fisher )?(?:Talos )?Arctica(?: (?P<c>G2)\b)?", "Talos Arctica"),
    (r"Glacios(?: (?P<d>2)\b)?", "Glacios"),
    (r"Tundra\b(?= (?:cryo|micro|TEM|\())", "Tundra"),
    (r"(?:FEI |Philips )?Tec[h]?nai (?:G2 )?(?:Spirit|(?P<e>(?:T|F|G2 )?(?:12|20|30))\b)(?: Twin| Spirit)?", "Tecnai"),
    (r"(?:FEI )?Tecnai Spirit", "Tecnai Spirit"),
    (r"(?:FEI )?Titan (?P<f>Halo|Themis)", "Titan"),
    (r"(?:JEOL )?C(?:RYO|ryo) ?ARM[ -]?(?:™ ?)?(?P<g>200|300)(?: ?(?P<h>II)\b)?", "CRYO ARM"),
    (r"(?:JEOL )?JEM[- ]?(?P<i>\d{4}[A-Z]*)", "JEOL JEM"),
)  # fmt: skip
_CAMERAS = (
    (r"(?:Gatan |post-GIF )?(?:Bio)?(?:Quantum )?K3(?:[ -](?:Summit|BioQuantum|IS|Base))?", "Gatan K3"),
    (r"(?:Gatan )?K-?2(?:[ -]?(?:Summit|IS|XP|xp))?", "Gatan K2 Summit"),
    (r"(?:FEI |TFS |Thermo Fisher )?Falcon ?[- ]?(?:4i|IVi|4 i)\b", "Falcon 4i"),
    (r"(?:FEI |TFS |Thermo Fisher )?Falcon ?[- ]?(?:4|IV)\b", "Falcon 4"),
    (r"(?:FEI |TFS |Thermo Fisher )?Falcon ?[- ]?(?:3(?: ?EC)?|III(?: ?EC)?)\b", "Falcon 3"),
    (r"(?:FEI |TFS |Thermo Fisher )?Falcon ?[- ]?(?:2|II)\b", "Falcon 2"),
    (r"(?:Direct Electron )?(?:DE )?Apollo\b", "DE Apollo"),
    (r"\bDE-?(?P<j>12|16|20|64)\b", "DE"),
    (r"\bCeta(?:[ -]?(?:D|16M))?\b", "Ceta"),
    (r"\bAlpine\b(?= (?:direct|camera|detector))", "Gatan Alpine"),
    (r"(?:Gatan )?(?:US|UltraScan|Ultrascan) ?(?P<k>1000|4000)", "UltraScan"),
    (r"(?:Gatan )?OneView\b", "Gatan OneView"),
    (r"\bTVIPS(?: [A-Z]+-?[A-Z]?\d+)?", "TVIPS"),
)  # fmt: skip
_FILTERS = (
    (r"(?:Gatan )?Bio-?Quantum(?! K3)|BioQuantum(?= K3)", "BioQuantum"),
    (r"Bio-?Continuum(?: HD)?", "BioContinuum"),
    (r"(?:Gatan )?(?:GIF[ -]?)?Quantum(?:[- ](?:967|968))?(?:[- ](?P<l>LS|SE|ER)\b)?", "GIF Quantum"),
    (r"Selectris(?: (?P<m>X)\b)?", "Selectris"),
    (r"(?:in-column )?[Oo]mega(?:-type)?(?: energy)? filter", "omega filter"),
)
_SOFTWARE = (
    (r"Serial ?EM(?: (?:v(?:ersion)? ?)?(?P<n>\d+(?:\.\d+)*))?", "SerialEM"),
    (r"\bEPU(?:[ -]?2\b)?(?: (?:v(?:ersion)? ?)?(?P<o>\d+(?:\.\d+)+))?", "EPU"),
    (r"Leginon\b", "Leginon"),
    (r"SmartScope\b", "SmartScope"),
    (r"\bLatitude(?: S)?\b(?= (?:software|\(|S))", "Latitude S"),
    (r"UCSF ?Image ?4\b", "UCSFImage4"),
    (r"\bJADAS\b", "JADAS"),
    (r"(?:FEI |Thermo Fisher )?Tomography [45](?:\.\d+)*\b|FEI tomography", "Tomography"),
)
_MODES = (
    (r"super-?[ -]?resolution(?! pixel)", "super-resolution"),
    (r"\bCDS\b|correlated[- ]double[- ]sampling", "CDS"),
    (r"(?:electron[- ])?counting|\bcounted\b", "counting"),
    (r"integrat(?:ing|ion)|\blinear(?= mode)", "integrating"),
)
_GROUPS = (
    (r"(?<![\w.-])(?P<p>[CD][1-9]\d?)(?![\w])", ""),
    (r"octahedral", "O"),
    (r"tetrahedral", "T"),
    (r"icosahedral", "I"),
    (r"(?<![\w.-])(?P<q>[OT]|I[1-4]?)(?![\w']|\.\w)", ""),
    (r"\bno symmetry|without (?:any )?symmetry|\basymmetric(?:ally)?", "C1"),
)
_KINDS = (
    (r"lamella[es]?\b", "lamella"),
    (r"filaments?\b|fibrils?\b|helical", "filament"),
    (r"\bnanodiscs?\b|membrane protein", "membrane protein"),
    (r"tilt[- ]series|tomogra(?:m|phy)", "tomography"),
    (r"single[- ]particle", "single particles"),
)
_FORMATS = (
    (r"\bEER\b|\.eer\b", "EER"),
    (r"\bTIFF?S?\b|\.tiff?\b", "TIFF"),
    (r"\bMRCS?\b|\.mrcs?\b", "MRC"),
)
TERMS = {
    Field.MICROSCOPE: _MICROSCOPES,
    Field.CAMERA: _CAMERAS,
    Field.ENERGY_FILTER: _FILTERS,
    Field.SOFTWARE: _SOFTWARE,
    Field.CAMERA_MODE: _MODES,
    Field.SYMMETRY: _GROUPS,
    Field.SAMPLE_KIND: _KINDS,
    Field.FORMAT: _FORMATS,
}
_COMPILED = {
    field: tuple(
        (re.compile(words, re.IGNORECASE if field not in (Field.SYMMETRY,) else 0), name) for words, name in terms
    )
    for field, terms in TERMS.items()
}


def terms_in(field: Field, text: str) -> list[tuple[str, int, int]]:
    """The names of one field's terms in a text, each with where it stands; of two that overlap the one named first."""
    found: list[tuple[str, int, int]] = []
    for words, name in _COMPILED[field]:
        for match in words.finditer(text):
            if any(match.start() < end and begin < match.end() for _, begin, end in found):
                continue
            more = " ".join(part for part in match.groupdict().values() if part)
            found.append((" ".join(part for part in (name, more) if part), match.start(), match.end()))
    return sorted(found, key=lambda one: one[1])


def named(field: Field, text: str) -> str | None:
    """The one name of a term, from a text that is nothing but it (and perhaps its maker); None: not known.

    >>> named(Field.CAMERA, "FEI FALCON IV (4k x 4k)"), named(Field.MICROSCOPE, "TFS KRIOS")
    ('Falcon 4', 'Titan Krios')
    """
    found = terms_in(field, text)
    return found[0][0] if found else None


def is_point_group(text: str) -> bool:
    """Whether frazil takes it as `particles.symmetry`."""
    return re.fullmatch(r"[CD][1-9][0-9]{0,2}|T|O|I[1-4]?", text.strip().upper()) is not None
