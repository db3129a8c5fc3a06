"""Clarity values: the vectors of the wire format, and the laws of the decoder."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.core.clarity import (
    BadClarity,
    Err,
    Ok,
    Other,
    Uint,
    decode,
    encode_principal,
    unsigned,
)
from schemas.amounts import MAX_AMOUNT
from schemas.ids import UserId
from tests.support.shared_data import shared_data


def vectors(section: str) -> list[dict[str, Any]]:
    found = json.loads(shared_data("vectors/clarity_vectors.json").read_text())
    rows: list[dict[str, Any]] = found[section]
    return rows


def test_every_wellformed_value_of_the_vectors_is_read() -> None:
    for row in vectors("values"):
        value = decode(row["hex"])
        if row["value"]["type"] == "uint":
            assert value == Uint(int(row["value"]["value"]))
        if row["value"]["type"] == "principal":
            assert value == Other(row["value"]["value"])


def test_every_malformed_value_of_the_vectors_is_refused() -> None:
    for row in vectors("invalid"):
        with pytest.raises(BadClarity):
            decode(row["hex"])


def test_of_the_balance_results_exactly_the_balances_are_amounts() -> None:
    for row in vectors("get_balance_results"):
        amount = int(row["amount"]) if row["outcome"] == "balance" else None
        assert unsigned(decode(row["result_hex"])) == amount, row["note"]


def test_every_principal_of_the_vectors_is_encoded_as_an_argument() -> None:
    for row in vectors("principal_arguments"):
        assert encode_principal(UserId(row["principal"])) == row["arg_hex"]


def test_what_is_no_principal_has_no_argument() -> None:
    with pytest.raises(BadClarity, match="not a principal"):
        encode_principal(UserId("SPnobody"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("0x03", Other("true"), id="true"),
        pytest.param("0x04", Other("false"), id="false"),
        pytest.param("0x09", Other("none"), id="none"),
        pytest.param("0x0a03", Other("(some Other(text='true'))"), id="some"),
        pytest.param("0x0200000001ff", Other("0xff"), id="buffer"),
        pytest.param("0x0d00000001" + "61", Other('"a"'), id="ascii"),
        pytest.param("0x0e00000002c3a9", Other('"é"'), id="utf-8"),
        pytest.param("0x0b000000020304", Other("list of 2"), id="list"),
        pytest.param("0x0c00000001016103", Other("tuple of 1"), id="tuple"),
        pytest.param("0x0703", Ok(Other("true")), id="ok"),
        pytest.param("0x0801" + "00" * 15 + "07", Err(Uint(7)), id="err"),
        pytest.param("0x00" + "ff" * 16, Other("-1"), id="int"),
        pytest.param(
            "0x0516" + "00" * 20, Other("SP000000000000000000002Q6VF78"), id="p"
        ),
    ],
)
def test_a_value_of_each_type(text: str, value: object) -> None:
    assert decode(text) == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0x0d00000001e9", id="ascii that is not"),
        pytest.param("0x0e00000001e9", id="utf-8 that is not"),
        pytest.param("0x0b0000000303", id="list longer than its bytes"),
        pytest.param("0x0c000000020161030161" + "03", id="equal keys"),
        pytest.param("0x0c00000001013103", id="key that starts with a digit"),
        pytest.param("0x0c000000010003", id="empty key"),
        pytest.param("0x" + "07" * 40 + "03", id="deep"),
        pytest.param("0x0520" + "00" * 20, id="version 32"),
        pytest.param("0x0616" + "00" * 20 + "0131", id="name that starts with a digit"),
        pytest.param("0x0303", id="left over"),
        pytest.param("0x" + "03" * 1_100_000, id="too long"),
        pytest.param("0x0103\n", id="newline"),
    ],
)
def test_malformed_values_are_refused(text: str) -> None:
    with pytest.raises(BadClarity):
        decode(text)


@given(st.integers(0, MAX_AMOUNT), st.booleans())
def test_an_amount_is_read_exactly_with_or_without_ok(
    amount: int, wrapped: bool
) -> None:
    text = ("0x07" if wrapped else "0x") + "01" + amount.to_bytes(16).hex()
    assert unsigned(decode(text)) == amount


@given(st.binary(max_size=60))
@example(b"\x0c\x00\x00\x00\x01\xff" + b"a" * 60)
def test_no_bytes_make_the_decoder_raise_anything_else(content: bytes) -> None:
    with contextlib.suppress(BadClarity):
        decode("0x" + content.hex())
