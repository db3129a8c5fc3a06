"""Bodies: exact numbers, and no exception for anything an upstream can send."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.normalize.body import (
    Unusable,
    Upstream,
    decimal,
    each,
    number,
    parse,
    read,
    text,
    whole,
)


class Thing(Upstream):
    name: str


class Names(Upstream):
    names: dict[str, str]


def test_numbers_are_exact() -> None:
    assert parse(b"[0.1, 1e-7, 340282366920938463463374607431768211455]") == [
        Decimal("0.1"),
        Decimal("1e-7"),
        2**128 - 1,
    ]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"a": 1', id="truncated"),
        pytest.param(b"<html>", id="a page"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_what_is_no_json_is_unusable(body: bytes) -> None:
    assert parse(body) == Unusable("not JSON")
    assert read(Thing, body) == Unusable("not JSON")


@pytest.mark.parametrize(
    "said",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        pytest.param("1" * 101, id="101 digits"),
        pytest.param("0." + "1" * 100, id="100 places"),
        pytest.param("1e99999999999999999999", id="an exponent beyond Decimal"),
    ],
)
def test_a_number_beyond_all_use_is_a_value_like_any_other(said: str) -> None:
    found = parse(f"[1, {said}, 2.5]".encode())
    assert isinstance(found, list)
    assert [number(one) for one in found] == [Decimal(1), None, Decimal("2.5")]
    assert whole(found[1]) is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[" + b"0," * 20_000 + b"0]", "more than 20000 rows"),
        (b'{"rows": [' + b"0," * 20_000 + b"0]}", "more than 20000 rows"),
        (b"[" + b"{}," * 250_000 + b"{}]", "more than 500000 values"),
    ],
    ids=["a list", "a list in an object", "values"],
)
def test_what_would_take_too_much_memory_is_unusable(body: bytes, why: str) -> None:
    assert parse(body) == Unusable(why)


def test_a_shape_names_the_first_field_that_does_not_fit() -> None:
    assert read(Thing, b'{"name": "a", "more": 1}') == Thing(name="a")
    assert read(Thing, b'{"name": 1}') == Unusable("unexpected shape at name")
    assert read(Thing, b"[]") == Unusable("unexpected shape at the top")


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    parse(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_single_values_of_any_type_never_raise(value: Any) -> None:
    said = parse(json.dumps(value).encode())
    assert text(said) is None or isinstance(said, str)
    number(said)
    whole(said)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Coin", "Coin"),
        ("", None),
        ("  ", None),
        ("x" * 8_193, None),
        ("half \ud800 of a pair", None),
        (5, None),
        (None, None),
    ],
)
def test_a_text_fits_a_record_or_is_none(said: Any, kept: str | None) -> None:
    assert text(said) == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (6, 6),
        (0, 0),
        pytest.param("6", 6, id="digits"),
        (Decimal("6.0"), 6),
        (Decimal("1e15"), 10**15),
        (Decimal("6.5"), None),
        (Decimal("1e999999"), None),
        pytest.param(10**31, 10**31, id="32 digits"),
        pytest.param(Decimal("1e39"), 10**39, id="40 digits"),
        pytest.param(Decimal("1e40"), None, id="41 digits"),
        pytest.param(Decimal("1" + "0" * 28 + ".5"), None, id="29 digits and a half"),
        (Decimal("1e-999999999"), None),
        (Decimal("NaN"), None),
        (Decimal("Infinity"), None),
        (-1, None),
        pytest.param("-1", None, id="digits with a sign"),
        ("٦", None),
        ("1" * 40, None),
        (True, None),
        (None, None),
    ],
)
def test_a_whole_number_from_a_number_or_from_digits(said: Any, kept: Any) -> None:
    assert whole(said) == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("0.5", Decimal("0.5")),
        ("-1.5e2", Decimal(-150)),
        (Decimal("0.5"), Decimal("0.5")),
        ("sNaN", None),
        ("Infinity", None),
        (" 1", None),
        ("1_000", None),
        ("٣", None),
        ("1e9999", None),
        (True, None),
    ],
)
def test_a_decimal_from_a_number_or_from_a_text(said: Any, kept: Any) -> None:
    assert decimal(said) == kept


def test_a_name_of_a_field_that_is_no_text_is_shown_as_a_line() -> None:
    assert read(Names, b'{"names": {"\\ud800\\n": 1}}') == Unusable(
        "unexpected shape at names.?"
    )


def test_true_is_no_number() -> None:
    assert (number(True), number(1), number("1")) == (None, Decimal(1), None)


def test_rows_that_are_refused_are_counted() -> None:
    assert each([1, "a", 2], number) == ([Decimal(1), Decimal(2)], 1)
