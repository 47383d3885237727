"""A grid on disk that is shot as ordered: files of EPU as they grow, movies or outcomes alone, tables, truth.

    OUT/Atlas, OUT/raw           what the microscope's programs write (`epu_folder`)
    OUT/truth/grid.json          squares and holes as they are; OUT/truth/truth.json: of the movies
    OUT/outcomes/exposures.csv   what each shot gave, the newest last; targets.csv: where things are
    OUT/grid.nav                 the same squares and holes for SerialEM, as they were found

The clock is the simulated microscope's: nothing waits for it unless the caller does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from frazil.config.errors import UsageError
from frazil.models.simulation.grid.clock import MoveTimes
from frazil.models.simulation.grid.draw import draw_grid
from frazil.models.simulation.grid.epu_folder import EpuFolder, exposure_name
from frazil.models.simulation.grid.microscope import Exposure, SimulatedMicroscope
from frazil.models.simulation.grid.movies import GridMovies
from frazil.models.simulation.grid.navigator import write_navigator
from frazil.models.simulation.grid.orders import FileOrder, Order, RandomOrder, ScanOrder
from frazil.models.simulation.grid.settings import GridSettings
from frazil.models.simulation.grid.tables import EXPOSURES, TARGETS, exposure_rows, target_rows, write_table
from frazil.models.simulation.grid.truth import GridTruth
from frazil.models.simulation.session import SESSION_START_UTC_US
from frazil.models.simulation.settings import SimulationSettings
from frazil.models.simulation.truth import MovieTruth, SessionTruth

SURVEY_S = 90.0
"""Of a square's image before anything is shot."""


@dataclass(frozen=True, slots=True)
class ShootingPlan:
    order: str = "scan"
    """`scan`, `random`, or a file that is read again before each exposure."""
    hours: float = 8.0
    """Of the microscope's clock, from the first shot on."""
    most_shots: int | None = None
    movies: bool = True
    pictures: bool = True
    """Images of atlas, squares and holes; their metadata are written anyway."""
    times: MoveTimes = field(default_factory=MoveTimes)
    sample: int = 1
    """Slot of the autoloader that the grid comes from."""
    begun_s: float = 0.0
    """After the simulated session's start: a second grid comes after the first."""


@dataclass(frozen=True, slots=True)
class Shot:
    """What came of it, in all."""

    exposures: tuple[Exposure, ...]
    obeyed: int
    """Holes that came from the file."""
    chosen: int


def order_of(name: str, truth: GridTruth) -> Order:
    """Scan, chance, or a file by its path."""
    if name == "scan":
        return ScanOrder()
    return RandomOrder(truth) if name == "random" else FileOrder(Path(name), truth)


def shoot_grid(
    out: Path,
    grid: GridSettings,
    settings: SimulationSettings,
    plan: ShootingPlan,
    *,
    on_shot: Callable[[Exposure, str], None] | None = None,
    on_square: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Shot:
    """Draw the grid, survey it, shoot it.

    Parameters
    ----------
    on_shot:
        Called with each exposure and its name when all of its files are there: whoever waits here paces the microscope.
    on_square:
        Called with how many squares have been imaged, and how many are to be.

    Raises
    ------
    UsageError
        `out` holds a session already.
    OSError
        The disk refuses.
    """
    if (out / "raw").exists() or (out / "truth").exists():
        raise UsageError("there is a session already", path=out, remedy="choose another folder or remove it")
    truth = draw_grid(grid)
    truth.write(out / "truth" / "grid.json")
    folder = EpuFolder(out, truth, plan.times, pictures=plan.pictures, sample=plan.sample)
    begun_us = SESSION_START_UTC_US + round(1e6 * plan.begun_s)
    squares = [at for at, one in enumerate(truth.squares) if one.surveyed]
    if on_square is not None:
        on_square(0, len(squares))
    folder.begin(settings.name, begun_us, output="Tiff Lzw Non-Gain normalized")
    for number, at in enumerate(squares):
        folder.image_square(at, begun_us + round(1e6 * SURVEY_S * number))
        if on_square is not None:
            on_square(number + 1, len(squares))
    start_us = begun_us + round(1e6 * SURVEY_S * len(squares))
    chosen = folder.chosen()
    write_navigator(out / "grid.nav", truth, chosen)
    write_table(out / "outcomes" / "targets.csv", TARGETS, target_rows(truth, start_us))
    return _Gunner(out, truth, folder, settings, plan, start_us).run(chosen, on_shot, should_stop)


class _Gunner:
    """Takes hole after hole."""

    def __init__(
        self,
        out: Path,
        truth: GridTruth,
        folder: EpuFolder,
        settings: SimulationSettings,
        plan: ShootingPlan,
        start_us: int,
    ) -> None:
        self._out, self._truth, self._folder, self._plan, self._start_us = out, truth, folder, plan, start_us
        self._movies = GridMovies(settings, truth, folder.raw) if plan.movies else None
        if self._movies is not None:
            self._movies.write_camera(out)
        self._settings = settings
        self._movie_truths: list[MovieTruth] = []

    def run(
        self,
        chosen: np.ndarray,
        on_shot: Callable[[Exposure, str], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> Shot:
        microscope = SimulatedMicroscope(self._truth, self._plan.times)
        order = order_of(self._plan.order, self._truth)
        exposures: list[Exposure] = []
        most = self._plan.most_shots
        while (most is None or len(exposures) < most) and not (should_stop is not None and should_stop()):
            hole = order.next(chosen & ~microscope.exposed)
            if hole is None:
                break
            end_s = microscope.clock.elapsed_s + microscope.clock.peek(hole).total_s
            if end_s > 3600.0 * self._plan.hours:
                break
            one = microscope.shoot(hole)
            exposures.append(one)
            name = self._deliver(one)
            rows = exposure_rows(self._truth, self._folder.seen, exposures, self._start_us)
            write_table(self._out / "outcomes" / "exposures.csv", EXPOSURES, rows)
            if on_shot is not None:
                on_shot(one, name)
        self._write_movie_truth()
        return Shot(tuple(exposures), order.obeyed if isinstance(order, FileOrder) else 0, int(chosen.sum()))

    def _deliver(self, one: Exposure) -> str:
        """Files of one exposure; its name."""
        utc_us = self._start_us + round(1e6 * one.ended_s)
        self._folder.centre_hole(one.hole, utc_us - round(1e6 * dict(one.taken.seconds)["exposure"]))
        if self._movies is not None:
            self._movie_truths.append(self._movies.write(one, self._folder.data_folder(one.hole), utc_us))
        name = exposure_name(int(self._truth.holes.number[one.hole]), utc_us)
        self._folder.exposed(one.hole, name)
        return name

    def _write_movie_truth(self) -> None:
        if self._movies is None:
            return
        SessionTruth(
            asdict(self._settings), "tiff", "epu", "multiply", "identity", self._movies.session.symmetry,
            tuple(self._movie_truths),
        ).write(self._out / "truth" / "truth.json")  # fmt: skip
