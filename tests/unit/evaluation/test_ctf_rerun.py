"""A CTF that is fitted again from the stored micrograph: the same defocus on the same data, another on another's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from frazil.actors.evaluator import Evaluator
from frazil.config.settings import CtfSettings
from frazil.models.ctf_fit.fit import fit_ctf
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.evaluation.facts import RerunRequest, RoundFacts
from frazil.models.evaluation.reproducibility.ctf_rerun import fit_again
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.optics.ctf import CtfParameters, ctf_2d

PIXEL, SIZE = 1.5, 512
SETTINGS = CtfSettings(box_px=256, max_resolution_angstrom=5.0)


def micrograph(defocus: float, seed: int) -> torch.Tensor:
    """White specimen under a CTF, in shot noise of a third of its power."""
    generator = torch.Generator().manual_seed(seed)
    specimen, noise = (torch.randn(SIZE, SIZE, generator=generator) for _ in range(2))
    optics = CtfParameters(300.0, 2.7, 0.1, defocus + 100, defocus - 100, 20.0)
    return torch.fft.irfft2(torch.fft.rfft2(specimen) * ctf_2d(optics, SIZE, SIZE, PIXEL), s=(SIZE, SIZE)) + 0.6 * noise


@pytest.fixture
def request_of(tmp_path: Path):
    def make(image: torch.Tensor) -> RerunRequest:
        path = tmp_path / "a.mrc"
        write_mrc(path, image.numpy(), pixel_size_angstrom=PIXEL)
        return RerunRequest("movie00", str(path), str(path), PIXEL, 300.0, 2.7, 0.1, False, SETTINGS)

    return make


def test_a_second_fit_to_the_micrograph_agrees_and_one_to_another_does_not(truth: SimpleNamespace, request_of) -> None:
    image = micrograph(15_000.0, 1)
    first = fit_ctf(
        image, pixel_size_angstrom=PIXEL, optics=RingOptics(300.0, 2.7, 0.1), settings=SETTINGS,
        device=torch.device("cpu"),
    ).estimate  # fmt: skip
    assert first.reliable
    again = fit_again(request_of(image))
    assert again.ctf is not None
    assert again.ctf.defocus_u_angstrom == pytest.approx(first.defocus_u_angstrom, abs=150)
    movie = truth.movie(spectra=truth.spectra(shared=1.0, seed=0))
    movie = replace(movie, result=replace(movie.result, ctf=first))
    facts = RoundFacts(0, (movie,))

    def reruns(request: RerunRequest | None) -> float | None:
        verdicts = {
            one.verdict.evaluator: one.verdict for one in Evaluator().score(replace(facts, rerun_request=request))
        }
        return verdicts["reproducibility"].evidence["parts"].get("reruns")

    same, other = reruns(request_of(image)), reruns(request_of(micrograph(16_500.0, 2)))
    assert same is not None
    assert other is not None
    assert same > 0.6 > other
    assert reruns(None) is None


def test_a_micrograph_that_is_gone_costs_nothing(truth: SimpleNamespace, request_of) -> None:
    gone = replace(request_of(torch.from_numpy(np.zeros((64, 64), dtype=np.float32))), plain_path="/nowhere.mrc")
    facts = replace(truth.round(), rerun_request=gone)
    said = {one.verdict.evaluator: one.verdict for one in Evaluator().score(facts)}
    assert any(one.startswith("rerun agreement") for one in said["reproducibility"].does_not_know)
