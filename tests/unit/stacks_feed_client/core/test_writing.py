"""The texts that a client sends, and how long they may get."""

import json

from hypothesis import given
from hypothesis import strategies as st

from stacks_feed_client.core import writing
from stacks_feed_client.core.ids import ALL


def test_all_is_an_empty_list() -> None:
    said = json.loads(writing.subscribe("userIds", [ALL], None))
    assert said == {"type": "SUBSCRIBE", "userIds": []}


def test_ids_are_named_with_the_cursor() -> None:
    said = json.loads(writing.subscribe("userIds", ["b", "a"], "7"))
    assert said == {"type": "SUBSCRIBE", "userIds": ["a", "b"], "since": "7"}
    said = json.loads(writing.unsubscribe("userIds", ["b"]))
    assert said == {"type": "UNSUBSCRIBE", "userIds": ["b"]}


def test_what_is_asked_for_is_named() -> None:
    assert json.loads(writing.hello())["features"] == [*writing.FEATURES]
    assert json.loads(writing.ping(7)) == {"type": "PING", "timestamp": 7}
    assert json.loads(writing.MANUAL_UPDATE) == {"type": "MANUAL_UPDATE"}


@given(st.integers(0, 1_500), st.integers(4, 170))
def test_pieces_are_the_whole_and_each_fits_into_one_message(
    size: int, width: int
) -> None:
    members = frozenset(f"{number:0{width}d}" for number in range(size))
    pieces = list(writing.pieces(members))
    assert sorted(each for piece in pieces for each in piece) == sorted(members)
    for piece in pieces:
        assert 0 < len(piece) <= 400
        assert len(writing.subscribe("contractIds", piece, "c" * 16_384)) < 60_000


def test_all_stands_alone() -> None:
    assert list(writing.pieces(frozenset({ALL, "a"}))) == [{ALL}, {"a"}]
