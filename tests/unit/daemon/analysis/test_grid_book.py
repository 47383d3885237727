"""What files say of a grid together: in any order, rewritten, moved, against each other."""

from __future__ import annotations

import itertools
from dataclasses import replace

from frazil.daemon.analysis.targets.book import GridBook, Source
from frazil.daemon.store.target_rows import KnownTarget
from frazil.models.grid_target import GridTarget

SQUARE = GridTarget("square", "square", "epu", "7", "grid", stage_x_um=1.0, said_by="Atlas.dm")
OF_SQUARE = replace(SQUARE, state="chosen", stage_x_um=2.0, said_by="GridSquare_7.dm")
IMAGE = replace(SQUARE, stage_x_um=None, image_path="GridSquare_1.jpg", said_by="GridSquare_1.xml")
HOLE = GridTarget("hole", "hole", "epu", "70", "square", "chosen", 0, stage_x_um=3.0, stage_y_um=3.0)
ATLAS, METADATA, XML = Source(2, 5, "Atlas.dm"), Source(3, 1, "GridSquare_7.dm"), Source(4, 2, "GridSquare_1.xml")
TOLD = ((ATLAS, (SQUARE,)), (METADATA, (OF_SQUARE, HOLE)), (XML, (IMAGE,)))


def test_the_order_in_which_files_come_makes_no_difference() -> None:
    found = []
    for order in itertools.permutations(TOLD):
        book = GridBook()
        for source, targets in order:
            book.take(source, targets)
        found.append(book.known)
    assert all(known == found[0] for known in found)
    square = found[0]["square"].target
    assert (square.state, square.stage_x_um, square.image_path) == ("chosen", 2.0, "GridSquare_1.jpg")
    assert found[0]["hole"].square_id == "square", "although its square may have come after it"


def test_the_same_again_is_no_news_and_a_rewritten_file_counts_as_it_is_now() -> None:
    book = GridBook()
    for source, targets in TOLD:
        book.take(source, targets)
    book.written(book.known.values())
    version = book.version
    assert not book.take(METADATA, (OF_SQUARE, HOLE))
    assert (book.version, book.unwritten) == (version, set())

    later = replace(METADATA, mtime_ns=9)
    assert book.take(later, (OF_SQUARE, replace(HOLE, state="seen", order=None)))
    assert book.known["hole"].target.state == "seen", "a hole may be chosen no more"
    assert book.unwritten == {"hole"}


def test_a_hole_that_its_file_names_no_more_is_gone_and_kept() -> None:
    book = GridBook()
    book.take(METADATA, (OF_SQUARE, HOLE))
    book.take(replace(METADATA, mtime_ns=9), (OF_SQUARE,))
    assert book.known["hole"] == KnownTarget(HOLE, "square", gone=True)
    book.take(replace(METADATA, mtime_ns=10), (OF_SQUARE, HOLE))
    assert not book.known["hole"].gone


def test_what_a_moved_folder_said_counts_until_it_is_found_again() -> None:
    book = GridBook()
    book.take(METADATA, (OF_SQUARE, HOLE))
    book.vanished(METADATA.path)
    assert book.known["hole"] == KnownTarget(HOLE, "square")
    taken = replace(HOLE, state="exposed")
    book.take(Source(3, 1, "moved/GridSquare_7.dm"), (OF_SQUARE, taken))
    assert book.known["hole"].target == taken
    assert book.contradictions == []


def test_what_the_store_remembers_counts_where_no_file_says_more() -> None:
    book = GridBook()
    book.remember([KnownTarget(HOLE, "square"), KnownTarget(OF_SQUARE, "square")])
    assert book.unwritten == set()
    book.take(ATLAS, (SQUARE,))
    assert book.known["hole"].target.state == "chosen"
    book.take(METADATA, (SQUARE, replace(HOLE, state="seen")))
    assert book.known["hole"].target.state == "seen"


def test_after_a_restart_what_its_file_names_no_more_is_gone() -> None:
    other = replace(HOLE, target_id="other", said_by="GridSquare_8.dm")
    dropped = replace(HOLE, target_id="dropped")
    book = GridBook()
    book.remember([KnownTarget(one, "square") for one in (OF_SQUARE, HOLE, dropped, other)])
    book.take(METADATA, (OF_SQUARE, HOLE))
    assert {row.target.target_id for row in book.known.values() if row.gone} == {"dropped"}
    book.take(replace(METADATA, mtime_ns=9), (OF_SQUARE,))
    assert book.known["hole"].gone, "what an earlier run knew of it is outdated since its file was read"

    book = GridBook()
    in_square = replace(HOLE, said_by=OF_SQUARE.said_by)
    book.remember([KnownTarget(OF_SQUARE, "square"), KnownTarget(in_square, "square")])
    book.take(METADATA, (OF_SQUARE,))
    assert book.known["hole"].gone, "its file tells of the square without holes"


def test_files_of_two_grids_are_told_and_nothing_is_lost() -> None:
    book = GridBook()
    book.take(METADATA, (OF_SQUARE, HOLE))
    other = replace(METADATA, path="other/GridSquare_7.dm", mtime_ns=2)
    book.take(other, (OF_SQUARE, replace(HOLE, stage_x_um=500.0)))
    (found,) = book.contradictions
    assert "two places, 497 um apart" in found.what
    assert found.paths == (METADATA.path, other.path), "the newer is believed"
    assert book.known["hole"].target.stage_x_um == 500.0

    book = GridBook()
    book.take(METADATA, (HOLE,))
    book.take(other, (replace(HOLE, parent_id="square 8"),))
    assert "lies in square by one and in square 8 by the other" in book.contradictions[0].what
