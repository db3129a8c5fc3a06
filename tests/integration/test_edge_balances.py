"""The balances party: holdings, zeros, subnets, what is held back, and changes."""

from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from eventlog.port import EventLog
from schemas.ids import STX, ContractId
from schemas.latest import balance_key
from schemas.prices import Market
from schemas.topics import LATEST
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    NOW_MS,
    SEEN_MS,
    WELSH,
    Listener,
    Message,
    balance,
    price,
    put,
    serving,
    the_tokens,
    token,
)

PATH = "/parties/balances/main"
METADATA = {
    "contractId": CHA,
    "name": "Charisma",
    "symbol": "CHA",
    "decimals": 6,
    "type": "SIP10",
    "identifier": CHA,
    "description": None,
    "image": None,
    "token_uri": None,
    "total_supply": None,
    "lastUpdated": SEEN_MS,
    "tokenAContract": None,
    "tokenBContract": None,
    "lpRebatePercent": None,
    "externalPoolId": None,
    "engineContractId": None,
    "base": None,
    "verified": False,
    "price": 0.4684,
    "change1h": None,
    "change24h": -1.5,
    "change7d": None,
    "marketCap": 12345.5,
}
UPDATE = {
    "type": "BALANCE_UPDATE",
    "userId": ANNE,
    "contractId": CHA,
    "balance": 1_500_000,
    "totalSent": "100000",
    "totalReceived": "1600000",
    "formattedBalance": 1.5,
    "metadata": METADATA,
    "timestamp": SEEN_MS,
    "source": "hiro-api",
}
SUBNET = {
    "subnetBalance": 500_000,
    "formattedSubnetBalance": 0.5,
    "subnetContractId": CHA_SUBNET,
}


async def tokens_and_a_price(log: EventLog) -> None:
    await the_tokens(log)
    market = Market(change24h="-1.5", market_cap="12345.5")
    await price(log, CHA, "0.4684", market=market)


async def one_balance(log: EventLog) -> None:
    await tokens_and_a_price(log)
    await balance(log, ANNE, CHA, 1_500_000, totals=("100000", "1600000"))


def batch(*updates: Message) -> Message:
    return {"type": "BALANCE_BATCH", "balances": [*updates], "timestamp": NOW_MS}


def amounts(message: Message) -> dict[tuple[str, str], int]:
    """Return each balance of a batch or of a lone update."""
    updates = message.get("balances", [message])
    return {(u["userId"], u["contractId"]): u["balance"] for u in updates}


@pytest.mark.parametrize("path", [PATH, "/parties/balances/any?_pk=x", "/balances"])
async def test_a_client_is_greeted_and_gets_nothing_more(
    tmp_path: Path, path: str
) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        connect(f"ws://{running.host}{path}") as connection,
    ):
        assert await Listener(connection).until_now() == [
            {
                "type": "SERVER_INFO",
                "party": "balances",
                "isLocalDev": True,
                "metadataLoaded": True,
                "metadataCount": 3,
                "timestamp": NOW_MS,
            }
        ]


async def test_all_is_the_holdings_known_without_zeros(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        assert await listener.asks("SUBSCRIBE", userIds=[]) == [batch(UPDATE)]


async def test_a_user_named_has_an_entry_for_every_mainnet_token(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        (heard,) = await listener.asks("SUBSCRIBE", userIds=[ANNE], clientId="c")
    assert heard["balances"][0] == UPDATE
    (zero,) = heard["balances"][1:]
    assert (zero["contractId"], zero["balance"], zero["source"]) == (
        WELSH,
        0,
        "default-zero",
    )
    assert (zero["totalSent"], zero["totalReceived"]) == ("0", "0")
    assert (zero["formattedBalance"], zero["timestamp"]) == (0, NOW_MS)
    assert zero.keys() == UPDATE.keys()


async def test_a_user_not_yet_read_gets_zeros_and_then_what_is_read(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, before=tokens_and_a_price) as running,
        running.listener(PATH) as listener,
    ):
        (heard,) = await listener.asks("SUBSCRIBE", userIds=[ANNE])
        assert set(amounts(heard).values()) == {0}
        await balance(running.log, ANNE, CHA, 1_500_000, totals=("100000", "1600000"))
        assert await listener.next() == UPDATE


async def test_users_are_answered_each_once_in_the_order_asked(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        (heard,) = await listener.asks("SUBSCRIBE", userIds=[BOB, ANNE, BOB])
    assert [(u["userId"], u["contractId"]) for u in heard["balances"]] == [
        (BOB, CHA),
        (BOB, WELSH),
        (ANNE, CHA),
        (ANNE, WELSH),
    ]


async def test_nothing_but_invalid_users_is_an_empty_batch(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        asked: list[Any] = ["nobody", 3, None, "ST000000000000000000002AMW42H"]
        assert await listener.asks("SUBSCRIBE", userIds=asked) == [batch()]
        await balance(running.log, ANNE, CHA, 1)
        await running.taken_in()
        assert await listener.until_now() == []


async def test_before_any_token_is_known_the_batch_is_empty(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.listener(PATH) as listener:
        assert await listener.asks("SUBSCRIBE", userIds=[ANNE]) == [batch()]
        assert await listener.asks("SUBSCRIBE") == [batch()]


async def test_mainnet_and_subnet_are_one_message(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        await listener.asks("SUBSCRIBE", userIds=[ANNE])
        held = {"charisma_token_subnet_v1": 500_000, "other_subnet": 3}
        totals = ("100000", "1600000")
        await balance(running.log, ANNE, CHA, 1_500_000, totals=totals, **held)
        assert await listener.next() == UPDATE | SUBNET


async def test_a_subnet_alone_comes_with_a_mainnet_balance_of_zero(
    tmp_path: Path,
) -> None:
    zero = {
        "balance": 0,
        "totalSent": "0",
        "totalReceived": "0",
        "formattedBalance": 0,
        "source": "default-zero",
    }
    async with (
        serving(tmp_path, before=tokens_and_a_price) as running,
        running.listener(PATH) as listener,
    ):
        await listener.asks("SUBSCRIBE")
        await balance(running.log, ANNE, CHA, None, charisma_token_subnet_v1=500_000)
        assert await listener.next() == UPDATE | SUBNET | zero
        # That the account has been read, and does not hold the token, tells its row of STX.
        await token(running.log, STX, decimals=6)
        await balance(running.log, ANNE, STX, 0)
        read = await listener.next()
        async with running.http() as http:
            told = (await http.get(f"/balances?users={ANNE}")).json()["balances"]
    assert (read["contractId"], read["source"]) == (STX, "hiro-api")
    sources = {row["contractId"]: row["source"] for row in told}
    assert (sources[CHA], sources[STX]) == ("default-zero", "hiro-api")


async def test_a_spent_subnet_balance_is_sent_as_zero(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        await listener.asks("SUBSCRIBE")
        await balance(running.log, ANNE, CHA, 5, charisma_token_subnet_v1=0)
        heard = await listener.next()
    assert (heard["subnetBalance"], heard["subnetContractId"]) == (0, CHA_SUBNET)


async def test_every_digit_of_an_amount_arrives(tmp_path: Path) -> None:
    most = 2**128 - 1
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        await listener.asks("SUBSCRIBE")
        await balance(running.log, ANNE, CHA, most)
        assert amounts(await listener.next()) == {(ANNE, CHA): most}


async def test_a_balance_waits_until_its_decimals_are_known(tmp_path: Path) -> None:
    new = ContractId(f"{BOB}.new-token")
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
        running.http() as http,
    ):
        await listener.asks("SUBSCRIBE", userIds=[ANNE])
        await balance(running.log, ANNE, new, 12)
        await running.taken_in()
        assert await listener.until_now() == []
        metrics = (await http.get("/metrics")).text
        assert "stacks_feed_held_back_balances 1.0" in metrics
        await token(running.log, new, decimals=1)
        assert (await listener.next())["formattedBalance"] == 1.2


async def test_only_subscribers_hear_a_change_and_hear_it_once(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as named,
        running.listener(PATH) as everything,
        running.listener(PATH) as nothing,
    ):
        await named.asks("SUBSCRIBE", userIds=[ANNE])
        await everything.asks("SUBSCRIBE")
        await everything.asks("SUBSCRIBE", userIds=[ANNE])
        await balance(running.log, ANNE, CHA, 7)
        await balance(running.log, BOB, WELSH, 8)
        await running.taken_in()
        heard = [amounts(message) for message in await named.until_now()]
        assert heard == [{(ANNE, CHA): 7}]
        seen: list[tuple[Any, int]] = []
        for message in await everything.until_now():
            seen.extend(amounts(message).items())
        assert sorted(seen) == [((ANNE, CHA), 7), ((BOB, WELSH), 8)]
        assert await nothing.until_now() == []


async def test_nothing_follows_an_unsubscribe(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        await listener.asks("SUBSCRIBE", userIds=[ANNE, BOB])
        assert await listener.asks("UNSUBSCRIBE", userIds=[ANNE]) == []
        await balance(running.log, ANNE, CHA, 7)
        await balance(running.log, BOB, CHA, 8)
        await running.taken_in()
        heard = [amounts(message) for message in await listener.until_now()]
        assert heard == [{(BOB, CHA): 8}]
        assert await listener.asks("UNSUBSCRIBE") == []
        await balance(running.log, BOB, CHA, 9)
        await running.taken_in()
        assert await listener.until_now() == []


async def test_a_price_change_sends_no_balance_but_the_next_has_it(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        await listener.asks("SUBSCRIBE")
        await price(running.log, CHA, "0.5")
        await running.taken_in()
        assert await listener.until_now() == []
        await balance(running.log, ANNE, CHA, 7)
        assert (await listener.next())["metadata"]["price"] == 0.5


async def test_a_withdrawn_balance_is_not_in_later_snapshots(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        await listener.asks("SUBSCRIBE")
        await put(running.log, LATEST, balance_key(ANNE, CHA), None)
        await running.taken_in()
        assert await listener.until_now() == []
        assert await listener.asks("SUBSCRIBE") == [batch()]


async def test_a_contract_can_hold_balances(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=one_balance) as running,
        running.listener(PATH) as listener,
    ):
        (heard,) = await listener.asks("SUBSCRIBE", userIds=[WELSH])
    assert {user for user, _ in amounts(heard)} == {WELSH}


async def test_rows_follow_when_tokens_become_known_after_the_subscription(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as running, running.listener(PATH) as listener:
        assert await listener.asks("SUBSCRIBE", userIds=[ANNE, BOB]) == [batch()]
        await the_tokens(running.log)
        rows: dict[tuple[str, str], int] = {}
        while len(rows) < 4:
            rows |= amounts(await listener.next())
        assert set(rows) == {(u, t) for u in (ANNE, BOB) for t in (CHA, WELSH)}
        assert set(rows.values()) == {0}
        assert await listener.until_now() == []
