"""Records: encoding is canonical, decoding undoes it, all else is refused as a value."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.balances import BalanceObserved
from schemas.base import Event, Malformed, canonical, decoder, encode
from schemas.prices import PriceObserved
from schemas.tokens import TokenFields
from tests.support.records import EVENTS, as_json

kinds = pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind.__name__) for kind in EVENTS]
)


@kinds
@given(data=st.data())
def test_decoding_undoes_encoding(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(EVENTS[kind])
    assert decoder(kind)(encode(event)) == event


@kinds
@given(data=st.data())
def test_encoding_is_canonical(kind: type[Event], data: st.DataObject) -> None:
    value = encode(data.draw(EVENTS[kind]))
    plain = json.loads(value)
    assert value == canonical(plain)
    # The same rules by another encoder: sorted keys, no white space, UTF-8.
    again = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert value == again.encode()


@kinds
@given(data=st.data())
def test_an_unknown_version_is_refused_as_data(
    kind: type[Event], data: st.DataObject
) -> None:
    plain = as_json(data.draw(EVENTS[kind]))
    plain["schema"] = plain["schema"].partition("/")[0] + "/9"
    assert decoder(kind)(json.dumps(plain).encode()) == Malformed("schema")


@kinds
@given(data=st.data())
def test_a_field_more_or_of_another_type_is_refused(
    kind: type[Event], data: st.DataObject
) -> None:
    plain = as_json(data.draw(EVENTS[kind]))
    field = data.draw(st.sampled_from(sorted(plain)))
    assert isinstance(decoder(kind)(canonical(plain | {"zzz": 1})), Malformed)
    wrong = canonical(plain | {field: {"no": [{"such": "thing"}]}})
    assert isinstance(decoder(kind)(wrong), Malformed)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused_as_data(value: bytes) -> None:
    assert isinstance(decoder(PriceObserved)(value), Malformed)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"[" * 100_000, id="nested"),
        pytest.param(b'{"usd":' + b"9" * 5_000 + b"}", id="a number of 5,000 digits"),
        pytest.param(b'"' + b"x" * 2**20 + b'"', id="1 MiB of text"),
        pytest.param(b'{"usd": NaN}', id="NaN"),
        pytest.param(b'{"usd": 1e400}', id="1e400"),
        pytest.param(b'{"schema": "\xff"}', id="not UTF-8"),
        pytest.param(b'{"schema": "\\ud800"}', id="lone surrogate"),
        pytest.param(b"null", id="null"),
    ],
)
@pytest.mark.parametrize(
    "kind", [PriceObserved, BalanceObserved], ids=["price", "balance"]
)
def test_hostile_bytes_are_refused_as_data(kind: Any, value: bytes) -> None:
    assert isinstance(decoder(kind)(value), Malformed)


def test_the_names_of_python_are_not_the_names_of_a_record() -> None:
    value = b'{"schema":"price.observed/1","contract_id":".stx","source":"a","usd":"1",'
    value += b'"observed_at":1}'
    assert decoder(PriceObserved)(value) == Malformed("contractId")


def test_text_has_a_bound() -> None:
    assert isinstance(decoder(TokenFields)(canonical({"name": "x" * 8_193})), Malformed)


def test_what_is_left_out_is_null() -> None:
    value = b'{"schema":"price.observed/1","contractId":".stx","source":"a","usd":"1",'
    value += b'"observedAt":1}'
    assert b'"market":null' in encode(decoder(PriceObserved)(value))
