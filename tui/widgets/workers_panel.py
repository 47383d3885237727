"""One line per worker: where it computes, on what, since when, how often it failed."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from frazil.daemon.transport.messages import WorkerState
from frazil.tui.words.formatting import clean, duration, movie_name, shorten_left
from frazil.tui.words.palette import GRAY, VERMILION, WHITE, WORKER_STATES, Look


def worker_line(worker: WorkerState, name_width: int, width: int) -> Text:
    """At most `width` cells."""
    look = WORKER_STATES.get(worker.state, Look("?", worker.state, WHITE))
    text = Text.assemble(
        (f"{clean(worker.name)[:name_width]:{name_width}} ", "bold"),
        (f"{look.text:9} ", look.color),
        (f"{duration(worker.since_s):>10}", GRAY),
        f"{worker.done:>6} done",
    )
    if worker.failed:
        text.append(f"  ! {worker.failed} failed", VERMILION)
    device = clean(worker.device_name or worker.device)
    if device:
        text.append(f"  {device}", WHITE)
    if worker.movie and width - text.cell_len > 12:
        text.append(f"  {shorten_left(movie_name(worker.movie), width - text.cell_len - 2)}", GRAY)
    text.truncate(width, overflow="ellipsis")
    return text


class WorkersPanel(Widget):
    """All workers; scrolls when there are many."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[WorkerState, ...] = ()
        self._at_rest = False

    def show_workers(self, workers: tuple[WorkerState, ...], *, at_rest: bool) -> None:
        """`at_rest`: the session has ended, and none will come."""
        if (workers, at_rest) != (self._shown, self._at_rest):
            other_height = len(workers) != len(self._shown)
            self._shown, self._at_rest = workers, at_rest
            self.refresh(layout=other_height)

    def render(self) -> Text:
        if not self._shown:
            return Text("none: no daemon runs on this session" if self._at_rest else "no workers yet", GRAY)
        name_width = min(16, max(len(worker.name) for worker in self._shown))
        width = max(20, self.size.width)
        return Text("\n").join(worker_line(worker, name_width, width) for worker in self._shown)
