"""A filter of system calls for one process: no sockets, no new processes, no hands on other processes.

seccomp (Drewry 2012; seccomp(2)) runs a small program of the classic Berkeley packet filter before every call. It needs
no privileges once the process has given up gaining any, and it cannot be taken off again. Standard library only: the
process that it is put on has nothing else loaded yet.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Byte offsets in `struct seccomp_data`; the low half of an argument comes first on both machines."""
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000
"""Calls of the x32 form have this bit: the same calls by other numbers."""

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CALLS: dict[str, dict[str, int]] = {
    "x86_64": {
        "socket": 41, "connect": 42, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62,
        "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101, "mount": 165, "reboot": 169,
        "init_module": 175, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "tkill": 200, "tgkill": 234,
        "kexec_load": 246, "fchownat": 260, "fchmodat": 268, "unshare": 272, "perf_event_open": 298, "setns": 308,
        "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313, "bpf": 321, "execveat": 322,
        "pidfd_send_signal": 424, "io_uring_setup": 425, "clone3": 435, "pidfd_getfd": 438, "fchmodat2": 452,
    },
    "aarch64": {
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "mount": 40, "fchmod": 52, "fchmodat": 53, "fchownat": 54,
        "fchown": 55, "unshare": 97, "kexec_load": 104, "init_module": 105, "ptrace": 117, "kill": 129, "tkill": 130,
        "tgkill": 131, "reboot": 142, "socket": 198, "socketpair": 199, "connect": 203, "clone": 220, "execve": 221,
        "perf_event_open": 241, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "finit_module": 273,
        "bpf": 280, "execveat": 281, "pidfd_send_signal": 424, "io_uring_setup": 425, "clone3": 435,
        "pidfd_getfd": 438, "fchmodat2": 452,
    },
}  # fmt: skip
"""Numbers of the calls that are looked at (linux/unistd.h of each machine). io_uring makes sockets past any filter."""
_ONLY_ITSELF = ("kill", "tgkill")
"""A process may end itself (abort), and nobody else."""


def filter_program(machine: str, pid: int) -> bytes:
    """The filter as an array of `struct sock_filter`; a call that it refuses fails with EPERM.

    Raises
    ------
    KeyError
        The numbers of this machine's calls are not known.
    """
    calls = CALLS[machine]
    refuse = _step(_RETURN, _REFUSE | errno.EPERM)
    allow = _step(_RETURN, _ALLOW)
    program = [_step(_LOAD, _ARCHITECTURE), _step(_EQUAL, _AUDIT[machine], 1, 0), refuse, _step(_LOAD, _NUMBER)]
    if machine == "x86_64":
        program += [_step(_AT_LEAST, _X32, 0, 1), refuse]
    for name, number in calls.items():
        if name == "clone":  # threads are welcome
            program += [
                _step(_EQUAL, number, 0, 4),
                _step(_LOAD, _FIRST_ARGUMENT),
                _step(_ANY_BIT, _CLONE_THREAD, 0, 1),
                allow,
                refuse,
            ]
        elif name == "clone3":  # its flags lie in memory, which a filter cannot read: the C library then takes clone
            program += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _REFUSE | errno.ENOSYS)]
        elif name in _ONLY_ITSELF:
            program += [
                _step(_EQUAL, number, 0, 4),
                _step(_LOAD, _FIRST_ARGUMENT),
                _step(_EQUAL, pid, 0, 1),
                allow,
                refuse,
            ]
        else:
            program += [_step(_EQUAL, number, 0, 1), refuse]
    return b"".join([*program, allow])


def _step(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jump_true, jump_false, value)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def give_up_privileges() -> None:
    """From now on no program that is started has more rights than this one. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs is not to be had")


def put_filter_on() -> None:
    """For this thread and all that it starts, for good; `give_up_privileges` comes first.

    Raises
    ------
    OSError
        The kernel has no such filters, or the machine's calls are not known.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        program = filter_program(platform.machine(), os.getpid())
    except KeyError:
        raise OSError(errno.ENOSYS, f"the system calls of {platform.machine()} are not known") from None
    steps = ctypes.create_string_buffer(program, len(program))
    given = _Program(len(program) // 8, ctypes.cast(steps, ctypes.c_void_p))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(given), 0, 0):
        raise OSError(ctypes.get_errno(), "the filter of system calls was not taken")
