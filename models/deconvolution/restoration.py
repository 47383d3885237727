"""Restoration of one micrograph: artefacts out, Wiener filter, places without specimen quietened, the learned residual.

Each step has to earn its place on this micrograph: what the network made of one half-sum has to predict the other half
better than what it started from, else the result before it is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from frazil.models.deconvolution.artefacts import CleanImage, clean
from frazil.models.deconvolution.held_out import HalfPair, HeldOutGain, confirmed_share, held_out_gain
from frazil.models.deconvolution.lessons import Lesson, make_lesson
from frazil.models.deconvolution.network import ResidualNetwork, features_of, spectrum_of
from frazil.models.deconvolution.occupancy import Occupancy, bands_of, find_occupancy, locally_filtered
from frazil.models.deconvolution.ssnr import SsnrCurve, half_spectra_ssnr
from frazil.models.deconvolution.wiener import (
    FilteredSpectrum,
    PredictiveSsnr,
    blend,
    ctf_parameters,
    low_passed,
    to_image,
    wiener_spectrum,
)
from frazil.models.deconvolution.working_grid import Transfers, WorkingGrid, transfers, working_grid
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters
from frazil.models.records import CtfEstimate

Method = Literal["low-pass", "wiener", "local-wiener", "learned"]
WIENER: Method = "wiener"
LEARNED: Method = "learned"
LOCAL: Method = "local-wiener"
CHECKED_PX = 512
"""Side of the middle of the working grid (0.2 um) on which the halves are compared: more would not say more of the one
question that is asked."""


@dataclass(frozen=True, slots=True)
class Restored:
    """image: (h, w) float32, specimen bright, in the micrograph's units. small: the same without what is finer than 8
    A, at about 4 A per pixel: for thumbnails. Gains are None where there are no halves to ask."""

    image: Tensor
    small: Tensor
    method: Method
    held_out_gain: HeldOutGain | None
    """Of the learned result over the local Wiener filter (of that over the plain one where there is no network)."""
    ssnr: SsnrCurve | None
    """What was filtered with."""
    specimen_share: float | None
    """Of the field that is covered."""
    masked: Tensor | None
    """Blocks of `mask_block_px` pixels, True where dark lumps and edges were replaced; None: nowhere."""
    mask_block_px: int
    masked_share: float
    bad_lines: int
    """Rows and columns that were levelled."""
    attenuated: int
    """Fourier samples of ice reflections and gratings that were levelled."""
    lessons: tuple[Lesson, ...] = ()
    """What the network may learn from this micrograph, where `learn_from` asked for it: one for each half."""


@dataclass(frozen=True, slots=True)
class SmallField:
    """What the small grid knows of one micrograph or half-sum: the Wiener-filtered half plane and all that is made of
    it."""

    filtered: Tensor
    occupancy: Occupancy
    local: Tensor
    """Half plane of the local Wiener filter."""


def restore_micrograph(
    weighted: Tensor,
    halves: tuple[Tensor, Tensor] | None,
    *,
    pixel_size_angstrom: float,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    predicted: PredictiveSsnr | None,
    network: ResidualNetwork | None,
    device: torch.device,
    blur_covariance_a2: tuple[float, float, float] = (0.0, 0.0, 0.0),
    learn_from: bool = False,
) -> Restored:
    """Restore an aligned micrograph.

    Parameters
    ----------
    weighted:
        (h, w) dose-weighted sum, electrons, specimen dark.
    halves:
        (h, w) sums of even and odd frames; None where there is only one frame: then nothing is learned or checked.
    predicted:
        The causal prior's posterior predictive SSNR; combined with what the halves say, each by its precision. None:
        the halves alone.
    network:
        The session's state of the learned residual (`weights.shipped_network` before anything was learned), or None.
    blur_covariance_a2:
        See `wiener_spectrum`.
    learn_from:
        Also return lessons (`lessons.learn`).
    """
    cleaned = clean(weighted.to(device, torch.float32), pixel_size_angstrom)
    height, width = weighted.shape
    grid = working_grid(height, width, pixel_size_angstrom)
    if not ctf.defocus_known:
        return _without_ctf(cleaned, grid, pixel_size_angstrom)
    spectra = None if halves is None else _clean_spectra(halves, grid, pixel_size_angstrom, device)
    ssnr = _ssnr(spectra, predicted, ctf, acquisition, grid)
    filtered = wiener_spectrum(
        cleaned.image,
        pixel_size_angstrom=pixel_size_angstrom,
        ctf=ctf,
        acquisition=acquisition,
        ssnr=ssnr,
        blur_covariance_a2=blur_covariance_a2,
    )
    optics = _FilterOptics(ctf_parameters(ctf, acquisition), ssnr, device)
    filters = optics.transfers(grid)
    field = small_field(_small_planes(filtered, grid, ctf), filters, grid)
    choice = _Choice(field.local, LOCAL, None)
    if spectra is not None:
        # A tilted field has no CTF of its own that a lesson could be told.
        teachable = learn_from and len(filtered.planes) == 1
        choice = _judged_by_halves(field, filters, spectra, optics, grid, network, learn_from=teachable)
    image = _assembled(filtered, choice.spectrum - field.filtered, grid, ctf)
    small = torch.fft.irfft2(choice.spectrum, s=grid.size)
    return _restored(
        image, small, cleaned, choice, ssnr=ssnr, specimen_share=field.occupancy.share, attenuated=filtered.attenuated
    )


def _clean_spectra(
    halves: tuple[Tensor, Tensor], grid: WorkingGrid, pixel_size_angstrom: float, device: torch.device
) -> list[Tensor]:
    """Half planes of both halves on the working grid, artefacts out."""
    images = (clean(half.to(device, torch.float32), pixel_size_angstrom).image for half in halves)
    return [small_spectrum(image, grid) for image in images]


@dataclass(frozen=True, slots=True)
class _FilterOptics:
    """From what the filters of a grid are made."""

    parameters: CtfParameters
    ssnr: SsnrCurve
    device: torch.device

    def transfers(self, grid: WorkingGrid) -> Transfers:
        return transfers(grid, self.parameters, self.ssnr, self.device)


@dataclass(frozen=True, slots=True)
class _Choice:
    """The result that is taken on the working grid (half plane), how it was made, and what the halves say of it."""

    spectrum: Tensor
    method: Method
    gain: HeldOutGain | None
    lessons: tuple[Lesson, ...] = ()


def _judged_by_halves(
    field: SmallField,
    filters: Transfers,
    halves: list[Tensor],
    optics: _FilterOptics,
    grid: WorkingGrid,
    network: ResidualNetwork | None,
    *,
    learn_from: bool,
) -> _Choice:
    """Local filter instead of the plain one, network instead of either: each where it predicts the other half."""
    middle = _middle_grid(grid)
    middle_filters = filters if middle is grid else optics.transfers(middle)
    pairs, fields = half_pairs([_middle_of(half, grid, middle) for half in halves], middle_filters, middle)
    local = [half.local for half in fields]
    gain = held_out_gain(pairs, None, local)
    chosen, method = (field.local, LOCAL) if gain.sure else (field.filtered, WIENER)
    if network is None:
        return _Choice(chosen, method, gain)
    learned = [learned_spectrum(half, middle_filters, middle, network) for half in fields]
    gain = held_out_gain(pairs, local if method == LOCAL else None, learned)
    # It was fitted to nothing here: more likely than not is enough.
    if gain.gain > 0:
        whole = learned_spectrum(field, filters, grid, network) * confirmed_share(pairs, learned, filters.k)
        chosen, method = _band_by_band(whole, chosen, gain, filters.k), LEARNED
    lessons: tuple[Lesson, ...] = ()
    if learn_from:
        lessons = _lessons(pairs, fields, middle_filters, optics.parameters, middle, network)
    return _Choice(chosen, method, gain, lessons)


def _without_ctf(cleaned: CleanImage, grid: WorkingGrid, pixel_size_angstrom: float) -> Restored:
    """Only a low-pass, where no defocus is known."""
    image = low_passed(cleaned.image, pixel_size_angstrom)
    choice = _Choice(grid.cropped(torch.fft.rfft2(image)), "low-pass", None)
    return _restored(
        image,
        torch.fft.irfft2(choice.spectrum, s=grid.size),
        cleaned,
        choice,
        ssnr=None,
        specimen_share=None,
        attenuated=0,
    )


def _restored(
    image: Tensor,
    small: Tensor,
    cleaned: CleanImage,
    choice: _Choice,
    *,
    ssnr: SsnrCurve | None,
    specimen_share: float | None,
    attenuated: int,
) -> Restored:
    return Restored(
        image=image,
        small=small,
        method=choice.method,
        held_out_gain=choice.gain,
        ssnr=ssnr,
        specimen_share=specimen_share,
        masked=cleaned.masked,
        mask_block_px=cleaned.block_px,
        masked_share=cleaned.masked_share,
        bad_lines=cleaned.bad_lines,
        attenuated=attenuated,
        lessons=choice.lessons,
    )


def small_spectrum(image: Tensor, grid: WorkingGrid) -> Tensor:
    """Half plane of an image on the working grid, its mean left out."""
    return grid.cropped(torch.fft.rfft2(image - image.mean()))


def small_field(filtered: Tensor, filters: Transfers, grid: WorkingGrid) -> SmallField:
    occupancy = find_occupancy(filtered, filters.k, grid)
    return SmallField(filtered, occupancy, torch.fft.rfft2(locally_filtered(filtered, filters.k, occupancy, grid)))


def learned_spectrum(field: SmallField, filters: Transfers, grid: WorkingGrid, network: ResidualNetwork) -> Tensor:
    """Half plane of what the network makes of a field."""
    features = features_of(field.filtered, filters.k, filters.log_ssnr, field.occupancy, grid)
    with torch.inference_mode():
        output = network(features.bands[None], features.conditions[None])[0]
    return spectrum_of(output, features.spread, filters.k)


def half_pairs(halves: list[Tensor], filters: Transfers, grid: WorkingGrid) -> tuple[list[HalfPair], list[SmallField]]:
    """Each half Wiener-filtered (as bright as a whole sum), the other held out."""
    pairs, fields = [], []
    for own, other in ((0, 1), (1, 0)):
        field = small_field(2 * halves[own] * filters.wiener(), filters, grid)
        fields.append(field)
        pairs.append(HalfPair(field.filtered, 2 * halves[other], filters.ctf, filters.k))
    return pairs, fields


def _band_by_band(learned: Tensor, simpler: Tensor, gain: HeldOutGain, k: Tensor) -> Tensor:
    """A band in which the other half likes the simpler result better keeps that."""
    chosen = torch.zeros_like(learned)
    for band, better in zip(bands_of(k), gain.by_band, strict=True):
        chosen = chosen + band * (learned if better > 0 else simpler)
    return chosen


def _middle_grid(grid: WorkingGrid) -> WorkingGrid:
    h, w = (min(side, CHECKED_PX) for side in grid.size)
    if (h, w) == grid.size:
        return grid
    return WorkingGrid(h, w, h, w, grid.pixel_size_angstrom, grid.pixel_size_y_angstrom)


def _middle_of(spectrum: Tensor, grid: WorkingGrid, middle: WorkingGrid) -> Tensor:
    """Half plane of the middle of a field."""
    if middle is grid:
        return spectrum
    top, left = (grid.height_px - middle.height_px) // 2, (grid.width_px - middle.width_px) // 2
    image = torch.fft.irfft2(spectrum, s=grid.size)[top : top + middle.height_px, left : left + middle.width_px]
    cut: Tensor = torch.fft.rfft2(image - image.mean())
    return cut


def _lessons(
    pairs: list[HalfPair],
    fields: list[SmallField],
    filters: Transfers,
    parameters: CtfParameters,
    grid: WorkingGrid,
    network: ResidualNetwork,
) -> tuple[Lesson, ...]:
    made = []
    for pair, field in zip(pairs, fields, strict=True):
        features = features_of(field.filtered, filters.k, filters.log_ssnr, field.occupancy, grid)
        restored = learned_spectrum(field, filters, grid, network)
        made.append(make_lesson(pair, features, restored, parameters, grid))
    return tuple(lesson for lesson in made if lesson is not None)


def _ssnr(
    halves: list[Tensor] | None,
    predicted: PredictiveSsnr | None,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    grid: WorkingGrid,
) -> SsnrCurve:
    """The causal prior's word and the halves', by their precisions.

    Raises
    ------
    ValueError
        Neither is given: there is nothing to filter with.
    """
    prior = None
    if predicted is not None:
        prior = SsnrCurve(
            np.asarray(predicted.frequency_per_angstrom),
            np.asarray(predicted.log_ssnr),
            np.asarray(predicted.log_ssnr_sd),
        )
    if halves is None:
        if prior is None:
            raise ValueError("a restoration needs a predicted SSNR or two half-sums")
        return prior
    images = [torch.fft.irfft2(half, s=grid.size) for half in halves]
    own = half_spectra_ssnr(
        images[0], images[1], pixel_size_angstrom=grid.pixel_size_angstrom, ctf=ctf_parameters(ctf, acquisition)
    )
    return own if prior is None else prior.combined(own)


def _small_planes(filtered: FilteredSpectrum, grid: WorkingGrid, ctf: CtfEstimate) -> Tensor:
    """Half plane on the working grid; of a tilted specimen, each place with its own defocus."""
    if len(filtered.planes) == 1:
        return grid.cropped(filtered.planes[0])
    images = [torch.fft.irfft2(grid.cropped(plane), s=grid.size) for plane in filtered.planes]
    spectrum: Tensor = torch.fft.rfft2(blend(images, filtered, ctf))
    return spectrum


def _assembled(filtered: FilteredSpectrum, difference: Tensor, grid: WorkingGrid, ctf: CtfEstimate) -> Tensor:
    """The full image, on whose coarse part the small one improves; what is finer stays as the Wiener filter left it."""
    if len(filtered.planes) == 1:
        grid.add_to_full(filtered.planes[0], difference)
        return to_image(filtered, ctf)
    full = torch.zeros_like(filtered.planes[0])
    grid.add_to_full(full, difference)
    added: Tensor = torch.fft.irfft2(full, s=(filtered.height_px, filtered.width_px))
    return to_image(filtered, ctf) + added
