"""What images say of holes, as features of the belief about them: read from the store, so that a round without a daemon
knows the same."""

from __future__ import annotations

from frazil.daemon.store.store import Store
from frazil.models.targets.features import ICE_NM, ICE_SD_NM
from frazil.models.targets.image_faults import fault_features

_SQL = """
SELECT hole_id, i.ice_nm, i.ice_sd_nm, h.dark_share, h.ring_share
FROM hole_images h LEFT JOIN hole_ice i USING (hole_id)
"""


def image_features(store: Store) -> dict[str, dict[str, float]]:
    """Value by name, by hole; what is not known is not in it. Raises what `Store.rows` raises."""
    found: dict[str, dict[str, float]] = {}
    for hole_id, ice_nm, ice_sd_nm, dark_share, ring_share in store.rows(_SQL):
        known = fault_features(dark_share, ring_share)
        if ice_nm is not None and ice_sd_nm is not None:
            known |= {ICE_NM: float(ice_nm), ICE_SD_NM: float(ice_sd_nm)}
        found[str(hole_id)] = known
    return found
