"""Reference-free picking: blobs of the right size that stand out of their surroundings.

The micrograph is phase-flipped, and correlated with a normalised template of a disc minus its surroundings (matched to
the diameter); peaks that rise above the noise of the response are particles. A first picker: it knows sizes, not
shapes (Voss et al. 2009, J. Struct. Biol. 166, 205, use the difference of Gaussians in the same way).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.records import CtfEstimate, ParticlePicks

_TRIED_DIAMETERS_ANGSTROM = (80.0, 100.0, 125.0, 155.0, 190.0, 240.0, 300.0)
"""What is tried when nobody gave a diameter."""
_WORKING_PIXELS_PER_DIAMETER = 12
"""A blob needs no more; correlating binned images is fast."""
_THRESHOLD_SIGMA = 4.5
"""Of the response's noise: one false peak in some 10^5 independent places."""
_CORE = 0.78
"""A diameter is a particle's longest extent; the disc that matches its projections is narrower (measured on simulated
proteasomes, 176 x 127 A, and apoferritin)."""
_MASKED_SIGMA = 3.0
"""What rises above this does not count as background; in pure noise it costs the estimate a few per cent."""
_MASKING_ROUNDS = 4
_TROUGH = 1.0
"""How far around what stands out, in radii, the response is not background either."""
_LEAST_BACKGROUND = 0.08
"""Share of the image that must be left to measure the noise on."""
_SEPARATION = 0.7
"""Neighbouring particles are at least this many diameters apart."""
_MAX_PICKS = 5000


def pick_particles(
    image: Tensor,
    *,
    pixel_size_angstrom: float,
    diameter_angstrom: float | None,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    device: torch.device,
) -> ParticlePicks:
    """Find particles in an aligned micrograph (h, w), specimen dark.

    Returns centres in pixels of `image` (RELION coordinates: x along columns, y along rows, 0-based), the best first.
    With no diameter given, the tried one whose picks carry most evidence is used.
    """
    flipped = _contrast_image(image, pixel_size_angstrom, ctf, acquisition, device)
    tried: Sequence[float] = (diameter_angstrom,) if diameter_angstrom is not None else _TRIED_DIAMETERS_ANGSTROM
    best: ParticlePicks = ParticlePicks(diameter_angstrom=diameter_angstrom)
    best_evidence = 0.0
    for diameter in tried:
        picks = _pick_one_size(flipped, pixel_size_angstrom, diameter)
        # A blob of the right size has the highest response; smaller templates would win by number alone.
        evidence = sum((score - _THRESHOLD_SIGMA) * diameter for score in picks.score)
        if evidence > best_evidence:
            best, best_evidence = picks, evidence
    return best


def _contrast_image(
    image: Tensor,
    pixel_size_angstrom: float,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    device: torch.device,
) -> Tensor:
    """Phases flipped where the CTF is known, specimen bright, unit variance."""
    height, width = image.shape
    centred = image.to(device, torch.float32)
    centred = centred - centred.mean()
    if ctf.defocus_known:
        parameters = CtfParameters(
            voltage_kv=acquisition.voltage_kv,
            cs_mm=acquisition.cs_mm,
            amplitude_contrast=acquisition.amplitude_contrast,
            defocus_u_angstrom=ctf.defocus_u_angstrom,
            defocus_v_angstrom=ctf.defocus_v_angstrom,
            astigmatism_angle_deg=ctf.astigmatism_angle_deg,
            phase_shift_deg=ctf.phase_shift_deg,
        )
        transfer = ctf_2d(parameters, height, width, pixel_size_angstrom, device=device)
        centred = torch.fft.irfft2(torch.fft.rfft2(centred) * torch.sign(transfer), s=(height, width))
    else:
        centred = -centred
    return centred / centred.std().clamp_min(1e-12)


def _pick_one_size(image: Tensor, pixel_size_angstrom: float, diameter_angstrom: float) -> ParticlePicks:
    diameter_px = diameter_angstrom / pixel_size_angstrom
    factor = max(1, int(diameter_px / _WORKING_PIXELS_PER_DIAMETER))
    height, width = image.shape
    small = image[: height // factor * factor, : width // factor * factor]
    small = torch.nn.functional.avg_pool2d(small[None, None], factor)[0, 0]
    radius = _CORE * diameter_px / factor / 2
    margin = math.ceil(radius)
    if min(small.shape) < 4 * margin:
        return ParticlePicks(diameter_angstrom=diameter_angstrom)
    response = _response(small, radius)
    score = _in_sigmas(response, radius)
    size = 2 * math.ceil(_SEPARATION * radius / _CORE) + 1
    highest = torch.nn.functional.max_pool2d(score[None, None], size, stride=1, padding=size // 2)[0, 0]
    is_peak = (score == highest) & (score > _THRESHOLD_SIGMA)
    inside = torch.zeros_like(is_peak)
    inside[margin:-margin, margin:-margin] = True
    y, x = torch.nonzero(is_peak & inside, as_tuple=True)
    value = score[y, x]
    order = torch.argsort(value, descending=True, stable=True)[:_MAX_PICKS]
    # The centre of a binned pixel lies between the pixels that it sums.
    offset = (factor - 1) / 2
    return ParticlePicks(
        x_px=tuple((x[order] * factor + offset).tolist()),
        y_px=tuple((y[order] * factor + offset).tolist()),
        score=tuple(value[order].tolist()),
        diameter_angstrom=diameter_angstrom,
    )


def _in_sigmas(response: Tensor, radius_px: float) -> Tensor:
    """The response in units of its own noise, which is measured where no particle seems to be.

    In a crowded field most places feel a particle or the trough beside one, so that the spread of the whole response
    is that of the particles: what stands out is masked together with its surroundings, and the rest is looked at again.
    """
    reach = math.ceil(_TROUGH * radius_px)
    rest = response.flatten()
    least = response.numel() * _LEAST_BACKGROUND
    for _ in range(_MASKING_ROUNDS):
        centre, noise = _centre_and_noise(rest)
        stands_out = (response - centre > _MASKED_SIGMA * noise).to(response.dtype)
        near = torch.nn.functional.max_pool2d(stands_out[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0]
        background = response[near == 0]
        if background.numel() < least:
            break
        rest = background
    centre, noise = _centre_and_noise(rest)
    return (response - centre) / noise


def _centre_and_noise(values: Tensor) -> tuple[Tensor, Tensor]:
    centre = values.median()
    return centre, (1.4826 * (values - centre).abs().median()).clamp_min(1e-12)


def _response(image: Tensor, radius_px: float) -> Tensor:
    """Correlation with a soft disc minus a soft ring of the same total weight, unit energy."""
    height, width = image.shape
    y = torch.fft.fftfreq(height, device=image.device)[:, None] * height
    x = torch.fft.fftfreq(width, device=image.device)[None, :] * width
    distance = torch.sqrt(x**2 + y**2)
    disc = torch.sigmoid(2 * (radius_px - distance))
    ring = torch.sigmoid(2 * (1.5 * radius_px - distance)) - disc
    template = disc / disc.sum() - ring / ring.sum()
    template = template / template.square().sum().sqrt()
    spectrum = torch.fft.rfft2(image) * torch.fft.rfft2(template).conj()
    response: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
    return response
