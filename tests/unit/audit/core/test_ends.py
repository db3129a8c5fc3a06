"""What must hold where history ends."""

from typing import Any

import pytest

from audit.core.difference import Check, DifferenceFound
from audit.core.ends import LatestCheck, OwnRecordsCheck, check_left_over
from audit.core.table import Row
from eventlog.port import Record
from schemas.base import encode
from schemas.ids import Network
from schemas.latest import IDENTITY_KEY, observed_key, terms_key, watermark_key
from schemas.log import LogIdentity, Observed, Term, Terms, Unquoted, Watermark, World
from schemas.states import (
    BARRIER_KEY,
    IDENTITY_COPY_KEY,
    LATEST_BOUNDS_KEY,
    OBSERVED_KEY,
    TERMS_KEY,
    LatestBounds,
)

TABLE = {b"price:a": Row(b"1", 3), b"price:b": Row(b"2", 5)}


def latest(key: str, value: str | None, commit: int | None, offset: int = 0) -> Record:
    headers = () if commit is None else (("commit", b"%d" % commit),)
    return Record(offset, 0, key.encode(), value.encode() if value else None, headers)


RIGHT = [latest("price:a", "1", 3), latest("price:b", "2", 5)]


def checked(*records: Record, newest: int = 5) -> LatestCheck:
    check = LatestCheck(TABLE, shard=1, last=5)
    check.read(records)
    check.end(newest)
    return check


def test_the_last_record_of_each_key_counts() -> None:
    assert checked(latest("price:a", "0", 1), *RIGHT).later == 0
    withdrawn = [latest("price:c", "0", 1), latest("price:c", None, 4)]
    assert checked(*RIGHT, *withdrawn).later == 0


def test_what_was_written_since_is_counted() -> None:
    since = [latest("price:a", "9", 6), latest("price:c", "1", 7)]
    assert checked(*RIGHT, *since, newest=7).later == 2


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([RIGHT[0]], id="a key is missing"),
        pytest.param([RIGHT[0], latest("price:b", None, 5)], id="withdrawn"),
        pytest.param([RIGHT[0], latest("price:b", "3", 5)], id="another value"),
        pytest.param([RIGHT[0], latest("price:b", "2", 4)], id="another commit"),
        pytest.param([RIGHT[0], latest("price:b", "2", None)], id="no commit"),
        pytest.param([*RIGHT, latest("price:c", "1", 2)], id="a key too many"),
        pytest.param([*RIGHT, latest("price:c", "1", 6)], id="a commit not there"),
    ],
)
def test_a_table_that_is_not_what_was_published_differs(records: list[Record]) -> None:
    with pytest.raises(DifferenceFound) as found:
        checked(*records)
    assert found.value.difference.check is Check.LATEST


def test_what_no_commit_claims_is_named() -> None:
    for topic, commit in (
        ("changes", 9),
        ("changes", 8),
        ("changes", None),
        ("rejects", None),
    ):
        over = latest("price:a", "1", commit, offset=4)
        with pytest.raises(DifferenceFound, match="journal ends with commit 8") as said:
            check_left_over(topic, over, shard=1, last=8, newest=8)
        assert f"{topic}[1] at offset 4, key price:a" in f"{said.value}"


def test_what_a_commit_that_came_since_claims_is_passed_over() -> None:
    for topic, commit in (("changes", 9), ("changes", 10), ("rejects", None)):
        over = latest("price:a", "1", commit)
        check_left_over(topic, over, shard=1, last=8, newest=10)


# ---- records of the shards and of the log about themselves

IDENTITY = LogIdentity(
    id="a" * 32,
    network=Network.MAINNET,
    world=World.SIMULATED,
    partitions=2,
    created_at=1,
)
OTHER = IDENTITY.model_copy(update={"world": World.LIVE})
FIRST, SECOND = Term("1" * 12, 0, 1), Term("2" * 12, 9, 2)


def terms(*each: Term, shard: int = 0) -> Terms:
    return Terms(shard=shard, terms=each)


def observed(shard: int = 0) -> Observed:
    return Observed(shard=shard, prices=1, balances=None, tokens=None)


def own(
    latest: dict[bytes, Any], state: dict[bytes, Any], identity: str | None
) -> None:
    """Check records of shard 0; those given as bytes are written as they are."""
    check = OwnRecordsCheck(shard=0, last=5, identity=identity)
    check.read_latest(_records(latest))
    check.read_state(_records(state))
    check.end()


def _records(records: dict[bytes, Any]) -> list[Record]:
    return [
        Record(n, 0, key, said if isinstance(said, bytes | None) else encode(said))
        for n, (key, said) in enumerate(records.items())
    ]


def test_what_a_shard_says_of_itself_is_as_it_must_be() -> None:
    latest = {
        IDENTITY_KEY: IDENTITY,
        terms_key(0): terms(FIRST),
        watermark_key(0): Watermark(shard=0, log_time=5),
        observed_key(0): observed(),
        b"unquoted:0": Unquoted(shard=0, count=0, prices={}),
        b"price:a": b"not looked at here",
    }
    state = {
        # A processor may have begun a term since the table was read.
        TERMS_KEY: terms(FIRST, SECOND),
        OBSERVED_KEY: observed(),
        IDENTITY_COPY_KEY: IDENTITY,
        LATEST_BOUNDS_KEY: LatestBounds(oldest=0, end=1),
        BARRIER_KEY: b"anything",
    }
    own(latest, state, IDENTITY.digest)
    # Logs of before there were copies, and before there were terms.
    own(latest, {}, None)
    own({}, state, None)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (terms_key(0), b"junk"),
        (watermark_key(0), b"junk"),
        (watermark_key(0), None),
        (observed_key(0), b"{}"),
        (b"unquoted:0", b"junk"),
        (terms_key(1), terms(FIRST, shard=1)),
        (observed_key(0), observed(shard=1)),
        (b"observed:evil", observed()),
        (b"watermark:00", Watermark(shard=0, log_time=5)),
    ],
)
def test_a_record_that_its_shard_never_wrote_is_a_difference(
    key: bytes, said: Any
) -> None:
    with pytest.raises(DifferenceFound) as found:
        own({key: said}, {}, None)
    difference = found.value.difference
    assert (difference.check, difference.key) == (Check.LATEST, key.decode())


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (TERMS_KEY, b"junk"),
        (TERMS_KEY, terms(FIRST, shard=1)),
        (OBSERVED_KEY, None),
        (OBSERVED_KEY, observed(shard=3)),
        (LATEST_BOUNDS_KEY, b"[]"),
    ],
)
def test_a_copy_that_its_shard_never_wrote_is_a_difference(
    key: bytes, said: Any
) -> None:
    with pytest.raises(DifferenceFound) as found:
        own({}, {key: said}, None)
    difference = found.value.difference
    assert (difference.check, difference.key) == (Check.STATE, key.decode())


def test_an_identity_that_is_another_is_a_difference_wherever_it_stands() -> None:
    for latest, state in [
        ({IDENTITY_KEY: OTHER}, {}),
        ({}, {IDENTITY_COPY_KEY: OTHER}),
    ]:
        with pytest.raises(DifferenceFound) as found:
            own(latest, state, IDENTITY.digest)
        assert found.value.difference.check is Check.IDENTITY
    elsewhere = OwnRecordsCheck(shard=1, last=5, identity=None)
    with pytest.raises(DifferenceFound, match="in partition 0"):
        elsewhere.read_latest(_records({IDENTITY_KEY: IDENTITY}))


def test_a_current_term_that_the_state_does_not_know_is_a_difference() -> None:
    with pytest.raises(DifferenceFound, match="a term that state knows"):
        own({terms_key(0): terms(FIRST, SECOND)}, {TERMS_KEY: terms(FIRST)}, None)
