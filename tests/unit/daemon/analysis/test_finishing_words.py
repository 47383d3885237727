"""While a session is being finished, a person is told what it waits for and how much is left."""

from __future__ import annotations

from types import SimpleNamespace

from frazil.daemon.analysis.coordinator import AnalysisCoordinator
from frazil.daemon.cli.watch import ProgressLine
from frazil.daemon.transport.messages import LiveState


class Part:
    """One that needs some looks until it is drained."""

    def __init__(self, looks: int, words: str = "") -> None:
        self.looks, self.left_words = looks, words
        self.step = lambda **_: None

    def drained(self, *, final: bool = False) -> bool:
        self.looks -= 1
        return self.looks < 0


def coordinator(**looks: int) -> AnalysisCoordinator:
    """Without actors; its boundaries let everything through."""
    one = AnalysisCoordinator.__new__(AnalysisCoordinator)
    through = SimpleNamespace(drained=lambda ask: ask())
    one._around = SimpleNamespace(
        **dict.fromkeys(("prior", "restoration", "map", "verdicts", "reruns", "experiments", "grid"), through)
    )
    one._experiments, one._verdicts = Part(looks.get("experiments", 0)), Part(looks.get("verdicts", 0))
    one._map = Part(looks.get("map", 0), "the map: particles of 12 movies")
    one._prior = Part(looks.get("prior", 0), "losses of 40 movies by what all have taught")
    one._grid, one._reruns = Part(looks.get("grid", 0)), Part(looks.get("reruns", 0))
    one._train = lambda: False
    one.waits_for = ""
    return one


def test_each_step_is_named_with_its_number_and_what_is_left():
    one = coordinator(map=2, prior=1, reruns=1)
    told = []
    while not one.drained(final=True):
        told.append(one.waits_for)
    assert told == [
        "the map: particles of 12 movies (step 3 of 6)",
        "the map: particles of 12 movies (step 3 of 6)",
        "losses of 40 movies by what all have taught (step 4 of 6)",
        "a movie that is run again to check it (step 6 of 6)",
    ]
    assert one.waits_for == ""


def test_nothing_is_said_before_the_end():
    one = coordinator(map=1)
    assert not one.drained(final=False)
    assert one.waits_for == ""


def test_the_line_of_watch_says_it(capsys):
    line = ProgressLine()
    line(LiveState(status="running", counts={"ready": 12}, message="finishing: the map's last round (step 3 of 6)"))
    assert "12 kept | finishing: the map's last round (step 3 of 6)" in capsys.readouterr().err
