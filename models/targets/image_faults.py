"""What images show to be wrong with holes, as features of the belief: 0 for every hole that nothing is wrong with.

Shares of a clean hole scatter by counting alone: as columns of their own they would only add noise to what is expected
of it (docs/decisions/0043).
"""

from __future__ import annotations

DARK, EDGE = "image_dark_share", "image_edge_missing_share"
_CLEAN_DARK, _WHOLE_RING = 0.08, 0.4
"""Up to here, and from here on, a hole looks as others do."""


def fault_features(dark_share: float | None, ring_share: float | None) -> dict[str, float]:
    """Value by name; what is not known is not in it.

    >>> fault_features(0.02, 0.9)
    {'image_dark_share': 0.0, 'image_edge_missing_share': 0.0}
    >>> fault_features(0.3, 0.25)
    {'image_dark_share': 0.3, 'image_edge_missing_share': 0.75}
    """
    found = {}
    if dark_share is not None:
        found[DARK] = dark_share if dark_share > _CLEAN_DARK else 0.0
    if ring_share is not None:
        found[EDGE] = 1.0 - ring_share if ring_share < _WHOLE_RING else 0.0
    return found
