"""What an EPU session is set to do: which holes its filter keeps, where in a hole it shoots, and how long it waits.

Facts of the movies' side of a session (format, gain, phase plate) are read by `frazil.models.formats.epu_xml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frazil.models.formats.grid.dm_xml import UM_PER_M, Dm, read_dm
from frazil.models.formats.safe_xml import XmlNode


@dataclass(frozen=True, slots=True)
class EpuArea:
    """One place in every hole that is exposed."""

    number: str
    """The second number in `FoilHole_.._Data_<number>_`."""
    x_um: float | None
    y_um: float | None
    """From the centre of the hole, in stage axes."""
    defocus_um: tuple[float, ...]
    """Taken in turn; underfocus is positive."""
    exposure_time_s: float | None


@dataclass(frozen=True, slots=True)
class EpuSample:
    """One grid of a session: most sessions are of one, those over an autoloader of several."""

    atlas_path: str | None
    """Of `Atlas.dm`, as the microscope's computer calls it (`windows_path.below` finds it)."""
    square_numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EpuPlan:
    """Of one session: what it is set to do on its first sample. `None`: not said."""

    name: str | None = None
    """Of the session, as EPU shows it."""
    samples: tuple[EpuSample, ...] = ()
    clustering: bool | None = None
    """AFIS: holes around a centre are reached by beam and image shift instead of the stage."""
    cluster_radius_um: float | None = None
    hole_intensity_counts: tuple[float, float] | None = None
    """Lowest and highest mean of a hole in the square's image that the filter keeps."""
    square_intensity_counts: tuple[float, float] | None = None
    leaves_out_holes_near_bars: bool | None = None
    hole_size_um: float | None = None
    hole_spacing_um: float | None = None
    areas: tuple[EpuArea, ...] = ()
    wait_after_stage_s: float | None = None
    wait_after_shift_s: float | None = None
    longest_shift_um: float | None = None
    focus_every_um: float | None = None

    @property
    def atlas_path(self) -> str | None:
        """Of the first sample."""
        return self.samples[0].atlas_path if self.samples else None


def read_epu_plan(path: Path) -> EpuPlan:
    """What `EpuSession.dm` says of its targets.

    Raises
    ------
    RetryLaterError
        Not there, or being written.
    FormatError
        Not a session of EPU.
    """
    dm = read_dm(path, "EpuSessionXml")
    samples = tuple(dm.items(dm.root, "Samples"))
    sample = next(iter(samples), None)
    template = dm.at(sample, "TargetAreaTemplate")
    mode = dm.text(dm.root, "ClusteringMode")
    clustering = None if mode is None else mode.lower() not in ("none", "noclustering")
    return EpuPlan(
        name=dm.text(dm.root, "Name"),
        samples=tuple(
            EpuSample(
                dm.text(one, "AtlasId"), tuple(key for key, _ in dm.pairs(one, "GridSquares/m_serializationArray"))
            )
            for one in samples
        ),
        clustering=clustering,
        cluster_radius_um=dm.number(dm.root, "ClusteringRadius", UM_PER_M) if clustering else None,
        hole_intensity_counts=_window(dm, sample, "FilterHolesSettings"),
        square_intensity_counts=_window(dm, sample, "FilterGridSquaresSettings"),
        leaves_out_holes_near_bars=dm.flag(dm.root, "RemoveHolesCloseToGridBarOnAutomaticRun"),
        hole_size_um=dm.number(sample, "FilterHolesSettings/HoleSize", UM_PER_M) or None,
        hole_spacing_um=dm.number(sample, "FilterHolesSettings/HoleSpacing", UM_PER_M) or None,
        areas=tuple(_area(dm, template, key, node) for key, node in _area_nodes(dm, template)),
        wait_after_stage_s=dm.number(template, "DelayAfterStageShift"),
        wait_after_shift_s=dm.number(template, "DelayAfterImageShift"),
        longest_shift_um=dm.number(template, "MaximumImageShift", UM_PER_M),
        focus_every_um=dm.number(template, "AutoFocusArea/RecurrenceDistance", UM_PER_M),
    )


def _window(dm: Dm, sample: XmlNode | None, name: str) -> tuple[float, float] | None:
    """None where the filter is off: it then reaches from 0 to the highest value of 16 bits."""
    low, high = (dm.number(sample, f"{name}/{side}Intensity") for side in ("Minimum", "Maximum"))
    if low is None or high is None or (low <= 0 and high >= 65535):
        return None
    return low, high


def _area_nodes(dm: Dm, template: XmlNode | None) -> list[tuple[str, XmlNode]]:
    return list(dm.pairs(template, "DataAcquisitionAreas/m_serializationArray"))


def _area(dm: Dm, template: XmlNode | None, key: str, node: XmlNode) -> EpuArea:
    # Pixels of the template's image; the matrix has rows as .NET does: (x, y) times it.
    x, y = (dm.number(node, f"ShiftInPixels/{side}") for side in ("width", "height"))
    m11, m12, m21, m22 = (
        dm.number(template, f"PhysicalTransformation/matrix/_m{row}{column}", UM_PER_M)
        for row in (1, 2)
        for column in (1, 2)
    )
    placed = None not in (x, y, m11, m12, m21, m22)
    defocus = dm.numbers(node, "ImageAcquisitionSettingXml/Defocus", -UM_PER_M)
    return EpuArea(
        key,
        x * m11 + y * m21 if placed else None,  # type: ignore[operator]
        x * m12 + y * m22 if placed else None,  # type: ignore[operator]
        tuple(value for value in defocus if value is not None),
        dm.number(node, "ImageAcquisitionSettingXml/ExposureTime"),
    )
