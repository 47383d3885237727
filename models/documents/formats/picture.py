"""Photographs and screenshots: the words in them by RapidOCR, whose models come with its package.

Pictures that lie askew are told by the lines of their words, and their places turned back; beyond some degrees they are
refused rather than misread.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from frazil.config.errors import FormatError, HeaderLimitError, UnsupportedFormatError
from frazil.models.documents.formats.layout import Piece, in_reading_order, nodes_of
from frazil.models.documents.tree import Kind, Node, Place

MAX_PICTURE_PX = 50_000_000
MAX_TILT_DEG = 8.0
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's segments that tell the size (ITU T.81, table B.1)."""
_LEAST_SCORE = 0.6
"""Icons and textures are read as stray letters, below this."""
_NEEDED = ("rapidocr", "onnxruntime", "cv2")
_MODELS = ("det", "cls", "rec")
"""Where words are, whether they stand on their heads, what they are."""
_REMEDY = "pip install 'frazil[documents]' (rapidocr with onnxruntime, some 120 MB), or give the text itself"


def reading_of_pictures() -> str | None:
    """What is missing to read pictures; None: nothing."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    return f"{', '.join(missing)} not installed; {_REMEDY}" if missing else None


def read_picture(path: Path) -> Node:
    """The tree of a PNG, JPEG, TIFF, BMP or WebP.

    Raises
    ------
    UnsupportedFormatError
        What reads pictures is not installed, or the picture lies too much askew.
    FormatError
        No picture that can be decoded.
    HeaderLimitError
        More pixels than a camera or a screen has.
    """
    if (lacks := reading_of_pictures()) is not None:
        raise UnsupportedFormatError(f"is a picture, and {lacks.split(';')[0]}", remedy=_REMEDY)
    import cv2

    width, height = _size(path.read_bytes()[:65536])
    if width * height > MAX_PICTURE_PX:
        raise HeaderLimitError(
            f"claims {width:,} x {height:,} pixels, more than the limit of {MAX_PICTURE_PX:,}; nothing was decoded",
            remedy="give a smaller picture",
        )
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise FormatError("is no picture that can be decoded", remedy="save it as PNG or JPEG")
    if image.shape[0] * image.shape[1] > MAX_PICTURE_PX:
        raise HeaderLimitError(
            f"has {image.shape[1]:,} x {image.shape[0]:,} pixels, too many", remedy="give a smaller picture"
        )
    pieces = pieces_of_picture(image)
    document = Node(Kind.DOCUMENT, name="picture", children=nodes_of(in_reading_order(pieces, image.shape[1]), None))
    document.children.append(Node(Kind.FIGURE, place=Place(box=(0, 0, image.shape[1], image.shape[0]))))
    if not pieces:
        document.remarks.append("no words were found in the picture")
    return document


def _size(head: bytes) -> tuple[int, int]:
    """Width and height that a PNG's or a JPEG's header claims; (0, 0): it does not tell, the decoder's limits hold."""
    if head.startswith(b"\x89PNG") and len(head) >= 24:
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    place = 2
    while head.startswith(b"\xff\xd8") and place + 9 <= len(head) and head[place] == 0xFF:
        if head[place + 1] in _FRAME_MARKERS:
            return int.from_bytes(head[place + 7 : place + 9], "big"), int.from_bytes(
                head[place + 5 : place + 7], "big"
            )
        place += 2 + int.from_bytes(head[place + 2 : place + 4], "big")
    return 0, 0


def pieces_of_picture(image: Any) -> list[Piece]:
    """Words with boxes in pixels (turned upright) and scores. `image`: (y, x, 3), 8 bits, blue first.

    Raises
    ------
    UnsupportedFormatError
        It lies askew by more than `MAX_TILT_DEG`.
    """
    read = _reader()(image)
    if read.boxes is None or read.txts is None or read.scores is None:
        return []
    corners = np.asarray(read.boxes, float)
    tilt_deg = _tilt_deg(corners)
    if abs(tilt_deg) > MAX_TILT_DEG:
        raise UnsupportedFormatError(
            f"lies askew by {tilt_deg:.0f} degrees, too much to tell its rows", remedy="turn the picture upright"
        )
    upright = _turned(corners, -tilt_deg, (image.shape[1] / 2, image.shape[0] / 2))
    found = []
    for box, text, score in zip(upright, read.txts, read.scores, strict=True):
        if score >= _LEAST_SCORE and any(letter.isalnum() and ord(letter) < 0x2E80 for letter in text):
            left, top = box.min(axis=0)
            right, bottom = box.max(axis=0)
            found.append(Piece(text, (float(left), float(top), float(right), float(bottom)), float(score)))
    return found


def _tilt_deg(corners: Any) -> float:
    """The usual slope of the upper edges; positive: turned clockwise on the screen."""
    edges = corners[:, 1] - corners[:, 0]
    long = np.hypot(edges[:, 0], edges[:, 1]) > 2.0 * np.abs(corners[:, 3, 1] - corners[:, 0, 1])
    chosen = edges[long] if long.any() else edges
    return float(median(math.degrees(math.atan2(y, x)) for x, y in chosen))


def _turned(corners: Any, angle_deg: float, centre: tuple[float, float]) -> Any:
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return (corners - centre) @ np.array([[cosine, sine], [-sine, cosine]]) + centre


@cache
def _reader() -> Any:
    import logging
    import socket

    logging.disable(logging.INFO)
    # RapidOCR can download other models, and what it would do so with tries a socket at its import, unless there is no
    # IPv6: behind walls the attempt alone ends the reading.
    socket.has_ipv6 = False
    import rapidocr

    # Named by their files, models are taken as they are; by default it would look whether it ought to download them.
    models = Path(rapidocr.__file__).parent / "models"
    chosen = {
        f"{part.title()}.model_path": str(next(iter(sorted(models.glob(f"*_{part}_*.onnx"))))) for part in _MODELS
    }
    return rapidocr.RapidOCR(params=chosen)
