"""A point that is declared where history before it is gone, and all that stands on it."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from audit.as_of import table_at
from audit.config import WatchConfig
from audit.core.commits import commit_of
from audit.core.difference import Check, DifferenceFound
from audit.core.sentences import in_sentences
from audit.core.table import Standing
from audit.core.verify import Verifier
from audit.declaring import declare
from audit.diff import DiffConfig, diff_shard
from audit.errors import HistoryGone
from audit.snapshots import declared_before, snapshots
from audit.watching import Watching
from eventlog.port import Partition
from processor.core.generations import GENERATIONS
from runtime.supervisor import leaves
from schemas.base import encode
from schemas.snapshots import DeclaredSnapshot
from schemas.topics import (
    CHANGES,
    JOURNAL,
    LATEST,
    PRICES_RAW,
    RAW,
    REJECTS,
    SNAPSHOTS,
    STATE,
)
from tests.support.audited import (
    SHARD,
    Writing,
    difference_in,
    observations,
    snapshot_at,
    verified,
)
from tests.support.awaiting import eventually
from tests.support.clock import ManualClock
from tests.support.explained import why
from tests.support.folding import ALPHA, USER, owner_of, price, topic_of
from tests.support.list_log import NOW_MS, ListLog
from tests.support.tampering import replaced, written
from tests.unit.audit.test_watching import begun, watching

SEEN = list(observations())


def _said(event: Any) -> tuple[str, bytes, bytes]:
    return topic_of(event), owner_of(event), encode(event)


# Later than all that the log took.
LATER_MS = NOW_MS + 1


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


class Shard(Writing):
    """A shard whose history a test lets be dropped, and goes on writing."""

    def __init__(self, *, holes: int = 0) -> None:
        super().__init__(ListLog(SHARD + 1), holes=holes)

    def go_on(self, seen: Sequence[tuple[str, bytes | None, bytes | None]]) -> None:
        self.observe(seen)
        self.fold()

    @property
    def commit(self) -> int:
        return self.state.position.commit

    def drop(self, *topics: str, keep: int = 1) -> None:
        """Let retention drop all but the last records of topics."""
        for topic in topics:
            records = self.log.of(topic, SHARD)
            if len(records) > keep:
                self.log.dropped[Partition(topic, SHARD)] = records[-keep].offset
                del records[:-keep]

    def compact(self) -> None:
        """Keep the newest record of each key in the tables."""
        for topic in (LATEST, STATE):
            records = self.log.of(topic, SHARD)
            newest = {record.key: record.offset for record in records}
            records[:] = [r for r in records if newest[r.key] == r.offset]


def a_shard(*, holes: int = 0) -> Shard:
    """Return a shard that has lost its first observations, before any snapshot."""
    shard = Shard(holes=holes)
    shard.go_on(SEEN[:30])
    shard.drop(*RAW)
    return shard


def a_verifier(standing: Standing) -> Verifier:
    return Verifier(standing, GENERATIONS)


async def declared_in(shard: Shard) -> int:
    """Declare a point; return its commit."""
    found = await declare(shard.log.as_log(), SHARD, new_verifier=a_verifier)
    assert found is not None
    return found.header.commit


# ---- what is declared


async def test_without_it_nothing_can_be_verified_and_the_remedy_is_named() -> None:
    with pytest.raises(HistoryGone, match="no snapshot stands in for it") as gone:
        await verified(a_shard().log)
    assert "`stacks-feed audit watch --from now`" in f"{gone.value}"


@pytest.mark.parametrize("holes", [0, 2])
async def test_from_a_declared_point_the_log_proves_itself(holes: int) -> None:
    shard = a_shard(holes=holes)
    commit = await declared_in(shard)
    assert commit == shard.commit
    shard.go_on(SEEN[30:])
    report = await verified(shard.log)
    assert report.difference is None
    assert (report.start, report.declared, report.last) == (
        commit,
        commit,
        shard.commit,
    )
    assert report.observations == len(SEEN[30:])
    replaced(CHANGES, -1, b'"version":', b'"version":1')(shard.log)
    assert (await difference_in(shard.log)).check is Check.CHANGES


@pytest.mark.parametrize("seed", range(8))
async def test_it_holds_all_that_was_derived_wherever_history_ends(seed: int) -> None:
    draw = Random(seed)
    shard = Shard(holes=seed % 2)
    shard.go_on(SEEN[: draw.randint(1, len(SEEN))])
    if seed % 3:
        shard.compact()
    commit = await declared_in(shard)
    # Nothing is gone here, so all of it can be derived and compared.
    report = await verified(shard.log)
    assert (report.difference, report.snapshots) == (None, 1)
    assert (report.start, report.declared, report.last) == (0, 0, commit)


async def test_it_is_said_in_the_log_that_it_was_declared() -> None:
    shard = a_shard()
    commit = await declared_in(shard)
    (found,) = await snapshots(shard.log.as_log(), SHARD)
    assert isinstance(found.header, DeclaredSnapshot)
    assert (found.header.declared, found.header.observations) == (commit, 0)
    assert await declared_before(shard.log.as_log(), SHARD, commit) == commit
    assert await declared_before(shard.log.as_log(), SHARD, commit - 1) == 0


async def test_a_shard_without_a_commit_has_nothing_to_declare() -> None:
    log = ListLog(SHARD + 1).as_log()
    assert await declare(log, SHARD, new_verifier=a_verifier) is None


class Busy(ListLog):
    """A log to which a processor writes after each time that the state was read."""

    def __init__(self, partitions: int) -> None:
        super().__init__(partitions)
        self.at_ends: list[object] = []

    async def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        found = await super().ends(partitions)
        if self.at_ends and partitions[0].topic == LATEST:
            self.at_ends.pop()()  # type: ignore[operator]
        return found


async def test_what_is_committed_meanwhile_is_derived_from_the_state_on() -> None:
    shard = Shard()
    shard.log = Busy(SHARD + 1)
    shard.go_on(SEEN[:20])
    before = shard.commit
    shard.log.at_ends = [
        lambda: shard.go_on(SEEN[25:40]),
        lambda: shard.go_on(SEEN[20:25]),
    ]
    assert before < await declared_in(shard) <= shard.commit
    assert (await verified(shard.log)).snapshots == 1


async def test_parts_of_a_transaction_that_come_into_sight_late_are_waited_for() -> (
    None
):
    shard = Shard()
    log = shard.log = Busy(SHARD + 1)
    shard.go_on(SEEN[:20])
    rows = log.of(LATEST, SHARD)
    late = rows[len(rows) // 2 :]
    del rows[len(rows) // 2 :]
    # They are there after the table was read to where it ended.
    log.at_ends = [lambda: rows.extend(late), lambda: None]
    assert await declared_in(shard) == shard.commit
    assert (await verified(log)).snapshots == 1


async def test_a_shard_that_has_published_nothing_of_late_has_a_point_as_well() -> None:
    shard = a_shard()
    records = shard.log.of(CHANGES, SHARD)
    shard.log.dropped[Partition(CHANGES, SHARD)] = records[-1].offset + 1
    records.clear()
    assert await declared_in(shard) == shard.commit
    assert (await verified(shard.log)).difference is None


async def test_a_state_of_another_history_is_a_difference() -> None:
    shard = a_shard()
    replaced(JOURNAL, -1, b'"logTime":', b'"logTime":1')(shard.log)
    with pytest.raises(DifferenceFound) as found:
        await declared_in(shard)
    assert found.value.difference.check is Check.STATE


async def test_a_table_that_lacks_what_was_published_is_a_difference() -> None:
    shard = a_shard()
    shard.log.of(LATEST, SHARD).clear()
    with pytest.raises(DifferenceFound) as found:
        await declared_in(shard)
    assert (found.value.difference.check, found.value.difference.found) == (
        Check.LATEST,
        "nothing, or an older value",
    )


async def test_a_table_of_a_commit_that_never_was_is_a_difference() -> None:
    shard = a_shard()
    entry = (f"price:{ALPHA}".encode(), b"{}", (("commit", b"999"),))
    shard.log.put(LATEST, SHARD, [entry])
    with pytest.raises(DifferenceFound, match="one of commit 999"):
        await declared_in(shard)


def newest_of(shard: Shard, topic: str, key: str) -> int:
    """Return where in a list the newest record of a key stands."""
    records = shard.log.of(topic, SHARD)
    return max(n for n, r in enumerate(records) if r.key == key.encode())


KEYS = {
    "price": (f"price:{ALPHA}", b'"usd":"', b'"usd":"9'),
    "version": (f"price:{ALPHA}", b'"version":', b'"version":9'),
    "token": (f"token:{ALPHA}", b"Alpha", b"Omega"),
    "published": (f"token:{ALPHA}", b'"published":"', b'"published":"0000'),
    "balance": (f"balance:{USER}:{ALPHA}", b'"balance":"', b'"balance":"9'),
}


@pytest.mark.parametrize("left", ["changes", "no changes"])
@pytest.mark.parametrize(
    ("topic", "what"),
    [
        (LATEST, "price"),
        (LATEST, "version"),
        (LATEST, "token"),
        (LATEST, "balance"),
        (STATE, "price"),
        (STATE, "version"),
        (STATE, "published"),
        (STATE, "balance"),
    ],
)
async def test_what_contradicts_the_rest_of_the_log_is_not_declared(
    topic: str, what: str, left: str
) -> None:
    shard = a_shard()
    if left == "no changes":
        shard.drop(CHANGES)
    key, old, new = KEYS[what]
    replaced(topic, newest_of(shard, topic, key), old, new)(shard.log)
    with pytest.raises(DifferenceFound) as found:
        await declared_in(shard)
    difference = found.value.difference
    assert difference.key == key
    # It is not written, either, so nobody begins with it.
    assert await snapshots(shard.log.as_log(), SHARD) == []
    if left == "changes" and topic == LATEST:
        assert difference.check is Check.LATEST
        assert "as in changes at offset" in difference.expected


async def test_a_table_and_a_state_changed_alike_contradict_what_changes_hold() -> None:
    shard = a_shard()
    key, old, new = KEYS["price"]
    for topic in (LATEST, STATE):
        at = newest_of(shard, topic, key)
        value = shard.log.of(topic, SHARD)[at].value or b""
        before, _, after = value.rpartition(old)
        value = before + new + after
        records = shard.log.of(topic, SHARD)
        records[at] = records[at]._replace(value=value)
    with pytest.raises(DifferenceFound, match="as in changes at offset"):
        await declared_in(shard)


async def test_a_value_that_is_gone_from_the_table_is_not_declared() -> None:
    for keep_changes in (True, False):
        shard = a_shard()
        if not keep_changes:
            shard.drop(CHANGES)
        del shard.log.of(LATEST, SHARD)[0]
        key = f"price:{ALPHA}".encode()
        records = shard.log.of(LATEST, SHARD)
        records[:] = [record for record in records if record.key != key]
        with pytest.raises(DifferenceFound):
            await declared_in(shard)


@pytest.mark.parametrize("commit", [None, b"1", b"3"])
async def test_a_value_that_no_change_has_written_is_not_declared(
    commit: bytes | None,
) -> None:
    shard = a_shard()
    shard.drop(CHANGES, keep=len(shard.log.of(CHANGES, SHARD)) - 1)
    headers = () if commit is None else (("commit", commit),)
    entry = (b"price:of-nobody", b'{"usd":"1","version":1}', headers)
    shard.log.put(LATEST, SHARD, [entry])
    with pytest.raises(DifferenceFound) as found:
        await declared_in(shard)
    assert found.value.difference.key == "price:of-nobody"


async def test_a_tombstone_that_stands_no_more_or_is_another_is_told_apart() -> None:
    shard = Shard()
    shard.go_on(SEEN)
    key = f"balance:{USER}:{ALPHA}".encode()
    assert (
        shard.log.of(CHANGES, SHARD)[newest_of(shard, CHANGES, key.decode())].value
        is None
    )
    for topic in (LATEST, STATE):
        records = shard.log.of(topic, SHARD)
        records[:] = [record for record in records if record.key != key]
    # A table that was rebuilt has tombstones that name no commit.
    shard.log.put(LATEST, SHARD, [(key, None, ()), (b"balance:none", None, ())])
    shard.drop(*RAW)
    assert await declared_in(shard) == shard.commit


@pytest.mark.parametrize("forged", [b"{}", None])
async def test_what_came_while_the_table_was_read_is_compared_as_well(
    forged: bytes | None,
) -> None:
    shard = Shard()
    log = shard.log = Busy(SHARD + 1)
    shard.go_on(SEEN[:20])

    def forge() -> None:
        shard.go_on(SEEN[20:30])
        headers = (("commit", b"%d" % shard.commit),)
        log.put(LATEST, SHARD, [(f"price:{ALPHA}".encode(), forged, headers)])

    log.at_ends = [lambda: None, forge]
    with pytest.raises(DifferenceFound) as found:
        await declared_in(shard)
    assert found.value.difference.key == f"price:{ALPHA}"


async def test_what_was_withdrawn_while_the_table_was_read_stays_withdrawn() -> None:
    shard = Shard()
    log = shard.log = Busy(SHARD + 1)
    shard.go_on(SEEN[:20])
    log.at_ends = [lambda: None, lambda: shard.go_on(SEEN[20:-1])]
    assert await declared_in(shard) == shard.commit
    assert (await verified(log)).snapshots == 1


async def test_a_journal_that_is_gone_has_no_point_to_declare() -> None:
    shard = a_shard()
    records = shard.log.of(JOURNAL, SHARD)
    shard.log.dropped[Partition(JOURNAL, SHARD)] = records[-1].offset + 1
    records.clear()
    with pytest.raises(HistoryGone):
        await declared_in(shard)


# ---- who watches


@asynccontextmanager
async def accepting(
    shard: Shard, *, lost_before_ms: int = LATER_MS
) -> AsyncIterator[Watching]:
    log = shard.log.as_log()
    async with watching(log, lost_before_ms=lost_before_ms) as watch:
        yield watch


async def stopped(shard: Shard, **config: object) -> BaseException:
    wanted = WatchConfig("one", settle_s=0, wait_s=0, **config)  # type: ignore[arg-type]
    watch = Watching(shard.log.as_log(), SHARD, config=wanted, clock=ManualClock())
    with pytest.raises(ExceptionGroup) as group:
        await watch.run()
    (error,) = leaves(group.value)
    return error


async def test_who_accepts_the_loss_watches_from_a_declared_point_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shard = a_shard()
    async with accepting(shard) as watch:
        await eventually(lambda: watch.commit == shard.commit)
        shard.go_on(SEEN[30:])
        await eventually(lambda: watch.commit == shard.commit)
    (line,) = [r for r in caplog.records if r.message == "history declared"]
    assert line.levelno == logging.WARNING
    assert vars(line)["error"].startswith("prices.raw begins at ")
    declared = vars(line)["commit"]
    assert begun(caplog) == [0, declared]
    # Whoever comes later needs not accept anything.
    async with watching(shard.log.as_log()) as later:
        await eventually(lambda: later.commit == shard.commit)
    assert begun(caplog) == [0, declared, declared]


async def test_later_snapshots_name_the_declared_point_for_ever() -> None:
    shard = a_shard()
    async with watching(
        shard.log.as_log(), lost_before_ms=LATER_MS, snapshot_observations=5
    ) as watch:
        await eventually(lambda: watch.commit == shard.commit)
        declared = shard.commit
        for start in range(30, len(SEEN), 10):
            shard.go_on(SEEN[start : start + 10])
            await eventually(lambda: watch.commit == shard.commit)
    headers = [found.header for found in await snapshots(shard.log.as_log(), SHARD)]
    assert len(headers) > 2
    assert {getattr(header, "declared", 0) for header in headers} == {declared}
    report = await verified(shard.log)
    assert (report.difference, report.snapshots) == (None, len(headers) - 1)
    # From the newest on, too, it is told on what all of it stands.
    assert (await verified(shard.log, first=shard.commit)).declared == declared


async def test_only_a_loss_of_before_that_time_is_accepted() -> None:
    shard = a_shard()
    for accepted_ms in (None, 0):
        error = await stopped(shard, lost_before_ms=accepted_ms)
        assert isinstance(error, HistoryGone)
        assert (error.topic, error.shard) == (PRICES_RAW, SHARD)
    assert shard.log.of(SNAPSHOTS, SHARD) == []


async def test_a_topic_of_which_all_is_gone_is_a_loss_as_well() -> None:
    shard = a_shard()
    records = shard.log.of(PRICES_RAW, SHARD)
    shard.log.dropped[Partition(PRICES_RAW, SHARD)] = records[-1].offset + 1
    records.clear()
    async with accepting(shard) as watch:
        await eventually(lambda: watch.commit == shard.commit)


async def test_where_nothing_that_was_read_is_gone_nothing_is_declared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shard = Shard()
    # Retention was faster than the first processor: what it dropped was never read.
    shard.log.dropped[Partition(PRICES_RAW, SHARD)] = 7
    shard.state.start_at({PRICES_RAW: 7})
    shard.go_on(SEEN[:20])
    async with accepting(shard) as watch:
        await eventually(lambda: watch.commit == shard.commit)
    assert begun(caplog) == [0]
    assert shard.log.of(SNAPSHOTS, SHARD) == []


async def test_a_journal_that_is_gone_before_any_commit_is_not_declared_away() -> None:
    shard = Shard()
    shard.log.dropped[Partition(JOURNAL, SHARD)] = 5
    assert isinstance(await stopped(shard, lost_before_ms=LATER_MS), HistoryGone)


# ---- what else is asked


async def test_the_table_is_known_from_the_point_on() -> None:
    shard = a_shard()
    shard.drop(CHANGES)
    commit = await declared_in(shard)
    shard.go_on(SEEN[30:])
    table = await table_at(shard.log.as_log(), SHARD, shard.commit)
    newest = {r.key: r.value for r in shard.log.of(LATEST, SHARD)}
    assert {k: row.value for k, row in table.items()} == {
        k: v for k, v in newest.items() if v is not None
    }
    with pytest.raises(HistoryGone):
        await table_at(shard.log.as_log(), SHARD, commit - 1)


async def test_values_of_after_the_point_are_explained() -> None:
    shard = a_shard()
    declared = await declared_in(shard)
    shard.go_on([_said(price("2.5", "a", 2_000_000))])
    shard.go_on([_said(price("2.5", "a", 2_000_001))])
    found = await why(shard.log, f"price:{ALPHA}", commit=shard.commit)
    assert found.value is not None
    assert found.previous is not None
    assert found.value.commit > declared >= found.previous.commit
    text = "\n".join(in_sentences(found))
    assert "why it changed\n" in text
    gone = f"history of shard {SHARD} before commit {declared + 1} is gone"
    assert f"that can no longer be derived: {gone}, a point was declared" in text
    assert (found.begins, found.declared) == (declared, declared)


async def test_values_of_before_the_point_are_told_and_not_derived() -> None:
    shard = a_shard()
    declared = await declared_in(shard)
    shard.go_on([_said(price("1", "a", 2))])
    for topics in ((), (JOURNAL,), (JOURNAL, CHANGES)):
        shard.drop(*topics)
        found = await why(shard.log, f"price:{ALPHA}", commit=shard.commit)
        text = "\n".join(in_sentences(found))
        if CHANGES in topics:
            assert "was not published up to" in text
            continue
        assert found.value is not None
        assert found.value.commit <= declared
        assert "why it changed can no longer be derived: history of shard" in text
        assert "since then: 1 observation that did not change it" in text
        assert (found.value.journal is None) == bool(topics)


async def test_where_history_begins_with_a_snapshot_that_was_derived_it_says_so() -> (
    None
):
    shard = Shard()
    shard.go_on(SEEN[:30])
    await snapshot_at(shard.log, shard.commit)
    shard.drop(*RAW)
    found = await why(shard.log, f"price:{ALPHA}", commit=shard.commit)
    text = "\n".join(in_sentences(found))
    gone = f"history of shard {SHARD} before commit {shard.commit + 1} is gone"
    assert f"why it changed can no longer be derived: {gone}\n" in text
    assert (found.begins, found.declared) == (shard.commit, 0)


async def test_what_was_before_the_first_change_that_is_left_is_not_known() -> None:
    shard = a_shard()
    await declared_in(shard)
    shard.drop(CHANGES)
    shard.go_on([_said(price("2.5", "a", 2_000_000))])
    found = await why(shard.log, f"price:{ALPHA}", commit=shard.commit)
    assert "what was published before is not known: " in "\n".join(in_sentences(found))


async def test_what_still_stands_in_changes_of_before_the_point_is_told() -> None:
    shard = a_shard()
    declared = await declared_in(shard)
    changes = shard.log.of(CHANGES, SHARD)
    key = f"price:{ALPHA}".encode()
    held = [(commit_of(r) or 0, r.value) for r in changes if r.key == key]
    assert len(held) > 2
    for commit in range(held[0][0], declared):
        found = await why(shard.log, key.decode(), commit=commit)
        before = [each for each in held if each[0] <= commit]
        assert found.value is not None
        assert (found.value.commit, found.value.value) == before[-1]
        assert (found.previous is None) == (len(before) == 1)
        text = "\n".join(in_sentences(found))
        assert "why it changed can no longer be derived: history of shard" in text
        assert f"a point was declared at commit {declared}" in text
        assert "what came since then is not told" in text
        assert "no observation of it" not in text
    # The record of the commit may be gone, the change stands.
    shard.drop(JOURNAL)
    found = await why(shard.log, key.decode(), commit=declared - 1)
    assert found.value is not None
    assert found.value.journal is None


async def test_what_stands_nowhere_any_more_is_refused_with_what_can_be_asked() -> None:
    shard = a_shard()
    declared = await declared_in(shard)
    shard.drop(CHANGES)
    point = f"nothing before commit {declared}, where a point was declared"
    with pytest.raises(HistoryGone, match=point) as gone:
        await why(shard.log, f"price:{ALPHA}", commit=declared - 1)
    assert "--from now" not in f"{gone.value}"
    with pytest.raises(HistoryGone, match=point) as gone:
        await table_at(shard.log.as_log(), SHARD, declared - 1)
    assert "--from now" not in f"{gone.value}"
    assert await table_at(shard.log.as_log(), SHARD, declared)


async def test_a_table_of_before_a_derived_snapshot_names_its_commit() -> None:
    shard = Shard()
    shard.go_on(SEEN[:30])
    await snapshot_at(shard.log, shard.commit)
    shard.drop(CHANGES)
    said = f"nothing before commit {shard.commit} can be told any more"
    with pytest.raises(HistoryGone, match=said):
        await table_at(shard.log.as_log(), SHARD, shard.commit - 1)


async def test_a_lie_about_what_came_after_the_point_is_found() -> None:
    shard = a_shard()
    await declared_in(shard)
    shard.go_on([_said(price("2.5", "a", 2_000_000))])
    records = shard.log.of(CHANGES, SHARD)
    last = max(n for n, r in enumerate(records) if r.key == f"price:{ALPHA}".encode())
    replaced(CHANGES, last, b'"usd":"2.5"', b'"usd":"2.6"')(shard.log)
    with pytest.raises(DifferenceFound):
        await why(shard.log, f"price:{ALPHA}", commit=shard.commit)


async def test_other_settings_are_compared_from_the_point_on() -> None:
    shard = a_shard()
    declared = await declared_in(shard)
    shard.go_on(SEEN[30:])
    log = shard.log.as_log()
    config = DiffConfig(changed={"price_deviation": "0.9"})
    found = await diff_shard(log, SHARD, config=config)
    assert found.begins == {SHARD: declared}
    assert found.is_different
    later = DiffConfig(first=declared + 1, changed={"price_deviation": "0.9"})
    other = await diff_shard(log, SHARD, config=later)
    assert (other.begins, other.counts) == ({}, found.counts)


async def test_other_settings_are_not_compared_on_half_of_the_observations() -> None:
    config = DiffConfig(changed={"price_deviation": "0.9"})
    with pytest.raises(HistoryGone):
        await diff_shard(a_shard().log.as_log(), SHARD, config=config)


async def test_a_damaged_beginning_is_none() -> None:
    shard = a_shard()
    await declared_in(shard)
    shard.drop(JOURNAL)
    replaced(SNAPSHOTS, 0, b'"states":[[', b'"states":[["x","y"],[')(shard.log)
    shard.go_on(SEEN[30:40])
    config = DiffConfig(changed={"price_deviation": "0.9"})
    with pytest.raises(HistoryGone):
        await diff_shard(shard.log.as_log(), SHARD, config=config)


async def test_a_snapshot_from_which_history_does_not_go_on_is_no_beginning() -> None:
    shard = Shard()
    shard.go_on(SEEN[:20])
    await snapshot_at(shard.log, shard.commit)
    at = shard.commit
    shard.go_on(SEEN[20:30])
    shard.drop(*RAW, CHANGES, JOURNAL, REJECTS)
    log = shard.log.as_log()
    with pytest.raises(HistoryGone):
        await table_at(log, SHARD, shard.commit)
    with pytest.raises(HistoryGone):
        await why(shard.log, f"price:{ALPHA}", commit=at)
    written(PRICES_RAW, b"x", b"y")(shard.log)
