"""What documents propose for a session, as a table, as JSON, and as a YAML file for `frazil watch --config`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from frazil.models.documents.agreement import Agreed
from frazil.models.documents.cross_checks import Outcome
from frazil.models.documents.fields import Field
from frazil.models.documents.findings import Finding
from frazil.models.documents.proposing import Proposal, Proposed
from frazil.models.documents.tree import Node, to_record

_WORDS = 90


@dataclass(frozen=True, slots=True)
class Reading:
    """A document by its name, and its tree."""

    name: str
    tree: Node


def to_text(
    proposal: Proposal, readings: Sequence[Reading], refused: Sequence[str], in_force: Mapping[str, Any] | None = None
) -> str:
    """For a person. `in_force`: settings of the session that they would change, if there is one."""
    lines = [_document_line(reading) for reading in readings]
    lines += [f"  not read: {reason}" for reason in refused]
    lines += ["", "Proposed settings (none is in force; ! look at it: unsure, or contradicted)"]
    lines += [line for proposed in proposal.settings for line in _setting_lines(proposed, in_force)] or ["  none"]
    lines += ["", "What the documents say"]
    lines += [line for fact in proposal.facts for line in _fact_lines(fact)] or ["  nothing that is looked for"]
    for outcome, title in (
        (Outcome.CONFLICT, "Conflicts and doubts"), (Outcome.NOTE, "To know"), (Outcome.HOLDS, "Checks that hold"),
    ):  # fmt: skip
        told = [
            f"  {check.text} ({', '.join(check.documents)})" for check in proposal.checks if check.outcome is outcome
        ]
        if told:
            lines += ["", title, *told]
    lines += ["", "Missing: " + (", ".join(proposal.missing) or "nothing"), *_half_said(proposal)]
    return "\n".join(lines)


def _half_said(proposal: Proposal) -> list[str]:
    """What is missing though a document seems to say it."""
    named = next((fact for fact in proposal.facts if fact.field is Field.ENERGY_FILTER), None)
    if named is None or "microscope.energy_filter" not in proposal.missing:
        return []
    return [f"  a filter is named ({named.chosen.told()}), but neither its slit's width nor whether it was in"]


def _document_line(reading: Reading) -> str:
    counts = reading.tree.count()
    pages = {node.place.page for node in reading.tree.walk() if node.place.page is not None}
    parts = [f"{len(pages)} pages"] if pages else []
    parts += [
        f"{counts[kind]} {kind if counts[kind] == 1 else kind + 's'}"
        for kind in ("section", "paragraph", "table", "figure", "formula", "entry")
        if kind in counts
    ]
    text = f"{reading.name}: {reading.tree.name}, {', '.join(parts) or 'empty'}".replace("entrys", "entries")
    return "\n".join([text, *(f"  {remark}" for remark in reading.tree.remarks)])


def _setting_lines(proposed: Proposed, in_force: Mapping[str, Any] | None) -> list[str]:
    mark = " " if proposed.certain else "!"
    source = proposed.sources[0]
    line = f"{mark} {proposed.setting:<42} {proposed.value!s:<16} {proposed.confidence:.2f}  {_source(source)}"
    lines = [line]
    if in_force is not None:
        lines.append(f"      in force: {in_force.get(proposed.setting)}")
    lines += [f"      but also {rival}" for rival in proposed.rivals]
    lines += [f"      {note}" for note in proposed.notes]
    return lines


def _fact_lines(fact: Agreed) -> list[str]:
    lines = []
    for place, finding in enumerate(fact.shown()):
        mark = "!" if (fact.conflict or not fact.certain) else " "
        name = str(fact.field) if place == 0 else "  or"
        lines.append(f"{mark} {name:<30} {finding.told()[:60]:<28} {finding.confidence:.2f}  {_source(finding)}")
    return lines


def _source(finding: Finding) -> str:
    words = finding.words if len(finding.words) <= _WORDS else finding.words[: _WORDS - 3] + "..."
    place = finding.place.words()
    # The words of an entry begin with its path.
    where = finding.document if not place or finding.words.startswith(place) else f"{finding.document}, {place}"
    return f'{where}: "{words}"'


def to_json(
    proposal: Proposal, readings: Sequence[Reading], refused: Sequence[str], *, with_trees: bool = False
) -> str:
    """One object; trees of the documents on demand."""
    document: dict[str, Any] = {
        "settings": [_setting_record(one) for one in proposal.settings],
        "facts": [
            {
                "field": str(fact.field),
                "conflict": fact.conflict,
                "values": [_finding_record(one) for one in fact.shown()],
            }
            for fact in proposal.facts
        ],
        "checks": [
            {
                "outcome": str(check.outcome), "fields": [str(field) for field in check.fields],
                "documents": list(check.documents), "text": check.text,
            }
            for check in proposal.checks
        ],
        "missing": list(proposal.missing),
        "documents": [
            {"name": one.name, "kind": one.tree.name, "parts": one.tree.count(), "remarks": one.tree.remarks}
            | ({"tree": to_record(one.tree)} if with_trees else {})
            for one in readings
        ],
        "refused": list(refused),
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False, indent=1)


def _setting_record(proposed: Proposed) -> dict[str, Any]:
    return {
        "setting": proposed.setting,
        "value": proposed.value,
        "certain": proposed.certain,
        "confidence": round(proposed.confidence, 3),
        "rivals": list(proposed.rivals),
        "notes": list(proposed.notes),
        "sources": [_finding_record(one) for one in proposed.sources],
    }


def _finding_record(finding: Finding) -> dict[str, Any]:
    place = finding.place
    return {
        "value": finding.value, "high": finding.high, "unit": finding.unit, "confidence": round(finding.confidence, 3),
        "document": finding.document, "page": place.page, "box": place.box, "path": place.path, "words": finding.words,
        "notes": list(finding.notes),
    }  # fmt: skip


def to_yaml(proposal: Proposal, names: Sequence[str]) -> str:
    """Settings that `frazil watch --config` takes: certain ones as they are, the others as comments to choose from."""
    lines = [
        f"# Proposed by `frazil setup` from {_comment(', '.join(names))}.",
        "# Nothing of it is in force before `frazil watch RAW --config THIS_FILE`. Lines with #? are unsure or "
        "contradicted:",
        "# look at their source and take away the mark where they are right.",
    ]
    sections = dict.fromkeys(one.setting.split(".")[0] for one in proposal.settings)
    for section in sections:
        own = [one for one in proposal.settings if one.setting.split(".")[0] == section]
        lines.append(f"{section}:" if any(one.certain for one in own) else f"#? {section}:")
        for one in own:
            value = yaml.safe_dump({one.setting.split(".", 1)[1]: one.value}, allow_unicode=True, width=1000).strip()
            source = _comment(_source(one.sources[0]))
            rivals = f"; but also {_comment('; '.join(one.rivals))}" if one.rivals else ""
            notes = f"; {_comment('; '.join(one.notes))}" if one.notes else ""
            mark = "  " if one.certain else "  #? "
            lines.append(f"{mark}{value}  # {one.confidence:.2f}, {source}{rivals}{notes}")
    if proposal.missing:
        lines.append(f"# Missing: {', '.join(proposal.missing)}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """On one line, without what YAML would read."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
