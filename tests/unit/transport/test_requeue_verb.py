"""`frazil requeue` against a real store behind the daemon's sockets: which movie is meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from frazil.config.errors import DaemonGoneError, FrazilError, NotThereError, UsageError
from frazil.daemon.cli.requeue import requeue
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.store.rows import MovieRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes
from frazil.daemon.transport.messages import Command, LiveState
from frazil.daemon.transport.server import QueryServer

MOVIES = {"m0": "a/one.tiff", "m1": "a/two.tiff", "m2": "b/two.tiff"}


@pytest.fixture
def orders(runtime: Path, tmp_path: Path) -> Iterator[list[Command]]:
    found: list[Command] = []

    def order(command: Command) -> str:
        found.append(command)
        return f"again: {command.args['movie_id']}"

    with Store.open(tmp_path, now_utc_us=1) as store:
        for number, (movie_id, path) in enumerate(MOVIES.items()):
            store.submit(movie_writes.register_movie, MovieRow(movie_id, path, 0, 1, sequence=number)).result()
        with QueryServer(tmp_path, DaemonService(store, tmp_path, order, LiveState)):
            yield found


def ask(session: Path, *words: str) -> tuple[str, FrazilError | None]:
    app = typer.Typer()
    app.command()(requeue)
    result = CliRunner().invoke(app, [str(session), *words])
    return result.stdout, result.exception if isinstance(result.exception, FrazilError) else None


def test_the_end_of_a_path_or_an_id_means_one_movie(orders: list[Command], tmp_path: Path) -> None:
    assert ask(tmp_path, "one.tiff", "m2", "--as-is") == ("again: m0\nagain: m2\n", None)
    assert [(one.name, one.args) for one in orders] == [
        ("requeue", {"movie_id": "m0", "accept_as_is": True}),
        ("requeue", {"movie_id": "m2", "accept_as_is": True}),
    ]


def test_nothing_is_tried_again_where_one_name_is_not_clear(orders: list[Command], tmp_path: Path) -> None:
    _, several = ask(tmp_path, "one.tiff", "two.tiff")
    assert isinstance(several, UsageError)
    assert "2 movies end with two.tiff: a/two.tiff, b/two.tiff" in str(several)
    _, none = ask(tmp_path, "three.tiff")
    assert isinstance(none, NotThereError)
    assert orders == []


def test_without_a_daemon_the_person_is_told_what_to_do(runtime: Path, tmp_path: Path) -> None:
    assert isinstance(ask(tmp_path, "one.tiff")[1], DaemonGoneError)
