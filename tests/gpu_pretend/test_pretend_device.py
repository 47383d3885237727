"""The pretend device itself: it refuses what CUDA refuses, counts what CUDA would pay for, and computes right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.device_ledger.pretend_cuda import CUDA, DeviceMixError, pretend_cuda


def test_it_says_cuda_and_computes_as_the_cpu() -> None:
    values = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    with pretend_cuda():
        here = values.to(CUDA)
        made = torch.zeros(3, device=CUDA)
        assert here.device == made.device == torch.zeros_like(here).device == here[1:].device == CUDA
        spectrum = torch.fft.rfft2(here)
        here[0] = 2.0
        got = torch.fft.irfft2(spectrum * spectrum.conj(), s=(6, 8)).cpu()
        written = here.cpu()
    expected = torch.fft.rfft2(values)
    torch.testing.assert_close(got, torch.fft.irfft2(expected * expected.conj(), s=(6, 8)), rtol=0, atol=0)
    assert (written[0] == 2.0).all()
    torch.testing.assert_close(written[1:], values[1:], rtol=0, atol=0)


def test_tensors_of_two_devices_do_not_mix() -> None:
    with pretend_cuda():
        here, there = torch.ones(4, device=CUDA), torch.ones(4)
        with pytest.raises(DeviceMixError):
            here + there
        with pytest.raises(DeviceMixError):
            there.add_(here)
        with pytest.raises(DeviceMixError):
            there[here.long()]
        with pytest.raises(DeviceMixError):
            here[torch.tensor([0, 1])] = there[:2]
        with pytest.raises(DeviceMixError):
            torch.rand(4, device=CUDA, generator=torch.Generator())
        with pytest.raises(TypeError, match="cuda:0"):
            here.numpy()
        with pytest.raises(TypeError, match="cuda:0"):
            np.asarray(here)
        assert float((here * torch.tensor(2.0)).sum()) == 8.0, "a number on the host may be anywhere, as on CUDA"


def test_what_a_gpu_would_pay_for_is_counted() -> None:
    with pretend_cuda() as ledger:
        ledger.mark("upload")
        here = torch.arange(10, dtype=torch.uint8).to(CUDA)
        torch.as_tensor(np.ones(3), dtype=torch.float32, device=CUDA)
        ledger.mark("work")
        doubled = here * 2
        doubled[2:5].reshape(3, 1)
        ledger.mark("waits")
        float(doubled[0])
        doubled.cpu()
        doubled.nonzero()
        bool((doubled > 3).any())
        doubled[doubled > 3]
    upload, work, waits = (ledger.stages[name] for name in ("upload", "work", "waits"))
    assert (upload.uploads, upload.uploaded_bytes, upload.float_uploads) == (2, 10 + 12, [12])
    assert (work.launches, work.synchronisations) == (1, 0)
    assert waits.synchronisations == 5
    assert (waits.downloads, waits.downloaded_bytes) == (3, 1 + 10 + 1)
    assert "test_pretend_device.py" in ledger.worst_lines("synchronisation", ("waits",))[0]
