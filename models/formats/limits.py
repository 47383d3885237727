"""How large a file may claim to be before anything is allocated for it.

A header is a claim by a stranger. Every reader of this package parses it itself, compares it with these limits and
with the size of the file, and only then lets a library decode. The limits lie an order of magnitude above what the
largest cameras of today write (K3 super-resolution 11,520 x 8,184; EER 16,384 x 16,384; a few thousand raw frames).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FormatError, HeaderLimitError

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class HeaderLimits:
    """Caps on what a header may claim. All are inclusive."""

    max_side_px: int = 65_536
    max_frames: int = 65_536
    max_frame_bytes: int = 2 * _GIB
    max_total_bytes: int = 512 * _GIB
    """Decoded size of all frames together; the file itself may be smaller (compression)."""
    max_extended_header_bytes: int = 64 * 1024**2
    """MRC: FEI writes 128 kB, FEI1/FEI2 768-888 bytes a section."""
    max_directory_entries: int = 1_024
    """TIFF: tags in one directory; real ones hold 10-40."""
    max_chunks_per_page: int = 262_144
    """TIFF: strips or tiles of one page."""
    max_tag_bytes: int = 1024**2
    """TIFF: text and XML tags."""
    max_compression_ratio: float = 250.0
    """Decoded bytes per byte of file. Counted electrons at 0.01 per pixel reach about 60; deflate can reach 1,032, and
    only a bomb, or a movie of nothing, comes near it. Not applied below `compression_ratio_free_bytes`."""
    compression_ratio_free_bytes: int = 32 * 1024**2


def check_dimensions(
    path: Path, limits: HeaderLimits, *, width_px: int, height_px: int, frame_count: int, bytes_per_px: int
) -> None:
    """Refuse sizes that are not positive or above the limits.

    Raises
    ------
    FormatError
        A size is zero or negative.
    HeaderLimitError
        A size, or the product of them, is above a limit.
    """
    if width_px <= 0 or height_px <= 0 or frame_count <= 0:
        raise FormatError(
            f"the header gives a size of {width_px} x {height_px} px and {frame_count} frames, which cannot be",
            path=path,
            remedy="check that the file was written by a camera and copied in full",
        )
    frame_bytes = width_px * height_px * bytes_per_px
    claims = (
        ("width of {} px", width_px, limits.max_side_px),
        ("height of {} px", height_px, limits.max_side_px),
        ("number of frames of {}", frame_count, limits.max_frames),
        ("frame size of {} bytes", frame_bytes, limits.max_frame_bytes),
        ("total size of {} bytes", frame_bytes * frame_count, limits.max_total_bytes),
    )
    for text, claimed, limit in claims:
        if claimed > limit:
            raise HeaderLimitError(
                f"the header claims a {text.format(f'{claimed:,}')}, more than the limit of {limit:,}",
                path=path,
                remedy="check the file; no camera writes this, and nothing was read into memory",
            )


def check_compression_ratio(path: Path, limits: HeaderLimits, *, decoded_bytes: int, file_bytes: int) -> None:
    """Refuse a compressed file that would grow beyond anything that counted electrons compress to.

    Raises
    ------
    HeaderLimitError
        A decompression bomb, or a movie in which nothing was recorded.
    """
    if decoded_bytes <= limits.compression_ratio_free_bytes:
        return
    ratio = decoded_bytes / max(file_bytes, 1)
    if ratio > limits.max_compression_ratio:
        raise HeaderLimitError(
            f"{file_bytes:,} bytes would decompress to {decoded_bytes:,} ({ratio:.0f} times; at most "
            f"{limits.max_compression_ratio:g} times is accepted)",
            path=path,
            remedy="this is a decompression bomb or a movie without electrons; check the shutter and the writer",
        )
