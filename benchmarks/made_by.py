"""By which code a file of figures was made: said in the file itself, as `made_by`.

`frazil` is the version, `benchmark` a hash of the Python files of the benchmark's own package, `commit` git's name of
the code where there is a git folder, with `+` where files were changed and not committed.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def hash_of(module: str) -> str:
    """Twelve hex digits over the Python files of the package that a benchmark's module (`motion.truth`) lies in."""
    package = HERE / module.split(".", maxsplit=1)[0]
    told = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        told.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return told.hexdigest()[:12]


def _commit() -> str | None:
    found = []
    for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--untracked-files=no")):
        try:
            told = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        found.append(told.stdout.strip())
    return found[0] + ("+" if found[1] else "")


def record(figures: Path, module: str, since_ns: int) -> None:
    """Adds `made_by` to a benchmark's file of figures, a JSON object, if it was written since then (ns since 1970).

    A run that ends before it writes leaves the file of an earlier one: that one is not signed.
    """
    if not figures.exists() or figures.stat().st_mtime_ns < since_ns:
        return
    told = json.loads(figures.read_text(encoding="utf-8"))
    if not isinstance(told, dict):
        return
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told["made_by"] = {"frazil": project["version"], "benchmark": hash_of(module), "commit": _commit()}
    figures.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
