"""A history that nobody touched verifies; whatever is changed in it is found, and where."""

from collections.abc import Mapping, Sequence

import pytest

from audit.commits import SOURCES, open_commits
from audit.core.difference import Check
from audit.errors import HistoryGone
from audit.verify import ShardReport, VerifyConfig, verify_shard
from eventlog.port import Partition
from processor.core.generations import GENERATIONS, UnknownGeneration
from schemas.base import decoder, encode
from schemas.journal import Commit
from schemas.latest import terms_key, watermark_key
from schemas.log import Term, Terms, Watermark
from schemas.states import OBSERVED_KEY, TERMS_KEY
from schemas.topics import (
    CHANGES,
    JOURNAL,
    LATEST,
    PRICES_RAW,
    REJECTS,
    SNAPSHOTS,
    STATE,
)
from tests.support.audited import (
    MORE_GENERATIONS,
    SHARD,
    Writing,
    a_history,
    difference_in,
    fold_rounding_down,
    observations,
    snapshot_at,
    verified,
)
from tests.support.list_log import ListLog

_commit = decoder(Commit)


# ---- what is as it must be


@pytest.mark.parametrize("holes", [0, 1], ids=["dense", "with holes"])
async def test_a_history_that_nobody_touched_verifies(holes: int) -> None:
    log = a_history(holes=holes)
    report = await verified(log)
    assert report == ShardReport(
        shard=SHARD,
        start=0,
        last=len(log.of(JOURNAL, SHARD)),
        observations=48,
        waiting=0,
        later=0,
        snapshots=0,
    )


async def test_a_shard_that_wrote_nothing_verifies() -> None:
    report = await verified(ListLog(2))
    assert (report.last, report.difference) == (0, None)


async def test_what_is_not_folded_yet_is_counted_and_no_difference() -> None:
    log = a_history()
    log.put(PRICES_RAW, SHARD, [(b"key", b"value", ())] * 3)
    report = await verified(log)
    assert (report.waiting, report.difference) == (3, None)


async def test_watermarks_are_no_part_of_history_but_must_be_readable() -> None:
    log = a_history()
    mark = encode(Watermark(shard=SHARD, log_time=5))
    log.put(LATEST, SHARD, [(watermark_key(SHARD), mark, ())])
    assert (await verified(log)).difference is None
    log.put(LATEST, SHARD, [(watermark_key(SHARD), b"{}", ())])
    difference = (await verified(log)).difference
    assert difference is not None
    assert (difference.check, difference.topic) == (Check.LATEST, LATEST)


@pytest.mark.parametrize("key", [TERMS_KEY, OBSERVED_KEY])
async def test_copies_in_the_state_must_be_readable_too(key: bytes) -> None:
    log = a_history()
    log.put(STATE, SHARD, [(key, b"junk", ())])
    difference = (await verified(log)).difference
    assert difference is not None
    assert (difference.check, difference.topic) == (Check.STATE, STATE)


async def test_a_term_that_only_the_table_knows_is_a_difference() -> None:
    log = a_history()
    for topic, key, term in [
        (STATE, TERMS_KEY, Term("1" * 12, 0, 1)),
        (LATEST, terms_key(SHARD), Term("2" * 12, 0, 1)),
    ]:
        log.put(topic, SHARD, [(key, encode(Terms(shard=SHARD, terms=(term,))), ())])
    difference = (await verified(log)).difference
    assert difference is not None
    assert difference.expected == "a term that state knows"


async def test_a_compacted_table_without_its_tombstones_verifies() -> None:
    log = a_history()
    records = log.of(LATEST, SHARD)
    last = {record.key: record for record in records}
    records[:] = [r for r in records if last[r.key] is r and r.value is not None]
    assert (await verified(log)).difference is None


async def test_progress_is_told_as_observations() -> None:
    told: list[int] = []
    config = VerifyConfig(settle_s=0)
    log = a_history().as_log()
    await verify_shard(log, SHARD, config=config, progress=told.append)
    assert sum(told) == 48


async def test_a_part_is_verified_from_its_first_commit_to_its_last() -> None:
    log = a_history()
    report = await verified(log, first=3, last=6)
    # Without a snapshot before it, from the first commit there is.
    assert (report.start, report.last, report.difference) == (0, 6, None)
    await snapshot_at(log, 2)
    report = await verified(log, first=3, last=6)
    assert (report.start, report.last, report.difference) == (2, 6, None)


async def test_snapshots_on_the_way_are_compared() -> None:
    log = a_history(holes=1)
    for commit in (2, 5):
        await snapshot_at(log, commit, snapshot_id=f"{commit}")
    assert (await verified(log)).snapshots == 2


async def test_after_retention_it_starts_from_the_oldest_snapshot_that_can_be() -> None:
    log = a_history()
    for commit in (2, 5, 7):
        await snapshot_at(log, commit, snapshot_id=f"{commit}")
    await forget(log, commit=4)
    report = await verified(log)
    assert (report.start, report.difference) == (5, None)


async def forget(log: ListLog, *, commit: int, topics: Sequence[str] = SOURCES) -> None:
    """Drop what stood before the end of a commit, of some topics."""
    async with open_commits(log.as_log(), SHARD, settle_s=0) as commits:
        for _ in range(commit):
            await commits.next()
        places = commits.places
    for topic in topics:
        place = places[topic]
        records = log.of(topic, SHARD)
        records[:] = [record for record in records if record.offset >= place]
        log.dropped[Partition(topic, SHARD)] = place


async def test_without_its_beginning_and_a_snapshot_nothing_can_be_verified() -> None:
    log = a_history()
    await forget(log, commit=4)
    with pytest.raises(HistoryGone, match="no snapshot stands in for it"):
        await verified(log)


@pytest.mark.parametrize("topic", [PRICES_RAW, CHANGES, JOURNAL])
async def test_retention_need_not_have_passed_all_topics_alike(topic: str) -> None:
    """A broker drops segments, and those of busy topics first; nothing was forged."""
    log = a_history()
    for commit in (2, 4, 7):
        await snapshot_at(log, commit, snapshot_id=f"{commit}")
    await forget(log, commit=3, topics=[topic])
    report = await verified(log)
    assert (report.start, report.difference) == (4, None)
    log.of(SNAPSHOTS, SHARD).clear()
    with pytest.raises(HistoryGone, match="was dropped") as gone:
        await verified(log)
    assert gone.value.topic == topic


async def test_rejects_may_be_gone_before_all_else() -> None:
    whole = len(a_history().of(REJECTS, SHARD))
    for gone in range(1, whole + 1):
        log = a_history()
        del log.of(REJECTS, SHARD)[:gone]
        log.dropped[Partition(REJECTS, SHARD)] = gone
        assert (await verified(log)).difference is None, gone


# ---- two generations


async def test_each_range_is_verified_with_the_fold_that_wrote_it() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    seen = list(observations())
    writing.observe(seen[:25])
    writing.fold()
    writing.observe(seen[25:])
    writing.fold(fold=fold_rounding_down)
    report = await verified(log, generations=MORE_GENERATIONS)
    assert report.difference is None
    both_by_the_first = {2: GENERATIONS[2], 3: GENERATIONS[2]}
    found = await difference_in(log, generations=both_by_the_first)
    assert found.check is Check.CHANGES
    with pytest.raises(UnknownGeneration, match="generation 3"):
        await verified(log)


# ---- a log that goes on


class Growing(ListLog):
    """Its last two commits come once the end of the journal has been asked for."""

    def __init__(self, whole: ListLog, places: Mapping[str, int]) -> None:
        super().__init__(whole.partitions)
        self.records, self._places = whole.records, places
        self._is_asked = False

    async def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        now = dict(await super().ends(partitions))
        if self._is_asked:
            return now
        self._is_asked = [at.topic for at in partitions] == [JOURNAL]
        return {at: self._places[at.topic] for at in now}


async def test_what_was_written_since_is_passed_over() -> None:
    """History is verified to where the journal ended; table and state may be newer."""
    log = a_history()
    async with open_commits(log.as_log(), SHARD, settle_s=0) as commits:
        for _ in range(8):
            await commits.next()
        growing = Growing(log, commits.places)
    report = await verified(growing)
    assert (report.difference, report.last) == (None, 8)
    assert report.later > 0
