"""The bytes of every message, held to the models of the protocol."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from edge.core import messages
from edge.core.frames import MAX_BATCH_BYTES
from edge.core.table import Table
from schemas import wire
from schemas.amounts import price_text
from schemas.balances import Balance
from schemas.log import World
from schemas.prices import Price
from schemas.tokens import Token
from tests.support import records
from tests.support.edge_table import (
    ANNE,
    CHA,
    CHA_SUBNET,
    MARKET,
    NOW_MS,
    SEEN_MS,
    WELSH,
    a_table,
    balance,
    identity,
    price,
    token,
)

_SUBNET = {"subnetBalance", "formattedSubnetBalance", "subnetContractId"}
_METADATA_TEXTS = (
    "name",
    "symbol",
    "type",
    "identifier",
    "description",
    "image",
    "token_uri",
    "token_a_contract",
    "token_b_contract",
    "external_pool_id",
    "engine_contract_id",
)


def held_to(kind: type[BaseModel], text: bytes) -> dict[str, Any]:
    """Return a message as JSON after holding it to exactly the fields of its model."""
    kind.model_validate_json(text)
    said: dict[str, Any] = json.loads(text, parse_float=Decimal)
    fields = {field.alias or name for name, field in kind.model_fields.items()}
    lacking = fields - set(said)
    assert set(said) <= fields
    assert not lacking or (kind is wire.BalanceUpdate and lacking == _SUBNET)
    return said


def update_of(value: Balance, table: Table) -> bytes:
    """Return a balance as the party joins it."""
    told = table.tokens[value.contract_id]
    joined = messages.metadata(told, table.prices.get(value.contract_id))
    decimals = told.fields.decimals
    assert decimals is not None
    return messages.balance_update(value, table, decimals=decimals, joined=joined)


balances = records.EVENTS[Balance]
tokens = records.EVENTS[Token]
usd = st.builds(
    lambda digits, places: price_text(Decimal(digits).scaleb(-places)),
    st.integers(1, 10**20 - 1),
    st.integers(0, 18),
)
priced = records.build(
    Price,
    contract_id=records.contract_ids,
    usd=usd,
    market=records.maybe(records.markets),
    **records.published,
)


@pytest.mark.parametrize("world", World)
def test_the_greeting_says_what_the_edge_knows(world: World) -> None:
    table = a_table(identity(world), token(CHA))
    said = held_to(
        wire.ServerInfo, messages.server_info("prices", table, now_ms=NOW_MS)
    )
    assert said == {
        "type": "SERVER_INFO",
        "party": "prices",
        "isLocalDev": world is World.SIMULATED,
        "metadataLoaded": True,
        "metadataCount": 1,
        "timestamp": NOW_MS,
    }


def test_an_empty_table_has_no_metadata_and_is_not_simulated() -> None:
    said = json.loads(messages.server_info("balances", Table(), now_ms=0))
    assert (said["metadataLoaded"], said["isLocalDev"]) == (False, False)


def test_small_messages_are_those_of_the_protocol() -> None:
    assert held_to(wire.Error, messages.error('a "b"'))["message"] == 'a "b"'
    assert messages.pong(None) == b'{"type":"PONG"}'
    assert messages.pong(b"null") == b'{"type":"PONG","timestamp":null}'
    assert held_to(wire.Pong, messages.pong(b"[1]"))["timestamp"] == [1]
    said = messages.triggered("balances", now_ms=3)
    assert held_to(wire.Triggered, said)["party"] == "balances"


@given(priced, st.sampled_from(["api", "local-dev"]))
def test_a_price_goes_out_with_all_its_digits(value: Price, source: str) -> None:
    text = messages.price_update(value.contract_id, value, source=source)
    assert held_to(wire.PriceUpdate, text) == {
        "type": "PRICE_UPDATE",
        "contractId": value.contract_id,
        "price": Decimal(value.usd),
        "timestamp": value.observed_at,
        "source": source,
    }


def body_of(party: wire.Party, updates: list[bytes]) -> bytes:
    head = messages.body_head(party, updates)
    return head + messages.body_tail(party, now_ms=NOW_MS)


@given(st.lists(priced, max_size=3))
def test_prices_stand_whole_in_batch_and_body(values: list[Price]) -> None:
    updates = [messages.price_update("stx", each, source="api") for each in values]
    batch = held_to(wire.PriceBatch, messages.price_batch(updates, now_ms=NOW_MS))
    body = held_to(wire.PricesBody, body_of("prices", updates))
    whole = [json.loads(each, parse_float=Decimal) for each in updates]
    assert batch["prices"] == body["prices"] == whole


def _known(value: Balance, told: Token, cost: Price | None) -> Table:
    """Return a table in which the token of ``value`` has the fields of ``told``."""
    contract = value.contract_id
    table = Table()
    fields = told.fields.model_copy(update={"type": "SIP10", "decimals": 6})
    table.tokens[contract] = told.model_copy(
        update={"contract_id": contract, "fields": fields}
    )
    if cost is not None:
        table.prices[contract] = cost
    return table


@given(balances, tokens, records.maybe(priced))
def test_a_balance_goes_out_with_exact_numbers(
    value: Balance, told: Token, cost: Price | None
) -> None:
    text = update_of(value, _known(value, told, cost))
    said = held_to(wire.BalanceUpdate, text)
    main = value.mainnet
    assert said["balance"] == int(main.balance if main else "0")
    assert said["totalSent"] == ((main and main.total_sent) or "0")
    assert said["totalReceived"] == ((main and main.total_received) or "0")
    assert said["source"] == ("hiro-api" if main else "default-zero")
    assert said["timestamp"] == value.observed_at
    assert bool(value.subnets) == ("subnetBalance" in said)
    most = max((int(part.balance) for part in value.subnets.values()), default=None)
    assert said.get("subnetBalance") == most
    metadata = held_to(
        wire.TokenMetadata, json.dumps(json.loads(text)["metadata"]).encode()
    )
    assert metadata["name"] == told.fields.name
    assert said["metadata"]["price"] == (Decimal(cost.usd) if cost else None)


@given(balances, tokens)
def test_balances_stand_whole_in_batch_and_body(value: Balance, told: Token) -> None:
    table = _known(value, told, None)
    held = update_of(value, table)
    contract = value.contract_id
    joined = messages.metadata(table.tokens[contract], None)
    zero = messages.zero_update(ANNE, contract, joined=joined, now_ms=NOW_MS)
    assert held_to(wire.BalanceUpdate, zero)["source"] == "default-zero"
    for kind, text in (
        (wire.BalanceBatch, messages.balance_batch([held, zero], now_ms=NOW_MS)),
        (wire.BalancesBody, body_of("balances", [held, zero])),
    ):
        assert held_to(kind, text)["balances"] == [
            json.loads(each, parse_float=Decimal) for each in (held, zero)
        ]


def test_a_spent_subnet_balance_is_zero_and_not_absent() -> None:
    table = a_table(
        balance(ANNE, CHA, None, subnets={CHA_SUBNET: 0}), token(CHA, decimals=6)
    )
    text = update_of(table.balances[ANNE][CHA], table)
    said = json.loads(text)
    assert (said["balance"], said["subnetBalance"]) == (0, 0)
    assert said["subnetContractId"] == CHA_SUBNET


def test_market_data_is_joined_into_the_metadata() -> None:
    table = a_table(token(CHA, decimals=6, verified=True), price(CHA, "2.5", MARKET))
    said = json.loads(messages.metadata(table.tokens[CHA], table.prices[CHA]))
    assert (said["price"], said["change24h"], said["marketCap"]) == (2.5, -1.25, 1e6)
    assert (said["change7d"], said["verified"]) == (None, True)


def test_a_token_without_a_name_of_its_own_or_a_date_has_those_of_the_contract_and_ours() -> (
    None
):
    table = a_table(
        token(CHA, identifier="charisma", last_updated=1_760_000_000_000),
        token(WELSH),
    )
    named, bare = (
        json.loads(messages.metadata(table.tokens[contract], None))
        for contract in (CHA, WELSH)
    )
    assert (named["identifier"], named["lastUpdated"]) == (
        "charisma",
        1_760_000_000_000,
    )
    assert (bare["identifier"], bare["lastUpdated"]) == (WELSH, SEEN_MS)


@pytest.mark.parametrize("letter", ["x", "\x01", "\U0001f600"])
def test_any_token_fits_into_a_batch(letter: str) -> None:
    longest = dict.fromkeys(_METADATA_TEXTS, letter * 8_192)
    table = a_table(token(CHA, decimals=6, **longest), balance(ANNE, CHA, 2**128 - 1))
    text = update_of(table.balances[ANNE][CHA], table)
    held_to(wire.BalanceUpdate, text)
    assert len(messages.balance_batch([text], now_ms=NOW_MS)) <= MAX_BATCH_BYTES - 100


def test_the_longest_text_gives_way_first() -> None:
    table = a_table(
        token(
            CHA,
            decimals=6,
            name="Charisma",
            image="\x01" * 4_000,
            description="\x01" * 3_000,
        )
    )
    said = json.loads(messages.metadata(table.tokens[CHA], None))
    assert said["image"] is None
    assert said["name"] == "Charisma"
    assert said["description"] == "\x01" * 3_000
