"""What sentences say: quantities linked to the field that the words beside them name.

A quantity belongs to the field whose unit it has and whose words stand nearest, unless words stand by that mean
something else. Words and what they exclude are those of methods sections; nothing here knows a single document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from frazil.models.documents.fields import Field, facts_of
from frazil.models.documents.findings import GUESSED, SAID, UNIT_MISSING, Finding, Source, number_finding
from frazil.models.documents.quantities import Quantity, quantities
from frazil.models.documents.tree import Node
from frazil.models.documents.units import converted


@dataclass(frozen=True, slots=True)
class Rule:
    """`cue`: words that name the field; None: the unit says it all. `veto`: words in the sentence under which the rule
    is silent. `reach`: letters between cue and quantity at most. `rank`: those of
    a lower one are asked first."""

    field: Field
    units: tuple[str, ...]
    cue: re.Pattern[str] | None
    veto: re.Pattern[str] | None = None
    reach: int = 60
    confidence: float = SAID
    rank: int = 1


def _words(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_DOSES = ("e/A2",)
_OTHER_BEAM = _words(
    r"\bFIB\b|ion beam|ion-beam|\bmill(?:ed|ing)\b|sputter|scanning electron|\bSEM\b|gallium|negative(?:ly)?[- ]stain|"
    r"\bXPS\b|EELS|diffraction|micro-?ED"
)
RULES = (
    Rule(Field.VOLTAGE, ("kV",), None, _OTHER_BEAM),
    Rule(Field.CS, ("mm",), _words(r"spherical[- ]aberration|\bC_?s\b"), _words("corrector"), confidence=SAID),
    Rule(Field.AMPLITUDE_CONTRAST, ("", "%"), _words(r"amplitude[- ]contrast"), reach=40),
    Rule(Field.PIXEL, ("A",), _words(r"pixel[- ]?(?:size|spacing|sampling|dimension)s?|sampling(?: rate)?|"
                                     r"sampled at|/pix(?:el)?\b|per pixel|"
                                 r"calibrated pixels?|pixels? (?:was|were|is|are|of|corresponds?|measures?)\b"),
         reach=70),
    Rule(Field.RESOLUTION, ("A",),
         _words(r"(?:global|overall|average|final|nominal|reported|estimated) resolution|resolution of the "
                r"(?:map|final)|"
                r"(?:map|reconstruction|structure|density)s?(?: \w+){0,5} (?:at|to)(?: \w+){0,4} resolution(?: of)?"),
         _words(r"low-?pass|filter|cut-?off|search|limit|beyond|up to"), reach=30, confidence=GUESSED),
    Rule(Field.DIAMETER, ("A",),
         _words(r"(?:particle|molecule|protein|complex|capsid|virus|virion|ribosome)s?(?:,? \w+){0,4}? diameters?|"
                r"diameters? of (?:the |each |a )?(?:\w+ )?(?:particle|molecule|protein|complex|capsid|virus|virion)s?|"
                r"(?:protein|complex|particle)s? (?:is|are|forms?|has|have) [^.;,]{0,30}diameter"),
         _words(r"mask|beam|hole|gold|fiducial|aperture|granul"), reach=45),
    Rule(Field.DEFOCUS_SEARCH, ("um",), _words(r"search\w*"), _words(r"template|planes"), reach=60),
    Rule(Field.DEFOCUS, ("um",), _words(r"(?:under-?|de-?)foc(?:us(?:e[ds])?|i\b|al)(?: values?| ranges?| "
                                        r"settings?| targets?)?"),
         _words(r"search|ctffind|gctf|\bCTF (?:was|were|param|estim|fit)|estimated (?:by|with|using)|autofocus|"
                r"auto-focus|apparent|"
                r"\bplanes\b|\bsteps? (?:of|size)|nm steps|eucentric|calibrat|defocus spread")),
    Rule(Field.C2_APERTURE, ("um",), _words(r"\bC ?2\b(?: condenser)?(?: aperture)?|second condenser aperture|"
                                            r"condenser(?: lens)?(?: 2)? aperture"),
         reach=30),
    Rule(Field.OBJECTIVE_APERTURE, ("um",), _words(r"objective(?: lens)? aperture"), reach=30),
    Rule(Field.BEAM_DIAMETER, ("um",),
         _words(r"beam (?:size|diameter)|(?:beam|illuminat\w+)[^.;,]{0,30}diameter|illuminated (?:area|region|spot)|"
                r"condensed (?:the )?beam|beam[^.;,0-9]{0,25}(?=\d[^.;,]{0,8} (?:in )?diameter)|condensed "
                r"the beam"), reach=35),
    Rule(Field.DOSE_FRAME, _DOSES, _words(r"per (?:\w+ )?(?:frame|fraction|sub-?frame)|/(?:frame|fraction)|"
         r"(?:each|every|individual|single) (?:\w+ )?(?:frame|fraction|sub-?frame)s?|frame dose"),
         reach=32, rank=0),
    Rule(Field.DOSE_FRAME, ("e/A2/frame",), None),
    Rule(Field.DOSE_TILT, _DOSES, _words(r"(?:per|each|every) (?:\w+ )?(?:tilt|view|projection)(?:[- "
                                         r"]\w+)?"), reach=40, rank=0),
    Rule(Field.DOSE_PRIOR, _DOSES, _words(r"pre-?expos\w+|prior dose|before the first frame"), reach=30),
    Rule(Field.DOSE, _DOSES, _words(r"total|cumul\w+|accumul\w+|overall|dose|exposures?|fluence|exposed|irradiat\w+"),
         _words(r"critical|first \w+ frames?|dose-?weight|up to a|lifetime"), reach=90),
    Rule(Field.DOSE, _DOSES, None, _words(r"critical|first \w+ frames?|dose-?weight|up to a|lifetime|frame|"
                                          r"fraction|tilt|pre-?expos"),
         confidence=0.65, rank=2),
    Rule(Field.DOSE_RATE, ("e/A2/s",), None),
    Rule(Field.DOSE_RATE_CAMERA, ("e/px/s",), None),
    Rule(Field.DOSE_CAMERA, ("e/px",), None),
    Rule(Field.FRAME_TIME, ("s",), _words(r"(?:per|each|every) (?:\w+ )?(?:frame|fraction|sub-?frame)s?|(?<=s "
                                          r")(?:frames|sub-?frames|fractions)|"
         r"(?:frame|fraction)s? (?:\w+ ){0,4}every|frame (?:time|duration|exposure)|every"), reach=22),
    Rule(Field.FRAME_TIME, ("s/frame",), None),
    Rule(Field.EXPOSURE, ("s",), _words(r"exposures?(?: times?)?|exposed|acquisition time|record(?:ed|ing)|"
                                        r"movies?|dose[- ]rate|"
         r"/s\b|per second"),
         _words(r"blot|glow|plasma|discharg|wait|delay|sonic|incubat|centrifug|waited"), reach=45),
    Rule(Field.SLIT, ("eV",), _words(r"slit(?:[- ]width)?|energy[- ]filter|\bGIF\b|quantum|continuum|zero-loss|"
                                     r"selectris|filter"), reach=70),
    Rule(Field.FRAME_RATE, ("1/s",), None),
    Rule(Field.TILT_STEP, ("deg",), _words(r"increments?|steps?|every|interval"), reach=25),
    Rule(Field.TILT_RANGE, ("deg",), _words(r"tilt|tomogra"), _words(r"axis|alpha plate"), reach=90),
)  # fmt: skip
_FRAMES = Rule(
    Field.FRAMES,
    (),
    None,
    _words(r"\b(?:first|last|discard\w*|skip\w*|remov\w*|exclud\w*|initial) \d* ?\w* ?(?:\d+ )?frames?"),
)
_MOVIES = Rule(Field.MOVIES, (), _words(r"collect\w*|record\w*|acquir\w*|obtain\w*|total of|dataset|in total|taken"),
               _words(r"select\w*|discard\w*|remov\w*|remaining|subset|pick\w*|kept|retain\w*|per hour|each "
                      r"hole|per hole|bad|manual"),
               reach=80, confidence=0.7)  # fmt: skip
_MAGNIFICATION = re.compile(r"\bmagnifi\w+|\bmag\b", re.IGNORECASE)
_CALIBRATED = re.compile(r"calibrated|at the (?:detector|camera)|on the (?:detector|camera)|effective", re.IGNORECASE)
_OVERVIEW = re.compile(
    r"\boverviews?\b|\batlas(?:es)?\b|\blow(?:er)?[- ]mag\w*|\bmontages?\b|grid square|square (?:view|map|"
    r"image)|visuali[sz]ation purposes|search map",
    re.IGNORECASE,
)
_SCREENED = re.compile(r"screen(?:ed|ing)\b", re.IGNORECASE)
_RESAMPLED = re.compile(
    r"resampl\w*|rescal\w*|down-?sampl\w*|(?<!un)binned|\b[248]\s?[×x]\s?bin\w*|bin(?:ning|ned)?(?: factor)?(?: "
    r"by| of| to)? ?(?:a factor of )?(?:2|4|two|four)|"
    r"crop\w*|interpolat\w*|re-?extract\w*|extract\w*",
    re.IGNORECASE,
)
_SUPER = re.compile(r"super-?[ -]?res\w*", re.IGNORECASE)
_PHYSICAL = re.compile(r"physical|\bhardware\b|unbinned", re.IGNORECASE)
_LONGEST = 1200
"""Letters of a sentence; those of papers have some 150, rarely 600."""
_MOST_QUANTITIES = 60
_TILTED = re.compile(r"tilt[- ]?(?:series|scheme|range|ed\b|ing\b|angle|image)|\btilts\b|tomogra", re.IGNORECASE)
_SENTENCE_END = re.compile(
    r"(?<![A-Z]\.)(?<!\bet "
    r"al\.)(?<!\bal\.)(?<!\bFig\.)(?<!\bref\.)(?<!\bca\.)(?<!\bno\.)(?<!\bvs\.)(?<!\bi\.e\.)(?<!\be\.g\.)(?<!\bapprox\.)"
    r"[.!?](?=\s+[\"'“(]?[A-Z0-9∼~]|\s*$)|;(?=\s)"
)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Offset and text of each sentence (or part between semicolons). What goes on without an end is cut into pieces:
    the work on a sentence grows with the square of its length and more, and its author may mean harm."""
    begin = 0
    for end in [match.end() for match in _SENTENCE_END.finditer(text)] + [len(text)]:
        while begin < end:
            upto = end if end - begin <= _LONGEST else text.rfind(" ", begin + _LONGEST // 2, begin + _LONGEST) + 1
            upto = upto or begin + _LONGEST
            if text[begin:upto].strip():
                yield begin, text[begin:upto]
            begin = upto


def findings_in(node: Node, text: str, document: str) -> list[Finding]:
    """What the sentences of one paragraph say in numbers. `text`: its text, plain; `node`: where it stands."""
    found: list[Finding] = []
    for begin, sentence in sentences(text):
        given = quantities(sentence)[:_MOST_QUANTITIES]
        overview = _is_overview(sentence, given)
        for place, quantity in enumerate(given):
            source = (document, node.place_at(begin + quantity.begin), _around(sentence, quantity))
            finding = _linked(sentence, given, place, source, overview)
            if finding is not None:
                found.append(finding)
    return found


def _is_overview(sentence: str, given: list[Quantity]) -> bool:
    low = any(quantity.tag == "times" and quantity.value < 10_000 for quantity in given)
    high = any(quantity.tag == "times" and quantity.value >= 10_000 for quantity in given)
    return not high and (low or _OVERVIEW.search(sentence) is not None)


def _around(sentence: str, quantity: Quantity) -> str:
    begin = max(sentence.rfind(" ", 0, max(0, quantity.begin - 60)), 0)
    end = sentence.find(" ", min(len(sentence), quantity.end + 40))
    return sentence[begin : end if end > 0 else len(sentence)].strip()


def _linked(sentence: str, given: list[Quantity], place: int, source: Source, overview: bool) -> Finding | None:
    quantity = given[place]
    if quantity.tag in ("times", "frames", "movies", "particles"):
        return _counted(sentence, given, place, source, overview)
    if not quantity.powers and quantity.tag != "percent":
        return _bare(sentence, given, place, source)
    candidates: list[tuple[float, int, Rule, str]] = []
    for order, rule in enumerate(RULES):
        unit = _unit_of(rule, quantity)
        if unit is None or (rule.veto is not None and rule.veto.search(sentence)):
            continue
        distance = 0.0 if rule.cue is None else _distance(rule.cue, sentence, given, place)
        if rule.field is Field.PIXEL and quantity.per_pixel:
            distance = 0.0
        if distance <= rule.reach:
            candidates.append((distance, order, rule, unit))
    for _, _, rule, unit in sorted(candidates, key=lambda one: (one[2].rank, *one[:2])):
        if (finding := _as_field(sentence, quantity, rule, unit, source, overview)) is not None:
            return finding
    return None


def _unit_of(rule: Rule, quantity: Quantity) -> str | None:
    """The rule's unit that the quantity can be told in."""
    if quantity.tag == "percent":
        return "%" if "%" in rule.units else None
    return next(
        (unit for unit in rule.units if unit and unit != "%" and converted(1.0, quantity.powers, unit) is not None),
        None,
    )


def _distance(cue: re.Pattern[str], sentence: str, given: list[Quantity], place: int) -> float:
    """Letters between the nearest cue and the quantity; what lies beyond another quantity is further away."""
    quantity, least = given[place], float("inf")
    for match in cue.finditer(sentence):
        low, high = (
            sorted((match.end(), quantity.begin))
            if match.end() <= quantity.begin
            else sorted((quantity.end, match.start()))
        )
        if match.start() < quantity.end and quantity.begin < match.end():
            low = high = 0
        between = sum(1 for other in given if low <= other.begin < high and other is not quantity and other.powers)
        commas = sentence.count(",", low, high)
        least = min(least, high - low + 25 * between + 8 * commas + (4 if match.start() > quantity.begin else 0))
    return least


def _as_field(
    sentence: str, quantity: Quantity, rule: Rule, unit: str, source: Source, overview: bool
) -> Finding | None:
    field, notes = rule.field, []
    if field in (Field.TILT_RANGE, Field.TILT_STEP) and not _TILTED.search(sentence):
        return None
    if field is Field.TILT_RANGE and quantity.high is None:
        return None
    if rule.field is Field.PIXEL:
        field = _pixel_role(sentence, quantity, overview)
    elif overview and field is not Field.VOLTAGE:
        return None
    elif field is Field.DEFOCUS and quantity.high is None:
        field = Field.DEFOCUS_TARGET
    if field is Field.VOLTAGE and _SCREENED.search(sentence):
        notes.append("of a microscope for screening, perhaps")
    ends = [quantity.value] if quantity.high is None else [quantity.value, quantity.high]
    if unit == "%":
        numbers = [end / 100.0 for end in ends]
    else:
        numbers = [value for end in ends if (value := converted(end, quantity.powers, unit)) is not None]
    finding = number_finding(field, numbers, source, rule.confidence, notes)
    return finding.doubted(notes[0]) if finding is not None and notes else finding


def _pixel_role(sentence: str, quantity: Quantity, overview: bool) -> Field:
    """Which pixel: of overviews, after resampling, of the sensor, of super-resolution, or just of the images."""
    before = sentence[max(0, quantity.begin - 110) : quantity.begin]
    near = (
        re.split(r"[(),]|\band\b|\bwith\b", before)[-1] + " " + sentence[quantity.end : quantity.end + 28].split(",")[0]
    )
    if overview:
        return Field.PIXEL_OVERVIEW
    if _PHYSICAL.search(near):
        return Field.PIXEL_PHYSICAL
    if _SUPER.search(near) and "mode" not in near:
        return Field.PIXEL_SUPER
    if _RESAMPLED.search(before) or _RESAMPLED.search(sentence[quantity.end : quantity.end + 40]):
        return Field.PIXEL_RESAMPLED
    return Field.PIXEL


def _counted(
    sentence: str,
    given: list[Quantity],
    place: int,
    source: Source,
    overview: bool,
) -> Finding | None:
    quantity = given[place]
    ends = [quantity.value]
    if quantity.tag == "times":
        if quantity.value < facts_of(Field.MAGNIFICATION).low:
            named = _MAGNIFICATION.search(sentence) or overview
            return number_finding(Field.MAGNIFICATION_OVERVIEW, ends, source, SAID) if named else None
        before = max(given[place - 1].end if place else 0, quantity.begin - 45)
        near = sentence[before : quantity.begin] + sentence[quantity.end : quantity.end + 25].split(",")[0]
        if not _MAGNIFICATION.search(sentence) and quantity.value < 20_000:
            return None
        calibrated = _CALIBRATED.search(near) and "nominal" not in near
        field = Field.MAGNIFICATION_CALIBRATED if calibrated else Field.MAGNIFICATION
        return number_finding(field, ends, source, SAID)
    rule = _FRAMES if quantity.tag == "frames" else _MOVIES
    if quantity.tag == "particles" or overview or (rule.veto is not None and rule.veto.search(sentence)):
        return None
    if rule.cue is not None and _distance(rule.cue, sentence, [quantity], 0) > rule.reach:
        return None
    return number_finding(rule.field, ends, source, rule.confidence)


def _bare(sentence: str, given: list[Quantity], place: int, source: Source) -> Finding | None:
    """A number without a unit, beside words that need none or whose unit nobody can mistake."""
    quantity = given[place]
    before = sentence[max(0, quantity.begin - 64) : quantity.begin]
    if re.search(r"magnification (?:of |was |: ?|~ ?|approximately )*$", before, re.IGNORECASE):
        field = Field.MAGNIFICATION_CALIBRATED if _CALIBRATED.search(before) else Field.MAGNIFICATION
        if quantity.value < facts_of(field).low:
            field = Field.MAGNIFICATION_OVERVIEW
        return number_finding(field, [quantity.value], source, SAID)
    after = sentence[quantity.end : quantity.end + 50]
    named = re.search(r"amplitude[- ]contrast\b[^.;,\d]{0,40}$", before, re.IGNORECASE)
    if named or re.match(r" (?:\w+ ){0,4}amplitude[- ]contrast", after, re.IGNORECASE):
        return number_finding(Field.AMPLITUDE_CONTRAST, [quantity.value], source, SAID)
    if quantity.high is not None and re.search(
        r"(?:de|under)-?foc(?:us|i)(?: \w+)?(?: of| from| between|\s)*$", before, re.IGNORECASE
    ):
        finding = number_finding(Field.DEFOCUS, [quantity.value, quantity.high], source, UNIT_MISSING)
        return None if finding is None else finding.doubted("no unit is printed; read as um", UNIT_MISSING)
    return None
