"""Each threshold sets aside what misses it, and nothing for a number that is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frazil.config.settings import ThresholdSettings
from frazil.daemon.session.thresholds import rejection_reason
from frazil.models.records import ASTIGMATISM_UNCERTAIN


@pytest.fixture
def result(put):
    return put(0, total_angstrom=50.0)  # defocus 15000 and 14900 A, fits to 4 A, ice 0.1


def test_motion_is_judged_without_a_ctf(result):
    blind = replace(result, ctf=replace(result.ctf, reliable=False, flag="no rings"))
    limits = ThresholdSettings(max_total_motion_angstrom=40.0, max_ctf_fit_resolution_angstrom=None)
    assert "motion 50.0 A" in rejection_reason(blind, limits)
    assert "CTF not usable" in rejection_reason(blind, ThresholdSettings(max_total_motion_angstrom=60.0))


def test_an_uncertain_astigmatism_alone_rejects_nothing(result):
    uncertain = replace(
        result,
        ctf=replace(result.ctf, defocus_u_angstrom=19_900.0, reliable=False, flag=ASTIGMATISM_UNCERTAIN),
    )
    limits = ThresholdSettings(max_ctf_fit_resolution_angstrom=6.0, max_astigmatism_angstrom=1000.0)
    assert rejection_reason(uncertain, limits) is None
    assert "CTF fits to 4.0 A" in rejection_reason(uncertain, ThresholdSettings(max_ctf_fit_resolution_angstrom=3.0))
    assert "defocus 1.74 um" in rejection_reason(uncertain, ThresholdSettings(max_defocus_um=1.5))
    known = replace(uncertain, ctf=replace(uncertain.ctf, reliable=True, flag=None))
    assert "astigmatism 5000 A" in rejection_reason(known, limits)


def test_no_rings_miss_every_resolution(result):
    blind = replace(result, ctf=replace(result.ctf, reliable=False, flag="no rings"))
    assert (
        rejection_reason(blind, ThresholdSettings(max_ctf_fit_resolution_angstrom=10.0)) == "CTF not usable: no rings"
    )
