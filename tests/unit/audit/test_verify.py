"""A history that nobody touched verifies; whatever is changed in it is found, and where."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import pytest

from audit.commits import open_commits
from audit.core.difference import Check, Difference
from audit.core.table import new_standing
from audit.core.verify import Verifier
from audit.errors import HistoryGone
from audit.snapshots import write_snapshot
from audit.verify import ShardReport, VerifyConfig, verify_shard
from eventlog.port import Partition
from processor.core.generations import GENERATIONS, UnknownGeneration
from processor.core.journal import link
from schemas.base import decoder, encode
from schemas.journal import GENESIS, Commit, FoldSettings
from schemas.latest import IDENTITY_KEY, watermark_key
from schemas.states import POSITION_KEY
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
from tests.support.audited import (
    SHARD,
    TWO_GENERATIONS,
    Writing,
    a_history,
    fold_rounding_down,
    observations,
)
from tests.support.list_log import ListLog

_commit = decoder(Commit)


async def verified(log: ListLog, **config: Any) -> ShardReport:
    wanted = VerifyConfig(settle_s=0, **config)
    return await verify_shard(log.as_log(), SHARD, config=wanted)


async def difference_in(log: ListLog, **config: Any) -> Difference:
    found = (await verified(log, **config)).difference
    assert found is not None
    return found


async def snapshot_at(log: ListLog, commit: int, *, snapshot_id: str = "a") -> int:
    """Write a snapshot of a commit that was verified; return the offset of its header."""
    standing = new_standing(SHARD)
    verifier = Verifier(standing, GENERATIONS)
    async with open_commits(log.as_log(), SHARD, settle_s=0) as commits:
        while verifier.commit < commit:
            read = await commits.next()
            assert read is not None
            verifier.check(read)
        places = commits.places
    await write_snapshot(
        log.as_log(), standing, places, generation=1, snapshot_id=snapshot_id * 32
    )
    return log.of(SNAPSHOTS, SHARD)[-1].offset


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


async def test_watermarks_and_the_identity_are_no_part_of_history() -> None:
    log = a_history()
    keys = [watermark_key(SHARD), IDENTITY_KEY]
    log.put(LATEST, SHARD, [(key, b"{}", ()) for key in keys])
    assert (await verified(log)).difference is None


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


async def forget(log: ListLog, *, commit: int) -> None:
    """Drop all that stood before the end of a commit."""
    async with open_commits(log.as_log(), SHARD, settle_s=0) as commits:
        for _ in range(commit):
            await commits.next()
        places = commits.places
    for topic, place in places.items():
        records = log.of(topic, SHARD)
        records[:] = [record for record in records if record.offset >= place]
        log.dropped[Partition(topic, SHARD)] = place


async def test_without_its_beginning_and_a_snapshot_nothing_can_be_verified() -> None:
    log = a_history()
    await forget(log, commit=4)
    with pytest.raises(HistoryGone, match="no snapshot stands in for it"):
        await verified(log)


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
    report = await verified(log, generations=TWO_GENERATIONS)
    assert report.difference is None
    both_by_the_first = {1: GENERATIONS[1], 2: GENERATIONS[1]}
    found = await difference_in(log, generations=both_by_the_first)
    assert found.check is Check.CHANGES
    with pytest.raises(UnknownGeneration, match="generation 2"):
        await verified(log)


# ---- what was changed


Edit = Callable[[ListLog], None]


class Tampering(NamedTuple):
    """A change to a history, and where it must be found."""

    edit: Edit
    check: Check
    topic: str
    offset: int | None


def edited(topic: str, number: int, **fields: Any) -> Edit:
    def edit(log: ListLog) -> None:
        records = log.of(topic, SHARD)
        records[number] = records[number]._replace(**fields)

    return edit


def replaced(topic: str, number: int, old: bytes, new: bytes) -> Edit:
    """Change some bytes of a value; they must be there."""

    def edit(log: ListLog) -> None:
        records = log.of(topic, SHARD)
        value = records[number].value or b""
        assert old in value, value
        records[number] = records[number]._replace(value=value.replace(old, new))

    return edit


def dropped(topic: str, number: int) -> Edit:
    def edit(log: ListLog) -> None:
        del log.of(topic, SHARD)[number]

    return edit


def swapped(topic: str, number: int) -> Edit:
    """Let two neighbours stand where the other stood."""

    def edit(log: ListLog) -> None:
        records = log.of(topic, SHARD)
        first, second = records[number : number + 2]
        records[number : number + 2] = [
            second._replace(offset=first.offset),
            first._replace(offset=second.offset),
        ]

    return edit


def inserted(topic: str, number: int) -> Edit:
    """Write a record once more, at an offset of its own."""

    def edit(log: ListLog) -> None:
        records = log.of(topic, SHARD)
        first = number % len(records)
        later = [one._replace(offset=one.offset + 1) for one in records[first:]]
        records[first + 1 :] = later

    return edit


def commits_edited(number: int, *, relink: bool, **fields: Any) -> Edit:
    """Change what a commit says; ``relink`` makes all after it fit again."""

    def edit(log: ListLog) -> None:
        records = log.of(JOURNAL, SHARD)
        previous = GENESIS
        for at, record in enumerate(records):
            said: Commit = _commit(record.value or b"")
            if at == number:
                said = said.model_copy(update=fields)
            if relink:
                said = said.model_copy(update={"previous": previous})
            previous = link(said)
            records[at] = record._replace(value=encode(said))

    return edit


def state_edited(**fields: Any) -> Edit:
    def edit(log: ListLog) -> None:
        records = log.of(STATE, SHARD)
        last = max(n for n, one in enumerate(records) if one.key == POSITION_KEY)
        said = orjson.loads(records[last].value or b"") | fields
        records[last] = records[last]._replace(value=orjson.dumps(said))

    return edit


def ranges(number: int, topic: str, **fields: Any) -> dict[str, Any]:
    """Return the ranges of a commit of the history, one of them changed."""
    said: Commit = _commit(a_history().of(JOURNAL, SHARD)[number].value or b"")
    changed = said.inputs[topic].model_copy(update=fields)
    return {"inputs": {**said.inputs, topic: changed}}


def digest(number: int, kind: str, **fields: Any) -> dict[str, Any]:
    said: Commit = _commit(a_history().of(JOURNAL, SHARD)[number].value or b"")
    return {kind: getattr(said, kind).model_copy(update=fields)}


def truncated(log: ListLog) -> None:
    """Take the last commit away, but not what it read."""
    said: Commit = _commit(log.of(JOURNAL, SHARD).pop().value or b"")
    del log.of(CHANGES, SHARD)[-said.published.count :]


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
    "an output appended": Tampering(inserted(CHANGES, -1), Check.JOURNAL, CHANGES, 36),
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
        dropped(JOURNAL, -1), Check.JOURNAL, CHANGES, 33
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
        edited(LATEST, -1, value=None), Check.LATEST, LATEST, 35
    ),
    "a key added to the public table": Tampering(
        edited(LATEST, 0, key=b"price:another"), Check.LATEST, LATEST, 0
    ),
    "a key added without a commit": Tampering(
        edited(LATEST, 0, key=b"price:another", headers=()), Check.LATEST, LATEST, 0
    ),
    "a key of a commit to come": Tampering(
        edited(LATEST, -1, headers=(("commit", b"99"),)), Check.LATEST, LATEST, 35
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


async def test_nothing_is_verified_from_a_snapshot_that_was_changed() -> None:
    log = a_history()
    await snapshot_at(log, 4)
    edited(SNAPSHOTS, 0, value=b"{}")(log)
    found = await difference_in(log, first=6)
    assert (found.check, found.commit) == (Check.SNAPSHOT, 4)
    assert "0 chunks, not 1" in f"{found}"


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
