"""A log beside a head that was kept: contained, or not, and why."""

import pytest

from audit.core.heads import Compared, Head
from audit.errors import HistoryGone
from audit.heads import compared, head_now
from eventlog.port import Partition
from schemas.journal import GENESIS
from schemas.log import World
from schemas.topics import JOURNAL
from tests.support.audited import (
    SHARD,
    Writing,
    a_history,
    observations,
    snapshot_at,
    verified,
)
from tests.support.list_log import ListLog
from tests.support.tampering import commits_edited, replaced
from tests.unit.audit.test_as_of import IDENTITY

SEEN = list(observations())


async def head_of(log: ListLog) -> Head:
    return await head_now(log.as_log(), IDENTITY)


async def beside(log: ListLog, head: Head) -> Compared:
    return await compared(log.as_log(), IDENTITY, head)


async def why_not(log: ListLog, head: Head) -> str:
    found = await beside(log, head)
    assert not found.is_contained
    (why,) = found.differs + found.gone
    return why


def grown() -> tuple[ListLog, Writing]:
    """Return a log of some commits, and who goes on writing it."""
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe(SEEN[:20])
    writing.fold()
    return log, writing


async def test_the_head_of_an_empty_log_is_before_the_first_commit() -> None:
    head = await head_of(ListLog(SHARD + 1))
    assert (head.cut.commits, head.chains) == ((0, 0), (GENESIS, GENESIS))


async def test_a_head_names_the_last_commit_and_what_the_next_one_will_name() -> None:
    log, writing = grown()
    head = await head_of(log)
    position = writing.state.position
    assert head.cut.commits == (0, position.commit)
    assert head.chains == (GENESIS, position.chain)


async def test_a_log_that_has_grown_contains_its_earlier_heads() -> None:
    log, writing = grown()
    heads = [await head_of(ListLog(SHARD + 1)), await head_of(log)]
    writing.observe(SEEN[20:])
    writing.fold()
    heads.append(await head_of(log))
    assert [(await beside(log, head)).is_contained for head in heads] == [True] * 3


async def test_a_history_that_was_rewritten_does_not_contain_the_head() -> None:
    head = await head_of(a_history())
    other = ListLog(SHARD + 1)
    writing = Writing(other)
    topic, key, value = SEEN[0]
    lie = (topic, key, (value or b"").replace(b'"1.11"', b'"6100"'))
    writing.observe([lie, *SEEN[1:]])
    writing.fold()
    # It proves itself; only what was kept elsewhere tells.
    assert (await verified(other)).difference is None
    commit = head.cut.commits[SHARD]
    assert f"commit {commit} of shard {SHARD} has the hash" in await why_not(
        other, head
    )


async def test_a_chain_that_was_linked_anew_does_not_contain_the_head() -> None:
    log = a_history()
    head = await head_of(log)
    commits_edited(0, relink=True, decisions={})(log)
    assert "has the hash" in await why_not(log, head)


async def test_a_log_that_was_cut_short_does_not_contain_the_head() -> None:
    log = a_history()
    head = await head_of(log)
    last = head.cut.commits[SHARD]
    del log.of(JOURNAL, SHARD)[-2:]
    why = f"shard {SHARD} ends with commit {last - 2}, the head has {last}"
    assert await why_not(log, head) == why
    log.of(JOURNAL, SHARD).clear()
    assert "ends with commit 0" in await why_not(log, head)


async def test_a_head_of_another_log_is_not_contained() -> None:
    log = a_history()
    head = await head_of(log)
    for changed, said in (
        ({"id": "f" * 32}, "the head is of log 01234567, this one is ffffffff"),
        ({"partitions": 3}, "the head is of 2 shards, this log has 3"),
        ({"world": World.LIVE}, "the identity of the log (`log:identity`)"),
    ):
        identity = IDENTITY.model_copy(update=changed)
        found = await compared(log.as_log(), identity, head)
        assert not found.is_contained
        assert said in found.differs[0]


async def test_a_commit_that_retention_dropped_is_known_from_the_one_after_it() -> None:
    log, writing = grown()
    head = await head_of(log)
    at = head.cut.commits[SHARD]
    writing.observe([("prices.raw", b"SP.x", b"{}")])
    writing.fold()
    drop_journal(log, at)
    assert (await beside(log, head)).is_contained
    replaced(JOURNAL, 0, head.chains[SHARD].encode(), b"f" * 64)(log)
    assert "has the hash ffff" in await why_not(log, head)


async def test_a_commit_that_retention_dropped_is_known_from_a_snapshot() -> None:
    log, writing = grown()
    head = await head_of(log)
    at = head.cut.commits[SHARD]
    await snapshot_at(log, at)
    grow_by_two(writing)
    drop_journal(log, at + 1)
    assert (await beside(log, head)).is_contained


async def test_of_a_commit_that_nothing_tells_of_nothing_is_said() -> None:
    log, writing = grown()
    head = await head_of(log)
    at = head.cut.commits[SHARD]
    await snapshot_at(log, at - 1)
    grow_by_two(writing)
    drop_journal(log, at + 1)
    found = await beside(log, head)
    assert (found.differs, found.is_contained) == ((), False)
    assert f"shard {SHARD} no longer holds commit {at}" in found.gone[0]


async def test_a_journal_that_is_gone_has_no_head() -> None:
    log = a_history()
    drop_journal(log, len(log.of(JOURNAL, SHARD)))
    with pytest.raises(HistoryGone):
        await head_of(log)


def grow_by_two(writing: Writing) -> None:
    for _ in range(2):
        writing.observe([("prices.raw", b"SP.x", b"{}")])
        writing.fold()


def drop_journal(log: ListLog, count: int) -> None:
    records = log.of(JOURNAL, SHARD)
    log.dropped[Partition(JOURNAL, SHARD)] = records[count - 1].offset + 1
    del records[:count]
