"""The newest snapshot up to a commit is found without walking through those after it."""

from hypothesis import given
from hypothesis import strategies as st

from audit.snapshots import newest_first, snapshots
from schemas.topics import SNAPSHOTS
from tests.support.audited import SHARD, Writing, _said
from tests.support.folding import price
from tests.support.list_log import ListLog
from tests.unit.audit.test_as_of import written

_COMMITS = 40


def a_log() -> ListLog:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(price(f"{at}", at=at)) for at in range(1, _COMMITS + 1)])
    writing.fold(per_commit=1)
    return log


async def commits(log: ListLog, at_most: int) -> list[int]:
    found = newest_first(log.as_log(), SHARD, at_most=at_most)
    return [each.header.commit async for each in found]


@given(st.sets(st.integers(1, _COMMITS)), st.sets(st.integers(0, 80), max_size=9))
async def test_all_up_to_a_commit_are_found_the_newest_first(
    wanted: set[int], spoilt: set[int]
) -> None:
    log = a_log()
    await written(log, *wanted)
    records = log.of(SNAPSHOTS, SHARD)
    for at in spoilt & set(range(len(records))):
        records[at] = records[at]._replace(value=b"nonsense")
    whole = [each.header.commit for each in await snapshots(log.as_log(), SHARD)]
    for at_most in (0, 1, 7, 20, 39, _COMMITS):
        some = [commit for commit in whole if commit <= at_most]
        assert await commits(log, at_most) == some


async def test_of_one_who_was_late_none_too_new_is_taken() -> None:
    log = a_log()
    for some in ((5, 10, 15, 20), (8,), (25,), (12,), (30,)):
        await written(log, *some)
    for at_most in range(_COMMITS):
        found = await commits(log, at_most)
        assert all(commit <= at_most for commit in found)
        assert bool(found) == (at_most >= 5)
