"""Where functions are compiled by numba: nothing else in the package, but `formats/unaligned.py`, knows of it.

Compiled code is kept beside the sources or, where that folder cannot be written, in the user's cache folder
(`NUMBA_CACHE_DIR` overrides both). What is kept is only made anew when the file of the function itself changes: after a
change of a constant or function that it imports from elsewhere (`interpolation.py`, `unaligned.py`, this file), delete
`__pycache__/*.nb?` there. Where neither can be written each process compiles for itself, some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be reordered and fused, so that they become vector instructions; NaN and infinity keep their meaning.
_RELAXED = {"reassoc", "contract", "nsz"}


def compiled(function: Function) -> Function:
    """Machine code on first use, without the interpreter's lock; one version for each combination of types."""
    try:
        made = numba.njit(nogil=True, fastmath=_RELAXED, cache=True)(function)
    except RuntimeError:  # numba found no folder that it may write to
        made = numba.njit(nogil=True, fastmath=_RELAXED)(function)
    return cast(Function, made)
