"""Which part of a micrograph is seen, how large. Pure.

Steps are whole: so many pixels of the micrograph to one of the screen, or of the screen to one of the micrograph. In
between, pixels of one picture would be means of unequal numbers, and noise would show a pattern that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from frazil.daemon.transport.messages import WHOLE, Part

_STEP = 1.5
_ENLARGED = (0.5, 0.25, 0.125)
_PAN = 0.25
"""Of what is seen."""


def steps(field_px: tuple[int, int], box_px: tuple[int, int]) -> list[float]:
    """Pixels of the micrograph to one of the screen, the whole micrograph first."""
    whole = max(1, -(-field_px[0] // box_px[0]), -(-field_px[1] // box_px[1]))
    found: list[float] = []
    step = float(whole)
    while step > 1:
        if not found or round(step) < found[-1]:
            found.append(float(round(step)))
        step /= _STEP
    # A small micrograph on a large screen begins at its own size.
    return [*found, *([] if found and found[-1] == 1 else [1.0]), *_ENLARGED]


@dataclass(frozen=True, slots=True)
class ViewPort:
    """Sizes as (width, height); `center` as shares of the micrograph, the top being 0."""

    field_px: tuple[int, int]
    box_px: tuple[int, int]
    step: int = 0
    center: tuple[float, float] = (0.5, 0.5)

    @property
    def own_per_screen_px(self) -> float:
        """Pixels of the micrograph to one of the screen."""
        return steps(self.field_px, self.box_px)[self.step]

    @property
    def is_whole(self) -> bool:
        return self.step == 0

    def _seen(self) -> tuple[float, float]:
        """Shares of the micrograph, across and down."""
        across, down = (
            min(1.0, box * self.own_per_screen_px / field)
            for box, field in zip(self.box_px, self.field_px, strict=True)
        )
        return across, down

    def part(self) -> Part:
        """What the daemon is asked for."""
        if self.is_whole:
            return WHOLE
        across, down = self._seen()
        return self.center[0] - across / 2, self.center[1] - down / 2, across, down

    def zoomed(self, by: int, at: tuple[float, float] = (0.5, 0.5)) -> ViewPort:
        """So many steps closer; the place that is at `at`, as shares of what is seen, stays where it is."""
        last = len(steps(self.field_px, self.box_px)) - 1
        other = replace(self, step=min(max(0, self.step + by), last))
        before, after = self._seen(), other._seen()
        center = tuple(c + (a - 0.5) * (b - n) for c, a, b, n in zip(self.center, at, before, after, strict=True))
        return other._held((center[0], center[1]))

    def moved(self, right: float, down: float) -> ViewPort:
        """By shares of what is seen."""
        seen = self._seen()
        return self._held((self.center[0] + right * seen[0], self.center[1] + down * seen[1]))

    def stepped(self, right: int, down: int) -> ViewPort:
        """By a key."""
        return self.moved(_PAN * right, _PAN * down)

    def in_box(self, box_px: tuple[int, int]) -> ViewPort:
        """The screen has another size: the same place, about as large."""
        if box_px == self.box_px:
            return self
        wanted = self.own_per_screen_px
        ladder = steps(self.field_px, box_px)
        nearest = min(range(len(ladder)), key=lambda i: abs(ladder[i] - wanted)) if not self.is_whole else 0
        return replace(self, box_px=box_px, step=nearest)._held(self.center)

    def _held(self, center: tuple[float, float]) -> ViewPort:
        """Never beyond the micrograph's edge."""
        seen = self._seen()
        x, y = (min(max(c, s / 2), 1 - s / 2) for c, s in zip(center, seen, strict=True))
        return replace(self, center=(x, y))
