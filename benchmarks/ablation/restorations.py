"""Restored micrographs, and picks on them, with four kinds of knowledge of the field's SSNR.

Fields of the benchmark of restorations beside their rivals (`benchmarks.restoration.fields`), restored by frazil with
the learned residual as it ships and

- `uniform`: without a word of the causal model, the halves' own SSNR alone;
- `physics`: with what version 0 of the prior foretells; `learned`: with what a prior foretells that the session's other
  fields have taught;
- `true`: with the SSNR measured against the noise-free image, ring by ring.

Fields under at least `THICK_NM` of ice count as heavy with artefacts, the others as ordinary. Picks: the benchmark's
one disc template on each restoration, and on the unrestored sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import torch

from benchmarks.restoration.bench import on_grid, picking_f1, resolution, ring_correlation
from benchmarks.restoration.fields import Field, Wish, fields_of
from frazil.models.causal.attribution import attribute
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import physics_prior
from frazil.models.deconvolution.restoration import restore_micrograph
from frazil.models.deconvolution.weights import shipped_network
from frazil.models.deconvolution.wiener import PredictiveSsnr
from frazil.models.optics.ctf import ctf_2d

CPU = torch.device("cpu")
THICK_NM = 50.0
KINDS = ("uniform", "physics", "learned", "true")
_TRUE_SD = 0.1
_LEAST_SSNR = 1e-6
_LOWEST_PER_ANGSTROM, _HIGHEST_PER_ANGSTROM, _BAND_PER_ANGSTROM = 1 / 150, 1 / 3, 1 / 250


@dataclass(frozen=True, slots=True)
class KnownSsnr:
    """As a restoration takes it."""

    frequency_per_angstrom: tuple[float, ...]
    log_ssnr: tuple[float, ...]
    log_ssnr_sd: tuple[float, ...]


def true_ssnr(field: Field) -> KnownSsnr:
    """Of the dose-weighted sum at CTF^2 = 1, by regression on the noise-free image times the true CTF."""
    n, pixel = len(field.truth), field.pixel_size_angstrom
    spectrum = scipy.fft.rfft2(field.weighted - field.weighted.mean())
    truth = scipy.fft.rfft2(field.truth)
    seen = truth * ctf_2d(field.true_ctf, n, n, pixel).numpy()
    k = np.hypot(np.fft.fftfreq(n, pixel)[:, None], np.fft.rfftfreq(n, pixel)[None])
    bands = np.arange(_LOWEST_PER_ANGSTROM, min(_HIGHEST_PER_ANGSTROM, 0.45 / pixel), _BAND_PER_ANGSTROM)
    band = np.rint((k - bands[0]) / (bands[1] - bands[0])).astype(int).ravel()
    inside = (band >= 0) & (band < len(bands))

    def total(values: Any) -> Any:
        return np.bincount(band[inside], values.ravel()[inside], minlength=len(bands))

    power = np.maximum(total(np.abs(seen) ** 2), 1e-30)
    scale = total((seen.conj() * spectrum).real) / power
    noise = np.maximum(total(np.abs(spectrum) ** 2) - scale**2 * power, 1e-30)
    ssnr = np.maximum(scale**2 * total(np.abs(truth) ** 2) / noise, _LEAST_SSNR)
    return KnownSsnr(tuple(bands.tolist()), tuple(np.log(ssnr).tolist()), (_TRUE_SD,) * len(bands))


def foretold(field: Field, session: list[Field]) -> dict[str, PredictiveSsnr | None]:
    """By kind of knowledge."""
    others = [one.evidence for one in session if one is not field]
    return {
        "uniform": None,
        "physics": attribute(field.evidence, physics_prior()),
        "learned": attribute(field.evidence, update(physics_prior(), others)),
        "true": true_ssnr(field),
    }


def _figures(field: Field, image: Any) -> dict[str, float]:
    at, curve = ring_correlation(image, field.truth, field.pixel_size_angstrom)
    small, grid = on_grid(image, field.pixel_size_angstrom)
    picked = picking_f1(small, field.centres_px * field.pixel_size_angstrom / grid, field.radius_angstrom / grid)
    return {"frc_05": resolution(at, curve, 0.5), "f1": picked}


def rows(wish: Wish, count: int, structures: Path, cache: Path) -> list[dict[str, Any]]:
    """One for each field of a session."""
    out = []
    session = list(fields_of(wish, count, structures, cache))
    for field in session:
        row: dict[str, Any] = {"session": wish.name, "number": field.number, "ice_nm": field.ice_nm}
        row["sum"] = _figures(field, -field.weighted)
        for kind, predicted in foretold(field, session).items():
            restored = restore_micrograph(
                torch.from_numpy(field.weighted),
                (torch.from_numpy(field.even), torch.from_numpy(field.odd)),
                pixel_size_angstrom=field.pixel_size_angstrom,
                ctf=field.fit,
                acquisition=field.acquisition,
                predicted=predicted,
                network=shipped_network(CPU),
                device=CPU,
                blur_covariance_a2=field.blur_covariance_a2,
            )
            row[kind] = _figures(field, restored.image.numpy())
        print(
            f"{wish.name:36s} {field.number}  FRC 0.5 at "
            + ", ".join(f"{kind} {row[kind]['frc_05']:.2f} (F1 {row[kind]['f1']:.2f})" for kind in KINDS),
            flush=True,
        )
        out.append(row)
    return out
