"""What stands behind HTTP: the cache, the budget, the metrics, the schemas, who may do what."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from frazil.config.errors import NotThereError, SettingsError, UsageError
from frazil.config.loading import load_settings
from frazil.config.settings import HttpSettings
from frazil.daemon.changes.classes import ClassWords
from frazil.daemon.cli.watch import watch
from frazil.daemon.http.api import digest_of
from frazil.daemon.http.cache import AnswerCache, TimeBudget
from frazil.daemon.http.documents import answer_schemas, named_queries
from frazil.daemon.http.metrics import metrics_text
from frazil.daemon.http.orders import read_order
from frazil.daemon.http.server import http_rules
from frazil.daemon.http.source import as_command, command_id
from frazil.daemon.store.queries.catalogue import NAMED
from frazil.daemon.transport.messages import LiveState, Rows, WorkerState

TOKEN = "0123456789abcdef"


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


# --- the cache -----------------------------------------------------------------------------------------------------


def test_an_answer_is_made_again_when_it_is_old() -> None:
    clock = Clock()
    cache: AnswerCache[bytes] = AnswerCache(1000, clock=clock, size_bytes=len)
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return str(len(made)).encode()

    assert [cache.get("q", 1.0, make), cache.get("q", 1.0, make)] == [b"1", b"1"]
    clock.now_s += 1.5
    assert cache.get("q", 1.0, make) == b"2"
    cache.clear()
    assert cache.get("q", 1.0, make) == b"3"


def test_who_asks_the_same_meanwhile_waits_for_one_answer() -> None:
    cache: AnswerCache[bytes] = AnswerCache(1000, clock=Clock(), size_bytes=len)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> bytes:
        begun.set()
        assert go_on.wait(20)
        return b"one"

    def never() -> bytes:
        raise AssertionError("asked twice")

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, "q", 1.0, slow)
        assert begun.wait(20)
        others = [pool.submit(cache.get, "q", 1.0, never) for _ in range(3)]
        go_on.set()
        assert [future.result() for future in (first, *others)] == [b"one"] * 4


def test_failures_are_told_and_forgotten() -> None:
    cache: AnswerCache[bytes] = AnswerCache(1000, clock=Clock(), size_bytes=len)

    def fail() -> bytes:
        raise NotThereError("no")

    with pytest.raises(NotThereError):
        cache.get("q", 1.0, fail)
    assert cache.get("q", 1.0, lambda: b"yes") == b"yes"


def test_what_was_cleared_while_it_was_made_is_not_kept() -> None:
    cache: AnswerCache[bytes] = AnswerCache(1000, clock=Clock(), size_bytes=len)

    def overtaken() -> bytes:
        cache.clear()
        return b"of before"

    assert cache.get("q", 1.0, overtaken) == b"of before"
    assert cache.get("q", 1.0, lambda: b"new") == b"new"


def test_the_oldest_answers_make_room() -> None:
    cache: AnswerCache[bytes] = AnswerCache(25, clock=Clock(), size_bytes=len)
    for name in ("a", "b", "a", "c"):  # b was asked for longest ago
        cache.get(name, 9.0, lambda: b"0123456789")
    kept = [name for name in ("a", "c", "b") if cache.get(name, 9.0, lambda: b"") != b""]
    assert kept == ["a", "c"]


# --- the budget ----------------------------------------------------------------------------------------------------


def test_a_budget_is_saved_up_to_its_burst_and_debts_are_waited_for() -> None:
    clock = Clock()
    budget = TimeBudget(0.1, 3.0, clock=clock)
    assert budget.wait_s() == 0.0
    budget.spend(4.0)
    assert budget.wait_s() == pytest.approx(10.0)
    clock.now_s += 10.0
    assert budget.wait_s() == pytest.approx(0.0)
    clock.now_s += 1e6
    assert budget.wait_s() == 0.0
    budget.spend(3.5)
    assert budget.wait_s() == pytest.approx(5.0)


def test_the_share_holds_over_a_long_time() -> None:
    clock = Clock()
    budget = TimeBudget(0.1, 3.0, clock=clock)
    used_s = 0.0
    for _ in range(20_000):  # questions of 50 ms, asked again at once
        if budget.wait_s() == 0.0:
            budget.spend(0.05)
            used_s += 0.05
        clock.now_s += 0.05
    assert used_s == pytest.approx(0.1 * 1000 + 3.0, abs=0.2)


# --- metrics and schemas -------------------------------------------------------------------------------------------


def test_metrics_are_the_state_and_leave_out_what_is_not_known() -> None:
    state = LiveState(
        session_name='grid "4"',
        status="paused",
        utc_us=1_500_000,
        counts={"ready": 7, "rejected": 2},
        lag_p50_s=3.5,
        ready_per_hour=120.0,
        free_disk_bytes=10**12,
        disk_full_in_h=2.0,
        workers=(WorkerState("a", state="working"), WorkerState("b", state="idle"), WorkerState("c", state="idle")),
        alerts_open=3,
    )
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics_text(state).decode())
        for sample in family.samples
    }
    assert samples["frazil_session_info", "", 'grid "4"'] == 1
    assert samples["frazil_movies", "ready"] == 7
    assert samples["frazil_movies", "quarantined"] == 0
    assert samples["frazil_movie_lag_seconds", "0.5"] == 3.5
    assert ("frazil_movie_lag_seconds", "0.95") not in samples
    assert samples["frazil_workers", "idle"] == 2
    assert samples["frazil_status", "paused"] == 1
    assert samples["frazil_status", "running"] == 0
    assert samples[("frazil_disk_full_seconds",)] == 7200
    assert samples[("frazil_state_timestamp_seconds",)] == 1.5
    assert samples[("frazil_alerts_open",)] == 3
    assert ("frazil_map_resolution_angstrom",) not in samples


def _sent(record: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return found


def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": answer_schemas()}}
    )


def test_schemas_take_what_is_sent_and_nothing_else() -> None:
    state = _sent(LiveState(counts={"ready": 1}, workers=(WorkerState("a"),), lag_p50_s=1.0))
    _validator("State").validate(state)
    assert list(_validator("State").iter_errors(state | {"counts": {"ready": "many"}}))
    rows = _sent(Rows(("a", "b"), ((1, None), ("x", 2.5)), total=2))
    _validator("Rows").validate(rows)
    assert list(_validator("Rows").iter_errors(rows | {"rows": [[{}]]}))


def test_every_named_query_is_described_with_its_parameters() -> None:
    described = named_queries()
    assert {name: [one.name for one in query.parameters] for name, query in described.items()} == {
        name: list(query.params) for name, query in NAMED.items()
    }
    [sort, *_] = described["movies"].parameters
    assert sort.schema()["enum"][0] == NAMED["movies"].params["sort"].choices[0]
    assert described["movies"].parameters[-2].least == 0


# --- who may do what -----------------------------------------------------------------------------------------------


def _file(tmp_path: Path, text: str, mode: int = 0o600) -> str:
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    return f"file:{path}"


def test_a_key_counts_once_for_one_order_and_not_for_another() -> None:
    order = {"movie_id": "m1", "reason": "crack"}
    first = command_id("a1", "reject", order, "anna")
    assert command_id("a1", "reject", dict(reversed(order.items())), "anna") == first
    others = {
        command_id("a1", "reject", order | {"movie_id": "m2"}, "anna"), command_id("a1", "note", order, "anna"),
        command_id("a1", "reject", order, "ben"), command_id("a2", "reject", order, "anna"),
    }  # fmt: skip
    assert len(others | {first}) == 5
    assert command_id("", "reject", order, "anna") != command_id("", "reject", order, "anna")


def test_the_token_comes_from_where_the_settings_say(tmp_path: Path) -> None:
    from_file = http_rules(HttpSettings(token=_file(tmp_path, TOKEN + "\n")), {})
    from_environment = http_rules(HttpSettings(token="env:T"), {"T": TOKEN})
    assert from_file.token_digest == from_environment.token_digest == digest_of(TOKEN)
    assert not from_file.reading_needs_token
    assert TOKEN not in repr(from_file)
    beyond = http_rules(HttpSettings(token="env:T", address="0.0.0.0", host_names=("scope",)), {"T": TOKEN})
    assert beyond.reading_needs_token
    assert "scope" in beyond.host_names
    assert http_rules(HttpSettings(), {}).token_digest is None


def test_a_token_that_others_can_read_or_guess_is_refused(tmp_path: Path) -> None:
    for text, mode, said in [
        (TOKEN, 0o604, "everybody can read it"),
        ("short", 0o600, "is no token of 16"),
        ("fifteen blanks and", 0o600, "is no token of 16"),
        ("", 0o600, "the file is empty"),
    ]:
        with pytest.raises(SettingsError, match=said) as told:
            http_rules(HttpSettings(token=_file(tmp_path, text, mode)), {})
        assert not text or text not in str(told.value)
    with pytest.raises(SettingsError, match="T is not set"):
        http_rules(HttpSettings(token="env:T"), {})


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"http.token": TOKEN}, "not the token itself"),
        ({"http.address": "0.0.0.0"}, "needs http.token"),
        ({"http.address": "localhost"}, "IPv4 address"),
    ],
)
def test_settings_of_http_are_checked(flags: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        load_settings(environ={}, flags=flags)


def test_a_token_without_http_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of no use without --http"):
        watch(tmp_path, http_token_file=tmp_path / "token")


def test_verdicts_on_classes_are_an_order() -> None:
    body = b'{"who": "ann", "keep": [3, 7], "reject": [0]}'
    said = as_command(read_order("ClassVerdict", body))
    assert said == ("class-verdict", {"keep": "3,7", "reject": "0", "undecided": "", "undo": False})
    words = ClassWords.of(said[1])
    assert words.verdicts == {3: "keep", 7: "keep", 0: "reject"}
    with pytest.raises(UsageError):
        read_order("ClassVerdict", b'{"keep": ["3; drop"]}')
    with pytest.raises(UsageError):
        read_order("ClassVerdict", b'{"keep": [-1]}')
