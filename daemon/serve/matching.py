"""Which rule holds for an acquisition: yes, no, or not known yet, because its sidecar or its first movie is to come."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass

from frazil.config.serving import Match, Range, ServeRules, Treatment
from frazil.daemon.serve.facts import Facts

PROGRAM_WORDS = {"epu": "EPU", "serialem": "SerialEM", "leginon": "Leginon", "plain": "a folder of movies"}
DEFAULT = "default"
_NOTHING = Facts()


@dataclass(frozen=True, slots=True)
class Decision:
    """How a session is to be started; without a treatment it is not, and `why` says so."""

    name: str = ""
    """Of the rule."""
    treatment: Treatment | None = None
    why: str = ""
    undecided: bool = False
    """What is not known yet may make an earlier rule hold."""


def decide(rules: ServeRules, folder: str, program: str, facts: Facts | None, *, last_word: bool) -> Decision:
    """By the first rule that holds.

    Parameters
    ----------
    folder:
        Of the acquisition, below the folder that is watched.
    facts:
        None: there is no complete movie yet.
    last_word:
        What is not known now will not become known: a rule that asks for it does not hold.
    """
    for rule in rules.rules:
        answers = set(_answers(rule.match, folder, program, facts))
        if False in answers or (None in answers and last_word):
            continue
        if None in answers:
            missing = "its first movie" if facts is None else "its sidecar"
            return Decision(why=f"rule {rule.name} asks for what {missing} will tell", undecided=True)
        return _decided(rule.name, rule)
    if rules.default is not None:
        return _decided(DEFAULT, rules.default)
    known = ", ".join(part for part in (PROGRAM_WORDS[program], facts.words() if facts else "") if part)
    return Decision(why=f"no rule holds for it ({known}): add a rule for it, or a default, or start `frazil watch`")


def _decided(name: str, treatment: Treatment) -> Decision:
    if treatment.wait:
        return Decision(name, None, f"rule {name} leaves it to a person: start `frazil watch`")
    return Decision(name, treatment)


def _answers(match: Match, folder: str, program: str, facts: Facts | None) -> Iterator[bool | None]:
    if match.path:
        yield any(fnmatch.fnmatchcase(folder, pattern) for pattern in match.path)
    if match.program:
        yield program in match.program
    known = _NOTHING if facts is None else facts
    yield _named(match.microscope, known.microscope)
    yield _named(match.camera, known.camera)
    yield _within(match.voltage_kv, known.voltage_kv)
    yield _within(match.pixel_size_angstrom, known.pixel_size_angstrom)


def _named(pattern: str | None, value: str | None) -> bool | None:
    if pattern is None:
        return True
    return None if value is None else fnmatch.fnmatchcase(value.lower(), pattern.lower())


def _within(limits: Range | None, value: float | None) -> bool | None:
    if limits is None:
        return True
    return None if value is None else limits[0] <= value <= limits[1]
