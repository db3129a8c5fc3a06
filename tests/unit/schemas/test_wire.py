"""The base protocol: what is read leniently and what is never sent."""

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.ids import ContractId
from schemas.wire import (
    CLIENT_TYPES,
    BalanceUpdate,
    ClientMessage,
    Ping,
    PriceUpdate,
    Subscribe,
    TokenMetadata,
)

client: TypeAdapter[object] = TypeAdapter(ClientMessage)


@pytest.mark.parametrize("kind", CLIENT_TYPES)
def test_every_client_message_is_read_and_may_hold_more(kind: str) -> None:
    text = f'{{"type":"{kind}","clientId":"x","more":1}}'
    assert type(client.validate_json(text)).__name__.upper() == kind.replace("_", "")


def test_absent_and_null_lists_are_the_same_and_an_empty_one_is_kept() -> None:
    absent = client.validate_json('{"type":"SUBSCRIBE"}')
    null = client.validate_json('{"type":"SUBSCRIBE","contractIds":null}')
    empty = client.validate_json('{"type":"SUBSCRIBE","contractIds":[]}')
    assert absent == null == Subscribe(type="SUBSCRIBE")
    assert isinstance(empty, Subscribe)
    assert empty.contract_ids == ()


def test_a_ping_carries_any_value() -> None:
    text = '{"type":"PING","timestamp":{"a":[1]}}'
    assert client.validate_json(text) == Ping(type="PING", timestamp={"a": [1]})


def test_what_is_no_message_is_refused() -> None:
    for text in ("1", "[]", "{}", '{"type":"HELLO"}'):
        with pytest.raises(ValidationError):
            client.validate_json(text)


def test_the_names_on_the_wire_are_those_of_the_clients() -> None:
    update = PriceUpdate(
        contract_id=ContractId(".stx"), price=0.63, timestamp=1, source="api"
    )
    assert update.model_dump_json(by_alias=True) == (
        '{"type":"PRICE_UPDATE","contractId":".stx","price":0.63,"timestamp":1,'
        '"source":"api"}'
    )
    metadata = {field.alias for field in TokenMetadata.model_fields.values()}
    assert len(metadata) == 23
    assert {"token_uri", "total_supply", "lastUpdated", "tokenAContract"} <= metadata
    assert {"change1h", "change24h", "change7d", "marketCap"} <= metadata
    balance = {field.alias for field in BalanceUpdate.model_fields.values()}
    assert {"subnetBalance", "formattedSubnetBalance", "subnetContractId"} <= balance
