"""Acquisitions without a session: what there is of them, and whether a rule says how to begin."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from frazil.config.serving import ServeRules, Treatment
from frazil.daemon.serve.facts import Facts, facts_of, first_movie
from frazil.daemon.serve.finding import EPU_SESSION, contents_of
from frazil.daemon.serve.matching import DEFAULT, decide
from frazil.daemon.serve.records import Acquisition, State
from frazil.daemon.serve.roster import change

_OLD_AGAIN_S = 600.0
"""An old acquisition is looked at again so often: somebody may go on with it."""
_AGAIN_S = 60.0
"""A finished one, where it may go on."""
_NS = 1e9


class Candidates:
    """Remembers what it has read of each acquisition. `root`: the folder that is watched."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._facts: dict[str, Facts] = {}
        self._looked_s: dict[str, float] = {}

    def look(self, one: Acquisition, rules: ServeRules, now_utc_s: float) -> bool:
        """Look at it and put it into the state that follows; whether that says something new."""
        if one.state is State.OLD and now_utc_s - self._looked_s.get(one.folder, 0.0) < _OLD_AGAIN_S:
            return False
        self._looked_s[one.folder] = now_utc_s
        folder = Path(one.folder)
        facts = self._facts.get(one.folder)
        if facts is None or not facts.whole:
            contents = contents_of(folder)
            if now_utc_s - contents.newest_ns / _NS > rules.new_within_hours * 3600:
                return change(one, State.OLD, f"nothing has come for {rules.new_within_hours:g} h", now_utc_s)
            facts = self._read(one, folder, contents.movies, now_utc_s) or facts
        if facts is None and (one.needs_movie or not (folder / EPU_SESSION).is_file()):
            return change(one, State.SEEN, "no movie is complete yet", now_utc_s)
        return self._decide(one, folder, facts, rules, now_utc_s)

    def without_movie(self, one: Acquisition) -> bool:
        """Of a session that has ended: there was nothing to process."""
        return one.first_movie_utc_s is None and first_movie(contents_of(Path(one.folder)).movies) is None

    def goes_on(self, one: Acquisition, rules: ServeRules, now_utc_s: float) -> bool:
        """Whether something has come since its session finished."""
        old = now_utc_s - one.changed_utc_s > rules.new_within_hours * 3600
        if not rules.go_on or old or now_utc_s - self._looked_s.get(one.folder, 0.0) < _AGAIN_S:
            return False
        self._looked_s[one.folder] = now_utc_s
        return contents_of(Path(one.folder)).newest_ns / _NS > one.changed_utc_s

    def _read(self, one: Acquisition, folder: Path, movies: tuple[Path, ...], now_utc_s: float) -> Facts | None:
        """Again and again as long as something is missing: sidecars come late."""
        found = first_movie(movies)
        if found is None:
            return None
        one.first_movie_utc_s = one.first_movie_utc_s or now_utc_s
        facts = self._facts[one.folder] = facts_of(folder, *found)
        return facts

    def _decide(self, one: Acquisition, folder: Path, facts: Facts | None, rules: ServeRules, now_utc_s: float) -> bool:
        since_s = None if one.first_movie_utc_s is None else now_utc_s - one.first_movie_utc_s
        decision = decide(
            rules,
            str(folder.relative_to(self._root)),
            one.program,
            facts,
            last_word=since_s is not None and since_s >= rules.metadata_wait_s,
        )
        one.rule = decision.name
        if decision.treatment is None:
            return change(one, State.SEEN if decision.undecided else State.WAITS, decision.why, now_utc_s)
        pattern = decision.treatment.gain
        if pattern is not None and newest_gain(pattern, folder) is None:
            return change(one, State.SEEN, f"rule {one.rule}: there is no gain reference {pattern} yet", now_utc_s)
        return change(one, State.QUEUED, "", now_utc_s)


def newest_gain(pattern: str, acquisition: Path) -> Path | None:
    """The newest file that the pattern names; one that is not absolute is below the acquisition's folder."""
    found = []
    for name in glob.glob(os.path.join(glob.escape(str(acquisition)), os.path.expanduser(pattern)), recursive=True):
        try:
            found.append((os.stat(name).st_mtime_ns, name))
        except OSError:
            continue
    return Path(max(found)[1]) if found else None


def treatment_of(rules: ServeRules, name: str) -> Treatment | None:
    """Of a rule by its name; None: there is no such rule any more."""
    named: dict[str, Treatment] = {rule.name: rule for rule in rules.rules}
    if rules.default is not None:
        named.setdefault(DEFAULT, rules.default)
    return named.get(name)
