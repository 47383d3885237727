"""Why a movie is no good, in SQL: of several reasons the first (`models/session_verdict`).

The condition is on the tables `m` (movies), `c` (ctf), `q` (quality) and `k` (named_causes); ice counts where it is
surely thicker than the limit.
"""

from __future__ import annotations

from frazil.daemon.store.movie_states import rejected
from frazil.daemon.store.queries.named_query import Param
from frazil.models.records import MovieState
from frazil.models.session_verdict.records import Fault

FAULT = (
    f"CASE WHEN m.state = '{MovieState.QUARANTINED.value}' THEN '{Fault.SET_ASIDE.value}' "
    f"WHEN k.ice_nm - k.ice_sd_nm > $ice_nm THEN '{Fault.ICE.value}' "
    f"WHEN q.motion_early_angstrom > $early_motion_angstrom THEN '{Fault.DRIFT.value}' "
    "WHEN c.movie_id IS NOT NULL AND coalesce(c.fit_resolution_angstrom > $ctf_fit_angstrom, true) "
    f"THEN '{Fault.CTF.value}' "
    f"WHEN {rejected('m')} THEN '{Fault.REJECTED.value}' END"
)
"""A value of `Fault`; NULL: a good movie."""
FAULT_LIMITS = {
    "ctf_fit_angstrom": Param(float, 6.0, setting="verdict.ctf_fit_angstrom"),
    "early_motion_angstrom": Param(float, 8.0, setting="verdict.early_motion_angstrom"),
    "ice_nm": Param(float, 150.0, setting="verdict.ice_nm"),
}
"""Left out, they are the session's own: a square is as good in a query as in the verdict."""
