"""Which values answer, under which ids, in which order."""

import json

from edge.core import snapshots
from edge.core.frames import MAX_MESSAGE_BYTES
from edge.core.table import Table
from schemas.ids import STX, Network
from schemas.log import World
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    NOW_MS,
    WELSH,
    a_table,
    balance,
    heard,
    identity,
    messages,
    price,
    token,
)


def test_ids_of_the_logs_network_are_taken() -> None:
    assert snapshots.network_of(Table()) is Network.MAINNET
    table = a_table(identity(network=Network.TESTNET))
    assert snapshots.network_of(table) is Network.TESTNET


def test_ids_are_put_into_normal_form_once_each_in_the_order_asked() -> None:
    asked = ["stx", f"{CHA}::charisma", "no id", CHA, ".stx", "stx"]
    found = snapshots.asked_spellings(asked, Network.MAINNET)
    assert found == ["stx", CHA, STX]
    users = [BOB, "no user", ANNE.lower(), BOB]
    assert snapshots.asked_users(users, Network.MAINNET) == [BOB, ANNE]
    assert snapshots.asked_users([ANNE], Network.TESTNET) == []


def test_all_means_both_spellings_of_stx_and_the_subnet_tokens() -> None:
    table = a_table(
        price(CHA, "2"),
        price(STX, "0.63"),
        token(CHA_SUBNET, type="SUBNET", base=CHA),
        token(WELSH),
    )
    every = snapshots.all_spellings(table)
    assert every == [STX, "stx", CHA, CHA_SUBNET, WELSH]
    said = [json.loads(each) for each in snapshots.price_updates(every, table)]
    assert [(each["contractId"], each["price"]) for each in said] == [
        (STX, 0.63),
        ("stx", 0.63),
        (CHA, 2),
        (CHA_SUBNET, 2),
    ]
    assert {each["source"] for each in said} == {"api"}


def test_prices_of_a_simulated_world_say_so() -> None:
    table = a_table(identity(World.SIMULATED), price(CHA, "2"))
    assert b'"local-dev"' in next(snapshots.price_updates([CHA], table))


def test_without_prices_there_is_no_batch_and_without_balances_an_empty_one() -> None:
    assert snapshots.price_batches([], now_ms=NOW_MS) == b""
    assert heard([snapshots.balance_batches([], now_ms=NOW_MS)]) == [
        {"type": "BALANCE_BATCH", "balances": [], "timestamp": NOW_MS}
    ]


def test_a_long_batch_is_several_messages() -> None:
    update = b'"' + b"x" * 30_000 + b'"'
    for made in (snapshots.price_batches, snapshots.balance_batches):
        texts = messages(made([update] * 5, now_ms=NOW_MS))
        assert [text.count(update) for text in texts] == [2, 2, 1]
        assert all(len(text) <= MAX_MESSAGE_BYTES for text in texts)


def test_a_named_user_has_an_entry_for_every_known_token() -> None:
    table = a_table(
        balance(ANNE, CHA, 5), token(WELSH, decimals=6), token(CHA, decimals=6)
    )
    assert snapshots.shown_tokens(ANNE, table, zeros=False) == [CHA]
    assert snapshots.shown_tokens(ANNE, table, zeros=True) == [CHA, WELSH]
    assert snapshots.shown_tokens(BOB, table, zeros=False) == []


def test_an_entry_is_the_balance_the_zeros_or_nothing() -> None:
    table = a_table(
        balance(ANNE, CHA, 5), token(WELSH, decimals=6), token(CHA, decimals=6)
    )
    held = snapshots.entry(ANNE, CHA, table, zeros=False, now_ms=NOW_MS)
    zero = snapshots.entry(ANNE, WELSH, table, zeros=True, now_ms=NOW_MS)
    assert held is not None
    assert zero is not None
    assert json.loads(held)["source"] == "hiro-api"
    assert json.loads(zero)["source"] == "default-zero"
    assert snapshots.entry(ANNE, WELSH, table, zeros=False, now_ms=0) is None
    assert snapshots.entry(ANNE, STX, table, zeros=True, now_ms=0) is None
