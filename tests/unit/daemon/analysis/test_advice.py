"""What a new version of the prior means reaches the person once, and every movie's losses in the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frazil.actors.causal_prior import AdviceAndShares, CausalPriorActor
from frazil.daemon.analysis import advice_rows
from frazil.daemon.analysis.prior import PriorVersions
from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store import result_files
from frazil.daemon.store.rows import InterventionRow
from frazil.daemon.store.writes import particle_writes, session_writes
from frazil.models.causal.advice.record import Advice
from frazil.models.causal.advice.timeline import seconds_per_movie
from frazil.models.causal.attribution import attribute
from frazil.models.causal.change_points import ChangePoint, WindowRow
from frazil.models.causal.convergence import Share
from frazil.models.causal.factors import ALL_FACTORS
from frazil.models.causal.prior import physics_prior
from frazil.models.causal.provenance import Experiment, KnownBy, Provenance, Refuter
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import ExposureFacts, MovieEvidence

START_UTC_US = 1_790_000_000_000_000


def evidence(sequence: int, square: str = "A") -> MovieEvidence:
    """Twelve seconds from movie to movie, eight movies from stage move to stage move."""
    rng = np.random.default_rng(sequence)
    x, y = (tuple(v.tolist()) for v in np.cumsum(rng.normal(0.2, 0.2, (2, 8)), axis=1))
    return MovieEvidence(
        *(x, y, (0.1,) * 8, 0.2, 8, 5.0, 0.0, 3.5, 0.83, 300.0, 2.7, 15_000.0, None),
        log_ssnr=tuple(2 - 0.15 * band if band < 12 else None for band in range(24)),
        log_ssnr_sd=0.25,
        fit_resolution_angstrom=4.0,
        exposure=ExposureFacts(
            acquired_utc_us=START_UTC_US + sequence * 12_000_000,
            exposure_time_s=2.0,
            stage_x_um=10.0 * (sequence // 8),
            stage_y_um=0.0,
            grid_square=square,
        ),
    )


def advice(action: str, gain: float, *, scope: str = "session", factor: str = "motion", net: float | None = None):
    low, high = gain - 0.1, gain + 0.1
    return Advice(
        *(factor, action, scope, gain, low, high, 4.0, (3.8, 3.7, 3.9), None, None, 0.1, None),
        sentence=f"do {action}",
        net_ln_ssnr=gain if net is None else net,
        pays_probability=0.95,
    )


@pytest.fixture
def open_desk(runtime, store, context):
    def make():
        book = MovieRegistry.restore(store, parameter_hash="h", code_version="1")
        return PriorVersions(runtime, context(), book)

    return make


@pytest.fixture
def movies(put, ray):
    """Two epochs and one movie; learning counts, attribution is the model's own."""
    count = 2 * EPOCH_MOVIES + 1
    for sequence in range(count):
        known = evidence(sequence)
        put(sequence, evidence=known, losses=attribute(known, physics_prior()).losses)
    ray.answers["learn"] = lambda prior, results, forgetting, announced, first, heard: replace(
        prior, version=prior.version + 1, movie_count=prior.movie_count + len(results)
    )
    found = AdviceAndShares((advice("thin-ice", 0.2),), (Share("motion", 0.5, 0.1, 0.3, 0.9, True),))
    ray.answers["advise"] = lambda *_: found
    ray.answers["attribute"] = CausalPriorActor().attribute
    return count


def run(desk, steps=12, **how):
    for _ in range(steps):
        desk.step(**how)


def finish(desk):
    for _ in range(40):
        desk.step()
        if desk.drained(final=True):
            return
    raise AssertionError("the session never ends")


def versions(store):
    return store.sql("SELECT DISTINCT prior_version FROM causal_losses ORDER BY ALL").column("prior_version")


def test_in_the_end_every_movie_has_losses_by_the_newest_version(open_desk, movies, store, tmp_path, ray):
    files = {path.name: path.read_bytes() for path in (tmp_path / result_files.RESULTS_NAME).glob("*.msgpack")}
    finish(open_desk())
    assert versions(store) == [2]
    assert store.sql("SELECT count(*) AS n FROM named_causes WHERE prior_version = 2").rows == ((movies,),)
    expected = attribute(evidence(3), replace(physics_prior(), version=2)).losses
    stored = store.named("losses", {"movie_id": "m003"}).as_dicts()
    assert [row["loss_ln_ssnr"] for row in stored if row["factor"] == "motion"] == list(
        expected.loss_ln_ssnr[ALL_FACTORS.index("motion")]
    )
    now = {path.name: path.read_bytes() for path in (tmp_path / result_files.RESULTS_NAME).glob("*.msgpack")}
    assert now == files, "results stay as their workers wrote them"
    asked = len(ray.calls)
    finish(open_desk())
    assert [name for name, _ in ray.calls[asked:]] == ["advise"], "nothing is computed twice"


def test_while_movies_arrive_only_the_newest_are_brought_up_to_date(open_desk, movies, put, store, ray, monkeypatch):
    monkeypatch.setattr("frazil.daemon.analysis.losses._PER_VERSION", 3)
    run(open_desk())
    asked = [len(arguments[1]) for name, arguments in ray.calls if name == "attribute"]
    assert sum(asked) <= 2 * 3
    newest = store.sql("SELECT movie_id FROM named_causes WHERE prior_version = 2 ORDER BY 1 DESC").column("movie_id")
    assert newest == ["m010", "m009", "m008"]


def test_when_the_session_is_quiet_all_are(open_desk, movies, store):
    run(open_desk(), quiet=True)
    assert versions(store) == [2]


def test_a_movie_with_another_result_keeps_what_that_says(open_desk, movies, put, ray, store):
    def late(prior, batch):
        put(0, parameter_hash="other", evidence=evidence(0), losses=attribute(evidence(0), physics_prior()).losses)
        return CausalPriorActor().attribute(prior, batch)

    ray.answers["attribute"] = late
    finish(open_desk())
    stale = store.sql("SELECT DISTINCT movie_id FROM causal_losses WHERE prior_version < 2").column("movie_id")
    assert stale == ["m000"]


def test_advice_is_of_the_newest_movies_with_their_settle_times(open_desk, movies, ray, store):
    finish(open_desk())
    _, (prior, scopes, resolution, pace_s, first, together, witnesses, experiments) = [
        call for call in ray.calls if call[0] == "advise"
    ][-1]
    assert (prior.version, resolution, first.version, together) == (2, None, 0, None)
    assert pace_s == pytest.approx((12.0 * (movies - 1) + 60.0) / movies), "with the way to the square"
    assert list(scopes["session"]) == witnesses
    assert experiments == {}
    assert [m.exposure.acquired_utc_us for m in scopes["session"]] == [
        START_UTC_US + i * 12_000_000 for i in range(movies)
    ]
    # The stage moves between movies 7 and 8: the clock starts when 7 was exposed, 10 s before 8 begins.
    assert [m.settle_time_s for m in scopes["session"]] == [None] * 8 + [10.0, 22.0, 34.0]
    (row,) = store.named("interventions").as_dicts()
    assert (row["who"], row["sentence"], row["place"], row["prior_version"]) == ("frazil", "do thin-ice", 1, 2)
    (share,) = store.named("causal_shares").as_dicts()
    assert (share["factor"], share["converged"], share["movie_count"]) == ("motion", True, movies)
    assert (share["first_sd"], share["told_nats"]) == (0.3, 0.9)


def test_new_advice_replaces_frazils_and_not_what_people_did(open_desk, movies, ray, store):
    mine = InterventionRow("p1", 5, "motion", "session", "waited 5 s longer", "anna")
    store.submit(session_writes.record_intervention, mine).result()
    finish(open_desk())
    ray.answers["advise"] = lambda *_: AdviceAndShares((), ())
    finish(open_desk())
    assert store.named("interventions").column("who") == ["anna"]


def test_advice_is_stored_with_how_it_is_known(open_desk, movies, ray, store):
    refuters = (Refuter("placebo", True, "3 % of 200 trials"), Refuter("negative control", False, "it moves counts"))
    known = Provenance(KnownBy.ADJUSTED, "x0.7", ("hole_order", "session_time"), refuters, 0.25)
    ray.answers["advise"] = lambda *_: AdviceAndShares((replace(advice("thin-ice", 0.2), provenance=known),), ())
    finish(open_desk())
    (row,) = store.named("interventions").as_dicts()
    assert (row["known_by"], row["known_how"], row["robustness_value"]) == ("adjusted", "x0.7", 0.25)
    assert row["adjusted_for"] == "hole_order, session_time"
    assert str(row["refuters"]).splitlines() == [
        "placebo: passed: 3 % of 200 trials",
        "negative control: REFUTED: it moves counts",
    ]


def test_decided_experiments_reach_the_advice(open_desk, movies, ray, store):
    def put_experiment(connection, name, outcome="ln_ssnr", state="decided", complied=0.9):
        connection.execute(
            "INSERT INTO experiments BY NAME SELECT ? AS experiment_id, 1 AS created_utc_us, 'anna' AS who, "
            "'settle_time_s' AS quantity, 'settle_time' AS node, 20.0 AS arm_a, 5.0 AS arm_b, ? AS outcome, 1 AS seed, "
            "1 AS first_sequence, 24 AS holes, 0 AS left_out, '' AS words, ? AS state, 'A' AS better, 12 AS pairs, "
            "12 AS most_pairs, 12 AS movies_a, 12 AS movies_b, 0 AS failed_a, 0 AS failed_b, ? AS complied_share, "
            "0 AS strangers, '20 s is better' AS sentence, '' AS compliance",
            [name, outcome, state, complied],
        )

    store.submit(put_experiment, "drift", outcome="drift").result()
    store.submit(put_experiment, "open", state="running").result()
    store.submit(put_experiment, "not done", complied=0.3).result()
    finish(open_desk())
    assert [call for call in ray.calls if call[0] == "advise"][-1][1][-1] == {}
    store.submit(put_experiment, "settle").result()
    finish(open_desk())
    (said,) = [call for call in ray.calls if call[0] == "advise"][-1][1][-1].items()
    assert said == ("settle_time", Experiment(5.0, 20.0, 20.0, "20 s is better"))


def test_what_the_session_speaks_against_is_told_once_and_not_advised(open_desk, movies, ray, store, alerts):
    against = Provenance(KnownBy.ADJUSTED, "the movies speak against it: x1.0", contradicted=True)
    gone = [
        replace(advice(action, 0.2), node="settle_time", provenance=against, sentence=f"wait {action}: x1.2")
        for action in ("settle+5s", "settle+10s")
    ]
    ray.answers["advise"] = lambda *_: AdviceAndShares((), (), tuple(gone))
    desk = open_desk()
    finish(desk)
    assert store.named("interventions").rows == ()
    (told,) = [text for text in alerts() if "not advised" in text]
    assert told == "not advised: wait settle+10s: the movies speak against it: x1.0"


def test_of_several_ways_to_act_on_a_cause_the_one_worth_most_per_hour_is_told():
    ways = [
        advice("settle+20s", 0.35, net=-0.7),
        advice("settle+5s", 0.30, net=0.25),
        advice("thin-ice", 0.2, factor="ice"),
        advice("thin-ice", 0.6, factor="ice", scope="4"),
        advice("settle+5s", 0.31, net=0.26, scope="4"),
    ]
    rows = advice_rows.advice_rows(ways, 7, utc_us=1)
    assert [(row.place, row.action, row.scope) for row in rows] == [
        (1, "settle+5s", "session"),
        (2, "thin-ice", "session"),
        (3, "thin-ice", "4"),
    ], "of a square only what is worth more there"
    assert rows[2].sentence == "on grid square 4: do thin-ice"
    assert rows[0].gain_low_ln_ssnr == pytest.approx(0.2)


def test_the_worst_square_is_advised_when_there_are_several():
    def row(square, motion):
        losses = [0.0] * len(ALL_FACTORS)
        losses[ALL_FACTORS.index("motion")] = motion
        return WindowRow(None, (), tuple(losses), square)

    found = [evidence(i, "good" if i < 10 else "bad") for i in range(20)]
    prior = replace(physics_prior(), window=tuple(row(m.exposure.grid_square, float(i)) for i, m in enumerate(found)))
    assert {scope: len(movies) for scope, movies in advice_rows.scopes(found, prior).items()} == {
        "session": 20,
        "bad": 10,
    }
    assert list(advice_rows.scopes(found[:10], prior)) == ["session"], "one square is the session"
    assert list(advice_rows.scopes(found[:19], prior)) == ["session"], "nine movies say nothing of a square"


def test_pauses_do_not_slow_the_pace():
    found = [evidence(i) for i in (0, 1, 2, 3, 500, 501)]
    assert seconds_per_movie(found) == pytest.approx((4 * 12.0 + 60.0) / 5), "with the way to the square"
    assert seconds_per_movie(found[:1]) is None


CHANGE = ChangePoint(
    START_UTC_US, 3, "illumination", "the beam is +12 % as counted", "counts", 0.0, 0.11, 55.0, ("counts",)
)


def learn_a_change(prior, results, forgetting, announced, first, heard):
    changed = (*prior.change_points, CHANGE) if prior.version == 0 else prior.change_points
    return replace(prior, version=prior.version + 1, movie_count=prior.movie_count + 5, change_points=changed)


def test_a_change_is_told_once(open_desk, movies, ray, store):
    ray.answers["learn"] = learn_a_change
    run(open_desk())
    finish(open_desk())
    (alert,) = [row for row in store.named("alerts").as_dicts() if row["subject"] == "change"]
    assert alert["text"] == "from movie 4 on: the beam is +12 % as counted"
    assert "C2 aperture" in str(alert["remedy"])
    (point,) = store.named("change_points").as_dicts()
    assert (point["cause"], point["movie_number"], point["prior_version"]) == ("illumination", 3, 1)
    store.submit(session_writes.acknowledge_alert, str(alert["alert_id"]), who="anna", utc_us=0).result()
    store.submit(lambda c: c.execute("DELETE FROM priors") and None).result()
    finish(open_desk())  # the same change is found again
    (again,) = [row for row in store.named("alerts").as_dicts() if row["subject"] == "change"]
    assert again["acknowledged_by"] == "anna"


def break_a_claim(prior, results, forgetting, announced, first, heard):
    broken = replace(prior.independence, failed=("steady_drift|counted_electrons",))
    return replace(prior, version=prior.version + 1, movie_count=prior.movie_count + 5, independence=broken)


def test_a_claim_of_the_graph_that_does_not_hold_is_told_once(open_desk, movies, ray, store):
    ray.answers["learn"] = break_a_claim
    run(open_desk())
    finish(open_desk())
    (alert,) = [row for row in store.named("alerts").as_dicts() if row["subject"] == "graph"]
    assert str(alert["text"]).startswith("drift of the stage and electrons counted go together in this session")
    assert alert["severity"] == "warning"


def test_a_change_that_was_announced_is_no_warning():
    (said, meant) = (
        advice_rows.change_alert(one, utc_us=1) for one in (CHANGE, replace(CHANGE, announced="spot size 5"))
    )
    assert (said.severity, meant.severity) == ("warning", "info")
    assert meant.text == "from movie 4 on: the beam is +12 % as counted; announced: spot size 5"
    assert meant.remedy == "nothing if this is what was meant"


def test_a_process_that_always_dies_delays_nothing(open_desk, movies, ray, store, alerts):
    def die(*_):
        raise ray.exceptions.RayActorError("killed")

    ray.answers["advise"] = ray.answers["attribute"] = die
    desk = open_desk()
    finish(desk)
    assert desk.newest_version == 2
    assert versions(store) == [0]
    assert len([text for text in alerts() if "killed" in text]) == 1


def test_a_process_that_dies_once_is_asked_again(open_desk, movies, ray, store):
    deaths = iter([True, False, False, False])

    def once(prior, batch):
        if next(deaths):
            raise ray.exceptions.RayActorError("killed")
        return CausalPriorActor().attribute(prior, batch)

    ray.answers["attribute"] = once
    finish(open_desk())
    assert versions(store) == [2]


def test_a_movie_is_judged_by_what_was_known_of_its_part_of_the_session():
    versions = {
        version: replace(
            physics_prior(),
            version=version,
            count_weights=str(version),
            precision=((float(version),),),
            window=(WindowRow(version, (), ()),),
            usual=((float(version),),),
        )
        for version in range(5)
    }
    # From movie 12 on: version 2 is the last that has seen nothing later.
    beam = replace(CHANGE, utc_us=START_UTC_US + 12 * 12_000_000, movie_number=12)
    newest = replace(
        versions[4], change_points=(replace(beam, cause="gain", movie_number=1, together=("fixed_pattern",)), beam)
    )
    assert advice_rows.before_change(newest, evidence(12), 12) is None
    assert advice_rows.before_change(newest, evidence(11), 13) == beam, "its time counts, not when it was found"
    untimed = replace(evidence(11), exposure=ExposureFacts())
    assert advice_rows.before_change(newest, untimed, 11) == beam
    prior = advice_rows.as_of(newest, beam, versions.__getitem__)
    assert (prior.version, prior.count_weights, prior.window[0].utc_us) == (4, "2", 2)
    assert prior.usual == ((2.0,),), "what is usual was asked of the same counts"
    assert prior.precision == newest.precision, "strengths are the newest"
    of_grid = advice_rows.as_of(newest, replace(beam, cause="grid"), versions.__getitem__)
    assert (of_grid.version, of_grid.precision) == (4, ((2.0,),))
    assert advice_rows.as_of(newest, None, versions.__getitem__) is newest


def test_movies_before_a_new_beam_do_not_seem_to_have_thicker_ice_and_are_not_advised(open_desk, put, ray, store):
    """The beam becomes stronger by a tenth after 15 movies; the ice stays what it was."""

    def counted(sequence):
        known = evidence(sequence)
        return replace(
            known,
            dose_per_frame_e_per_px=3.2 * (1.1 if sequence >= 15 else 1.0) * (1 + 0.002 * (-1) ** sequence),
            exposure=replace(known.exposure, stated_dose_per_frame_e_per_a2=5.0),
        )

    for sequence in range(30):
        put(sequence, evidence=counted(sequence), losses=attribute(counted(sequence), physics_prior()).losses)
    actor = CausalPriorActor()
    ray.answers.update(learn=actor.learn, attribute=actor.attribute, advise=lambda *_: AdviceAndShares((), ()))
    desk = open_desk()
    finish(desk)
    (point,) = store.named("change_points").as_dicts()
    assert point["cause"] == "illumination"
    assert abs(point["movie_number"] - 15) <= 1
    _, (_, scopes, *_) = [call for call in ray.calls if call[0] == "advise"][-1]
    assert len(scopes["session"]) == 30 - point["movie_number"]
    ice = store.sql(
        "SELECT m.sequence < 14 AS before, avg(loss_ln_ssnr) AS loss FROM causal_losses JOIN movies m USING (movie_id) "
        "WHERE factor = 'ice' AND m.sequence NOT IN (14, 15) GROUP BY before ORDER BY before"
    ).column("loss")
    judged_by_newest = attribute(counted(5), desk.snapshot(desk.newest_version)).losses
    wrong = np.mean(judged_by_newest.loss_ln_ssnr[ALL_FACTORS.index("ice")])
    assert abs(ice[1] - ice[0]) < 0.5 * (wrong - ice[0]), (ice, wrong)
    assert versions(store) == [6]


def test_advice_comes_with_every_second_version_and_with_every_change(open_desk, put, ray):
    for sequence in range(7 * EPOCH_MOVIES):
        put(sequence, evidence=evidence(sequence), losses=attribute(evidence(sequence), physics_prior()).losses)

    def learn(prior, results, forgetting, announced, first, heard):
        changed = (*prior.change_points, replace(CHANGE, cause="stage")) if prior.version == 4 else prior.change_points
        return replace(prior, version=prior.version + 1, movie_count=prior.movie_count + 5, change_points=changed)

    ray.answers.update(learn=learn, advise=lambda *_: AdviceAndShares((), ()), attribute=CausalPriorActor().attribute)
    desk = open_desk()
    close_next, desk._epochs.close_next = desk._epochs.close_next, lambda: None
    for _ in range(7):  # one epoch after the other, as they end at the microscope
        desk._epochs.close_next = close_next
        desk.step()
        desk._epochs.close_next = lambda: None
        run(desk, 6)
    assert [arguments[0].version for name, arguments in ray.calls if name == "advise"] == [1, 2, 4, 5, 6]


def particles_of(sequence: int, tilt_mrad: float = 1.0) -> ParticleEvidence:
    return ParticleEvidence(
        particle_count=40.0,
        reference_renewal=2,
        frequency_per_angstrom=(0.05, 0.1),
        frc=(0.3, 0.1),
        log_ssnr=tuple(1.0 + 0.02 * sequence if band < 12 else None for band in range(24)),
        log_ssnr_sd=tuple(0.2 if band < 12 else None for band in range(24)),
        beam_tilt_x_mrad=tilt_mrad,
        beam_tilt_y_mrad=0.0,
        beam_tilt_covariance_mrad2=(0.01, 0.0, 0.01),
    )


def say(store, count, tilt_mrad=1.0):
    for sequence in range(count):
        evidence_of = particles_of(sequence, tilt_mrad)
        store.submit(particle_writes.record_evidence, f"m{sequence:03d}", evidence_of).result()


def coma_at_4_angstrom(store, movie_id):
    rows = [row for row in store.named("losses", {"movie_id": movie_id}).as_dicts() if row["factor"] == "aberrations"]
    return float(np.interp(0.25, [r["frequency_per_angstrom"] for r in rows], [r["loss_ln_ssnr"] for r in rows]))


def test_what_particles_say_changes_losses_in_the_end_and_nothing_else(open_desk, movies, store, ray):
    ray.answers["session_particles"] = CausalPriorActor().session_particles
    finish(open_desk())
    before = coma_at_4_angstrom(store, "m003")
    priors = store.sql("SELECT version, state_json FROM priors ORDER BY version").rows
    say(store, movies)
    finish(open_desk())
    said = coma_at_4_angstrom(store, "m003")
    assert said > before + 0.3, "1 mrad is a phase of a radian at 4 A"
    assert store.sql("SELECT version, state_json FROM priors ORDER BY version").rows == priors
    assert len(set(store.sql("SELECT particle_evidence FROM named_causes").column("particle_evidence"))) == 1
    stored = store.named("particle_evidence").as_dicts()
    assert [row["beam_tilt_x_sd_mrad"] for row in stored] == [pytest.approx(0.1)] * movies
    asked = len(ray.calls)
    finish(open_desk())
    assert [name for name, _ in ray.calls[asked:]] == ["advise"], "nothing is computed twice"
    say(store, movies, tilt_mrad=0.2)
    finish(open_desk())
    assert coma_at_4_angstrom(store, "m003") < said - 0.3


def test_when_the_particles_spoke_does_not_matter(open_desk, movies, store, ray):
    """Evidence that came while movies arrived, and is another one in the end, leaves no trace."""
    ray.answers["session_particles"] = CausalPriorActor().session_particles
    say(store, movies, tilt_mrad=2.0)
    run(open_desk())
    say(store, movies)
    finish(open_desk())
    late = store.sql("SELECT * FROM causal_losses ORDER BY ALL").rows
    store.submit(lambda c: c.execute("DELETE FROM particle_evidence_arrays") and None).result()
    finish(open_desk())
    assert store.sql("SELECT count(*) FROM named_causes WHERE particle_evidence IS NOT NULL").rows == ((0,),)
    say(store, movies)
    finish(open_desk())
    assert store.sql("SELECT * FROM causal_losses ORDER BY ALL").rows == late
