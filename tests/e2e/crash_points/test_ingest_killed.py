"""Ingest killed at every step: what the log took stays, what is read again adds nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from eventlog.port import EventLog, Partition
from ingest.sources.tokens import read_charisma, read_hiro
from schemas.balances import AccountRead, SubnetRead
from schemas.base import encode
from schemas.demand import Lease
from schemas.ids import Network, UserId
from schemas.prices import PriceObserved
from schemas.tokens import TokenObserved
from schemas.topics import BALANCES_RAW, CHANGES, DEMAND, PRICES_RAW, RAW
from simulator.server import Simulator
from tests.support.crash_process import dies, open_small, processing
from tests.support.ingest_process import ingest, mark
from tests.support.ingesting import LONG_S, Seen, admin_of, client_of, simulated
from tests.support.logs import Place, now_ms, read_all
from tests.support.oracle.derive import DEFAULTS, RawRecord, derive
from tests.support.pipeline import (
    SHARDS,
    TOPICS,
    Told,
    append,
    check,
    follow_progress,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

# Steps, and of each the passes at which one process after the other dies.
ON_THE_WAY = {"reply-read": (1, 4), "demand-read": (1,)}
# At the later pass of these some prices, or the account, are in the log already: there
# are two lists of tokens to append, and three replies were appended before.
AT_THE_LOG = {"append-written": (1, 4), "appended": (1, 4)}
_SUBNETS = 3
_PRICE_SOURCES = {"kraxel", "stxtools", "internal"}
# What says of an observation when it was made, and of a value where it comes from.
_WHEN = {"observedAt", "sequence", "sourceTime", "version", "origins"}
_RAW = [Partition(topic, shard) for topic in RAW for shard in SHARDS]

Word = tuple[str, str, bytes]


@pytest.mark.parametrize("step", ON_THE_WAY)
async def test_killed_with_what_the_log_has_not_seen(tmp_path: Path, step: str) -> None:
    place = Place("sqlite", str(tmp_path / "log.sqlite"))
    await killed(place, step, ON_THE_WAY[step])


@pytest.mark.parametrize("step", AT_THE_LOG)
async def test_killed_before_it_knows_what_the_log_took(
    place: Place, step: str
) -> None:
    assert await killed(place, step, AT_THE_LOG[step])


async def killed(place: Place, step: str, passes: Sequence[int]) -> int:
    """Let ingest die at these passes, one after the other, then live; check it all.

    Return how many observations it made again.
    """
    async with simulated(subnets=_SUBNETS) as simulator, open_small(place) as log:
        await log.create(TOPICS)
        await lease(log, await a_user(simulator))
        for number in passes:
            taken = await dies("ingest", place, f"{step}:{number}", told=simulator.url)
            assert {*taken} <= await marks(log)
        listed = await words_listed(simulator)
        await goes_on(place, log, simulator.url, listed)
        assert_only_confirmed(await words_said(log, listed))
        return await check_nothing_twice(log)


async def a_user(simulator: Simulator) -> UserId:
    async with admin_of(simulator) as admin:
        return await admin.user()


async def lease(log: EventLog, user: UserId) -> None:
    """Let an edge want this user."""
    wanted = Lease(
        user_id=user, edge="edge", renewed_at=0, expires_at=now_ms() + 300_000
    )
    await append(log, [(DEMAND, f"{user}|edge".encode(), encode(wanted))])


async def marks(log: EventLog) -> set[str]:
    """Return what the appends of all that is in the raw topics are called."""
    found = await read_all(log, _RAW)
    return {mark(at.topic, r.key, r.value) for at in found for r in found[at]}


async def words_listed(simulator: Simulator) -> set[Word]:
    """Return what the registries say of tokens."""
    async with client_of(simulator, "tokens") as client:
        charisma = await read_charisma(client, Network.MAINNET)
    async with client_of(simulator, "hiro") as client:
        hiro = await read_hiro(client, Network.MAINNET)
    return {word(one) for one in [*charisma, *hiro]}


def word(one: TokenObserved) -> Word:
    return one.source, one.contract_id, encode(one.fields)


async def words_said(log: EventLog, listed: set[Word]) -> list[TokenObserved]:
    """Wait until all that is listed is in the log; return all that was said of tokens."""
    seen = await seen_from(log, at_the_end=False)
    await seen.until(lambda _: listed <= {word(one) for one in seen.of(TokenObserved)})
    return seen.of(TokenObserved)


def assert_only_confirmed(said: Sequence[TokenObserved]) -> None:
    """Assert that a reading says again nothing but the one row that confirms it."""
    readings: dict[tuple[str, int], list[TokenObserved]] = {}
    for one in said:
        readings.setdefault((one.source, one.observed_at), []).append(one)
    words = set[Word]()
    for rows in sorted(readings.values(), key=lambda rows: rows[0].observed_at):
        again = [one for one in rows if word(one) in words]
        assert not again or rows == again[:1]
        words |= {word(one) for one in rows}


async def seen_from(log: EventLog, *, at_the_end: bool) -> Seen:
    seen = Seen(log)
    seen._positions = dict(await (log.ends if at_the_end else log.oldest)(_RAW))
    return seen


async def goes_on(place: Place, log: EventLog, url: str, listed: set[Word]) -> None:
    """Let ingest read everything there is, once more, and a processor fold it."""
    async with follow_progress(log) as progress, processing(place):
        seen = await seen_from(log, at_the_end=True)
        async with ingesting(log, url):
            await seen.until(lambda _: is_read(seen))
            await words_said(log, listed)
        ends = await log.ends(_RAW)
        await progress.reached({at: end for at, end in ends.items() if end})


@asynccontextmanager
async def ingesting(log: EventLog, url: str) -> AsyncIterator[None]:
    async with asyncio.timeout(3 * LONG_S), asyncio.TaskGroup() as group:
        running = group.create_task(ingest(log, url, "survivor"))
        yield
        running.cancel()


def is_read(seen: Seen) -> bool:
    """Whether all prices and everything of the user have been read."""
    sources = {one.source for one in seen.of(PriceObserved)}
    subnets = {one.subnet_id for one in seen.of(SubnetRead)}
    whole = bool(seen.of(AccountRead)) and len(subnets) == _SUBNETS
    return whole and sources == _PRICE_SOURCES


async def check_nothing_twice(log: EventLog) -> int:
    """Check that all is folded as the text says, and that what came again changed nothing.

    Return how much came again.
    """
    decisions = await check(log, await told(log))
    assert {name.partition(".")[2] for name in decisions} <= {"published", "unchanged"}
    prices = await repeats(log, PRICES_RAW)
    assert decisions["prices.unchanged"] >= prices
    for values in (await contents(log, CHANGES)).values():
        assert all(one != other for one, other in pairwise(values))
    return prices + await repeats(log, BALANCES_RAW)


async def told(log: EventLog) -> Told:
    """Return what must come of what is in the raw topics."""
    found = await read_all(log, _RAW)
    raw = {
        (at.topic, at.number): [
            RawRecord(r.offset, r.time_ms, r.key, r.value) for r in records
        ]
        for at, records in found.items()
    }
    return Told((), raw, derive(raw, DEFAULTS))


async def repeats(log: EventLog, topic: str) -> int:
    """Count the observations that say what was said before."""
    said = (await contents(log, topic)).values()
    return sum(len(each) - len({json.dumps(one) for one in each}) for each in said)


async def contents(log: EventLog, topic: str) -> dict[bytes | None, list[Any]]:
    """Return by key what the records say, in their order, without when."""
    partitions = [Partition(topic, shard) for shard in SHARDS]
    found: dict[bytes | None, list[Any]] = {}
    for records in (await read_all(log, partitions)).values():
        for record in records:
            said = json.loads(record.value or b"null")
            found.setdefault(record.key, []).append(timeless(said))
    return found


def timeless(said: Any) -> Any:
    if isinstance(said, dict):
        return {k: timeless(v) for k, v in said.items() if k not in _WHEN}
    return said
