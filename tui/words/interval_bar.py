"""A value with its interval as a bar of glyphs: `█████▓▓▓░░░`. Glyphs say it all, colours only repeat it."""

from __future__ import annotations


def interval_bar(value: float, low: float, high: float, *, full_scale: float, width: int) -> str:
    """`█` to the lower end of the interval, `▓` to the value, `░` to the upper end; `▸` where it goes on
    beyond `width`.

    A bar of `width` cells means `full_scale`; values are not below zero.
    """
    scale = width / max(full_scale, 1e-9)
    solid, middle, end = (min(width, round(one * scale)) for one in (low, value, high))
    drawn = "█" * solid + "▓" * (middle - solid) + "░" * (end - middle)
    return drawn if round(high * scale) <= width else drawn[:-1] + "▸"
