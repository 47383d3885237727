"""The small parts: the session's norm, the agenda, the delivery to the daemon."""

from __future__ import annotations

import pytest

from frazil.daemon.intake import instructions as do
from frazil.daemon.intake.agenda import Agenda
from frazil.daemon.intake.delivery import Deliveries
from frazil.daemon.intake.norm import CHANGED_AFTER, FrameNorm


def norm_of(*counts, file_format="tiff"):
    norm = FrameNorm()
    for order, count in enumerate(counts):
        norm.add(f"{order}.tif", order, file_format, count)
    return norm


@pytest.mark.parametrize(
    ("counts", "usual"),
    [
        ((), None),
        ((40, 40), None),
        ((40, 40, 40), 40),
        ((40, 12, 40), 40),
        ((12, 40, 41), None),
        ((12, 12, 40, 40), 40),
        ((12, 12, 12, 40, 40), 12),
    ],
)
def test_norm_is_the_most_common_count(counts, usual):
    verdict = norm_of(*counts).judge("tiff", 1)
    assert verdict.usual == usual
    assert verdict.enough == (usual is None)


def test_more_frames_than_usual_are_enough():
    assert norm_of(40, 40, 40).judge("tiff", 60).enough


def test_formats_have_norms_of_their_own():
    assert norm_of(40, 40, 40).judge("mrc", 1).usual is None


def test_norm_forgets_what_is_removed():
    norm = norm_of(40, 40, 40)
    version = norm.version
    norm.remove("0.tif")
    assert norm.judge("tiff", 12).usual is None
    assert norm.version > version
    norm.remove("0.tif")  # twice is once


def test_the_same_path_counts_once():
    norm = norm_of(40, 40)
    norm.add("1.tif", 5, "tiff", 40)
    assert norm.judge("tiff", 12).usual is None


def test_a_new_habit_needs_a_row_of_movies_without_one_of_the_old():
    old = [40] * 20
    assert not norm_of(*old, *[30] * (CHANGED_AFTER - 1)).judge("tiff", 30).enough
    assert norm_of(*old, *[30] * CHANGED_AFTER).judge("tiff", 30).changed
    assert not norm_of(*old, *[30] * CHANGED_AFTER, 40).judge("tiff", 30).enough
    assert not norm_of(*old, 30, 29, 28, 27, 26, 25).judge("tiff", 30).enough, "truncated files do not agree"


@pytest.mark.parametrize("count", [955, 960, 999, 1000, 1040])
def test_eer_counts_within_five_percent_are_the_same(count):
    assert norm_of(1000, 1001, 999, 1002, file_format="eer").judge("eer", count).enough


def test_agenda_keeps_the_last_appointment_only():
    agenda = Agenda()
    agenda.set("a", 5.0)
    agenda.set("b", 3.0)
    agenda.set("a", 7.0)
    assert agenda.next_s() == 3.0
    assert agenda.pop_due(6.0) == ["b"]
    assert agenda.next_s() == 7.0
    agenda.drop("a")
    assert agenda.next_s() is None
    assert agenda.pop_due(10.0) == []


class Listener:
    def __init__(self, failures=0):
        self.failures = failures
        self.heard = []

    def _take(self, what):
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a fault of ours")
        self.heard.append(what)

    found = settling = complete = replaced = revived = vanished = quarantined = late_sidecar = alert = _take


def gone(path):
    return do.Vanished(path, 1, "id")


def test_deliveries_keep_their_order_over_failures():
    listener = Listener(failures=3)
    deliveries = Deliveries(listener)
    for name in "abc":
        deliveries.add(gone(name))
    for _ in range(3):
        with pytest.raises(RuntimeError, match="a fault of ours"):
            deliveries.deliver()
        assert listener.heard == []
        assert len(deliveries) == 3
    deliveries.deliver()
    assert [said.path for said in listener.heard] == ["a", "b", "c"]
    assert len(deliveries) == 0
