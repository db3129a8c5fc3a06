"""Numbers: exact, bounded, and rounded in one place only."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.amounts import (
    MAX_AMOUNT,
    Amount,
    AmountSaid,
    PriceText,
    Ratio,
    cut,
    exact_text,
    formatted,
    is_amount_said,
    is_sound,
    plain,
    price_text,
    ratio_text,
)
from tests.support.shared_data import shared_data

finite = st.decimals(allow_nan=False, allow_infinity=False)


def fits(kind: Any, text: str) -> bool:
    try:
        TypeAdapter(kind).validate_json(json.dumps(text))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("said", "text"),
    [
        pytest.param("0.46", "0.46", id="plain"),
        pytest.param("1e-7", "0.0000001", id="exponent"),
        pytest.param("1E+3", "1000", id="large exponent"),
        pytest.param("0010.500", "10.5", id="zeros around"),
        pytest.param("1e-18", "0.000000000000000001", id="the least"),
        pytest.param("9.9e-19", None, id="below the least"),
        pytest.param("99999999999999999999", "9" * 20, id="the most"),
        pytest.param("1e20", None, id="above the most"),
        pytest.param("1e400", None, id="far above"),
        pytest.param("0", None, id="zero is no price"),
        pytest.param("-1", None, id="negative"),
        pytest.param("NaN", None, id="NaN"),
        pytest.param("sNaN", None, id="signalling NaN"),
        pytest.param("Infinity", None, id="infinite"),
        pytest.param("1." + "3" * 37, "1." + "3" * 37, id="38 digits"),
        pytest.param("1." + "3" * 38, None, id="39 digits"),
        pytest.param("a lot", None, id="words"),
    ],
)
def test_a_price_as_said(said: str, text: str | None) -> None:
    assert price_text(said) == text


@given(st.one_of(finite, st.floats().map(repr), st.text(max_size=8)))
def test_a_price_text_is_a_price_of_a_record_and_exact(said: Decimal | str) -> None:
    text = price_text(said)
    if text is not None:
        assert fits(PriceText, text)
        assert Decimal(text) == Decimal(said)
        assert price_text(text) == text


@pytest.mark.parametrize(
    "text",
    ["0", "1.0", "01", "1e5", "0.0000000000000000001", "+1", ".5", "1.", "", "1" * 21],
)
def test_a_price_of_a_record_has_one_spelling(text: str) -> None:
    assert not fits(PriceText, text)


@pytest.mark.parametrize(
    ("amount", "sound"),
    [
        pytest.param("0", True, id="zero"),
        pytest.param(str(MAX_AMOUNT), True, id="the most"),
        pytest.param(str(MAX_AMOUNT + 1), False, id="one more"),
        pytest.param("9" * 39, False, id="39 digits"),
        pytest.param("-1", False, id="negative"),
    ],
)
def test_what_can_be_a_balance(amount: str, sound: bool) -> None:
    assert is_amount_said(amount)
    assert fits(AmountSaid, amount)
    assert is_sound(amount) is sound


@pytest.mark.parametrize(
    "text", ["", "-0", "01", "1.0", " 1", "1_0", "٣", "1" * 40, "1\n"]
)
def test_what_is_no_amount_at_all(text: str) -> None:
    assert not is_amount_said(text)
    assert not fits(AmountSaid, text)
    assert not fits(Amount, text)


@given(finite)
def test_plain_has_no_exponent_and_the_same_value(number: Decimal) -> None:
    text = plain(number)
    assert "e" not in text.lower()
    assert Decimal(text) == number
    assert not ("." in text and text[-1] in "0.")


def test_a_price_is_cut_half_to_even() -> None:
    assert cut(Decimal("0.0000000000000000015")) == Decimal("2e-18")
    assert cut(Decimal("0.0000000000000000025")) == Decimal("2e-18")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        pytest.param(Decimal("-12.50"), "-12.5", id="percentage"),
        pytest.param(0, "0", id="none"),
        pytest.param(Decimal("1e-30"), "0", id="tiny"),
        pytest.param(Decimal("NaN"), None, id="NaN"),
        pytest.param(Decimal("-1e20"), None, id="out of range"),
        pytest.param(
            Decimal("9" * 20 + "." + "9" * 18), "9" * 20 + "." + "9" * 18, id="the most"
        ),
        pytest.param(
            Decimal("9" * 20 + "." + "9" * 19), None, id="rounded out of range"
        ),
        pytest.param(
            Decimal("-" + "9" * 20 + "." + "9" * 19), None, id="rounded below it"
        ),
    ],
)
def test_a_ratio(said: Decimal | int, text: str | None) -> None:
    assert ratio_text(said) == text
    assert text is None or fits(Ratio, text)


@given(finite | st.integers())
def test_whatever_is_said_a_ratio_is_one_or_none(said: Decimal | int) -> None:
    text = ratio_text(said)
    assert text is None or fits(Ratio, text)


def test_the_published_scaling_cases() -> None:
    cases = json.loads(shared_data("vectors/numeric.json").read_text())["scaling"]
    for case in cases:
        assert exact_text(int(case["raw"]), case["decimals"]) == case["display"]


@given(st.integers(0, 2**53), st.integers(0, 22))
def test_formatted_is_the_double_of_the_original(amount: int, decimals: int) -> None:
    assert formatted(amount, decimals) == float(amount) / float(10**decimals)


@given(st.integers(-MAX_AMOUNT, MAX_AMOUNT), st.integers(0, 38))
def test_exact_text_loses_nothing(amount: int, decimals: int) -> None:
    text = exact_text(amount, decimals)
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("-").partition(".")
    assert sign * int(whole + fraction.ljust(decimals, "0")) == amount
