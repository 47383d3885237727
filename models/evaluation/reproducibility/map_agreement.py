"""Half-set agreement: how much of the map two halves of the particles tell alike.

With F(k) the corrected FSC of the half maps, sqrt(2 F / (1 + F)) is the correlation of the whole map's shell with the
truth that both halves share (Rosenthal & Henderson 2003, J. Mol. Biol. 333, 721), 0 from where F first falls below
0.143. Its mean over frequencies from 0 to 1/4 A is the agreement: about 4 A over the resolution, 1 for a map that
agrees fully to 4 A. The end is fixed, so that a coarse map does not count as much as a fine one; what the map's
pixels do not hold is not shown, and counts as nothing.
"""

from __future__ import annotations

import math

import numpy as np

from frazil.models.evaluation.facts import MapFacts
from frazil.models.evaluation.logic.claims import group_order

END_PER_ANGSTROM = 0.25
_THRESHOLD = 0.143


def half_set_agreement(facts: MapFacts) -> tuple[float, float] | None:
    """In [0, 1], with the standard error that the number of Fourier voxels leaves (Fisher 1921: atanh F of n
    independent pairs has a variance of 1/n). None: no curve.

    Halves that share particles or noise agree by these: whether they may is what logic and meta ask.
    """
    frequency, fsc = np.array(facts.frequency_per_angstrom), np.array(facts.fsc)
    if len(frequency) < 2 or not np.isfinite(fsc).all():
        return None
    below = np.nonzero(fsc < _THRESHOLD)[0]
    known = np.arange(len(fsc)) < (below[0] if below.size else len(fsc))
    curve = np.clip(fsc, 0.0, 0.9999)
    share = np.where(known, np.sqrt(2 * curve / (1 + curve)), 0.0)
    spacing = float(frequency[1] - frequency[0])
    inside = (frequency <= END_PER_ANGSTROM) & (share > 0)
    # Waves longer than the particle carry no curve; halves agree about them if they agree about anything.
    before = max(float(frequency[0]) - spacing / 2, 0.0) * float(share[0])
    agreement = (float(share[inside].sum()) * spacing + before) / END_PER_ANGSTROM
    pairs = 2 * math.pi * (frequency / spacing) ** 2 / (group_order(facts.symmetry) or 1)
    # dC/dF = 1 / (C (1 + F)^2), and atanh F has the standard error n^(-1/2)
    slope = np.where(inside, (1 - curve**2) / (np.maximum(share, 0.3) * (1 + curve) ** 2), 0.0)
    error = math.sqrt(float((slope**2 / np.maximum(pairs, 1.0)).sum())) * spacing / END_PER_ANGSTROM
    return min(1.0, agreement), error
