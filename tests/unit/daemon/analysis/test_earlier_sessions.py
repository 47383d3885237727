"""A new session starts with what earlier ones of the instrument taught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from frazil.daemon.analysis.earlier_sessions import last_prior, session_folders, starting_prior
from frazil.daemon.store.rows import PriorRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.models.causal import counts
from frazil.models.causal.prior import PriorSnapshot, packed, physics_prior


def _taught(ln_count_loss: float) -> PriorSnapshot:
    """As if a session had measured its camera well."""
    weight = -0.5 * ((counts.LN_COUNT_LOSS - ln_count_loss) / 0.2) ** 2
    belief = physics_prior().count_belief() + weight[:, None, None]
    return replace(physics_prior(), version=6, movie_count=30, count_weights=packed(belief))


def _write(folder: Path, *snapshots: PriorSnapshot) -> Path:
    folder.mkdir()
    with Store.open(folder, now_utc_us=1) as store:
        for snapshot in snapshots:
            state = msgspec.json.encode(snapshot).decode()
            row = PriorRow(snapshot.version, 1, snapshot.movie_count, (), (), (), state, "h", "1")
            store.submit(session_writes.record_prior, row).result()
    return folder


def test_sessions_of_the_instrument_narrow_what_the_next_one_starts_with(tmp_path: Path) -> None:
    for number in range(3):
        _write(tmp_path / f"night{number}", replace(_taught(0.0), version=5), _taught(np.log(0.02)))
    start = starting_prior([str(tmp_path / "night*")], session_dir=tmp_path / "new")
    _, _, ln_g, sd = counts.zero_and_loss(start.count_belief())
    assert ln_g == pytest.approx(np.log(0.02), abs=0.35)
    assert sd < 0.5
    assert start.version == 0


def test_the_newest_version_of_a_session_speaks(tmp_path: Path) -> None:
    newest = _taught(np.log(0.02))
    folder = _write(tmp_path / "a", replace(newest, version=2), newest)
    assert last_prior(folder) == newest


def test_a_session_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "session.duckdb").write_bytes(b"no database")
    _write(tmp_path / "empty")
    assert starting_prior([str(tmp_path / "*"), "/nowhere/at/all"], session_dir=tmp_path / "x") == physics_prior()


def test_a_session_does_not_learn_from_itself(tmp_path: Path) -> None:
    folder = _write(tmp_path / "night", _taught(np.log(0.02)))
    assert list(session_folders([str(tmp_path / "*")], folder)) == []
