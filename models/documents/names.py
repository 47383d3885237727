"""What sentences say in words: microscope, camera, filter, program, mode, point group, gain, format."""

from __future__ import annotations

import re
from collections.abc import Callable

from frazil.models.documents.fields import Field
from frazil.models.documents.findings import GUESSED, SAID, Finding
from frazil.models.documents.phrases import sentences
from frazil.models.documents.tree import Node
from frazil.models.documents.vocabulary import terms_in

_OTHER_WORK = re.compile(
    r"screen(?:ed|ing)\b|negative(?:ly)?[- ]stain|\bFIB\b|\bSEM\b|Aquilos|report that|such as|for example|"
    r"previous(?:ly)? (?:reported|published)|"
    r"compared (?:to|with)|diffraction",
    re.IGNORECASE,
)
_TAKEN = re.compile(
    r"record|collect|acqui|instrument|imag|equip|operat|camera|detect|device|"
    r"microscop|load|taken|perform|mode|data|employ|gather|column|electron|exposure|movie",
    re.IGNORECASE,
)
_SYMMETRY = re.compile(r"symmetr", re.IGNORECASE)
_NOT_IMPOSED = re.compile(r"pseudo|breaking|related|axis|axes|mismatch|expan", re.IGNORECASE)
_GAIN_NO = re.compile(
    r"(?:non|un|not)[- ]?gain[- ]?(?:normali[sz]ed|corrected)|\bun-?normali[sz]ed|without gain|gain[- ](?:un|non)",
    re.IGNORECASE,
)
_GAIN_YES = re.compile(r"gain[- ](?:normali[sz]ed|corrected)|gain reference (?:was |already )?applied", re.IGNORECASE)
_FORMAT_CUE = re.compile(r"format|sav(?:ed|ing)|stor(?:ed|ing)|written|movies|stacks|files", re.IGNORECASE)
_MOST_WORDS = 160
_PHASE_PLATE = re.compile(r"(?:with|using|by|volta) (?:a |the )?(?:volta )?phase[- ]plate|\bVPP\b", re.IGNORECASE)
_NO_PLATE = re.compile(
    r"(?:no|without(?: a| the)?|not) (?:\w+ )?phase[- ]plate|phase[- ]plate (?:was )?not", re.IGNORECASE
)


_Said = Callable[[Field, str, int, float], None]
"""Takes field, value, where in the sentence, and how sure it is."""


def names_in(node: Node, text: str, document: str) -> list[Finding]:
    """Of one paragraph; `text` is its text, plain."""
    found: list[Finding] = []
    for begin, sentence in sentences(text):

        def said(
            field: Field, value: str, offset: int, confidence: float, begin: int = begin, sentence: str = sentence
        ) -> None:
            words = sentence.strip()
            if len(words) > _MOST_WORDS:
                words = f"...{sentence[max(0, offset - 50) : offset + 70].strip()}..."
            found.append(Finding(field, value, None, document, node.place_at(begin + offset), words, confidence))

        if _OTHER_WORK.search(sentence) is None:
            _instruments(sentence, said)
            _modes(sentence, said)
        _symmetry(sentence, said)
        _gain_and_format(sentence, said)
    return found


def _instruments(sentence: str, said: _Said) -> None:
    confidence = SAID if _TAKEN.search(sentence) else 0.7
    for field in (Field.MICROSCOPE, Field.CAMERA, Field.ENERGY_FILTER, Field.SOFTWARE):
        for value, offset, _ in terms_in(field, sentence):
            said(field, value, offset, confidence)


def _modes(sentence: str, said: _Said) -> None:
    for value, offset, end in terms_in(Field.CAMERA_MODE, sentence):
        after = sentence[end : end + 25].lower()
        if "mode" in after or "mode" in sentence[max(0, offset - 12) : offset].lower():
            said(Field.CAMERA_MODE, value, offset, SAID)
            break


def _symmetry(sentence: str, said: _Said) -> None:
    for match in _SYMMETRY.finditer(sentence):
        near_begin = max(0, match.start() - 30)
        near = sentence[near_begin : match.end() + 25]
        if _NOT_IMPOSED.search(near):
            continue
        for value, offset, _ in terms_in(Field.SYMMETRY, near):
            said(Field.SYMMETRY, value, near_begin + offset, SAID)


def _gain_and_format(sentence: str, said: _Said) -> None:
    if no := _GAIN_NO.search(sentence):
        said(Field.GAIN_CORRECTED, "no", no.start(), SAID)
    elif yes := _GAIN_YES.search(sentence):
        said(Field.GAIN_CORRECTED, "yes", yes.start(), GUESSED)  # by whom and when, the words do not say
    if _FORMAT_CUE.search(sentence):
        for value, offset, _ in terms_in(Field.FORMAT, sentence):
            said(Field.FORMAT, value, offset, 0.7)
    if none := _NO_PLATE.search(sentence):
        said(Field.PHASE_PLATE, "no", none.start(), SAID)
    elif plate := _PHASE_PLATE.search(sentence):
        said(Field.PHASE_PLATE, "yes", plate.start(), 0.7)
