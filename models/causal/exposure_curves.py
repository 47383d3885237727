"""What follows from a movie's exposures alone: the amplitude that radiation leaves in a frame, and what frames share.

All movies of a session are mostly exposed alike, and each is asked again by every version of the prior: the curves of
one exposure are computed once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from frazil.models.causal.bands import Array
from frazil.models.optics.dose import exposure_filter
from frazil.models.optics.ice import frame_average_amplitude, ice_decorrelation_rate
from frazil.models.records import MovieEvidence

_KEPT = 128
"""Exposures times sets of frequencies: a few kilobytes each."""
_Exposures = tuple[float, float, int, float]
"""Electrons per square angstrom before the first frame and in each, frames, kV."""


def amplitude_left(evidence: MovieEvidence, k_per_angstrom: Array) -> Array:
    """(F, K) share of the amplitude that radiation leaves in the middle of each frame (Grant & Grigorieff 2015)."""
    return _amplitude_left(_exposures(evidence), k_per_angstrom.tobytes())


def exposure_weights(evidence: MovieEvidence, k_per_angstrom: Array) -> Array:
    """(F, K) share of each frame in the optimally weighted sum's signal, q_f^2 / sum_f q_f^2."""
    return _exposure_weights(_exposures(evidence), k_per_angstrom.tobytes())


def moving_pattern(evidence: MovieEvidence, k_per_angstrom: Array) -> Array:
    """(K,) power of the ice's pattern in the exposure-weighted sum of frames over that of one still frame.

    Frames f and g share exp(-rate |f - g|) of the pattern, and each frame averages over its own exposure (McMullan et
    al. 2015, Ultramicroscopy 158, 26).
    """
    return _moving_pattern(_exposures(evidence), k_per_angstrom.tobytes())


def _exposures(evidence: MovieEvidence) -> _Exposures:
    frames = max(len(evidence.shift_x_angstrom), 1)
    return evidence.pre_exposure_e_per_a2, evidence.dose_per_frame_e_per_a2, frames, evidence.voltage_kv


@lru_cache(maxsize=_KEPT)
def _amplitude_left(exposures: _Exposures, k_bytes: bytes) -> Array:
    before, per_frame, frames, voltage_kv = exposures
    exposure = before + per_frame * (np.arange(frames) + 0.5)
    k = torch.from_numpy(np.frombuffer(k_bytes).copy())
    return _fixed(exposure_filter(k, torch.from_numpy(exposure), voltage_kv).numpy())


@lru_cache(maxsize=_KEPT)
def _exposure_weights(exposures: _Exposures, k_bytes: bytes) -> Array:
    q2 = _amplitude_left(exposures, k_bytes) ** 2
    return _fixed(q2 / np.maximum(q2.sum(axis=0), 1e-30))


@lru_cache(maxsize=_KEPT)
def _moving_pattern(exposures: _Exposures, k_bytes: bytes) -> Array:
    k, q = np.frombuffer(k_bytes), _amplitude_left(exposures, k_bytes)
    rate = ice_decorrelation_rate(torch.from_numpy(k * k)) * exposures[1]
    memory = np.exp(-rate.numpy())
    # A running sum over earlier frames instead of all pairs: s_f = memory (s_(f-1) + q_(f-1)).
    earlier, together = np.zeros_like(k), np.zeros_like(k)
    for of_frame in q:
        together += of_frame * (of_frame + 2 * earlier)
        earlier = memory * (earlier + of_frame)
    return _fixed(together / np.maximum((q**2).sum(axis=0), 1e-30) * frame_average_amplitude(rate).numpy() ** 2)


def _fixed(values: Array) -> Array:
    """Not to be written to: it is handed out again."""
    values = np.asarray(values, dtype=np.float64)
    values.flags.writeable = False
    return values
