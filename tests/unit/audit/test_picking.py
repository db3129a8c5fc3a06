"""Records picked by offset, and the commits that read them."""

import pytest

from audit.errors import IndexWrong
from audit.picking import open_finder, open_picker, picked
from eventlog.port import Partition
from schemas.topics import JOURNAL, PRICES_RAW, RAW
from tests.support.audited import SHARD, Writing, _said, a_history, reads
from tests.support.explained import asking
from tests.support.folding import ALPHA, price
from tests.support.list_log import ListLog

AT = Partition(PRICES_RAW, SHARD)
KEY = ALPHA.encode()


def a_wide_log() -> ListLog:
    """Records of one token far apart, others between them."""
    log = ListLog(SHARD + 1)
    for offset in range(3_000):
        key = KEY if offset % 700 < 2 else b"another"
        log.put(PRICES_RAW, SHARD, [(key, b"%d" % offset, ())])
    return log


async def test_near_ones_and_far_ones_are_found_in_their_order() -> None:
    log = a_wide_log()
    wanted = [r.offset for r in log.of(PRICES_RAW, SHARD) if r.key == KEY]
    found = await picked(log.as_log(), AT, wanted, key=KEY)
    assert [r.offset for r in found] == wanted
    assert await picked(log.as_log(), AT, [], key=KEY) == []


@pytest.mark.parametrize("near", [0, 1, 100, 2_000])
async def test_how_near_is_near_changes_nothing(near: int) -> None:
    log = a_wide_log()
    wanted = [r.offset for r in log.of(PRICES_RAW, SHARD) if r.key == KEY]
    async with open_picker(log.as_log(), AT, key=KEY, near=near) as picker:
        found = [record.offset async for record in picker.pick(wanted)]
    assert found == wanted


async def test_what_retention_took_is_passed_over() -> None:
    log = a_wide_log()
    log.dropped[AT] = 701
    found = await picked(log.as_log(), AT, [0, 1, 700, 701], key=KEY)
    assert [r.offset for r in found] == [701]


@pytest.mark.parametrize("offsets", [[2], [0, 2], [3_000], [0, 3_000]])
async def test_what_is_not_of_the_key_is_no_answer(offsets: list[int]) -> None:
    log = a_wide_log()
    log.put(PRICES_RAW, SHARD, [(KEY, b"", ())], holes=9)
    del log.of(PRICES_RAW, SHARD)[3_000]
    log.put(PRICES_RAW, SHARD, [(b"another", b"", ())] * 2)
    with pytest.raises(IndexWrong):
        await picked(log.as_log(), AT, offsets, key=KEY)


async def test_each_record_is_found_in_the_commit_that_read_it() -> None:
    log = a_history(holes=1)
    async with (
        asking(log) as asked,
        open_finder(asked.log, asked.index, SHARD) as finder,
    ):
        for read in reads(log):
            inputs = [(topic, r) for topic, records in read.inputs for r in records]
            for topic, record in inputs:
                found = await finder.of_raw(topic, record.offset)
                assert found == (read.record.offset, read.said)
            numbered = await finder.numbered(read.said.commit)
            assert numbered == (read.record.offset, read.said)


async def test_what_no_commit_has_read_is_found_in_none() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    async with (
        asking(log) as asked,
        open_finder(asked.log, asked.index, SHARD) as finder,
    ):
        assert await finder.of_raw(PRICES_RAW, 0) is None
        assert await finder.numbered(1) is None
    writing.observe([_said(price("1", at=at)) for at in range(1, 5)])
    writing.fold(commits=1, per_commit=1)
    # A gap that was accepted.
    writing.state.read_on({PRICES_RAW: 2})
    writing.fold(commits=1, per_commit=1)
    async with (
        asking(log) as asked,
        open_finder(asked.log, asked.index, SHARD) as finder,
    ):
        found = [await finder.of_raw(PRICES_RAW, offset) for offset in range(4)]
        assert [each and each.said.commit for each in found] == [1, None, 2, None]
        for topic in set(RAW) - {PRICES_RAW}:
            assert await finder.of_raw(topic, 0) is None
        assert await finder.numbered(3) is None


async def test_a_number_that_is_missing_in_the_journal_is_not_found() -> None:
    log = a_history()
    del log.of(JOURNAL, SHARD)[1]
    async with (
        asking(log) as asked,
        open_finder(asked.log, asked.index, SHARD) as finder,
    ):
        assert await finder.numbered(2) is None
