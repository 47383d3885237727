"""Which movies changed since, against a list of all of them; and how few are listed for it."""

from __future__ import annotations

import numpy as np

from frazil.daemon.analysis.map.changed_movies import ChangedMovies

COUNT = 2600


def test_what_changed_is_listed_and_far_from_all(store) -> None:
    states = ["ready", "rejected", "quarantined", "queued", "outdated"]

    def fill(connection):
        connection.execute(
            "INSERT INTO movies (movie_id, relative_path, generation, sequence, state, found_utc_us) "
            "SELECT 'm' || i, 'm' || i, 0, i, 'ready', i FROM range(?) t(i)",
            [COUNT],
        )

    store.submit(fill).result()
    changed = ChangedMovies(store)
    movies, digests = changed.list()
    assert [movie.sequence for movie in movies] == list(range(COUNT))
    changed.seen(digests)
    assert changed.list()[0] == []
    rng = np.random.default_rng(1)
    known = {movie.movie_id: movie.state for movie in movies}
    for _ in range(12):
        number, state = int(rng.integers(COUNT)), states[int(rng.integers(len(states)))]
        flags = "few-counts,outdated-picking" if rng.integers(4) == 0 else None
        store.submit(
            lambda c, *values: (
                c.execute("UPDATE movies SET state = ?, flags = ? WHERE movie_id = ?", list(values)) and None
            ),
            state,
            flags,
            f"m{number}",
        ).result()
        found, digests = changed.list()
        assert len(found) <= 1000
        changed.seen(digests)
        block = {f"m{one}" for one in range(number // 1000 * 1000, number // 1000 * 1000 + 1000)}
        known = {one: was for one, was in known.items() if one not in block} | (
            {movie.movie_id: movie.state for movie in found} or {one: known[one] for one in block if one in known}
        )
        every, _ = ChangedMovies(store).list()
        assert known == {movie.movie_id: movie.state for movie in every}


def test_what_was_looked_away_from_is_looked_at_again(store, put) -> None:
    for sequence in range(3):
        put(sequence)
    changed = ChangedMovies(store)
    changed.seen(changed.list()[1])
    changed.look_again(1)
    assert [movie.movie_id for movie in changed.list()[0]] == ["m000", "m001", "m002"]
    assert len(changed.list()[0]) == 3, "until it has been dealt with"
    changed.seen(changed.list()[1])
    assert changed.list()[0] == []
