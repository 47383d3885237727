"""What is foretold of other thresholds is what happens when they are put in force."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from frazil.config.cuts import CUT_METRICS, parse_cut
from frazil.config.errors import SettingsError, WriteError
from frazil.config.loading import settings_to_yaml
from frazil.config.settings import Settings, ThresholdSettings
from frazil.daemon.changes.apply import Judged, put_in_force
from frazil.daemon.changes.thresholds import effect_of, judge_again
from frazil.daemon.changes.what_if import facts_of_row, to_lines, what_if, with_thresholds
from frazil.daemon.session import folder
from frazil.daemon.session.thresholds import facts_of, rejection_reason
from frazil.daemon.store import rebuild
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.rows import FeedbackRow, GainRow, MovieRow, ReconstructionRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.models.reconstruction.resolution.forecast import ssnr_of
from frazil.models.reconstruction.resolution.fsc import FscCurve
from frazil.models.records import ASTIGMATISM_UNCERTAIN, CausalLosses, LocalMotion, MovieResult

NAN = float("nan")
TRIED = (
    ThresholdSettings(),
    ThresholdSettings(max_ctf_fit_resolution_angstrom=4.5),
    ThresholdSettings(max_ctf_fit_resolution_angstrom=None, max_astigmatism_angstrom=200.0),
    ThresholdSettings(max_total_motion_angstrom=12.0, max_ice_ring_density=0.5),
    ThresholdSettings(min_defocus_um=1.2, max_defocus_um=1.8),
    ThresholdSettings(cuts=("particle_count >= 20", "relative_ice_thickness <= 1.2")),
    *(ThresholdSettings(cuts=(f"{name} {sign} 1.0",)) for name, sign in itertools.product(CUT_METRICS, ("<=", ">="))),
)


def random_result(put_like: MovieResult, number: int) -> MovieResult:
    rng = np.random.default_rng(number)

    def or_nan(value: float) -> float:
        return NAN if rng.random() < 0.2 else value

    u = rng.uniform(8000, 25_000)
    flag = str(rng.choice(["", "", "", "no rings", ASTIGMATISM_UNCERTAIN]))
    picks = int(rng.integers(0, 60))
    places = tuple(np.arange(picks, dtype=float).tolist())
    return replace(
        put_like,
        movie_id=f"m{number:03d}",
        shifts=replace(
            put_like.shifts,
            total_angstrom=or_nan(rng.uniform(1, 30)),
            early_angstrom=or_nan(rng.uniform(0, 3)),
            late_angstrom=rng.uniform(0, 20),
        ),
        local_motion=None
        if rng.random() < 0.5
        else LocalMotion((0.0,) * 18, (0.0,) * 18, 5, 5, float(rng.uniform(0, 2)), accepted=True),
        ctf=replace(
            put_like.ctf,
            defocus_u_angstrom=u,
            defocus_v_angstrom=u - rng.uniform(0, 6000 if number % 5 else 300),
            fit_resolution_angstrom=None if flag == "no rings" else rng.uniform(3, 12),
            ice_ring_density=or_nan(rng.uniform(0, 2)),
            score=rng.uniform(0, 1),
            phase_shift_deg=rng.uniform(0, 2),
            tilt_angle_deg=None if rng.random() < 0.5 else rng.uniform(0, 40),
            reliable=not flag,
            flag=flag,
        ),
        quality=replace(
            put_like.quality,
            relative_ice_thickness=None if rng.random() < 0.2 else rng.uniform(0, 2),
            fixed_pattern=rng.uniform(-1, 2),
        ),
        picks=replace(put_like.picks, x_px=places, y_px=places, score=(0.9,) * picks),
        losses=CausalLosses(
            ("motion", "ice", "aberrations"),
            (0.1, 0.2, 0.3),
            tuple((float(x), float(x), 2 * float(x)) for x in rng.uniform(0, 1.5, 3)),
            ((0.1,) * 3,) * 3,
            prior_version=0,
        ),
    )


@pytest.fixture
def results(store: Store, put: Any) -> list[MovieResult]:
    """Sixty processed movies of all kinds, judged by the default thresholds."""
    made = []
    pattern = put(999)
    store.submit(lambda c: c.execute("UPDATE movies SET state = 'outdated'")).result()
    for number in range(60):
        result = random_result(pattern, number)
        row = MovieRow(result.movie_id, f"{number}.tif", 0, number, sequence=number, stem=str(number))
        stored = StoredResult(row, result, 10 + number, 1.0, rejection_reason(result, ThresholdSettings()))
        store.submit(rebuild.adopt, stored)
        made.append(result)
    store.flush()
    return made


def states(store: Store) -> dict[str, tuple[str, str | None]]:
    rows = store.sql("SELECT movie_id, state, rejection_reason FROM movies WHERE state <> 'outdated'").as_dicts()
    return {str(row["movie_id"]): (str(row["state"]), row["rejection_reason"]) for row in rows}  # type: ignore[misc]


def test_the_store_says_of_a_movie_what_the_worker_said(store: Store, results: list[MovieResult]) -> None:
    rows = {row["movie_id"]: row for row in store.named("threshold_facts").as_dicts()}
    for result in results:
        ours, theirs = facts_of(result), facts_of_row(rows[result.movie_id])
        assert (ours.reliable, ours.flag or "") == (theirs.reliable, theirs.flag or "")
        for name in CUT_METRICS:
            want = ours.metrics[name]
            want = None if want is None or np.isnan(want) else want
            assert theirs.metrics[name] == (None if want is None else pytest.approx(want, rel=1e-14)), name


def test_what_if_agrees_with_what_happens(store: Store, results: list[MovieResult]) -> None:
    by_person = [("m003", "reject", 3), ("m010", "accept", 4), ("m011", "accept", 5)]
    for movie_id, verdict, at in by_person:
        store.submit(session_writes.record_feedback, FeedbackRow(movie_id, at, verdict, "me", movie_id)).result()
    for thresholds in TRIED:  # each from where the one before has led
        before, foretold = states(store), effect_of(store, thresholds)
        done = store.submit(judge_again, thresholds).result()
        after = states(store)
        assert done == (len(foretold.rejected), len(foretold.kept_again)), thresholds
        moved = {movie_id for movie_id in before if before[movie_id][0] != after[movie_id][0]}
        assert moved == {change.movie_id for change in (*foretold.rejected, *foretold.kept_again)}
        assert {c.movie_id: ("rejected", c.reason) for c in foretold.rejected}.items() <= after.items()
        kept = [r for r in results if after[r.movie_id][0] == "ready"]
        assert foretold.movies_kept_after == len(kept)
        assert foretold.particles_after == sum(len(r.picks.x_px) for r in kept)
        assert foretold.by_hand == 3
        for result in results:
            if result.movie_id not in {movie_id for movie_id, _, _ in by_person}:
                reason = rejection_reason(result, thresholds)
                assert after[result.movie_id] == (("ready", None) if reason is None else ("rejected", reason))
        assert store.submit(judge_again, thresholds).result() == (0, 0)


def test_short_answers_of_the_store_leave_no_movie_out(store: Store, results: list[MovieResult]) -> None:
    strict = ThresholdSettings(max_ctf_fit_resolution_angstrom=5.0)
    want = effect_of(store, strict)
    store.close()
    with Store.open(store.session_dir, now_utc_us=1, query_max_rows=7) as short:
        assert effect_of(short, strict) == want
    assert want.movies_kept_before + len(want.kept_again) > 7


def test_thresholds_are_put_in_force_wholly_or_not_at_all(store: Store, results: list[MovieResult]) -> None:
    old = Settings()
    row = SessionRow("s", "s", "/raw", 1, settings_to_yaml(old), "0")
    store.submit(session_writes.create_session, row).result()
    new = old.model_copy(update={"thresholds": ThresholdSettings(max_ctf_fit_resolution_angstrom=5.0)})
    file = store.session_dir / folder.SETTINGS_FILE

    def text() -> object:
        return store.named("session").as_dicts()[0]["settings_yaml"]

    before = states(store)
    file.mkdir()  # no file can take its place
    with pytest.raises(OSError, match="directory"):
        put_in_force(store, store.session_dir, new, before=old)
    assert (states(store), text()) == (before, settings_to_yaml(old))
    file.rmdir()
    foretold = effect_of(store, new.thresholds)
    done = put_in_force(store, store.session_dir, new, before=old)
    assert done == Judged(set_aside=len(foretold.rejected), kept_again=len(foretold.kept_again)) != Judged(0, 0)
    assert states(store) != before
    assert file.read_text(encoding="utf-8") == text() == settings_to_yaml(new)
    connection_fails = Settings(thresholds=ThresholdSettings(max_ctf_fit_resolution_angstrom=4.0))
    store.submit(lambda c: c.execute("ALTER TABLE movies RENAME rejection_reason TO elsewhere")).result()
    with pytest.raises(WriteError):
        put_in_force(store, store.session_dir, connection_fails, before=new)
    assert file.read_text(encoding="utf-8") == text() == settings_to_yaml(new)


def test_worse_particles_cost_the_map_less_than_their_number(store: Store, results: list[MovieResult]) -> None:
    gains = tuple(GainRow(g, 4.0 / g**0.2 - 0.3, 4.0 / g**0.2, 4.0 / g**0.2 + 0.3) for g in (0.1, 0.5, 1.0, 2.0))
    row = ReconstructionRow(1, 5, 60, 999, "C1", resolution_0143_angstrom=4.1, gains=gains)
    store.submit(session_writes.record_reconstruction, row).result()
    found = effect_of(store, ThresholdSettings(max_ctf_fit_resolution_angstrom=5.0))
    assert found.map is not None
    assert found.share_of_signal is not None
    assert found.map.resolution_from_angstrom == 4.1
    assert found.map.best_angstrom < found.map.resolution_to_angstrom < found.map.worst_angstrom
    assert found.map.resolution_to_angstrom > 4.1
    same = effect_of(store, ThresholdSettings())
    assert same.map is not None
    assert same.map.resolution_to_angstrom == same.map.worst_angstrom == 4.1
    assert "no change" in "\n".join(to_lines(same))
    rows = [
        {**facts, "loss_ln_ssnr": 3.0 if facts["ctf_fit_angstrom"] > 5 else 0.0}
        for facts in store.named("threshold_facts").as_dicts()
        if facts["ctf_fit_angstrom"] is not None
    ]
    table = [(g.gain, g.best_angstrom, g.median_angstrom, g.worst_angstrom) for g in gains]
    weighted = what_if(
        rows, ThresholdSettings(max_ctf_fit_resolution_angstrom=5.0), resolution_angstrom=4.1, gains=table
    )
    assert weighted.share_of_signal > weighted.particles_after / weighted.particles_before  # type: ignore[operator]


def test_the_resolution_of_a_map_of_what_is_kept_lies_in_the_interval() -> None:
    """Half maps with a known SSNR, all particles against a share of them; how often the 80 % interval holds."""
    k = np.arange(1, 41) / 120
    pairs = 2 * np.pi * np.arange(1, 41) ** 2
    true = np.exp(5.0 - 120.0 / 2 * k**2)

    def measured(gain: float, rng: np.random.Generator) -> FscCurve:
        fsc = gain * true / (gain * true + 2)
        return FscCurve(tuple(k), tuple(np.tanh(np.arctanh(fsc) + rng.normal(size=40) / np.sqrt(pairs))))

    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        whole = measured(1.0, rng)
        ssnr = ssnr_of(whole, np.diag(1.0 / pairs))
        gains = [(g, r.low, r.median, r.high) for g in (0.1, 0.2, 0.4, 0.7, 1.0, 2.0) for r in (ssnr.resolution(g),)]
        share = float(rng.choice([0.15, 0.3, 0.5, 0.8]))
        rows = [_row(number, kept=number < 1000 * share) for number in range(1000)]
        found = what_if(
            rows,
            ThresholdSettings(cuts=("motion_total_angstrom <= 5",)),
            resolution_angstrom=whole.resolution_angstrom(0.143),
            gains=gains,
        )
        then = measured(share, rng).resolution_angstrom(0.143)
        assert found.map is not None
        held += found.map.best_angstrom <= then <= found.map.worst_angstrom
    assert 24 <= held <= 40, held


def _row(number: int, *, kept: bool) -> dict[str, Any]:
    return {
        **dict.fromkeys(CUT_METRICS, 1.0),
        "motion_total_angstrom": 1.0 if kept else 10.0,
        "movie_id": str(number),
        "relative_path": str(number),
        "state": "ready",
        "rejection_reason": None,
        "by_hand": False,
        "reliable": True,
        "flag": "",
        "particle_count": 10,
        "loss_ln_ssnr": None,
    }


def test_wrong_cuts_are_refused_with_their_names() -> None:
    assert parse_cut(" particle_count>=20 ").limit == 20
    for wrong in ("ice < 3", "thickness <= 3", "particle_count >= many", "particle_count >= e"):
        with pytest.raises(SettingsError, match=r"cut|metric|number"):
            with_thresholds(ThresholdSettings(), {"cuts": wrong})
    with pytest.raises(SettingsError, match="max_ice"):
        with_thresholds(ThresholdSettings(), {"max_ice": 1.0})
    with pytest.raises(SettingsError, match="greater than 0"):
        with_thresholds(ThresholdSettings(), {"max_ctf_fit_resolution_angstrom": -1.0})
    with pytest.raises(SettingsError) as between:
        with_thresholds(ThresholdSettings(), {"min_defocus_um": 3.0, "max_defocus_um": 1.0})
    assert str(between.value).startswith("thresholds.min_defocus_um must be below thresholds.max_defocus_um")
    with pytest.raises(SettingsError) as one:
        with_thresholds(ThresholdSettings(), {"cuts": "ice < 3"})
    assert str(one.value).startswith("thresholds.cuts: 'ice < 3' is not a cut")
    two = with_thresholds(
        ThresholdSettings(), {"cuts": "particle_count >= 20; ctf_score >= 0.1", "max_defocus_um": None}
    )
    assert two.cuts == ("particle_count >= 20", "ctf_score >= 0.1")


def test_a_rebuilt_database_is_judged_by_the_thresholds_in_force(store: Store, results: list[MovieResult]) -> None:
    """Result files keep the reason of their day; a start judges again."""
    strict = ThresholdSettings(max_ctf_fit_resolution_angstrom=4.0)
    store.submit(judge_again, strict).result()
    want = states(store)
    for number, result in enumerate(results):
        row = MovieRow(result.movie_id, f"{number}.tif", 0, number, sequence=number, stem=str(number))
        reason = rejection_reason(result, ThresholdSettings())
        store.submit(rebuild.adopt, StoredResult(row, result, 1, 1.0, reason))
    store.flush()
    assert states(store) != want
    store.submit(judge_again, strict).result()
    assert states(store) == want
