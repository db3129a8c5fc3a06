"""Append times of what a commit wrote: moved ones are found where the log contradicts them."""

import pytest

from audit.core.appended import Early
from audit.core.difference import Check
from schemas.states import POSITION_KEY
from schemas.topics import CHANGES, JOURNAL, RAW, REJECTS, STATE
from tests.support.audited import SHARD, a_history, difference_in, snapshot_at, verified
from tests.support.list_log import NOW_MS, ListLog

HOUR_MS = 3_600_000


class Broker(ListLog):
    """A log that gives each partition times of its own."""

    one_time_a_commit = False


def on_a_broker() -> ListLog:
    log = Broker(SHARD + 1)
    log.records = a_history().records
    return log


def moved(log: ListLog, topic: str, by_ms: int) -> ListLog:
    records = log.of(topic, SHARD)
    records[:] = [record._replace(time_ms=record.time_ms + by_ms) for record in records]
    return log


@pytest.mark.parametrize("topic", [CHANGES, JOURNAL, REJECTS, STATE])
@pytest.mark.parametrize("by_ms", [-HOUR_MS, -1, HOUR_MS])
async def test_where_a_commit_has_one_time_another_time_is_found(
    topic: str, by_ms: int
) -> None:
    found = await difference_in(moved(a_history(), topic, by_ms))
    assert found.check is Check.APPEND_TIME
    assert found.topic == (CHANGES if topic == JOURNAL else topic)
    assert f"{found}".startswith("append time differs in commit ")
    assert "as its journal record" in f"{found}"


async def test_all_that_was_moved_together_contradicts_the_position_in_state() -> None:
    log = a_history()
    for topic in (CHANGES, JOURNAL, REJECTS):
        moved(log, topic, -1)
    found = await difference_in(log)
    assert (found.check, found.topic, found.key) == (
        Check.APPEND_TIME,
        STATE,
        POSITION_KEY.decode(),
    )


async def test_where_no_commit_was_verified_there_is_nothing_to_compare_with() -> None:
    log = a_history()
    last = len(log.of(JOURNAL, SHARD))
    await snapshot_at(log, last)
    report = await verified(moved(log, STATE, HOUR_MS), first=last + 1)
    assert (report.start, report.difference) == (last, None)


async def test_where_each_partition_has_a_clock_times_may_differ() -> None:
    for topic in (CHANGES, REJECTS, STATE):
        report = await verified(moved(on_a_broker(), topic, HOUR_MS))
        assert (report.difference, report.early) == (None, None)


async def test_commits_that_were_taken_before_what_they_read_are_told() -> None:
    log = on_a_broker()
    newest_ms = max(record.time_ms for topic in RAW for record in log.of(topic, SHARD))
    commits = len(log.of(JOURNAL, SHARD))
    moved(log, JOURNAL, newest_ms - NOW_MS - HOUR_MS)
    report = await verified(log)
    assert report.difference is None
    assert report.early is not None
    assert (report.early.commits, report.early.first) == (commits, 1)
    assert HOUR_MS - 1_000 < report.early.early_ms <= HOUR_MS


async def test_clocks_of_brokers_may_differ_by_seconds() -> None:
    log = on_a_broker()
    newest_ms = max(record.time_ms for topic in RAW for record in log.of(topic, SHARD))
    moved(log, JOURNAL, newest_ms - NOW_MS - 5_000)
    assert (await verified(log)).early is None
    moved(log, JOURNAL, -1)
    assert (await verified(log)).early == Early(1, len(log.of(JOURNAL, SHARD)), 5_001)


async def test_a_time_that_no_calendar_has_is_told_all_the_same() -> None:
    found = await difference_in(moved(a_history(), CHANGES, 10**17))
    assert "ms after 1970" in f"{found}"
