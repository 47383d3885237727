"""Is this movie all there? What the format says, and what the number of frames says."""

from __future__ import annotations

from dataclasses import dataclass

from frazil.daemon.intake.events import Structure
from frazil.daemon.intake.norm import EER_TOLERANCE, FrameNorm
from frazil.models.records import AcquisitionMetadata


@dataclass(frozen=True, slots=True)
class CountVerdict:
    enough: bool
    vouched: bool
    """Somebody promised this number; nobody did: the frames that are there are taken for all of them."""
    reason: str = ""
    """If not enough: `12 of 40 frames (who says 40)`."""
    flags: tuple[str, ...] = ()


def incomplete_reason(report: Structure) -> str | None:
    """Why the format itself says that there is more to come; `None`: it says that this is all."""
    if not report.complete:
        return report.reason or "the file is structurally incomplete"
    if report.zero_trailing_frames > 0:
        return f"the last {report.zero_trailing_frames} frames are all zero: allocated and not yet written"
    if report.header is None or report.frames_present < 1:
        return report.reason or "the file holds no frame"
    return None


def norm_key(report: Structure) -> tuple[str, int]:
    """(format, count) for the session's norm. EER is counted in camera frames: its fractions are our own choice."""
    header = report.header
    if header is None:
        raise ValueError("a report without a header has no frame count")
    return header.file_format, header.raw_frame_count or report.frames_present


def judge_count(
    report: Structure,
    *,
    sidecar: AcquisitionMetadata | None,
    expected_frames: int | None,
    norm: FrameNorm,
) -> CountVerdict:
    """Compare the frames that are there with those promised: by the sidecar, else the settings, else the siblings.

    A movie with fewer frames than its siblings is fine if its own sidecar says so.
    """
    file_format, count = norm_key(report)
    single = ("single-frame",) if count == 1 else ()
    promised, who = None, ""
    if sidecar is not None and sidecar.frame_count is not None:
        promised, who = sidecar.frame_count, "its sidecar promises"
    elif expected_frames is not None:
        promised, who = expected_frames, "the setting intake.expected_frames says"
    if promised is not None:
        # A promise about an EER movie may count camera frames or fractions; the larger count decides.
        present = max(count, report.frames_present)
        tolerance = EER_TOLERANCE if file_format == "eer" else 1.0
        if present * tolerance < promised:
            return CountVerdict(False, True, f"{present} of {promised} frames ({who} {promised})")
        more = (
            () if promised in (count, report.frames_present) or file_format == "eer" else ("more-frames-than-promised",)
        )
        return CountVerdict(True, True, flags=(*single, *more))
    verdict = norm.judge(file_format, count)
    if verdict.usual is None:
        return CountVerdict(True, False, flags=single)
    if not verdict.enough:
        reason = f"{count} of {verdict.usual} frames (the other movies of this session have {verdict.usual})"
        return CountVerdict(False, True, reason)
    return CountVerdict(True, True, flags=(*single, *(("frame-count-changed",) if verdict.changed else ())))


def structure_evidence(report: Structure | None) -> dict[str, str | int | float | bool | None]:
    """What the last check saw, for the record of a quarantined movie."""
    if report is None:
        return {}
    header = report.header
    return {
        "structure": report.reason,
        "damaged": report.damaged,
        "frames_present": report.frames_present,
        "zero_trailing_frames": report.zero_trailing_frames,
        "file_format": None if header is None else header.file_format,
        "header_frames": None if header is None else header.frame_count,
        "width_px": None if header is None else header.width_px,
        "height_px": None if header is None else header.height_px,
    }
