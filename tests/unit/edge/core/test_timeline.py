"""Terms: which one a position is of, and what shows that a log has lost records."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.hub import Hub
from edge.core.places import Place
from edge.core.timeline import (
    OtherTimeline,
    contradicts,
    digest_of,
    record_term,
    successor,
    term_at,
)
from schemas.base import encode
from schemas.ids import STX
from schemas.latest import watermark_key
from schemas.log import Term, Terms, Watermark
from tests.support.edge_table import NOW_MS, Record, identity, price, terms

A, B, C = (
    Term(letter * 12, start, 0)
    for letter, start in zip("abc", (10, 20, 30), strict=True)
)


def known(*found: Term) -> Terms:
    return Terms(shard=0, terms=found)


def test_a_position_is_of_the_term_of_the_record_before_it() -> None:
    found = [term_at(known(A, B), position) for position in (0, 10, 11, 20, 21, 99)]
    assert found == [None, None, A, A, B, B]
    assert term_at(None, 5) is None


def test_a_record_from_before_all_known_terms_is_named_by_the_oldest() -> None:
    assert [record_term(known(A, B), offset) for offset in (9, 10, 19, 20)] == [
        f"before-{A.id}",
        A.id,
        A.id,
        B.id,
    ]


def test_a_term_is_followed_by_the_next() -> None:
    assert successor(known(A, B), A) == B
    assert successor(known(A, B), B) is None


def test_a_digest_is_of_all_terms_in_their_order() -> None:
    assert digest_of([A, None]) is None
    digests = {digest_of(found) for found in ([A], [B], [A, B], [B, A], [A, A])}
    assert len(digests) == 5


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 60))
def test_each_position_past_the_first_start_is_of_one_term(
    lengths: Sequence[int], position: int
) -> None:
    starts = [sum(lengths[:at]) for at in range(len(lengths))]
    found = known(*(Term(f"{at:012x}", start, 0) for at, start in enumerate(starts)))
    term = term_at(found, position)
    before = [each for each in found.terms if each.start < position]
    assert term == (before[-1] if before else None)


@pytest.mark.parametrize(
    ("read", "denied"),
    [
        pytest.param(known(A), False, id="nothing new"),
        pytest.param(known(A, B), False, id="a term that begins where we stand"),
        pytest.param(known(A, B, C), False, id="and another"),
        pytest.param(known(A, C), False, id="a term that begins later"),
        pytest.param(known(A, B._replace(start=19), C), True, id="it began before"),
        pytest.param(known(B, C), True, id="our term is not known"),
        pytest.param(known(A._replace(start=9), B), True, id="it began elsewhere"),
    ],
)
def test_new_terms_must_begin_where_what_was_read_ends(
    read: Terms, *, denied: bool
) -> None:
    assert contradicts(known(A), read, 20) is denied


# ---- a hub that follows


def mark(term: Term | None, offset: int) -> tuple[Record, Place]:
    record = watermark_key(0), encode(Watermark(shard=0, log_time=NOW_MS))
    return record, Place(0, offset, NOW_MS, term.id if term else None)


def took(hub: Hub, *placed: tuple[Record, Place]) -> None:
    records, places = zip(*placed, strict=True)
    hub.apply(records, places=places, now_ms=NOW_MS)


def at(record: Record, offset: int) -> tuple[Record, Place]:
    return record, Place(0, offset, NOW_MS)


def following(*, checked: bool = True) -> Hub:
    hub = Hub()
    took(
        hub, at(identity(partitions=1), 0), at(terms(0, A), 10), at(price(STX, "1"), 14)
    )
    hub.check_terms(checked=checked)
    return hub


def test_a_watermark_of_the_term_that_is_known_is_taken() -> None:
    hub = following()
    took(hub, mark(A, 15), mark(None, 16))
    took(hub, at(terms(0, A, B), 20), mark(B, 21))
    assert hub.watermarks_ms == {0: NOW_MS}


def test_a_watermark_of_another_term_shows_a_loss() -> None:
    hub = following()
    with pytest.raises(OtherTimeline, match="partition 0"):
        took(hub, mark(B, 15))


def test_terms_that_begin_before_what_was_read_show_a_loss() -> None:
    hub = following()
    with pytest.raises(OtherTimeline, match="partition 0"):
        took(hub, at(terms(0, A, B._replace(start=14)), 15))


def test_nothing_is_compared_before_all_that_stood_in_the_log_is_read() -> None:
    hub = following(checked=False)
    took(hub, mark(B, 15), at(terms(0, A, B._replace(start=14)), 16))
    # Nor with terms that nobody knows.
    hub = Hub()
    hub.check_terms(checked=True)
    took(hub, mark(A, 1), at(terms(0, B), 2))


def test_a_log_read_again_must_have_all_that_was_read_of_it() -> None:
    hub = following(checked=False)
    hub.agree(encode(known(A)))
    hub.agree(encode(known(A, B)))
    hub.agree(b"{")
    hub.agree(encode(Terms(shard=1, terms=(B,))))
    with pytest.raises(OtherTimeline):
        hub.agree(encode(known(A, B._replace(start=14))))
