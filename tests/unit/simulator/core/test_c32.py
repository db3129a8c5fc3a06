"""Addresses: reference vectors, and a law."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core import c32
from tests.support.shared_data import shared_data


def vectors() -> dict[str, Any]:
    text = shared_data("vectors/c32_vectors.json").read_text()
    return dict(json.loads(text))


def test_every_reference_address_is_encoded_and_decoded() -> None:
    for case in vectors()["valid"]:
        raw = bytes.fromhex(case["hash160"])
        assert c32.address(case["version"], raw) == case["address"]
        assert c32.decode_address(case["address"]) == (case["version"], raw)


def test_every_alias_decodes_to_its_canonical_form() -> None:
    for case in vectors()["aliases_decodable_not_canonical"]:
        assert c32.parse_principal(case["input"]).text == case["canonical"]


def test_every_invalid_reference_text_is_refused() -> None:
    for case in vectors()["invalid"]:
        with pytest.raises(c32.BadPrincipal):
            c32.parse_principal(case["input"])


def test_payloads_of_any_length_match_the_reference() -> None:
    for case in vectors()["c32check_payload_vectors"]:
        payload = bytes.fromhex(case["payload_hex"])
        assert c32.check_encode(case["version"], payload) == case["c32check"]


def test_plain_c32_matches_the_reference() -> None:
    for case in vectors()["plain_c32_vectors"]:
        assert c32.encode(bytes.fromhex(case["hex"])) == case["c32"]


@given(st.integers(0, 31), st.binary(min_size=20, max_size=20))
def test_decoding_undoes_encoding(version: int, hash160: bytes) -> None:
    text = c32.address(version, hash160)
    assert c32.decode_address(text) == (version, hash160)
    assert c32.decode_address(text.lower()) == (version, hash160)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("SP2J", "not an address", id="too short"),
        pytest.param("SP" + "U" * 39, "not a c32 digit", id="digit U"),
        pytest.param("SU" + "0" * 39, "not 20 bytes", id="bytes"),
        pytest.param(
            "SU000000000000000000002Q6VF78", "not a c32 digit", id="version U"
        ),
        pytest.param("SP000000000000000000002Q6VF79", "wrong checksum", id="checksum"),
        pytest.param(
            "SP000000000000000000002Q6VF78.1", "not a contract name", id="name"
        ),
    ],
)
def test_a_refusal_gives_its_reason(text: str, reason: str) -> None:
    with pytest.raises(c32.BadPrincipal, match=reason):
        c32.parse_principal(text)


def test_a_contract_is_spelled_with_its_name() -> None:
    who = c32.parse_principal("sp000000000000000000002q6vf78.Token_x-1")
    assert who.text == "SP000000000000000000002Q6VF78.Token_x-1"
