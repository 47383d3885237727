"""Lean 4 where it is installed: claims as a file of theorems, settled by one process.

With `lake` and LeanDojo the file is a git project that LeanDojo pins (`LeanGitRepo`) and whose obligations it names
(`Theorem`), and `lake env lean --json` settles them. Without them `lean --json` reads the same file. LeanDojo's own
`check_proof` is not used: it takes a proof by `sorry` for one with Lean 4.28 and looks at no axioms
(docs/decisions/0017).
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from frazil.actors.prover_process import Ended, run_limited
from frazil.models.evaluation.logic.proving import lean
from frazil.models.evaluation.logic.proving.outcome import Outcome, unknown
from frazil.models.evaluation.logic.statements import Claim

_FILE = "Claims.lean"
_LAKEFILE = 'name = "claims"\ndefaultTargets = ["Claims"]\n\n[[lean_lib]]\nname = "Claims"\n'


def described() -> tuple[bool, str]:
    """Whether Lean works here, and its version or why not."""
    program = shutil.which("lean")
    if program is None:
        return False, "lean is not installed"
    ended = run_limited([program, "--version"], seconds=30, memory_mib=8192)
    if ended.code != 0 or "version" not in ended.printed:
        return False, "lean is there but has no toolchain (`lean --version` fails)"
    text = ended.printed.splitlines()[0]
    return True, text if shutil.which("lake") else f"{text}, without lake"


def settle(claims: Sequence[Claim], *, seconds: float, memory_mib: int) -> tuple[Outcome, ...]:
    """All claims, some tens a file; `seconds` for each file."""
    works, version = described()
    if not works:
        return unknown(len(claims), version)
    outcomes: list[Outcome] = []
    for first in range(0, len(claims), lean.MOST_CLAIMS):
        part = claims[first : first + lean.MOST_CLAIMS]
        text = lean.script(part)
        with tempfile.TemporaryDirectory(prefix="frazil-lean-") as folder:
            ended = _check(Path(folder), text, version, seconds=seconds, memory_mib=memory_mib)
        if ended.reason is not None:
            outcomes += unknown(len(part), ended.reason)
        else:
            # Some claims are false, so that 1 is the rule; anything else is no judgement about theorems.
            outcomes += lean.read_answers(part, text, ended.printed, finished=ended.code in (0, 1))
    return tuple(outcomes)


def _check(folder: Path, text: str, version: str, *, seconds: float, memory_mib: int) -> Ended:
    (folder / _FILE).write_text(text, encoding="utf-8")
    found = re.search(r"version (\d+\.\d+\.\d+)", version)
    if shutil.which("lake") and found is not None:
        project = _pinned(folder, text, f"leanprover/lean4:v{found.group(1)}")
        if project is not None:
            command = ["lake", "env", "lean", "--json", _FILE]
            ended = run_limited(command, folder=project, seconds=seconds, memory_mib=memory_mib)
            shutil.rmtree(project, ignore_errors=True)
            if ended.code in (0, 1) and '"severity"' in ended.printed:
                return ended
    return run_limited(["lean", "--json", _FILE], folder=folder, seconds=seconds, memory_mib=memory_mib)


@lru_cache(maxsize=1)
def _cache() -> tempfile.TemporaryDirectory[str]:
    """LeanDojo's cache, for as long as this process lives."""
    return tempfile.TemporaryDirectory(prefix="frazil-leandojo-")


def _pinned(folder: Path, text: str, toolchain: str) -> Path | None:
    """LeanDojo's own copy of the project at its commit; None: LeanDojo cannot be used here."""
    project = folder / "project"
    project.mkdir()
    (project / "lean-toolchain").write_text(f"{toolchain}\n")
    (project / "lakefile.toml").write_text(_LAKEFILE)
    (project / _FILE).write_text(text, encoding="utf-8")
    git = ["git", "-c", "user.name=frazil", "-c", "user.email=frazil@localhost", "-c", "commit.gpgsign=false"]
    # Read once, when LeanDojo is imported: no question to its remote cache, its copies here, no Ray of its own.
    os.environ.update(DISABLE_REMOTE_CACHE="1", CACHE_DIR=_cache().name, NUM_PROCS="2")
    try:
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "claims"]):
            subprocess.run([*git, *arguments], cwd=project, check=True, capture_output=True, timeout=30)
        # With a token it asks GitHub who one is, while it is imported.
        os.environ.pop("GITHUB_ACCESS_TOKEN", None)
        import lean_dojo

        repo = lean_dojo.LeanGitRepo.from_path(str(project))
        theorems = [lean_dojo.Theorem(repo, _FILE, f"Claims.{name}") for name in lean.theorem_names(text)]
        copy = Path(repo.repo.working_dir)
        repo.repo.close()
        _forget_repositories()
        if (copy / _FILE).read_text(encoding="utf-8") != text or not theorems:
            return None
    except Exception:  # the library's boundary: it raises what git, its cache and the network do; Lean works without
        return None
    return copy


def _forget_repositories() -> None:
    """LeanDojo remembers every repository that it opened, and each goes on holding a `git cat-file` that runs.

    It opens more of them than it hands out (the copy, its commit), so that all are looked for: one that is only
    forgotten ends when Python collects it, in the middle of something else.
    """
    import git
    from lean_dojo.data_extraction import lean as opened

    for held in gc.get_objects():
        if type(held) is git.Repo:
            held.close()
    opened.url_to_repo.cache_clear()
    opened._to_commit_hash.cache_clear()
