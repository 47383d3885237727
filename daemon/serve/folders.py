"""The folder of a session that serve starts: its name, whom it belongs to and who may look into it."""

from __future__ import annotations

import os
import re
import stat as stat_module
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import UsageError

_READ_BITS = 0o444
_ALL_BITS, _GROUP_BITS, _OTHER_BITS = 0o777, 0o070, 0o007


@dataclass(frozen=True, slots=True)
class Access:
    """Who may look into a session."""

    folder_mode: int
    """With setgid: what is made in it belongs to its group."""
    owner: int | None = None
    """None: as the process that makes it."""
    group: int | None = None
    problem: str = ""
    """Why it is not as the acquisition's folder has it."""

    @property
    def umask(self) -> int:
        """Of the process that writes into the folder."""
        return ~self.folder_mode & _ALL_BITS

    @property
    def file_mode(self) -> int:
        """Of a file that may be read by whom the folder may."""
        return (self.folder_mode & _READ_BITS) | 0o600


def session_name(folder: Path, taken: Container[str]) -> str:
    """A name for the session of this acquisition: its folder's, with that of the folder around it where that is taken,
    with a number where both are. Only letters, digits, `.`, `_` and `-`; never hidden.

    >>> session_name(Path("/data/krios1/apo 1"), ()), session_name(Path("/data/krios1/apo 1"), ("apo-1",))
    ('apo-1', 'krios1_apo-1')
    >>> session_name(Path("/data/krios1/apo"), ("apo", "krios1_apo", "krios1_apo-2"))
    'krios1_apo-3'
    """
    own, around = (_plain(name) for name in (folder.name, folder.parent.name))
    names = [own, f"{around}_{own}"]
    number = 2
    while names[0] in taken:
        names.pop(0)
        if not names:
            names.append(f"{around}_{own}-{number}")
            number += 1
    return names[0]


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "acquisition"


def access_of(acquisition: Path, root: Path, *, as_acquisition: bool) -> Access:
    """Who may look into the acquisition, and so into its session, as far as this account can give it; or as the
    process's umask has it.

    A folder between `root` and the acquisition may be closed, too: its group is then the one that counts. Where the
    group cannot be given, its bits are left off: nobody is let in who may not see the acquisition. Access lists (ACL)
    are not looked at. Raises `UsageError` where a folder cannot be looked at.
    """
    if not as_acquisition:
        umask = os.umask(0o077)
        os.umask(umask)
        return Access(_ALL_BITS & ~umask)
    mode, owner, group = _visible_to(acquisition, root)
    if os.geteuid() == 0:
        return Access(mode | stat_module.S_ISGID, owner, group)
    if group in (os.getegid(), *os.getgroups()):
        return Access(mode | stat_module.S_ISGID, None, group)
    problem = f"this account is not in the group {group} of {acquisition}, which cannot look into the session"
    return Access(mode & ~_GROUP_BITS, problem=problem)


def _visible_to(acquisition: Path, root: Path) -> tuple[int, int, int]:
    """Mode, owner and group by which a folder elsewhere is open to no more people than the acquisition is."""
    try:
        own = os.stat(acquisition)
        around = [os.stat(folder) for folder in acquisition.parents if folder.is_relative_to(root)]
    except OSError as error:
        raise UsageError(f"cannot be looked at: {error.strerror}", path=acquisition) from error
    # A share of Windows is often open to writing for everybody; a database is not.
    mode, group = (own.st_mode & _ALL_BITS | 0o700) & ~stat_module.S_IWOTH, own.st_gid
    for folder in around:
        if folder.st_mode & stat_module.S_IXOTH:
            continue
        if folder.st_gid != group:
            mode = mode & ~_GROUP_BITS | (mode & _OTHER_BITS) << 3
            group = folder.st_gid
        if not folder.st_mode & stat_module.S_IXGRP:
            mode &= ~_GROUP_BITS
        mode &= ~_OTHER_BITS
    return mode, own.st_uid, group


def make_session_folder(session_dir: Path, access: Access) -> None:
    """Make it, or put right whom it belongs to. Never open to others for a moment. Raises OSError."""
    if not session_dir.exists():
        session_dir.mkdir(mode=0o700)
    if access.owner is not None or access.group is not None:
        owner, group = (-1 if number is None else number for number in (access.owner, access.group))
        os.chown(session_dir, owner, group)
    os.chmod(session_dir, access.folder_mode)  # after chown, which takes setgid away
