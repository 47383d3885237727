"""A process that can write nowhere but below one folder: Landlock (landlock(7), Linux 5.13).

It restricts the calling thread and what it starts, needs no privileges, and cannot be taken off again. Where the kernel
knows more of it, TCP connections (6.7) and signals to processes outside (6.12) are refused too. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on all machines."""
_VERSION_FLAG, _BENEATH = 1, 1
_WRITE_FILE = 1 << 1
_BY_VERSION = {1: _WRITE_FILE | sum(1 << bit for bit in range(4, 13)), 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""Rights that change files (write, remove, make; refer; truncate; device controls) by the version that has them."""
_NETWORK_VERSION, _BIND_AND_CONNECT = 4, 3
_SCOPE_VERSION, _SOCKETS_AND_SIGNALS = 6, 3
_FILE_RIGHTS = _WRITE_FILE | 1 << 14 | 1 << 15
_DEVICES = ("/dev/null",)


def landlock_version() -> int:
    """What the kernel speaks; 0: nothing."""
    found = _call(_CREATE, None, 0, _VERSION_FLAG)
    return max(0, found)


def write_only_below(folder: Path) -> int:
    """From now on this thread changes nothing outside of `folder` (reading stays free); the version that was used.

    Raises
    ------
    OSError
        The kernel has no Landlock, or it is switched off.
    """
    version = landlock_version()
    if version < 1:
        raise OSError(ctypes.get_errno(), "the kernel has no Landlock")
    rights = sum(bits for since, bits in _BY_VERSION.items() if version >= since)
    network = _BIND_AND_CONNECT if version >= _NETWORK_VERSION else 0
    scoped = _SOCKETS_AND_SIGNALS if version >= _SCOPE_VERSION else 0
    given = struct.pack("=QQQ", rights, network, scoped)
    size = 24 if version >= _SCOPE_VERSION else 16 if version >= _NETWORK_VERSION else 8
    rules = _call(_CREATE, ctypes.c_char_p(given), size, 0)
    if rules < 0:
        raise OSError(ctypes.get_errno(), "Landlock makes no rules")
    try:
        _allow(rules, str(folder), rights)
        for device in _DEVICES:
            _allow(rules, device, rights & _FILE_RIGHTS)
        if _call(_RESTRICT_SELF, rules, 0) < 0:
            raise OSError(ctypes.get_errno(), "Landlock does not restrict this process")
    finally:
        os.close(rules)
    return version


def _allow(rules: int, path: str, rights: int) -> None:
    where = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, where)
        if _call(_ADD_RULE, rules, _BENEATH, ctypes.c_char_p(rule), 0) < 0:
            raise OSError(ctypes.get_errno(), f"Landlock takes no rule for {path}")
    finally:
        os.close(where)


def _call(*arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return int(libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)))
