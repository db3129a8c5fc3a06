"""The terms of a shard, and its newest observations, over owners that come and go."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from eventlog.port import (
    Entry,
    EventLog,
    Partition,
    Record,
)
from processor.config import ProcessorConfig
from processor.core.batch import Limits
from processor.shard import Shard
from processor.terms import LatestLost
from runtime.clock import SystemClock
from schemas.base import Event, decoder, encode
from schemas.ids import ContractId
from schemas.latest import (
    observed_key,
    price_key,
    terms_key,
    unquoted_key,
    watermark_key,
)
from schemas.log import LogIdentity, Observed, Term, Terms, Unquoted, Watermark
from schemas.states import BARRIER_KEY, IDENTITY_COPY_KEY, OBSERVED_KEY, TERMS_KEY
from schemas.topics import CHANGES, JOURNAL, LATEST, PRICES_RAW, STATE, TOKENS_RAW
from tests.support.clock import ManualClock
from tests.support.edge_table import identity
from tests.support.folding import ALPHA, BETA, price, token
from tests.support.logs import LONG_S, Place, open_at, read_one
from tests.support.lossy_log import Fate, LossyLog
from tests.support.pipeline import TOPICS
from tests.support.sqlite_logs import cut_back

SHARD = 1
AT = Partition(LATEST, SHARD)
terms_in, observed_in, unquoted_in = map(decoder, (Terms, Observed, Unquoted))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite"


@pytest.fixture
async def log(path: Path) -> AsyncIterator[EventLog]:
    async with open_at(Place("sqlite", str(path))) as opened:
        await opened.create(TOPICS)
        yield opened


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{next(numbers):012x}"


def config(**settings: Any) -> ProcessorConfig:
    given: dict[str, Any] = {"backoff_s": 0, **settings}
    return ProcessorConfig("one", limits=Limits(inputs=1), **given)


@asynccontextmanager
async def serving(
    log: EventLog,
    *,
    shard: int = SHARD,
    clock: ManualClock | SystemClock | None = None,
    **given: Any,
) -> AsyncIterator[Shard]:
    said: LogIdentity | None = given.pop("identity", None)
    served = Shard(
        log, shard, config=config(**given), clock=clock or SystemClock(), identity=said
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(served.run())
        yield served
        running.cancel()


async def say(
    log: EventLog, *observations: Event, shard: int = SHARD, of: ContractId = ALPHA
) -> None:
    for said in observations:
        topic = PRICES_RAW if "price" in type(said).__name__.lower() else TOKENS_RAW
        entry = Entry(of.encode(), encode(said))
        await log.append(topic, [(shard, entry)])


async def commits(log: EventLog, wanted: int, *, shard: int = SHARD) -> None:
    """Wait until the shard has made so many commits of what it folded."""
    async with asyncio.timeout(LONG_S), log.reader({Partition(JOURNAL, shard): 0}) as r:
        found = 0
        while found < wanted:
            batches = await r.read(max_records=100, wait_s=1)
            found += sum(map(len, batches.values()))


async def newest(log: EventLog, at: Partition, key: bytes) -> bytes:
    (value,) = [r.value for r in await read_one(log, at) if r.key == key][-1:]
    return value or b""


async def under(log: EventLog, at: Partition, key: bytes, count: int) -> list[bytes]:
    """Wait until so many values stand under a key; return them."""
    async with asyncio.timeout(LONG_S), log.reader({at: 0}) as reader:
        found: list[bytes] = []
        while len(found) < count:
            batches = await reader.read(max_records=100, wait_s=1)
            found += [r.value or b"" for r in batches.get(at, ()) if r.key == key]
    return found


async def a_term(log: EventLog, at: Partition = AT) -> Record:
    """Wait for the first record of a partition."""
    async with asyncio.timeout(LONG_S), log.reader({at: 0}) as reader:
        while True:
            batches = await reader.read(max_records=1, wait_s=1)
            if batches:
                return batches[at][0]


async def test_the_term_of_an_owner_is_the_first_thing_it_writes(log: EventLog) -> None:
    await say(log, price("1"))
    async with serving(log, new_term_id=ids()):
        await commits(log, 1)
    first, *others = await read_one(log, AT)
    (barrier, *_) = await read_one(log, Partition(STATE, SHARD))
    assert first.key == terms_key(SHARD)
    terms = Terms(shard=SHARD, terms=(Term("0" * 11 + "1", 0, barrier.time_ms),))
    assert terms_in(first.value or b"") == terms
    assert price_key(ALPHA) in {record.key for record in others}
    assert await newest(log, Partition(STATE, SHARD), TERMS_KEY) == first.value


async def test_each_owner_begins_a_term_where_the_one_before_ended(
    log: EventLog,
) -> None:
    new_id = ids()
    for number in range(3):
        await say(log, price(f"{number + 1}", at=number))
        async with serving(log, new_term_id=new_id):
            await commits(log, number + 1)
    records = await read_one(log, AT)
    begun = [
        (r.offset, terms_in(r.value or b""))
        for r in records
        if r.key == terms_key(SHARD)
    ]
    assert [terms.terms[-1].start for _, terms in begun] == [at for at, _ in begun]
    (_, last) = begun[-1]
    assert [int(term.id, 16) for term in last.terms] == [1, 2, 3]
    assert [term.start for term in last.terms] == [at for at, _ in begun]


async def test_watermarks_name_the_term_in_which_they_are_written(
    log: EventLog,
) -> None:
    new_id = ids()
    for number in range(2):
        await say(log, price(f"{number + 1}", at=number))
        async with serving(log, new_term_id=new_id):
            await commits(log, number + 1)
    marks = [r for r in await read_one(log, AT) if r.key == watermark_key(SHARD)]
    named = [dict(mark.headers)["term"] for mark in marks]
    assert named == [b"000000000001", b"000000000002"]
    assert isinstance(decoder(Watermark)(marks[0].value or b""), Watermark)


async def test_an_observation_that_changes_nothing_advances_what_was_observed(
    log: EventLog,
) -> None:
    clock = ManualClock()
    await say(log, price("1", at=5))
    async with serving(log, clock=clock):
        await commits(log, 1)
        await say(log, price("1", at=9), token(at=3))
        await commits(log, 3)
        await clock.until_asleep(2)
        await clock.advance(5)
        found = await under(log, AT, observed_key(SHARD), 2)
    assert [observed_in(value) for value in found] == [
        Observed(shard=SHARD, prices=5, balances=None, tokens=None),
        Observed(shard=SHARD, prices=9, balances=None, tokens=3),
    ]


async def test_what_was_observed_does_not_step_back_with_another_owner(
    log: EventLog,
) -> None:
    clock = ManualClock()
    await say(log, price("1", at=5))
    async with serving(log, clock=clock):
        await commits(log, 1)
        # Too soon for another watermark: this owner publishes no more of it.
        await say(log, price("1", at=9))
        await commits(log, 2)
    assert observed_in(await newest(log, AT, observed_key(1))).prices == 5
    async with serving(log, clock=ManualClock()):
        await say(log, price("1", at=7))
        await commits(log, 3)
    assert observed_in(await newest(log, AT, observed_key(1))).prices == 9
    copied = await newest(log, Partition(STATE, SHARD), OBSERVED_KEY)
    assert observed_in(copied).prices == 9


async def test_a_token_that_no_source_quotes_any_more_is_named_until_one_does(
    log: EventLog,
) -> None:
    # Later than quotes count, by the default settings.
    later = 5 + 900_001
    clock = ManualClock()

    async def unquoted(nth: int) -> dict[ContractId, int]:
        found: Unquoted = unquoted_in(
            (await under(log, AT, unquoted_key(SHARD), nth))[-1]
        )
        assert found.count == len(found.prices)
        return found.prices

    await say(log, price("1", at=5))
    async with serving(log, clock=clock):
        await commits(log, 1)
        await say(log, price("2", at=later, token=BETA), of=BETA)
        await commits(log, 2)
        await clock.until_asleep(1)
        await clock.advance(5)
        assert await unquoted(1) == {ALPHA: 5}
        assert doubted(SHARD) == 1
    # Another owner does not know what the one before it has published.
    async with serving(log, clock=clock):
        await clock.until_asleep(2)
        assert doubted(SHARD) == 1
        await clock.advance(5)
        assert await unquoted(2) == {ALPHA: 5}
        await say(log, price("1", at=later))
        await commits(log, 3)
        await clock.advance(5)
        assert await unquoted(3) == {}
        assert doubted(SHARD) == 0


def doubted(shard: int) -> float | None:
    labels = {"shard": f"{shard}", "doubt": "unquoted"}
    return REGISTRY.get_sample_value("stacks_feed_price_doubts", labels)


async def test_the_owner_of_shard_0_keeps_a_copy_of_the_identity(log: EventLog) -> None:
    _, value = identity()
    said = decoder(LogIdentity)(value or b"")
    for shard in (0, SHARD):
        async with serving(log, shard=shard, identity=said):
            await a_term(log, Partition(LATEST, shard))
    at = Partition(STATE, 0)
    assert await newest(log, at, IDENTITY_COPY_KEY) == value
    keys = {record.key for record in await read_one(log, Partition(STATE, SHARD))}
    assert IDENTITY_COPY_KEY not in keys


# ---- a log that loses what was acknowledged


def cut(path: Path, topic: str, *, records: int) -> None:
    cut_back(path, Partition(topic, SHARD), records=records)


async def test_an_owner_that_has_lost_only_words_about_itself_begins_a_new_term(
    log: EventLog, path: Path
) -> None:
    clock = ManualClock()
    await say(log, price("1", at=5))
    async with serving(log, clock=clock, new_term_id=ids()):
        await commits(log, 1)
        # The watermark and what was observed.
        end = (await log.ends([AT]))[AT] - 2
        cut(path, LATEST, records=2)
        await say(log, price("2", at=6))
        await clock.until_asleep(1)
        await clock.advance(1)
        await commits(log, 2)
    terms = terms_in(await newest(log, AT, terms_key(SHARD))).terms
    assert [int(term.id, 16) for term in terms] == [1, 2]
    assert terms[-1].start == end
    values = [r.value for r in await read_one(log, AT) if r.key == price_key(ALPHA)]
    changed = await read_one(log, Partition(CHANGES, SHARD))
    assert values == [record.value for record in changed]


@asynccontextmanager
async def stopping(log: EventLog) -> AsyncIterator[None]:
    """Serve the shard while the body runs, and on until it stops for a lost value."""
    shard = Shard(log, SHARD, config=config(), clock=SystemClock())
    lost = pytest.RaisesGroup(pytest.RaisesExc(LatestLost, match="rebuild latest"))
    with lost:
        async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as group:
            group.create_task(shard.run())
            yield


async def test_an_owner_that_has_lost_values_of_the_table_stops_and_says_so(
    log: EventLog, path: Path
) -> None:
    await say(log, price("1", at=5))
    async with stopping(log):
        await commits(log, 1)
        # All but the terms.
        cut(path, LATEST, records=3)
        await say(log, price("1", at=6))
    # Whoever comes next is not content with it either, though nothing was cut since.
    for _ in range(2):
        async with stopping(log):
            pass
    assert len(await read_one(log, AT)) == 1


async def test_an_owner_that_finds_the_table_empty_stops_and_says_so(
    log: EventLog, path: Path
) -> None:
    await say(log, price("1", at=5))
    async with serving(log):
        await commits(log, 1)
    cut(path, LATEST, records=4)
    async with stopping(log):
        pass


async def test_a_table_of_which_nobody_noted_the_end_is_read_once(
    log: EventLog, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await say(log, price("1", at=5))
    async with serving(log):
        await commits(log, 1)
    # As it was before owners noted anything.
    forgotten = [Entry(key, None) for key in (TERMS_KEY, OBSERVED_KEY, b"latest")]
    async with log.own(SHARD) as writer:
        await writer.commit({STATE: forgotten})
    for number in (2, 3):
        await say(log, price(f"{number}", at=number))
        async with serving(log):
            await commits(log, number)
    assert [r.message for r in caplog.records].count("checking latest") == 1
    cut(path, LATEST, records=(await log.ends([AT]))[AT])
    async with log.own(SHARD) as writer:
        await writer.commit({STATE: forgotten})
    async with stopping(log):
        pass


async def test_a_shard_is_restored_anew_if_another_owner_came_in_between(
    log: EventLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock, lossy = ManualClock(), LossyLog(log, JOURNAL, [Fate.DONE, Fate.LOST])
    await say(log, price("1", at=5))
    async with serving(lossy.as_log(), clock=clock, backoff_s=1):
        await commits(log, 1)
        await say(log, price("2", at=6))
        # The second commit fails, and before we try again another owner makes it.
        await clock.until_asleep(1)
        async with serving(log):
            await commits(log, 2)
        await say(log, price("3", at=7))
        await clock.advance(1)
        await commits(log, 3)
    # All of the state was read, and not only what we had missed.
    *_, read = [
        r.__dict__["records"] for r in caplog.records if "restored" in r.message
    ]
    keys = [record.key for record in await read_one(log, Partition(STATE, SHARD))]
    assert read == len(keys) - 1 - keys[::-1].index(BARRIER_KEY)


async def test_a_shard_whose_state_was_cut_is_restored_from_what_is_left(
    log: EventLog, path: Path
) -> None:
    clock = ManualClock()
    await say(log, price("1", at=5))
    async with serving(log, clock=clock):
        await commits(log, 1)
        await say(log, price("2", at=6))
        await commits(log, 2)
        for topic, records in ((STATE, 3), (LATEST, 1), (CHANGES, 1), (JOURNAL, 1)):
            cut(path, topic, records=records)
        await say(log, price("3", at=7))
        await clock.until_asleep(1)
        await clock.advance(1)
        await commits(log, 3)
    values = [r.value for r in await read_one(log, Partition(CHANGES, SHARD))]
    assert [b'"usd":"1"' in (values[0] or b""), len(values)] == [True, 3]
