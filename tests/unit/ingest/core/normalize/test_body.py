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
    each,
    number,
    parse,
    read,
    text,
    whole,
)


class Thing(Upstream):
    name: str


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
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"[Infinity]", id="infinity"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"1" * 5_000, id="a number of 5,000 digits"),
        pytest.param(b"1e99999999999999999999", id="an exponent beyond Decimal"),
    ],
)
def test_what_is_no_json_is_unusable(body: bytes) -> None:
    assert parse(body) == Unusable("not JSON")
    assert read(Thing, body) == Unusable("not JSON")


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


def test_true_is_no_number() -> None:
    assert (number(True), number(1), number("1")) == (None, Decimal(1), None)


def test_rows_that_are_refused_are_counted() -> None:
    assert each([1, "a", 2], number) == ([Decimal(1), Decimal(2)], 1)
