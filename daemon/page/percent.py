"""Changes of ln SSNR as people at microscopes say them: so many percent more or less signal. Pure."""

from __future__ import annotations

import math


def change_percent(ln_ssnr: float | None) -> str:
    """
    >>> change_percent(0.2), change_percent(-0.2), change_percent(None)
    ('+22 %', '-18 %', '')
    """
    if ln_ssnr is None:
        return ""
    percent = 100 * math.expm1(min(ln_ssnr, 20.0))
    return f"{percent:+.0f} %" if abs(percent) >= 0.5 else "0 %"


def lost_percent(loss_ln_ssnr: float) -> float:
    """What a loss takes of the signal.

    >>> round(lost_percent(0.5))
    39
    """
    return -100 * math.expm1(-max(loss_ln_ssnr, 0.0))
