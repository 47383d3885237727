"""A simulated microscope with known truth, for tests, benchmarks and the demo: no science depends on it."""

from frazil.models.simulation.delivery import write_session
from frazil.models.simulation.layout import DeliverySettings
from frazil.models.simulation.movie import SimulatedMovie
from frazil.models.simulation.session import MovieOverrides, SimulatedSession
from frazil.models.simulation.settings import SimulationSettings, preset
from frazil.models.simulation.truth import MovieTruth, SessionTruth, read_truth

__all__ = [
    "DeliverySettings",
    "MovieOverrides",
    "MovieTruth",
    "SessionTruth",
    "SimulatedMovie",
    "SimulatedSession",
    "SimulationSettings",
    "preset",
    "read_truth",
    "write_session",
]
