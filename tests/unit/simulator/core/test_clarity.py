"""Clarity values: reference vectors, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core import clarity
from simulator.core.c32 import Principal, parse_principal
from tests.support.shared_data import shared_data


def vectors() -> dict[str, Any]:
    text = shared_data("vectors/clarity_vectors.json").read_text()
    return dict(json.loads(text))


def test_every_reference_principal_is_encoded_and_decoded() -> None:
    for case in vectors()["principal_arguments"]:
        who = parse_principal(case["principal"])
        assert clarity.to_hex(clarity.principal(who)) == case["arg_hex"]
        assert clarity.decode_principal(clarity.from_hex(case["arg_hex"])) == who


def test_unsigned_answers_match_the_reference() -> None:
    seen = 0
    for case in vectors()["get_balance_results"]:
        if case["outcome"] == "balance":
            amount = clarity.uint(int(case["amount"]))
            forms = {clarity.to_hex(form) for form in (amount, clarity.ok(amount))}
            assert case["result_hex"] in forms
            seen += 1
    assert seen > 10


def test_an_error_carries_its_code() -> None:
    assert clarity.to_hex(clarity.err(clarity.uint(1))) == "0x0801" + "0" * 31 + "1"


@pytest.mark.parametrize("value", [-1, 2**128])
def test_a_number_outside_of_uint128_is_refused(value: int) -> None:
    with pytest.raises(clarity.BadClarity):
        clarity.uint(value)


HOME = "0516" + "00" * 20
CONTRACT = "0616" + "00" * 20


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("zz", id="not hex"),
        pytest.param(HOME[:-2], id="short"),
        pytest.param(HOME + "00", id="left over"),
        pytest.param("0520" + "00" * 20, id="version 32"),
        pytest.param("0116" + "00" * 20, id="not a principal"),
        pytest.param(CONTRACT, id="no name"),
        pytest.param(CONTRACT + "0361", id="short name"),
        pytest.param(CONTRACT + "0131", id="name begins with a digit"),
        pytest.param(CONTRACT + "01ff", id="name not ASCII"),
    ],
)
def test_what_is_no_principal_is_refused(text: str) -> None:
    with pytest.raises(clarity.BadClarity):
        clarity.decode_principal(clarity.from_hex(text))


@given(
    st.integers(0, 31),
    st.binary(min_size=20, max_size=20),
    st.none() | st.from_regex(r"[a-z][a-zA-Z0-9_-]{0,39}", fullmatch=True),
)
def test_decoding_undoes_encoding(
    version: int, hash160: bytes, name: str | None
) -> None:
    who = Principal(version, hash160, name)
    assert clarity.decode_principal(clarity.principal(who)) == who
