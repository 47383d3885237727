"""What kind of file system a folder lies on, and what that means for watching it.

inotify reports what the local kernel did. On a network mount the camera PC writes elsewhere, and nothing is reported
(watchdog issues 409, 504, 668), so there the scan alone finds the movies.
"""

from __future__ import annotations

import re
from pathlib import Path

_REMOTE = frozenset({
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "mmfs",
    "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf",
    "virtiofs", "vmhgfs", "wekafs",
})  # fmt: skip
_UNSTABLE_INODES = frozenset({"9p", "cifs", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "vmhgfs"})
"""Inode numbers that may differ after the next mount; `fuse.*` too."""
MOUNT_TABLE = Path("/proc/mounts")


def file_system_type(folder: Path, mount_table: str) -> str:
    """Type of the mount that holds `folder` (absolute, resolved); `unknown` if the table does not say."""
    best, best_length = "unknown", -1
    for line in mount_table.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        # The kernel writes blanks in paths as octal escapes.
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[1])
        # A later line covers an earlier one of the same place.
        if folder.is_relative_to(point) and len(point) >= best_length and fields[2] != "autofs":
            best, best_length = fields[2], len(point)
    return best


def read_mount_table() -> str:
    """The kernel's table; empty where there is none (not Linux)."""
    try:
        return MOUNT_TABLE.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def is_remote(file_system: str) -> bool:
    """Does another machine write here without this kernel knowing?"""
    return file_system in _REMOTE or file_system.startswith("fuse.")


def trusts_inodes(file_system: str) -> bool:
    """False: an inode number may change although the file did not."""
    return file_system not in _UNSTABLE_INODES and not file_system.startswith("fuse.")
