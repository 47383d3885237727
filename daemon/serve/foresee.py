"""What `frazil serve` would do with each acquisition that is there now; nothing is started or written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from frazil.config.serving import ServeRules
from frazil.daemon.serve.candidates import Candidates
from frazil.daemon.serve.finding import find_acquisitions
from frazil.daemon.serve.matching import PROGRAM_WORDS
from frazil.daemon.serve.records import Acquisition, State


def foresee(root: Path, sessions_dir: Path, rules: ServeRules) -> Iterator[str]:
    """One line an acquisition, as if its metadata were all there."""
    rules = rules.model_copy(update={"metadata_wait_s": 0.0})
    look = find_acquisitions(root, exclude=(sessions_dir,), patterns=rules.folders)
    candidates = Candidates(root)
    for found in look.found:
        one = Acquisition(folder=str(found.folder), program=found.program, session=found.folder.name)
        candidates.look(one, rules, time.time())
        what = f"a session by rule {one.rule}" if one.state is State.QUEUED else f"{one.state}: {one.why}"
        yield f"{found.folder} ({PROGRAM_WORDS[found.program]}): {what}"
    yield f"{len(look.found)} acquisitions below {root}; the rules are in order"
    if look.unreadable:
        yield f"{look.unreadable} folders may not be read by this account"
