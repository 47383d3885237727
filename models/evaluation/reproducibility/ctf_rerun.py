"""Fits the CTF of a micrograph a second time: on other tiles of it, and on the CPU whatever the worker had."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from frazil.models.ctf_fit.fit import fit_ctf
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.evaluation.facts import MovieRerun, RerunRequest
from frazil.models.formats.image import read_image_2d

_CUT_SHARE = 1 / 13
"""Of height and width, cut off at one side: tiles come to lie elsewhere, and most of the data is the same."""


def fit_again(request: RerunRequest) -> MovieRerun:
    """What another fit to most of the same micrograph says.

    Raises
    ------
    FrazilError, OSError, ValueError
        The micrograph cannot be read or fitted.
    """
    plain, weighted = (_part(Path(path)) for path in (request.plain_path, request.weighted_path))
    with torch.no_grad():
        fit = fit_ctf(
            plain,
            pixel_size_angstrom=request.pixel_size_angstrom,
            optics=RingOptics(request.voltage_kv, request.cs_mm, request.amplitude_contrast),
            settings=request.settings,
            fit_phase_shift=request.phase_plate,
            weighted=weighted,
            device=torch.device("cpu"),
        )
    return MovieRerun(
        device_name=f"{platform.machine()}, the evaluators' process",
        how="CTF on other tiles, 1/13 of height and width left out",
        ctf=fit.estimate,
    )


def _part(path: Path) -> torch.Tensor:
    image, _ = read_image_2d(path)
    height, width = image.shape
    return torch.from_numpy(image[round(height * _CUT_SHARE) :, round(width * _CUT_SHARE) :].copy())
