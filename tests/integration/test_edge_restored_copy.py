"""An older copy of the log is put in place: nobody goes on from what the copy lacks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from edge.core.cursor import parse_cursor
from edge.follower import LogReplaced
from eventlog.port import Entry, EventLog, Partition
from schemas.base import decoder, encode
from schemas.ids import ContractId
from schemas.latest import terms_key, watermark_key
from schemas.log import TERM_HEADER, Term, Terms, Watermark, World
from schemas.topics import LATEST
from stacks_feed_client import Feed, Price, State, connect
from tests.support.cut_log import CutLog
from tests.support.event_stream import streaming
from tests.support.feeding import Relay, eager, next_of, relaying, until_status
from tests.support.logs import read_one
from tests.support.restored_copy import (
    NINE,
    RESUMING,
    TENTH,
    TOKENS,
    Client,
    RestoredLog,
    Values,
    client_of,
    prices_in,
)
from tests.support.serving import (
    LONG_S,
    MARKERS,
    Serving,
    a_log,
    begin_term,
    identity,
    price,
    serving,
    serving_from,
)
from tests.support.sqlite_logs import cut_back


async def longer_than(running: Serving, lost: str) -> None:
    """Wait until every partition has grown past the lost cursor: watermarks do that."""
    wanted = parse_cursor(lost)
    assert wanted is not None
    async with asyncio.timeout(LONG_S):
        while True:
            async with running.http() as http:
                answer = await http.get("/prices")
            found = parse_cursor(answer.headers["Feed-Cursor"])
            assert found is not None
            pairs = zip(found.positions, wanted.positions, strict=True)
            if all(now > then for now, then in pairs):
                return


@pytest.fixture
def log(tmp_path: Path) -> RestoredLog:
    return RestoredLog(tmp_path)


async def lost_and_moved_on(log: RestoredLog) -> Client:
    """Let a client see two moves of nine tokens that the log then loses."""
    async with log.services() as running:
        await log.say(running, TOKENS, "1")
        log.copy()
        await log.say(running, NINE, "2")
        await log.say(running, NINE, "3")
        return await client_of(running)


@asynccontextmanager
async def restored(log: RestoredLog, client: Client) -> AsyncIterator[Serving]:
    """Serve the copy after nine tokens moved to a third value and the log grew."""
    log.put_back()
    async with log.services() as running:
        await log.say(running, NINE, "4")
        await longer_than(running, client.query)
        yield running


TABLE: Values = {**dict.fromkeys(NINE, Decimal(4)), TENTH: Decimal(1)}


async def test_no_way_of_resuming_goes_on_from_a_lost_history(log: RestoredLog) -> None:
    client = await lost_and_moved_on(log)
    assert client.values == {**dict.fromkeys(NINE, Decimal(3)), TENTH: Decimal(1)}
    async with restored(log, client) as running:
        async with running.listener() as listener:
            await listener.asks("HELLO", features=RESUMING)
            said, *updates = await listener.asks("SUBSCRIBE", since=client.socket)
        assert (said["recovered"], said["why"]) == (False, "other-timeline")
        assert prices_in(updates[0]["prices"]) == TABLE
        headers = {"Last-Event-ID": client.stream}
        async with streaming(running, headers=headers) as events:
            _, said, batch = await events.until_id()
        assert (said["recovered"], said["why"]) == (False, "other-timeline")
        assert prices_in(batch["prices"]) == TABLE
        async with running.http() as http:
            body = (await http.get("/prices", params={"since": client.query})).json()
            assert (body["recovered"], body["why"]) == (False, "other-timeline")
            assert prices_in(body["prices"]) == TABLE
            answer = await http.get("/prices", headers={"If-None-Match": client.tag})
            assert answer.status_code == 200
            # And what was taken of the restored log is good.
            now = await client_of(running)
            body = (await http.get("/prices", params={"since": now.query})).json()
            assert body["recovered"] is True
            answer = await http.get("/prices", headers={"If-None-Match": now.tag})
            assert answer.status_code == 304


async def test_the_client_library_has_the_table_of_the_restored_log(
    log: RestoredLog,
) -> None:
    async with relaying() as relay:
        url = f"ws://127.0.0.1:{relay.port}"
        async with connect(url, options=eager()) as feed:
            feed.subscribe()
            client = await followed_and_lost(log, relay, feed)
            async with restored(log, client) as running:
                relay.target = running.edge.port
                await until_status(feed, State.LIVE, recovered=False)
                relay.cut()
                assert held(feed) == TABLE


async def followed_and_lost(
    log: RestoredLog, relay: Relay, feed: Feed[str, Price]
) -> Client:
    """Let the feed see two moves of nine tokens that the log then loses."""
    async with log.services() as running:
        relay.target = running.edge.port
        await log.say(running, TOKENS, "1")
        log.copy()
        await log.say(running, NINE, "2")
        await until_status(feed, State.LIVE)
        updates = feed.subscribe(*NINE)
        await log.say(running, NINE, "3")
        while set(held(feed).values()) != {Decimal(1), Decimal(3)}:
            await next_of(updates)
        client = await client_of(running)
        relay.cut()
        return client


def held(feed: Feed[str, Price]) -> Values:
    return {key: value.price for key, value in feed.view.items()}


async def test_who_has_seen_nothing_that_the_copy_lacks_goes_on_from_a_cursor(
    log: RestoredLog,
) -> None:
    async with log.services() as running:
        await log.say(running, TOKENS, "1")
        client = await client_of(running)
    log.copy()
    async with log.services() as running:
        await log.say(running, NINE, "2")
    log.put_back()
    async with log.services() as running:
        await log.say(running, NINE, "4")
        async with running.http() as http:
            body = (await http.get("/prices", params={"since": client.query})).json()
    assert body["recovered"] is True
    assert prices_in(body["prices"]) == dict.fromkeys(NINE, Decimal(4))


# ---- an edge that follows while records are lost


SHARD = 0
AT = Partition(LATEST, SHARD)


async def marked(log: EventLog, term: Term) -> None:
    """Write a watermark as the owner of a term does."""
    mark = encode(Watermark(shard=SHARD, log_time=1))
    entry = Entry(watermark_key(SHARD), mark, ((TERM_HEADER, term.id.encode()),))
    await log.append(LATEST, [(SHARD, entry)])


async def current_term(log: EventLog) -> Term:
    (value,) = [r.value for r in await read_one(log, AT) if r.key == terms_key(SHARD)]
    terms: Terms = decoder(Terms)(value or b"")
    return terms.terms[-1]


@asynccontextmanager
async def replaced(folder: Path) -> AsyncIterator[tuple[Serving, CutLog, Path]]:
    """Serve a log from which the edge can be cut off, and end as the edge must."""
    error = pytest.RaisesExc(LogReplaced, match="started again")
    lost = pytest.RaisesGroup(error, flatten_subgroups=True)
    async with a_log(folder) as log:
        await identity(log, World.SIMULATED)
        cut = CutLog(log)
        with lost:
            async with serving_from(cut.log) as edge, asyncio.timeout(LONG_S):
                yield Serving(log, edge.edge, edge.clock), cut, folder / "log.sqlite"
                await asyncio.Event().wait()


def in_shard() -> ContractId:
    """Return a token that stands in the shard."""
    return MARKERS[SHARD]


async def lose_and_grow(log: EventLog, path: Path) -> Term:
    """Lose the end of the shard and let the next owner write more than there was."""
    before, end = await current_term(log), (await log.ends([AT]))[AT]
    cut_back(path, AT, records=2)
    term = await begin_term(log, SHARD, before)
    while (await log.ends([AT]))[AT] <= end:
        await price(log, in_shard(), "9", version=9)
    return term


@pytest.mark.parametrize("away_s", [0, 86_400], ids=["for a moment", "for a day"])
async def test_an_edge_that_slept_through_a_loss_stops_and_says_so(
    tmp_path: Path, away_s: int
) -> None:
    async with replaced(tmp_path) as (edge, cut, path):
        for number in range(3):
            await price(edge.log, in_shard(), f"{number + 1}", version=number + 1)
        await edge.taken_in()
        cut.is_cut = True
        async with asyncio.timeout(LONG_S):
            await cut.failed.wait()
        term = await lose_and_grow(edge.log, path)
        await marked(edge.log, term)
        cut.is_cut = False
        edge.clock.step_wall_clock(away_s * 1_000)
        await edge.clock.until_asleep(2)
        await edge.clock.advance(5)


async def test_an_edge_goes_on_with_the_terms_of_owners_that_come_and_go(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as edge:
        term = await current_term(edge.log)
        for _ in range(3):
            await marked(edge.log, term)
            term = await begin_term(edge.log, SHARD, term)
            await edge.taken_in()
        await marked(edge.log, term)
        await edge.taken_in()
