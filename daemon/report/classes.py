"""The 2-D classes of a session as people are told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from frazil.config.errors import NotThereError
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.transport.messages import Row
from frazil.models.formats.mrc import MrcReader
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.reconstruction.classes.class_judge import word
from frazil.models.reconstruction.classes.left_over import ODD


def class_rows(reader: SessionReader) -> list[Row]:
    """Of the newest round, those with most particles first: the named query `classes`, with `judged` (good, unsure,
    junk) and `place`, that of its average in the stack."""
    rows: list[Row] = [dict(row) for row in reader.named("classes").as_dicts()]
    in_stack = {row["class_id"]: place for place, row in enumerate(sorted(rows, key=_id))}
    for row in rows:
        row["judged"] = _judged(row)
        row["place"] = in_stack[row["class_id"]]
    return rows


def class_lines(rows: Sequence[Row], counts: Row) -> Iterator[str]:
    """A table, and how many particles are chosen. Class 0 is of the boxes that do not hold what their class shows."""
    if not rows:
        yield "no 2-D classes yet: they begin with 120 particles"
        return
    yield f"{'class':>5} {'particles':>9} {'score':>6} {'judge':7} {'a person':28} in the map"
    for row in rows:
        score = f"{float(row['score']):.2f}" if isinstance(row["score"], int | float) else "-"
        yield (
            f"{row['class_id']!s:>5} {row['particle_count']!s:>9} {score:>6} {row['judged']!s:7} "
            f"{said_words(row):28} {'left out' if row['chosen'] is False else 'yes'}"
        )
    yield f"{counts['chosen']} of {counts['particles']} particles are chosen"


def classes_sentence(rows: Sequence[Row], counts: Row) -> str | None:
    """Of the named queries `classes` and `chosen_particles`; None: there are no classes.

    >>> rows = [{"class_id": 3, "score": 0.9, "verdict": None}, {"class_id": 5, "score": 0.1, "verdict": "reject"}]
    >>> classes_sentence(rows, {"particles": 900, "chosen": 800})
    '2-D classes: 1 good (3), 1 junk (5); people reject 5; 800 of 900 particles are chosen'
    """
    if not rows:
        return None
    by_word: dict[str, list[int]] = {}
    said: dict[str, list[int]] = {}
    for row in sorted(rows, key=_id):
        by_word.setdefault(_judged(row), []).append(_id(row))
        if row["verdict"] in ("keep", "reject"):
            said.setdefault(str(row["verdict"]), []).append(_id(row))
    words = [one for one in ("good", "unsure", "junk") if one in by_word]
    judged = [f"{len(by_word[one])} {one} ({_listed(by_word[one])})" for one in words]
    people = [f"people {verdict} {_listed(said[verdict])}" for verdict in ("keep", "reject") if verdict in said]
    chosen = f"{counts['chosen']} of {counts['particles']} particles are chosen"
    return "; ".join([f"2-D classes: {', '.join(judged)}", *people, chosen])


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _judged(row: Row) -> str:
    """`junk` of class 0 too, whose boxes do not hold what their class shows."""
    score = row["score"]
    if _id(row) == ODD:
        return "junk"
    return word(float(score) if isinstance(score, int | float) else None)


def said_words(row: Row) -> str:
    """What a person says of a class: `keep (ann)`, or through which class."""
    if row["verdict"] is not None and row["verdict"] != "undecided":
        return f"{row['verdict']} ({str(row['who'])[:18]})"
    by = row["spoken_for_by"]
    return f"as class {by}" if by is not None and by != row["class_id"] else ""


def averages_in_order(session_dir: Path, rows: Sequence[Row], out: Path) -> int:
    """Write the class averages of the newest round as a stack in the order of the rows; how many there are.

    Raises
    ------
    NotThereError
        No round has written any, or another round's are there.
    OSError
        It cannot be written.
    """
    path = next((session_dir / str(row["average_path"]) for row in rows if row["average_path"]), None)
    if path is None or not path.is_file():
        raise NotThereError("there are no class averages yet", remedy="they come with a round, after ten movies")
    with MrcReader(path) as reader:
        pixel_size_angstrom = reader.header.pixel_size_angstrom or 1.0
        sections = [np.asarray(section, dtype=np.float32) for section in reader.frames()]
    if len(sections) != len(rows):
        raise NotThereError("a new round is being written", remedy="try again in a moment")
    ordered = np.stack([sections[int(str(row["place"]))] for row in rows])
    write_mrc(out, ordered, pixel_size_angstrom)
    return len(ordered)


def _id(row: Row) -> int:
    return int(str(row["class_id"]))
