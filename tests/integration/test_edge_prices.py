"""The prices party: what is sent on connecting, on asking, and on a change."""

from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from eventlog.port import EventLog
from schemas.ids import STX
from schemas.latest import price_key
from schemas.log import World
from schemas.topics import LATEST
from tests.support.serving import (
    BOB,
    CHA,
    CHA_SUBNET,
    MARKERS,
    NOW_MS,
    WELSH,
    Listener,
    price,
    put,
    serving,
    the_tokens,
    token,
    two_prices,
    update_of,
)

BATCH = {
    "type": "PRICE_BATCH",
    "prices": [
        update_of(STX, 0.63),
        update_of("stx", 0.63),
        update_of(CHA, 0.4684),
    ],
    "timestamp": NOW_MS,
}


async def tokens_and_prices(log: EventLog) -> None:
    await the_tokens(log)
    await two_prices(log)


def info(**changes: Any) -> dict[str, Any]:
    return {
        "type": "SERVER_INFO",
        "party": "prices",
        "isLocalDev": True,
        "metadataLoaded": False,
        "metadataCount": 0,
        "timestamp": NOW_MS,
    } | changes


def by_id(messages: list[dict[str, Any]]) -> dict[str, float]:
    return {update["contractId"]: update["price"] for update in messages}


@pytest.mark.parametrize(
    "path",
    [
        "/parties/prices/main?_pk=4b1c",
        "/parties/prices/any-room",
        "/parties/main/x",
        "/party/x",
        "/prices",
    ],
)
async def test_a_client_is_greeted_and_gets_all_prices(
    tmp_path: Path, path: str
) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        connect(f"ws://{running.host}{path}") as connection,
    ):
        listener = Listener(connection)
        assert await listener.until_now() == [info(), BATCH]


async def test_without_prices_there_is_no_batch(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as running,
        connect(f"ws://{running.host}/prices") as connection,
    ):
        listener = Listener(connection)
        assert await listener.until_now() == [info()]
        assert await listener.asks("SUBSCRIBE", contractIds=[]) == []


async def test_the_greeting_counts_tokens_and_tells_the_world(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=the_tokens, world=World.LIVE) as running,
        connect(f"ws://{running.host}/prices") as connection,
    ):
        (greeting,) = await Listener(connection).until_now()
    assert greeting == info(isLocalDev=False, metadataLoaded=True, metadataCount=3)


async def test_in_a_live_world_prices_come_from_the_api(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices, world=World.LIVE) as running,
        running.listener() as listener,
    ):
        heard = await listener.asks("SUBSCRIBE", contractIds=[CHA])
    assert heard == [update_of(CHA, 0.4684, source="api")]


async def test_ids_are_answered_each_once_in_the_order_asked(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as listener,
    ):
        heard = await listener.asks(
            "SUBSCRIBE",
            contractIds=[CHA, WELSH, ".stx", f"{CHA}::charisma", CHA],
            clientId="c",
        )
    assert heard == [update_of(CHA, 0.4684), update_of(".stx", 0.63)]


@pytest.mark.parametrize("spelling", ["stx", ".stx"])
async def test_stx_is_answered_under_the_spelling_asked_for(
    tmp_path: Path, spelling: str
) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as listener,
    ):
        heard = await listener.asks("SUBSCRIBE", contractIds=[spelling])
        assert heard == [update_of(spelling, 0.63)]
        await price(running.log, STX, "0.64")
        await running.taken_in()
        assert await listener.until_now() == [update_of(spelling, 0.64)]


@pytest.mark.parametrize(
    "asked", [{"contractIds": []}, {"contractIds": None}, {}], ids=str
)
async def test_no_ids_are_all_ids(tmp_path: Path, asked: dict[str, Any]) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as listener,
    ):
        assert await listener.asks("SUBSCRIBE", **asked) == [BATCH]
        await price(running.log, STX, "0.7")
        await price(running.log, WELSH, "0.001")
        await running.taken_in()
        heard = by_id(await listener.until_now())
    assert heard == {STX: 0.7, "stx": 0.7, WELSH: 0.001} | dict.fromkeys(MARKERS, 1)


async def test_nothing_but_invalid_ids_is_nothing(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as listener,
    ):
        asked: list[Any] = ["no id", 7, None, {}, f"{BOB}", "ST1.x", ""]
        assert await listener.asks("SUBSCRIBE", contractIds=asked) == []
        await price(running.log, CHA, "0.5")
        await running.taken_in()
        assert await listener.until_now() == []


async def test_only_subscribers_hear_a_change_and_hear_it_once(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as one,
        running.listener() as none,
    ):
        await one.asks("SUBSCRIBE", contractIds=[CHA])
        await one.asks("SUBSCRIBE", contractIds=[CHA, WELSH])
        await price(running.log, CHA, "0.5", observed_at=5)
        await price(running.log, STX, "0.7")
        await price(running.log, WELSH, "0.001")
        await running.taken_in()
        heard = await one.until_now()
        assert len(heard) == 2
        assert by_id(heard) == {CHA: 0.5, WELSH: 0.001}
        assert update_of(CHA, 0.5, timestamp=5) in heard
        assert await none.until_now() == []


async def test_an_unknown_id_is_heard_of_when_its_price_appears(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.listener() as listener:
        assert await listener.asks("SUBSCRIBE", contractIds=[WELSH]) == []
        await price(running.log, WELSH, "0.001")
        assert await listener.next() == update_of(WELSH, 0.001)


async def test_nothing_follows_an_unsubscribe(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as listener,
    ):
        await listener.asks("SUBSCRIBE", contractIds=[CHA, WELSH])
        assert await listener.asks("UNSUBSCRIBE", contractIds=[CHA]) == []
        await price(running.log, CHA, "0.5")
        await price(running.log, WELSH, "0.002")
        await running.taken_in()
        assert by_id(await listener.until_now()) == {WELSH: 0.002}
        assert await listener.asks("UNSUBSCRIBE", contractIds=[]) == []
        await price(running.log, WELSH, "0.003")
        await running.taken_in()
        assert await listener.until_now() == []


async def test_all_stays_all_whatever_is_added_or_taken(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as listener,
    ):
        await listener.asks("SUBSCRIBE")
        await listener.asks("SUBSCRIBE", contractIds=[WELSH])
        await listener.asks("UNSUBSCRIBE", contractIds=[CHA])
        await price(running.log, CHA, "0.5")
        await running.taken_in()
        assert by_id(await listener.until_now())[CHA] == 0.5
        await listener.asks("UNSUBSCRIBE")
        await price(running.log, CHA, "0.6")
        await running.taken_in()
        assert CHA not in by_id(await listener.until_now())


async def test_a_subnet_token_has_its_bases_price_under_its_own_id(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, before=tokens_and_prices) as running,
        running.listener() as listener,
    ):
        heard = await listener.asks("SUBSCRIBE", contractIds=[CHA_SUBNET])
        assert heard == [update_of(CHA_SUBNET, 0.4684)]
        await price(running.log, CHA, "0.5")
        await running.taken_in()
        assert await listener.until_now() == [update_of(CHA_SUBNET, 0.5)]


async def test_a_subnets_own_price_gives_way_to_its_bases(tmp_path: Path) -> None:
    async def before(log: EventLog) -> None:
        await tokens_and_prices(log)
        await price(log, CHA_SUBNET, "9.9")

    async with (
        serving(tmp_path, before=before) as running,
        running.listener() as listener,
    ):
        heard = await listener.asks("SUBSCRIBE", contractIds=[CHA_SUBNET])
    assert by_id(heard) == {CHA_SUBNET: 0.4684}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_subnet_of_a_subnet_is_priced_whatever_the_order(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    second = f"{BOB}.sub2"
    tokens = [(CHA_SUBNET, CHA), (second, CHA_SUBNET)]

    async def before(log: EventLog) -> None:
        for number in order:
            contract, base = tokens[number]
            await token(log, contract, type="SUBNET", base=base)
        await price(log, CHA, "0.5")

    async with (
        serving(tmp_path, before=before) as running,
        running.listener() as listener,
    ):
        heard = await listener.asks("SUBSCRIBE", contractIds=[second, CHA_SUBNET])
    assert heard == [update_of(second, 0.5), update_of(CHA_SUBNET, 0.5)]


async def test_a_base_without_a_price_gives_none(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=the_tokens) as running,
        running.listener() as listener,
    ):
        assert await listener.asks("SUBSCRIBE", contractIds=[CHA_SUBNET]) == []


async def test_a_withdrawn_price_is_not_in_later_snapshots(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as listener,
    ):
        await listener.asks("SUBSCRIBE", contractIds=[CHA])
        await put(running.log, LATEST, price_key(CHA), None)
        await running.taken_in()
        assert await listener.until_now() == []
        assert await listener.asks("SUBSCRIBE", contractIds=[CHA]) == []


async def test_prices_keep_their_digits(tmp_path: Path) -> None:
    usd = "12345678901234567890.000000000000000001"
    async with serving(tmp_path) as running, running.listener() as listener:
        await listener.asks("SUBSCRIBE", contractIds=[WELSH])
        await price(running.log, WELSH, usd)
        assert f'"price":{usd},' in str(await listener.connection.recv())
