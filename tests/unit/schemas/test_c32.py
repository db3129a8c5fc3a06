"""Addresses: the published vectors, and that decoding undoes encoding."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.c32 import decode_address, encode_address
from tests.support.shared_data import shared_data


@given(st.integers(0, 31), st.binary(min_size=20, max_size=20))
def test_decoding_undoes_encoding(version: int, hash160: bytes) -> None:
    assert decode_address(encode_address(version, hash160)) == (version, hash160)


@given(st.binary(min_size=20, max_size=20), st.data())
def test_one_wrong_digit_is_noticed(hash160: bytes, data: st.DataObject) -> None:
    address = encode_address(22, hash160)
    place = data.draw(st.integers(2, len(address) - 1))
    digit = data.draw(st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
    changed = address[:place] + digit + address[place + 1 :]
    assert changed == address or decode_address(changed) is None


def test_the_published_valid_addresses_are_read_and_written() -> None:
    vectors = json.loads(shared_data("vectors/c32_vectors.json").read_text())
    for vector in vectors["valid"]:
        hash160 = bytes.fromhex(vector["hash160"])
        assert decode_address(vector["address"]) == (vector["version"], hash160)
        assert encode_address(vector["version"], hash160) == vector["address"]


def test_the_published_aliases_have_one_normal_form() -> None:
    vectors = json.loads(shared_data("vectors/c32_vectors.json").read_text())
    for vector in vectors["aliases_decodable_not_canonical"]:
        decoded = decode_address(vector["input"])
        assert decoded is not None, vector
        assert encode_address(*decoded) == vector["canonical"]


def test_the_published_invalid_addresses_are_refused() -> None:
    vectors = json.loads(shared_data("vectors/c32_vectors.json").read_text())
    for vector in vectors["invalid"]:
        assert decode_address(vector["input"]) is None, vector


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("S", id="only the S"),
        pytest.param("SP", id="no payload"),
        pytest.param("SP0", id="short payload"),
        pytest.param("SU2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7", id="version U"),
        pytest.param("XP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7", id="no S"),
        pytest.param("SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7\n", id="newline"),
        pytest.param("SP" + "0" * 62, id="too long"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert decode_address(text) is None
