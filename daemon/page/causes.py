"""What costs signal, as bars of percent: each cause by itself; what several take together is less than the sum."""

from __future__ import annotations

from collections.abc import Sequence

from frazil.daemon.page.percent import lost_percent
from frazil.daemon.report.html.parts import Frame, label, line, svg
from frazil.daemon.report.summary.records import FactorLoss
from frazil.daemon.report.why import cause_words
from frazil.models.causal.factors import BESIDE_TOTAL

_STEP, _LEFT, _WIDTH = 24.0, 178.0, 620.0


def signal_bars(losses: Sequence[FactorLoss]) -> str:
    """One bar a cause with its standard deviation; hollow: processing undoes it."""
    if not losses:
        return ""
    frame = Frame(
        _WIDTH, _STEP * len(losses) + 8, (0.0, 100.0), (0.0, 1.0), left=_LEFT, right=130.0, top=0.0, bottom=0.0
    )
    parts = []
    for place, loss in enumerate(losses):
        parts += _bar(frame, _STEP * place + 6, loss)
    return svg(frame, "share of the signal that each cause takes, in percent", parts)


def _bar(frame: Frame, y: float, loss: FactorLoss) -> list[str]:
    undone = loss.factor in BESIDE_TOTAL
    kind = "hollow" if undone else "bar"
    percent = lost_percent(loss.loss_ln_ssnr)
    end = frame.px(percent)
    words, reach = f"{percent:.0f} %", end
    parts = [
        label(_LEFT - 8, y + 12, cause_words(loss.factor), "end"),
        f"<rect class={kind} x={_LEFT:g} y={y:g} width={max(end - _LEFT, 0.5):.1f} height=15 />",
    ]
    if loss.loss_sd is not None:
        low, high = (lost_percent(loss.loss_ln_ssnr + side * loss.loss_sd) for side in (-1, 1))
        reach = frame.px(high)
        parts += [line(frame.px(low), y + 7.5, reach, y + 7.5, "whisker")]
        parts += [line(frame.px(at), y + 3.5, frame.px(at), y + 11.5, "whisker") for at in (low, high)]
        words += f" ({low:.0f} to {high:.0f})"
    parts.append(label(reach + 7, y + 12, words + ", undone" * undone))
    return parts
