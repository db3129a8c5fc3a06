"""The owner of a SQLite log killed while it forgets: nothing is lost that was to stay."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from eventlog.port import SHARDS_TOPIC, Cleanup, Entry, EventLog, Partition, TopicSpec
from tests.support.crash_process import dies, open_small
from tests.support.logs import LONG_S, Place, now_ms, read_one, texts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

TABLE, RAW = Partition("table", 0), Partition("raw", 0)
TOPICS = (
    TopicSpec(TABLE.topic, 1, Cleanup(compact=True, retention_ms=None)),
    # Two hours after what was written all of it is old.
    TopicSpec(RAW.topic, 1, Cleanup(compact=False, retention_ms=3_600_000)),
    TopicSpec(SHARDS_TOPIC, 1, Cleanup(compact=False, retention_ms=None)),
)
_ROUNDS = 12
_KEYS = [b"%d" % number for number in range(10)]
NEWEST = dict.fromkeys(_KEYS, b"round %d" % (_ROUNDS - 1))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("sqlite", str(tmp_path / "log.sqlite"))


async def fill(log: EventLog, topic: str) -> None:
    """Append round after round of the same keys."""
    await log.create(TOPICS)
    for number in range(_ROUNDS):
        entries = [(0, Entry(key, b"round %d" % number)) for key in _KEYS]
        await log.append(topic, entries)


async def table(log: EventLog) -> dict[bytes | None, bytes | None]:
    return {record.key: record.value for record in await read_one(log, TABLE)}


async def cleaned(log: EventLog, is_clean: Callable[[], Awaitable[bool]]) -> None:
    """Own the shard that cleans until the log is clean."""
    async with asyncio.timeout(LONG_S), log.own(0):
        while not await is_clean():  # noqa: ASYNC110 - cleaning tells nobody
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "spec",
    [
        "slice-written",
        "slice-written:5",
        "slice-made",
        "slice-made:7",
        "compaction-written",
    ],
)
async def test_killed_in_a_compaction(place: Place, spec: str) -> None:
    """Whatever slice it was in, each key has its newest value; the next owner goes on."""
    async with open_small(place) as log:
        await fill(log, TABLE.topic)
    await dies("owner", place, spec)
    async with open_small(place) as log:
        assert await table(log) == NEWEST
        await log.append(TABLE.topic, [(0, Entry(b"0", b"later"))] * 50)

        async def is_clean() -> bool:
            return len(await read_one(log, TABLE)) == len(_KEYS)

        await cleaned(log, is_clean)
        assert await table(log) == NEWEST | {b"0": b"later"}


@pytest.mark.parametrize("spec", ["slice-written", "slice-written:5", "slice-made:3"])
async def test_killed_while_it_drops_what_is_old(place: Place, spec: str) -> None:
    """What is left has no gap, from the oldest offset that the log says it has."""
    async with open_small(place) as log:
        await fill(log, RAW.topic)
        old = await log.ends([RAW])
    for hours in (1, 2):
        async with open_small(place, now_ms=hours_later(hours)) as log:
            await log.append(RAW.topic, [(0, Entry(b"0", b"later"))])
    await dies("owner", place, spec)
    async with open_small(place) as log:
        await check_whole(log)

        async def is_clean() -> bool:
            return await log.oldest([RAW]) == old

        await cleaned(log, is_clean)


def hours_later(hours: int) -> Callable[[], int]:
    return lambda: now_ms() + hours * 3_600_000


async def check_whole(log: EventLog) -> None:
    records = await read_one(log, RAW)
    ((_, oldest),) = (await log.oldest([RAW])).items()
    ((_, end),) = (await log.ends([RAW])).items()
    assert [record.offset for record in records] == list(range(oldest, end))
    assert texts(records)[-3:] == [f"round {_ROUNDS - 1}", "later", "later"]
