"""Topics: one place knows which part of a key places a record."""

import pytest

from schemas.topics import RAW, TOPICS, partition_key


@pytest.mark.parametrize(
    ("key", "part"),
    [
        pytest.param(b"SP1.token", b"SP1.token", id="raw price"),
        pytest.param(b"SP1", b"SP1", id="raw balance"),
        pytest.param(b"price:SP1.token", b"SP1.token", id="price"),
        pytest.param(b"token:.stx", b".stx", id="token"),
        pytest.param(b"balance:SP1:SP2.token", b"SP1", id="balance"),
        pytest.param(b"account:SP1", b"SP1", id="account"),
        pytest.param(b"SP1|edge-1", b"SP1", id="lease"),
        pytest.param(b"refresh:prices", b"prices", id="refresh"),
        pytest.param(b"log:identity", b"log:identity", id="identity"),
    ],
)
def test_the_part_of_a_key_that_places_a_record(key: bytes, part: bytes) -> None:
    assert partition_key(key) == part


def test_a_user_stands_in_one_shard_whatever_the_record() -> None:
    keys = (b"SP1", b"balance:SP1:.stx", b"account:SP1", b"SP1|edge-1")
    assert {partition_key(key) for key in keys} == {b"SP1"}


def test_every_topic_has_its_own_name() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(names) == len(set(names))
    assert set(RAW) < set(names)
