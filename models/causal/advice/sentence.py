"""Advice in one sentence: what to do, what it would bring, what it costs, what is left of it."""

from __future__ import annotations

import numpy as np

from frazil.models.causal.advice.record import Advice, Option


def sentence(option: Option, advice: Advice) -> str:
    """ "wait 10 s longer after moving the stage: map 3.9 -> 3.5 A (3.3-3.7); costs 70 movies/h; in all ..."."""
    parts = []
    for name, start, moved in (
        ("map", advice.map_resolution_from_angstrom, advice.map_resolution_to_angstrom),
        ("CTF fit", advice.fit_resolution_from_angstrom, advice.fit_resolution_to_angstrom),
    ):
        if start is not None and moved is not None and f"{start:.1f}" != f"{moved[0]:.1f}":
            parts.append(f"{name} {start:.1f} -> {moved[0]:.1f} A ({moved[1]:.1f}-{moved[2]:.1f})")
    gained = f"signal at 5 A x{np.exp(advice.gain_ln_ssnr):.2f}"
    gained += f" (x{np.exp(advice.gain_low):.2f}-{np.exp(advice.gain_high):.2f})"
    parts.append(gained)
    if advice.movies_saved_share > 0.0:
        parts.append(f"the same map from {100 * advice.movies_saved_share:.0f} % fewer movies")
    if advice.movies_per_hour_change:
        more = advice.movies_per_hour_change > 0.0
        parts.append(f"{'brings' if more else 'costs'} {abs(advice.movies_per_hour_change):.0f} movies/h")
    if option.cost_words:
        parts.append(option.cost_words)
    parts.append(f"all in all x{np.exp(advice.net_ln_ssnr):.2f} an hour")
    return f"{option.words}: {'; '.join(parts)}"
