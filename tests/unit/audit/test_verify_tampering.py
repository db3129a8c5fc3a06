"""Whatever is changed in a history is found, and where."""

from typing import NamedTuple

import pytest

from audit.core.difference import Check
from schemas.journal import GENESIS, FoldSettings
from schemas.topics import (
    BALANCES_RAW,
    CHANGES,
    JOURNAL,
    LATEST,
    PRICES_RAW,
    REJECTS,
    SNAPSHOTS,
    STATE,
)
from tests.support.audited import SHARD, a_history, difference_in, snapshot_at, verified
from tests.support.tampering import (
    Edit,
    commits_edited,
    digest,
    dropped,
    edited,
    inserted,
    ranges,
    replaced,
    replaced_key,
    state_edited,
    swapped,
    truncated,
    written,
)


class Tampering(NamedTuple):
    """A change to a history, and where it must be found."""

    edit: Edit
    check: Check
    topic: str
    offset: int | None


# A commit in the middle.
M = 5
OTHER = FoldSettings(price_deviation="0.5")
NO_CHANGE = next(
    number
    for number, record in enumerate(a_history().of(PRICES_RAW, SHARD))
    if b"nonsense" in (record.value or b"")
)

TAMPERINGS = {
    "a raw byte": Tampering(
        replaced(PRICES_RAW, 0, b'"usd":"1.11"', b'"usd":"1.12"'),
        Check.RAW,
        PRICES_RAW,
        0,
    ),
    "a raw byte of what changed nothing": Tampering(
        replaced(PRICES_RAW, NO_CHANGE, b"nonsense", b"Nonsense"),
        Check.RAW,
        PRICES_RAW,
        None,
    ),
    "a raw append time": Tampering(
        edited(PRICES_RAW, 1, time_ms=10_000_000), Check.RAW, PRICES_RAW, 0
    ),
    "a raw key": Tampering(
        edited(BALANCES_RAW, 0, key=b"another"), Check.RAW, BALANCES_RAW, 0
    ),
    "a raw record dropped": Tampering(
        dropped(PRICES_RAW, 2), Check.RANGE, PRICES_RAW, 2
    ),
    "the last raw record dropped": Tampering(
        dropped(PRICES_RAW, -1), Check.RANGE, PRICES_RAW, 33
    ),
    "raw records swapped": Tampering(swapped(PRICES_RAW, 1), Check.RAW, PRICES_RAW, 0),
    "a raw record twice": Tampering(inserted(PRICES_RAW, 2), Check.RAW, PRICES_RAW, 0),
    "an output's value": Tampering(
        replaced(CHANGES, 3, b'"usd":"', b'"usd":"2'), Check.CHANGES, CHANGES, 3
    ),
    "a version": Tampering(
        replaced(CHANGES, 3, b'"version":', b'"version":1'), Check.CHANGES, CHANGES, 3
    ),
    "an origin": Tampering(
        replaced(CHANGES, 3, b'"prices.raw",1,', b'"prices.raw",1,9'),
        Check.CHANGES,
        CHANGES,
        3,
    ),
    "the commit an output names": Tampering(
        edited(CHANGES, 4, headers=(("commit", b"99"),)), Check.CHANGES, CHANGES, 4
    ),
    "an output's key": Tampering(
        edited(CHANGES, 4, key=b"price:another"), Check.CHANGES, CHANGES, 4
    ),
    "an output dropped": Tampering(dropped(CHANGES, 4), Check.CHANGES, CHANGES, 5),
    "the last output dropped": Tampering(
        dropped(CHANGES, -1), Check.CHANGES, CHANGES, None
    ),
    "outputs swapped": Tampering(swapped(CHANGES, 4), Check.CHANGES, CHANGES, 4),
    "an output inserted": Tampering(inserted(CHANGES, 4), Check.CHANGES, CHANGES, 5),
    "an output appended": Tampering(inserted(CHANGES, -1), Check.JOURNAL, CHANGES, 33),
    "a range": Tampering(
        commits_edited(M, relink=True, **ranges(M, PRICES_RAW, start=0)),
        Check.RANGE,
        PRICES_RAW,
        None,
    ),
    "a range's end": Tampering(
        commits_edited(M, relink=True, **ranges(M, PRICES_RAW, end=99)),
        Check.RANGE,
        PRICES_RAW,
        None,
    ),
    "a range's count": Tampering(
        commits_edited(M, relink=True, **ranges(M, PRICES_RAW, count=1)),
        Check.RANGE,
        PRICES_RAW,
        None,
    ),
    "a hash": Tampering(
        commits_edited(M, relink=False, **ranges(M, PRICES_RAW, sha256=GENESIS)),
        Check.CHAIN,
        JOURNAL,
        M,
    ),
    "a hash, and the chain after it": Tampering(
        commits_edited(M, relink=True, **ranges(M, PRICES_RAW, sha256=GENESIS)),
        Check.RAW,
        PRICES_RAW,
        None,
    ),
    "ranges that are no topics": Tampering(
        commits_edited(M, relink=True, inputs={}), Check.RANGE, JOURNAL, M
    ),
    "the hash of the outputs": Tampering(
        commits_edited(M, relink=True, **digest(M, "published", sha256=GENESIS)),
        Check.PUBLISHED,
        JOURNAL,
        M,
    ),
    "the number of the outputs": Tampering(
        commits_edited(M, relink=True, **digest(M, "published", count=0)),
        Check.CHANGES,
        CHANGES,
        None,
    ),
    "more outputs": Tampering(
        commits_edited(M, relink=True, **digest(M, "published", count=30)),
        Check.CHANGES,
        CHANGES,
        None,
    ),
    "the hash of the rejects": Tampering(
        commits_edited(M, relink=True, **digest(M, "rejects", sha256=GENESIS)),
        Check.REJECTED,
        JOURNAL,
        M,
    ),
    "decisions": Tampering(
        commits_edited(M, relink=True, decisions={"prices.published": 1}),
        Check.DECISIONS,
        JOURNAL,
        M,
    ),
    "a log time": Tampering(
        commits_edited(M, relink=True, log_time=1), Check.LOG_TIME, JOURNAL, M
    ),
    "a shard": Tampering(
        commits_edited(M, relink=True, shard=0), Check.JOURNAL, JOURNAL, M
    ),
    "a commit's key": Tampering(
        edited(JOURNAL, M, key=b"0"), Check.JOURNAL, JOURNAL, M
    ),
    "a setting": Tampering(
        commits_edited(1, relink=False, settings=OTHER), Check.CHAIN, JOURNAL, 1
    ),
    "a setting, and the chain after it": Tampering(
        commits_edited(1, relink=True, settings=OTHER), Check.CHANGES, CHANGES, None
    ),
    "a journal record dropped": Tampering(
        dropped(JOURNAL, M), Check.COMMIT_NUMBER, JOURNAL, M + 1
    ),
    "the first journal record dropped": Tampering(
        dropped(JOURNAL, 0), Check.COMMIT_NUMBER, JOURNAL, 1
    ),
    "the last journal record dropped": Tampering(
        dropped(JOURNAL, -1), Check.JOURNAL, CHANGES, 30
    ),
    "the last journal record unlinked": Tampering(
        lambda log: commits_edited(
            len(log.of(JOURNAL, SHARD)) - 1, relink=False, previous=GENESIS
        )(log),
        Check.CHAIN,
        JOURNAL,
        8,
    ),
    "the first journal record unlinked": Tampering(
        commits_edited(0, relink=False, previous="1" * 64), Check.CHAIN, JOURNAL, 0
    ),
    "a journal record of nothing": Tampering(
        edited(JOURNAL, M, value=b"{}"), Check.JOURNAL, JOURNAL, M
    ),
    "a journal record in other words": Tampering(
        replaced(JOURNAL, -1, b'"shard":', b'"shard": '), Check.JOURNAL, JOURNAL, 9
    ),
    "a truncated tail": Tampering(truncated, Check.LATEST, LATEST, None),
    "a reject": Tampering(
        replaced(REJECTS, 1, b'"reason":"', b'"reason":"un'), Check.REJECTS, REJECTS, 1
    ),
    "a reject dropped": Tampering(dropped(REJECTS, 1), Check.REJECTS, REJECTS, 2),
    "a reject appended": Tampering(inserted(REJECTS, -1), Check.JOURNAL, REJECTS, 4),
    "the public table": Tampering(
        replaced(LATEST, -1, b'"version":', b'"version":9'), Check.LATEST, LATEST, None
    ),
    "a key withdrawn from the public table": Tampering(
        edited(LATEST, -1, value=None), Check.LATEST, LATEST, 32
    ),
    "a key added to the public table": Tampering(
        edited(LATEST, 0, key=b"price:another"), Check.LATEST, LATEST, 0
    ),
    "a key added without a commit": Tampering(
        edited(LATEST, 0, key=b"price:another", headers=()), Check.LATEST, LATEST, 0
    ),
    "a key of a commit to come": Tampering(
        edited(LATEST, -1, headers=(("commit", b"99"),)), Check.LATEST, LATEST, 32
    ),
    "a state": Tampering(
        replaced(STATE, 34, b'"version":', b'"version":9'), Check.STATE, STATE, 34
    ),
    "a state's word": Tampering(
        replaced(STATE, 24, b'"usd":"1.', b'"usd":"2.'), Check.STATE, STATE, 24
    ),
    "a state withdrawn": Tampering(
        edited(STATE, 33, value=None), Check.STATE, STATE, 33
    ),
    "a state of another key": Tampering(
        edited(STATE, 33, key=b"price:another"), Check.STATE, STATE, 33
    ),
    "a state under a key of another kind": Tampering(
        replaced_key(STATE, 33, b"balance:", b"account:"), Check.STATE, STATE, 33
    ),
    "a state dropped": Tampering(dropped(STATE, 29), Check.STATE, STATE, 10),
    "a state without its commit": Tampering(
        written(STATE, b"price:another", b"{}"), Check.STATE, STATE, 37
    ),
    "the position": Tampering(state_edited(logTime=1), Check.STATE, STATE, None),
    "a position to come": Tampering(state_edited(commit=99), Check.STATE, STATE, None),
    "a position of nothing": Tampering(
        state_edited(chain=""), Check.STATE, STATE, None
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_what_was_changed_is_found_and_where(name: str) -> None:
    edit, check, topic, offset = TAMPERINGS[name]
    log = a_history()
    edit(log)
    found = await difference_in(log)
    assert (found.check, found.topic) == (check, topic), f"{found}"
    if offset is not None:
        assert found.offset == offset, f"{found}"
    assert found.shard == SHARD
    assert "\n" not in f"{found}"


async def test_the_last_of_all_outputs_in_the_table_is_missed() -> None:
    log = a_history()
    log.of(LATEST, SHARD)[:] = [
        r for r in log.of(LATEST, SHARD) if r.key != log.of(LATEST, SHARD)[-1].key
    ]
    found = await difference_in(log)
    assert (found.check, found.found) == (Check.LATEST, "nothing")


async def test_no_position_at_all_is_missed() -> None:
    log = a_history()
    log.of(STATE, SHARD).clear()
    assert (await difference_in(log)).check is Check.STATE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"observedAt", b"ObservedAt", id="a chunk"),
        pytest.param(b'"states":', b'"states":9', id="a header"),
        pytest.param(b'"part":0', b'"part":1', id="the number of a chunk"),
        pytest.param(b'"chunks":1', b'"chunks":2', id="the number of chunks"),
        pytest.param(b'"logTime":', b'"logTime":1', id="a time"),
        pytest.param(b'"journal":', b'"journal":1', id="a place"),
        pytest.param(b'"chain":"', b'"chain":"0', id="a chain, unreadable"),
    ],
)
async def test_a_snapshot_that_was_changed_is_found(old: bytes, new: bytes) -> None:
    log = a_history()
    await snapshot_at(log, 4)
    records = log.of(SNAPSHOTS, SHARD)
    records[:] = [r._replace(value=(r.value or b"").replace(old, new)) for r in records]
    report = await verified(log)
    if b"chain" in old:
        # Without its header it is no snapshot any more.
        assert (report.snapshots, report.difference) == (0, None)
    else:
        assert report.difference is not None
        assert report.difference.check is Check.SNAPSHOT


async def test_a_snapshot_of_a_commit_to_come_is_found() -> None:
    log = a_history()
    offset = await snapshot_at(log, 4)
    replaced(SNAPSHOTS, -1, b'"commit":4', b'"commit":99')(log)
    found = await difference_in(log)
    assert (found.check, found.offset) == (Check.SNAPSHOT, offset)
    assert "expected one of a commit up to 10, found one of commit 99" in f"{found}"


async def test_nothing_is_verified_from_a_snapshot_that_was_changed() -> None:
    log = a_history()
    await snapshot_at(log, 4)
    edited(SNAPSHOTS, 0, value=b"{}")(log)
    found = await difference_in(log, first=6)
    assert (found.check, found.commit) == (Check.SNAPSHOT, 4)
    assert "0 chunks, not 1" in f"{found}"
