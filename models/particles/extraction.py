"""Boxes around picks, normalised as RELION expects them."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from frazil.models.records import ParticlePicks

T = TypeVar("T")


def boxes_inside(picks: ParticlePicks, height_px: int, width_px: int, box_px: int) -> list[int]:
    """Indices of the picks whose box lies wholly inside the micrograph."""
    half = box_px // 2
    return [
        index
        for index, (x, y) in enumerate(zip(picks.x_px, picks.y_px, strict=True))
        if half <= round(x) <= width_px - (box_px - half) and half <= round(y) <= height_px - (box_px - half)
    ]


def keep(picks: ParticlePicks, indices: list[int]) -> ParticlePicks:
    """Some of the picks, in the given order."""

    def some(values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(values[i] for i in indices) if values else ()

    return ParticlePicks(
        x_px=some(picks.x_px),
        y_px=some(picks.y_px),
        score=some(picks.score),
        diameter_angstrom=picks.diameter_angstrom,
        fibre=some(picks.fibre),
        along_angstrom=some(picks.along_angstrom),
        axis_deg=some(picks.axis_deg),
        defocus_offset_angstrom=some(picks.defocus_offset_angstrom),
    )


def extract_particles(image: Tensor, picks: ParticlePicks, *, box_px: int, diameter_px: float) -> Tensor:
    """(n, box, box) contrast-inverted (particles bright), background of mean 0 and sd 1 (RELION's normalisation).

    `image` is (h, w), specimen dark; the pick lies at pixel box/2 of its box to the nearest pixel. All boxes must lie
    inside (`boxes_inside`).

    Raises
    ------
    ValueError
        If a box reaches over the edge.
    """
    height, width = image.shape
    if len(boxes_inside(picks, height, width, box_px)) != len(picks.x_px):
        raise ValueError("a box reaches over the edge of the micrograph; choose the picks with boxes_inside first")
    if not picks.x_px:
        return torch.zeros(0, box_px, box_px, device=image.device)
    half = box_px // 2
    boxes = torch.stack(
        [
            image[round(y) - half : round(y) - half + box_px, round(x) - half : round(x) - half + box_px]
            for x, y in zip(picks.x_px, picks.y_px, strict=True)
        ]
    )
    axis = torch.arange(box_px, device=image.device) - half
    distance = torch.sqrt((axis[:, None] ** 2 + axis[None, :] ** 2).to(torch.float32))
    outside = boxes[:, distance > min(diameter_px / 2, half - 1)]
    mean, sd = outside.mean(dim=1), outside.std(dim=1).clamp_min(1e-12)
    return -(boxes - mean[:, None, None]) / sd[:, None, None]
