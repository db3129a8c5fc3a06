"""Which terms of a shard stay when a new owner begins its own."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core import terms as terms_module
from processor.core.terms import CURSOR_LIFE_MS, with_term
from schemas.log import Term, Terms

NOW_MS = 2_000_000_000_000


def terms_of(*terms: Term) -> Terms:
    return Terms(shard=1, terms=terms)


def named(number: int, start: int, started_at: int = NOW_MS) -> Term:
    return Term(f"{number:012x}", start, started_at)


def test_a_term_stands_beside_those_that_a_cursor_can_name() -> None:
    first, second = named(1, 0, NOW_MS), named(2, 10, NOW_MS + 1)
    assert with_term(None, 1, first) == terms_of(first)
    assert with_term(terms_of(first), 1, second) == terms_of(first, second)


def test_a_term_is_dropped_a_cursors_life_after_its_successor_began() -> None:
    first, second = named(1, 0), named(2, 10)
    at_the_limit = named(3, 20, NOW_MS + CURSOR_LIFE_MS)
    past_it = named(3, 20, NOW_MS + CURSOR_LIFE_MS + 1)
    earlier = terms_of(first, second)
    assert with_term(earlier, 1, at_the_limit) == terms_of(first, second, at_the_limit)
    assert with_term(earlier, 1, past_it) == terms_of(second, past_it)


def test_a_clock_that_was_ahead_keeps_no_term_for_longer() -> None:
    ahead = named(2, 10, NOW_MS + 10 * CURSOR_LIFE_MS)
    third, now = named(3, 20), named(4, 30, NOW_MS + CURSOR_LIFE_MS + 1)
    assert with_term(terms_of(named(1, 0), ahead, third), 1, now) == terms_of(
        third, now
    )


def test_terms_whose_records_were_lost_are_dropped() -> None:
    lost = terms_of(named(1, 0), named(2, 10), named(3, 20))
    assert with_term(lost, 1, named(4, 10)) == terms_of(named(1, 0), named(4, 10))


def test_the_oldest_terms_go_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terms_module, "MAX_TERMS", 2)
    earlier = terms_of(named(1, 0), named(2, 10))
    assert with_term(earlier, 1, named(3, 20)) == terms_of(named(2, 10), named(3, 20))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), min_size=1))
def test_terms_follow_one_another_and_the_newest_is_last(
    drawn: Sequence[tuple[int, int]],
) -> None:
    kept: Terms | None = None
    for number, (start, days) in enumerate(drawn):
        term = named(number, start, NOW_MS + days * CURSOR_LIFE_MS)
        kept = with_term(kept, 1, term)
        starts = [each.start for each in kept.terms]
        assert starts == sorted(set(starts))
        assert kept.terms[-1] == term
