"""The Fourier coefficients that the alignment looks at, with their frequencies, shells and expected amplitudes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

MAX_FREQUENCY_PER_ANGSTROM = 0.22
"""4.5 A: what single frames hold beyond it adds nothing to the estimate that it would not also cost in time."""
MAX_WHOLE_FRAME_COEFFICIENTS = 150_000
"""Beyond that the whole-frame error is far below what local motion leaves, and patches refine it with all of theirs."""
MAX_PATCH_COEFFICIENTS = 400_000
"""Of the frame that the patches are cut from: they refine local motion, whose error is what is left in the sum."""
_SHELL_WIDTH_BINS = 3.0
"""Of Fourier pixels: thin enough for the rings of a CTF, thick enough for a variance from one shell."""
_MIN_FREQUENCY_PER_ANGSTROM = 1.0 / 250.0
"""Below lie ice thickness and illumination, which do not move as particles do."""


def frequency_limit(height_px: int, width_px: int, pixel_size_angstrom: float, max_coefficients: int) -> float:
    """Highest frequency used: 4.5 A, or lower where the frame has more coefficients than an estimate needs."""
    per_unit = math.pi / 2.0 * height_px * width_px * pixel_size_angstrom**2
    return min(MAX_FREQUENCY_PER_ANGSTROM, math.sqrt(max_coefficients / per_unit))


_OF_FRAMES_ALONE = (
    "flat_shell", "shell_sizes", "frequency_moments", "chequered", "still_halves", "frame_power",
    "shell_members", "slope_maps", "frame_moments",
)  # fmt: skip
_MADE_ON_DEVICES = ("shell_members", "slope_maps", "frame_moments")


@dataclass(frozen=True)
class Band:
    """Frames of one region as half-plane Fourier coefficients on a rectangular grid.

    `coefficients` is (F, Ny, Nx) complex64 with unit-variance shot noise in every frame; column j is frequency
    `omega_x_rad_per_angstrom[j]` >= 0, row i is `omega_y_rad_per_angstrom[i]` (rows in FFT order). Coefficients on the
    axes, at very low frequency and beyond the outermost shell have `shell` = n_shells and count for nothing: edges,
    illumination and read-out lines live on the axes and do not move with the specimen. Coefficients are never changed
    in place.
    """

    coefficients: Tensor
    omega_x_rad_per_angstrom: Tensor
    omega_y_rad_per_angstrom: Tensor
    shell: Tensor
    """(Ny, Nx) int32"""
    shell_frequency_per_angstrom: Tensor
    amplitude: Tensor
    """(F, n_shells + 1): expected amplitude of the specimen's signal in each frame relative to an undamaged one of
    the median dose; the last column is 0."""
    independent_fraction: float = 1.0
    """Share of the area behind the window: so much fewer of the coefficients are independent."""
    on_host: Band | None = None
    """The same grid and amplitudes on the CPU without coefficients, where the band is on another device: what is small
    and asked for often is not copied back."""

    @property
    def known(self) -> Band:
        """The band whose grid and amplitudes the host can read without waiting."""
        return self if self.on_host is None else self.on_host

    @property
    def frame_count(self) -> int:
        return int(self.coefficients.shape[0])

    @property
    def shell_count(self) -> int:
        return int(self.shell_frequency_per_angstrom.shape[0])

    def amplitude_map(self) -> Tensor:
        """(F, Ny, Nx) float32: `amplitude` spread over the grid."""
        return self.amplitude[..., self.shell.long()]

    @cached_property
    def flat_shell(self) -> Tensor:
        """(Ny Nx,) int64: `shell` as an index."""
        return self.shell.reshape(-1).long()

    @cached_property
    def shell_sizes(self) -> Tensor:
        """(n_shells + 1,) int64: how many coefficients each shell has."""
        return torch.bincount(self.flat_shell, minlength=self.shell_count + 1)

    @cached_property
    def shell_members(self) -> tuple[Tensor, Tensor]:
        """(n_shells, most) numbers of the coefficients of each shell in the flattened grid, and float64 1 over the
        shell's size where there is one, 0 where not: sums over shells in a fixed order, which `bincount` has not on
        CUDA."""
        shell = self.known.flat_shell
        sizes = torch.bincount(shell, minlength=self.shell_count + 1)
        order = torch.argsort(shell, stable=True)
        first = sizes.cumsum(0) - sizes
        place = torch.arange(max(1, int(sizes[:-1].max())))
        members = order[(first[:-1, None] + place).clamp(max=order.numel() - 1)].to(torch.int32)
        size = sizes[:-1, None].to(self.shell.device)
        inside = torch.arange(place.numel(), device=self.shell.device) < size
        return members.to(self.shell.device), inside.double() / size.clamp_min(1)

    def shell_means(self, maps: Tensor) -> Tensor:
        """(..., n_shells) float64 means of maps (..., Ny, Nx)."""
        members, share = self.shell_members
        return (maps.flatten(-2)[..., members].double() * share).sum(dim=-1)

    @cached_property
    def frame_moments(self) -> Tensor:
        """`moments_of_frames` of its own coefficients."""
        return self.moments_of_frames(self.coefficients)

    def moments_of_frames(self, coefficients: Tensor) -> Tensor:
        """(..., 3, n_shells) of coefficients (..., F, Ny, Nx): shell means of the frames' powers added up, of the power
        of all unmoved frames together, and of the product of the sums of their halves."""
        middle = self.frame_count // 2
        first = coefficients[..., :middle, :, :].sum(dim=-3)
        second = coefficients[..., middle:, :, :].sum(dim=-3)
        still = first + second
        power = torch.view_as_real(coefficients).square().sum(dim=(-4, -1))
        maps = torch.stack((power, (still * still.conj()).real, (first * second.conj()).real), dim=-3)
        return self.shell_means(maps)

    @cached_property
    def slope_maps(self) -> Tensor:
        """(Ny Nx, 4) float64: -2 omega along x and along y where `chequered`, and both where not."""
        wx = self.omega_x_rad_per_angstrom[None, :].expand(self.shell.shape)
        wy = self.omega_y_rad_per_angstrom[:, None].expand(self.shell.shape)
        omega = torch.stack((wx, wy)).double() * -2.0
        return torch.cat((omega * self.chequered, omega * ~self.chequered)).flatten(1).T.contiguous()

    @cached_property
    def still_halves(self) -> tuple[Tensor, Tensor]:
        """(Ny, Nx) sums of the unmoved frames of the first and of the second half."""
        middle = self.frame_count // 2
        return self.coefficients[:middle].sum(dim=0), self.coefficients[middle:].sum(dim=0)

    @cached_property
    def frame_power(self) -> Tensor:
        """(Ny, Nx) sum over frames of |y_f|^2."""
        parts = torch.view_as_real(self.coefficients)
        total = torch.zeros_like(parts[0])
        for frame in parts:
            total.addcmul_(frame, frame)
        return total.sum(dim=-1)

    def with_amplitude(self, amplitude: Tensor) -> Band:
        """The same frames, expected to fade differently; `amplitude` is on the CPU."""
        host = None
        if self.on_host is not None:
            host = self.on_host.with_amplitude(amplitude)
            for name in _MADE_ON_DEVICES:
                getattr(self, name)
        other = replace(self, amplitude=amplitude.to(self.shell.device), on_host=host)
        # What does not depend on the amplitude is not computed again.
        for name in _OF_FRAMES_ALONE:
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    def phases(self, shift_angstrom: Tensor) -> tuple[Tensor, Tensor]:
        """exp(+i omega d) along each axis, (F, Nx) and (F, Ny): multiplying by both undoes the displacement d."""
        shift = shift_angstrom.to(self.omega_x_rad_per_angstrom)
        return (
            torch.polar(
                torch.ones_like(shift[:, :1] * self.omega_x_rad_per_angstrom),
                shift[:, :1] * self.omega_x_rad_per_angstrom,
            ),
            torch.polar(
                torch.ones_like(shift[:, 1:] * self.omega_y_rad_per_angstrom),
                shift[:, 1:] * self.omega_y_rad_per_angstrom,
            ),
        )

    def turned(self, shift_angstrom: Tensor) -> Tensor:
        """(..., F, Ny, Nx) a_f exp(+i omega d_f) at displacements (..., F, 2), on the device."""
        shift = shift_angstrom.to(self.omega_x_rad_per_angstrom)
        along_y = shift[..., 1:] * self.omega_y_rad_per_angstrom
        angle = torch.addcmul(along_y[..., :, None], shift[..., :1, None], self.omega_x_rad_per_angstrom)
        return torch.polar(self.amplitude_map(), angle)

    def below(self, frequency_per_angstrom: float) -> Band:
        """The part of the band below a frequency, on the smaller grid that holds it."""
        limit = 2.0 * math.pi * frequency_per_angstrom
        known = self.known
        columns = int((known.omega_x_rad_per_angstrom <= limit).sum())
        rows = (known.omega_y_rad_per_angstrom.abs() <= limit).nonzero()[:, 0].to(self.shell.device)
        shell = self.shell[rows][:, :columns]
        radius = (
            self.omega_y_rad_per_angstrom[rows, None] ** 2 + self.omega_x_rad_per_angstrom[None, :columns] ** 2
        ).sqrt()
        return replace(
            self,
            coefficients=self.coefficients[:, rows][:, :, :columns].contiguous()
            if self.coefficients.numel()
            else self.coefficients,
            on_host=None if self.on_host is None else self.on_host.below(frequency_per_angstrom),
            omega_x_rad_per_angstrom=self.omega_x_rad_per_angstrom[:columns],
            omega_y_rad_per_angstrom=self.omega_y_rad_per_angstrom[rows],
            shell=torch.where(radius <= limit, shell, torch.full_like(shell, self.shell_count)),
        )

    @cached_property
    def frequency_moments(self) -> Tensor:
        """(3, n_shells) float64: sums over each shell of omega_x^2, omega_x omega_y and omega_y^2."""
        wx = self.omega_x_rad_per_angstrom.double().expand_as(self.shell)
        wy = self.omega_y_rad_per_angstrom.double()[:, None].expand_as(self.shell)
        total = torch.zeros((3, self.shell_count + 1), dtype=torch.float64, device=self.shell.device)
        for moment, product in zip(total, (wx * wx, wx * wy, wy * wy), strict=True):
            moment.index_add_(0, self.flat_shell, product.reshape(-1))
        return total[:, :-1]

    @cached_property
    def chequered(self) -> Tensor:
        """(Ny, Nx) bool: half of the coefficients, in blocks of 4 x 4 that alternate (neighbours share the window's
        leakage, so that single coefficients would not be independent)."""
        rows = torch.arange(self.shell.shape[0], device=self.shell.device) // 4
        columns = torch.arange(self.shell.shape[1], device=self.shell.device) // 4
        return ((rows[:, None] + columns[None, :]) % 2).bool()


def edge_window(height_px: int, width_px: int, device: torch.device, margin_fraction: float = 0.06) -> Tensor:
    """Raised-cosine edges, 1 inside; mean square is not normalised."""

    def one(length: int) -> Tensor:
        margin = max(4.0, margin_fraction * length)
        distance = torch.arange(length, device=device, dtype=torch.float32) + 0.5
        distance = torch.minimum(distance, length - distance)
        return 0.5 - 0.5 * torch.cos(math.pi * (distance / margin).clamp(max=1.0))

    return one(height_px)[:, None] * one(width_px)[None, :]


@dataclass(frozen=True, slots=True)
class BandGrid:
    """Which coefficients of an (h, w) transform the band takes."""

    height_px: int
    width_px: int
    rows: Tensor
    columns: int
    omega_x_rad_per_angstrom: Tensor
    omega_y_rad_per_angstrom: Tensor
    shell: Tensor
    shell_frequency_per_angstrom: Tensor
    on_host: BandGrid | None = None
    """The same on the CPU, where the grid is on another device."""

    @classmethod
    def build(
        cls,
        height_px: int,
        width_px: int,
        pixel_size_angstrom: float,
        max_frequency_per_angstrom: float,
        device: torch.device,
    ) -> BandGrid:
        """Grid of all coefficients below the frequency, and below 0.9 of Nyquist."""
        limit = min(max_frequency_per_angstrom, 0.45 / pixel_size_angstrom)
        ky = torch.fft.fftfreq(height_px, pixel_size_angstrom, dtype=torch.float64)
        kx = torch.fft.rfftfreq(width_px, pixel_size_angstrom, dtype=torch.float64)
        rows = (ky.abs() <= limit).nonzero()[:, 0]
        columns = int((kx <= limit).sum())
        ky, kx = ky[rows], kx[:columns]
        radius = (ky[:, None] ** 2 + kx[None, :] ** 2).sqrt()
        bin_width = 1.0 / (min(height_px, width_px) * pixel_size_angstrom)
        step = _SHELL_WIDTH_BINS * bin_width
        low = max(_MIN_FREQUENCY_PER_ANGSTROM, 1.5 * bin_width)
        count = max(1, int((limit - low) / step))
        index = torch.floor((radius - low) / step).to(torch.int64)
        outside = (radius < low) | (index >= count) | (kx[None, :] == 0) | (ky[:, None] == 0)
        index = torch.where(outside, torch.full_like(index, count), index)
        frequency = low + step * (torch.arange(count, dtype=torch.float64) + 0.5)
        omega_x, omega_y = (2.0 * math.pi * kx).to(torch.float32), (2.0 * math.pi * ky).to(torch.float32)
        host = cls(height_px, width_px, rows, columns, omega_x, omega_y, index.to(torch.int32), frequency)
        if device.type == "cpu":
            return host
        return replace(
            host,
            rows=rows.to(device),
            omega_x_rad_per_angstrom=omega_x.to(device),
            omega_y_rad_per_angstrom=omega_y.to(device),
            shell=host.shell.to(device),
            on_host=host,
        )

    def band(self, coefficients: Tensor, amplitude: Tensor, independent_fraction: float) -> Band:
        """Frames' coefficients (F, Ny, Nx) on this grid; `amplitude` on the CPU; the rest as in `Band`."""
        host = None
        if self.on_host is not None:
            nothing = torch.empty((len(coefficients), 0, 0), dtype=torch.complex64)
            host = self.on_host.band(nothing, amplitude, independent_fraction)
        return Band(
            coefficients,
            self.omega_x_rad_per_angstrom,
            self.omega_y_rad_per_angstrom,
            self.shell,
            self.shell_frequency_per_angstrom,
            amplitude.to(self.shell.device),
            independent_fraction,
            host,
        )

    def take(self, images: Tensor) -> Tensor:
        """Transform real images (..., h, w) and keep the band: (..., Ny, Nx), white noise keeps its variance."""
        spectrum = torch.fft.rfft2(images, norm="ortho")[..., : self.columns]
        return torch.index_select(spectrum, -2, self.rows)
