"""Units for systemd, with the paths of an installation. Those in packaging/systemd are made by this module, too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_HARDENING = """\
# What a session does not need. It starts processes of its own (Ray), maps memory that is compiled at run time (numba,
# torch) and may use GPUs: MemoryDenyWriteExecute, PrivateDevices and a filter of system calls would stop it.
NoNewPrivileges=yes
ProtectSystem=strict
ReadOnlyPaths={root}
ReadWritePaths={sessions} /tmp
PrivateTmp=no
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
# Sessions' folders have setgid, so that their group is the acquisition's.
RestrictSUIDSGID=no
RestrictRealtime=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
CapabilityBoundingSet={capabilities}
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """What the units name."""

    frazil: str
    """The command, with its path."""
    root: Path
    sessions: Path
    rules: Path
    user: str = "frazil"


def serve_unit(to: Installation) -> str:
    """`frazil-serve.service`."""
    return f"""\
# Made by `frazil serve --print-unit`: sessions for new acquisitions, by themselves (docs/serve.md).
[Unit]
Description=frazil: live processing of each new cryo-EM acquisition
After=network-online.target remote-fs.target
Wants=network-online.target
RequiresMountsFor={to.root} {to.sessions}

[Service]
Type=notify
User={to.user}
ExecStart={to.frazil} serve {to.root} --sessions {to.sessions} --rules {to.rules}
Restart=on-failure
RestartSec=10
# Sessions outlive a serve that dies and are taken up by the next one. `systemctl stop` reaches serve, which asks its
# sessions to end and waits for them.
KillMode=process
TimeoutStopSec=150
# Room for the sockets of the sessions, and for what numba has compiled.
CacheDirectory=frazil
Environment=NUMBA_CACHE_DIR=/var/cache/frazil
RuntimeDirectory=frazil-serve
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
Environment=XDG_RUNTIME_DIR=/run/frazil-serve
Environment=PYTHONUNBUFFERED=1
{_hardening(to)}
[Install]
WantedBy=multi-user.target
"""


def watch_unit(to: Installation) -> str:
    """`frazil-watch@.service`: one session that a person sets up; `%i` is the name of its folder in both places."""
    return f"""\
# One session: `systemctl start frazil-watch@NAME` processes {to.root}/NAME into {to.sessions}/NAME (docs/serve.md).
[Unit]
Description=frazil: live processing of %I
After=network-online.target remote-fs.target
Wants=network-online.target
RequiresMountsFor={to.root} {to.sessions}

[Service]
Type=exec
User={to.user}
# Settings of this session, as FRAZIL_SECTION__KEY=VALUE and FRAZIL_PRESET=NAME.
EnvironmentFile=-/etc/frazil/watch/%i.env
ExecStart={to.frazil} watch {to.root}/%I --session {to.sessions}/%I
# 1: a failure that another start may mend; 2: asked wrongly, which it will not.
Restart=on-failure
RestartPreventExitStatus=2
RestartSec=10
KillMode=mixed
TimeoutStopSec=120
CacheDirectory=frazil
Environment=NUMBA_CACHE_DIR=/var/cache/frazil
RuntimeDirectory=frazil-watch-%i
RuntimeDirectoryMode=0700
Environment=XDG_RUNTIME_DIR=/run/frazil-watch-%i
Environment=PYTHONUNBUFFERED=1
{_hardening(to)}
[Install]
WantedBy=multi-user.target
"""


def _hardening(to: Installation) -> str:
    """Root may give a session's folder to the acquisition's owner; another account needs nothing for its own groups."""
    capabilities = "CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE" if to.user == "root" else ""
    return _HARDENING.format(root=to.root, sessions=to.sessions, capabilities=capabilities)
