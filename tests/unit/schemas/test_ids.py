"""Ids: the grammar on real identifiers, the normal form, the network."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.c32 import encode_address
from schemas.ids import (
    STX,
    ContractIdField,
    Network,
    UserIdField,
    asset_name,
    parse_contract_id,
    parse_user_id,
)
from tests.support.shared_data import shared_data

USER = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
names = st.from_regex("[a-zA-Z][a-zA-Z0-9_-]{0,39}", fullmatch=True)
addresses = st.builds(
    encode_address,
    st.sampled_from([20, 22, 21, 26]),
    st.binary(min_size=20, max_size=20),
)


@given(addresses, names)
def test_the_normal_form_is_its_own_normal_form(address: str, name: str) -> None:
    for spelling in (address, address.lower()):
        contract = parse_contract_id(f"{spelling}.{name}::asset")
        assert contract == f"{address}.{name}"
        assert parse_contract_id(contract) == contract
        assert parse_user_id(spelling) == address
        assert parse_user_id(f"{spelling}.{name}") == f"{address}.{name}"


def test_real_identifiers_are_taken() -> None:
    known = json.loads(shared_data("stacks/real_identifiers.json").read_text())
    for record in known["identifiers"]:
        contract = record["id"].partition("::")[0]
        assert parse_contract_id(record["id"], Network.MAINNET) == contract
    for record in known["user_addresses"]:
        assert parse_user_id(record["address"]) == record["address"]


def test_published_names_are_judged_as_the_chain_judges_them() -> None:
    vectors = json.loads(shared_data("vectors/names.json").read_text())
    for vector in vectors["contract_names"]:
        if vector["name"] == "__transient":  # a name, never that of a token
            continue
        parsed = parse_contract_id(f"{USER}.{vector['name']}")
        assert (parsed is not None) is vector["wire_valid"], vector
    for vector in vectors["asset_names"]:
        parsed = parse_contract_id(f"{USER}.token::{vector['name']}")
        assert (parsed is not None) is vector["valid"], vector


@pytest.mark.parametrize(
    ("text", "contract"),
    [
        pytest.param("stx", STX, id="stx"),
        pytest.param(".stx", STX, id="dot stx"),
        pytest.param("STX", None, id="a symbol is no id"),
        pytest.param(f"{USER}", None, id="no name"),
        pytest.param(f"{USER}.", None, id="empty name"),
        pytest.param(f"{USER}.1a", None, id="name begins with a digit"),
        pytest.param(f"{USER}.a.b", None, id="two points"),
        pytest.param(f"{USER}.a::", None, id="empty asset"),
        pytest.param(f"{USER}.a\n", None, id="newline"),
        pytest.param(f"{USER}.ä", None, id="not ASCII"),
        pytest.param(f"{USER[:-1]}T.a", None, id="checksum"),
        pytest.param(f"{USER}.a::<=", f"{USER}.a", id="operator asset"),
    ],
)
def test_a_contract_id(text: str, contract: str | None) -> None:
    assert parse_contract_id(text) == contract


def test_an_id_of_another_network_is_none() -> None:
    hash160 = bytes(range(20))
    mainnet, testnet = encode_address(22, hash160), encode_address(26, hash160)
    foreign = encode_address(5, hash160)
    assert parse_user_id(mainnet, Network.MAINNET) == mainnet
    assert parse_user_id(testnet, Network.MAINNET) is None
    assert parse_user_id(testnet, Network.TESTNET) == testnet
    assert parse_contract_id(f"{testnet}.a", Network.MAINNET) is None
    assert parse_contract_id("stx", Network.TESTNET) == STX
    assert parse_user_id(foreign) is None
    assert parse_user_id("no user at all") is None


def test_the_asset_of_a_full_id() -> None:
    assert asset_name(f"{USER}.a::b") == "b"
    assert asset_name(f"{USER}.a") is None


def test_a_record_holds_normal_forms_only() -> None:
    contract: TypeAdapter[str] = TypeAdapter(ContractIdField)
    user: TypeAdapter[str] = TypeAdapter(UserIdField)
    assert contract.validate_python(".stx") == ".stx"
    assert user.validate_python(USER) == USER
    for adapter, text in [
        (contract, "stx"),
        (contract, f"{USER}.a::b"),
        (contract, USER),
        (user, USER.lower()),
        (user, f"{USER}x"),
    ]:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)
