"""A person is told of a movie that is set aside, and that it is over as soon as it is taken up again."""

from __future__ import annotations

from frazil.daemon.processing.aside import MoviesAside


def open_alerts(store) -> list[str]:
    store.flush()
    return [str(row["text"]) for row in store.named("alerts", {"open_only": True}).as_dicts()]


def test_it_is_over_when_the_movie_is_taken_up_again(context, store):
    aside = MoviesAside(context())
    aside.told("warning", "movie", "a.tif is set aside: truncated", None, movie_id="a")
    aside.told("warning", "movie", "b.tif is set aside: truncated", None, movie_id="b")
    aside.taken_up("a")
    aside.taken_up("never told")
    assert open_alerts(store) == ["b.tif is set aside: truncated"]


def test_also_of_what_an_earlier_run_has_told(context, store):
    MoviesAside(context()).told("warning", "movie", "a.tif is set aside: truncated", None, movie_id="a")
    store.flush()
    MoviesAside(context()).taken_up("a")
    assert open_alerts(store) == []


def test_a_word_that_is_about_no_movie_stays(context, store):
    aside = MoviesAside(context())
    aside.told("warning", "movie", "the result of the earlier settings stays", "nothing", movie_id="")
    aside.taken_up("")
    assert len(open_alerts(store)) == 1
