"""A whole restoration: each step has to be borne out, and what is not there is not put there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from frazil.models.deconvolution.held_out import HalfPair, confirmed_share, held_out_gain
from frazil.models.deconvolution.lessons import learn, network_bytes, network_from_bytes
from frazil.models.deconvolution.network import ResidualNetwork
from frazil.models.deconvolution.restoration import Restored, restore_micrograph
from frazil.models.deconvolution.weights import shipped_network
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters, ctf_2d, frequency_grid
from frazil.models.records import CtfEstimate

N, PIXEL, COUNTS = 576, 2.0, 60.0
ACQUISITION = AcquisitionParameters(PIXEL, 300.0, 2.7, 0.1, 1.0, 0.0, False, ())
CTF = CtfEstimate(15000.0, 14500.0, 20.0, 0.0, 10.0, 10.0, 4.0, 0.9, 0.0, True, "")
CPU = torch.device("cpu")
Halves = tuple[torch.Tensor, torch.Tensor]


def _micrograph(seed: int, contrast: float = 0.12) -> tuple[torch.Tensor, Halves]:
    """Lumpy bodies (bright, rms `contrast` on them) and two counted halves of their image through the CTF."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:N, :N]
    scene = np.zeros((N, N))
    for cy in range(60, N, 115):
        for cx in range(60, N, 115):
            for _ in range(30):
                dy, dx, r = random.normal(0, 12), random.normal(0, 12), random.uniform(3, 9)
                window = (slice(max(0, cy - 55), cy + 55), slice(max(0, cx - 55), cx + 55))
                scene[window] += np.maximum(0, 1 - ((y - cy - dy) ** 2 + (x - cx - dx) ** 2)[window] / r**2)
    scene *= contrast
    c = ctf_2d(CtfParameters(300.0, 2.7, 0.1, 15000.0, 14500.0, 20.0), N, N, PIXEL)
    image = torch.fft.irfft2(torch.fft.rfft2(torch.from_numpy(scene).float()) * c, s=(N, N))
    mean = 0.5 * COUNTS * (1 + image).clamp_min(0).numpy()
    even, odd = (torch.from_numpy(random.poisson(mean).astype(np.float32)) for _ in range(2))
    return torch.from_numpy(scene).float(), (even, odd)


def _restore(halves: Halves, network: ResidualNetwork | None, learn_from: bool = False) -> Restored:
    return restore_micrograph(
        halves[0] + halves[1],
        (halves[0], halves[1]),
        pixel_size_angstrom=PIXEL,
        ctf=CTF,
        acquisition=ACQUISITION,
        predicted=None,
        network=network,
        device=CPU,
        learn_from=learn_from,
    )


def _likeness(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean ring correlation between 60 and 14 A."""
    kx, ky = frequency_grid(N, N, PIXEL)
    k = torch.sqrt(kx * kx + ky * ky)
    ring = (k * 300).long()
    first, second = torch.fft.rfft2(a), torch.fft.rfft2(b)

    def total(values: torch.Tensor) -> torch.Tensor:
        return torch.bincount(ring.flatten(), values.flatten())[5:22]

    cross = total((first.conj() * second).real)
    return float((cross / (total(first.abs().square()) * total(second.abs().square())).sqrt()).mean())


def test_each_step_brings_the_micrograph_nearer_to_the_specimen() -> None:
    scene, halves = _micrograph(1)
    local, full = _restore(halves, None), _restore(halves, shipped_network(CPU))
    c = ctf_2d(CtfParameters(300.0, 2.7, 0.1, 15000.0, 14500.0, 20.0), N, N, PIXEL)
    total = halves[0] + halves[1]
    flipped = torch.fft.irfft2(torch.fft.rfft2(total - total.mean()) * torch.sign(c), s=(N, N))
    assert local.method == "local-wiener"
    assert full.method == "learned"
    assert full.held_out_gain is not None
    assert full.held_out_gain.sure
    assert _likeness(local.image, scene) > _likeness(flipped, scene) + 0.05
    assert _likeness(full.image, scene) > _likeness(local.image, scene) + 0.02
    assert full.image.shape == (N, N)
    assert full.specimen_share is not None
    assert 0.05 < full.specimen_share < 0.6


def test_a_network_that_is_not_borne_out_is_not_used() -> None:
    _, halves = _micrograph(2)
    torch.manual_seed(0)
    untaught = ResidualNetwork().eval().requires_grad_(False)
    torch.nn.init.normal_(untaught.last.weight, std=0.3)
    restored, local = _restore(halves, untaught), _restore(halves, None)
    assert restored.method == "local-wiener"
    assert torch.equal(restored.image, local.image)


def test_without_halves_nothing_is_learned_and_the_prior_alone_filters() -> None:
    _, halves = _micrograph(3)
    image = halves[0] + halves[1]

    class Predicted:
        frequency_per_angstrom = (0.02, 0.05, 0.1, 0.2, 0.25)
        log_ssnr = (1.0, 0.0, -2.0, -5.0, -6.0)
        log_ssnr_sd = (0.2, 0.2, 0.2, 0.2, 0.2)

    restored = restore_micrograph(
        image,
        None,
        pixel_size_angstrom=PIXEL,
        ctf=CTF,
        acquisition=ACQUISITION,
        predicted=Predicted(),
        network=shipped_network(CPU),
        device=CPU,
    )
    assert restored.method == "local-wiener"
    assert restored.held_out_gain is None
    assert restored.ssnr is not None
    assert restored.ssnr.at(np.array([0.1]))[0] == pytest.approx(-2.0)


def test_without_a_ctf_there_is_only_a_low_pass() -> None:
    _, halves = _micrograph(4)
    unknown = replace(CTF, reliable=False, flag="no rings")
    restored = restore_micrograph(
        halves[0] + halves[1],
        (halves[0], halves[1]),
        pixel_size_angstrom=PIXEL,
        ctf=unknown,
        acquisition=ACQUISITION,
        predicted=None,
        network=shipped_network(CPU),
        device=CPU,
    )
    assert restored.method == "low-pass"


def test_in_counting_noise_next_to_nothing_is_left() -> None:
    _, halves = _micrograph(5, contrast=0.0)
    restored = _restore(halves, shipped_network(CPU))
    scene, with_specimen = _micrograph(5)
    assert scene.abs().max() > 0
    shown = _restore(with_specimen, shipped_network(CPU))
    assert float(restored.image.std()) < 0.05 * float(shown.image.std())


def test_the_gain_is_that_of_the_truth_over_noise() -> None:
    """A restoration that knows the specimen gains; one of another specimen does not."""
    generator = torch.Generator().manual_seed(6)
    kx, ky = frequency_grid(128, 128, 4.0)
    k, c = torch.sqrt(kx * kx + ky * ky), torch.ones(128, 65)

    def picture() -> torch.Tensor:
        return torch.fft.rfft2(torch.randn(128, 128, generator=generator))

    signal = 0.3 * picture()
    pair = HalfPair(signal + picture(), signal + picture(), c, k)
    right, wrong = held_out_gain([pair], None, [signal]), held_out_gain([pair], None, [0.3 * picture()])
    assert right.sure
    assert not wrong.sure
    assert float(confirmed_share([pair], [signal], k)[k > 0.02].mean()) > 0.7
    assert float(confirmed_share([pair], [0.3 * picture()], k)[k > 0.02].mean()) < 0.15


def test_a_session_teaches_and_chance_does_not() -> None:
    network = shipped_network(CPU)
    lessons = [one for seed in range(10, 13) for one in _restore(_micrograph(seed)[1], network, True).lessons]
    assert len(lessons) == 6
    with torch.no_grad():
        # Not as good as it could be: something is left to learn.
        network.last.weight *= 0.6
        network.last.bias *= 0.6
    taught, report = learn(network, lessons[:4], lessons[4:], steps=4, seed=1, device=CPU, learning_rate=1e-3)
    assert report.accepted
    assert report.improvement > 2 * report.standard_error > 0
    restored = network_from_bytes(network_bytes(taught), CPU)
    assert all(torch.equal(a, b) for a, b in zip(restored.parameters(), taught.parameters(), strict=True))
    first, _ = learn(network, lessons[:2], lessons[4:], steps=2, seed=1, device=CPU, learning_rate=1e-3)
    again, _ = learn(network, lessons[:2], lessons[4:], steps=2, seed=1, device=CPU, learning_rate=1e-3)
    assert network_bytes(again) == network_bytes(first)


def test_what_does_not_hold_for_others_is_not_kept() -> None:
    """Lessons whose held-out halves are chance teach chance: fields that were kept aside refuse it."""
    network = shipped_network(CPU)
    lessons = [one for seed in (20, 21) for one in _restore(_micrograph(seed)[1], network, True).lessons]
    random = np.random.default_rng(0)
    chance = [replace(one, left=3 * random.standard_normal(one.left.shape).astype(np.float32)) for one in lessons[:2]]
    same, report = learn(network, chance, lessons[2:], steps=3, seed=1, device=CPU, learning_rate=1e-2)
    assert not report.accepted
    assert same is network
