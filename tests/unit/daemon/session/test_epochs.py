from __future__ import annotations

import random

from frazil.daemon.session.epochs import EPOCH_MOVIES, EpochLedger, eligible_below, prior_version_for


def test_a_movie_never_uses_a_prior_that_has_seen_it_or_its_neighbours_in_flight() -> None:
    for sequence in range(100):
        seen = prior_version_for(sequence) * EPOCH_MOVIES
        assert seen <= max(0, sequence - EPOCH_MOVIES)


def test_eligibility_and_version_agree() -> None:
    for sequence in range(100):
        assert sequence < eligible_below(prior_version_for(sequence))
        if prior_version_for(sequence) > 0:
            assert sequence >= eligible_below(prior_version_for(sequence) - 1)


def test_epochs_close_in_order_whatever_the_order_of_endings() -> None:
    for seed in range(20):
        book, order = EpochLedger(), list(range(3 * EPOCH_MOVIES + EPOCH_MOVIES // 2))
        for sequence in order:
            book.begins(sequence)
        random.Random(seed).shuffle(order)
        closed, ended = [], set()
        for sequence in order:
            book.ends(sequence)
            ended.add(sequence)
            while (epoch := book.close_next()) is not None:
                assert set(range((epoch + 1) * EPOCH_MOVIES)) <= ended
                closed.append(epoch)
        assert closed == [0, 1, 2]  # the fourth epoch is not full
        assert book.closed == 3


def test_an_epoch_that_is_not_full_stays_open() -> None:
    book = EpochLedger()
    for sequence in range(EPOCH_MOVIES - 1):
        book.begins(sequence)
        book.ends(sequence)
    assert book.close_next() is None
