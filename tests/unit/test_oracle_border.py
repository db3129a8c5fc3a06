"""The second implementation at its border: what it reads and writes fits the models."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.balances import (
    AccountConfirmed,
    AccountRead,
    BalanceObserved,
    SubnetRead,
    UserForgotten,
)
from schemas.base import Malformed, canonical, decoder, encode
from schemas.latest import decode_latest
from schemas.prices import PriceObserved
from schemas.rejects import Reject
from schemas.tokens import TokenObserved
from tests.support.oracle.derive import RawRecord, derive
from tests.support.oracle.reading import Unfit, read
from tests.support.oracle.text import canonical as oracle_canonical
from tests.support.records import EVENTS, as_json
from tests.support.worlds import APPENDED_MS as WORLD_MS
from tests.support.worlds import entries, settings

USER = "SP466FNC0P7JWTNM2R9T199QRZN1MYEDTAR0KP27"
BASE, SUBNET = f"{USER}.alpha", f"{USER}.alpha-subnet"

MODELS = {
    "prices.raw": (PriceObserved,),
    "balances.raw": (AccountRead, AccountConfirmed, SubnetRead, UserForgotten),
    "tokens.raw": (TokenObserved,),
}
DECODERS = {
    "prices.raw": decoder(PriceObserved),
    "balances.raw": decoder(BalanceObserved),
    "tokens.raw": decoder(TokenObserved),
}
NONSENSE: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["", "0", "x", "-0", "01", "1.0", "9" * 40, "0." + "0" * 18 + "1"]),
    st.sampled_from([".stx", USER, USER[:-1], BASE, USER.lower(), "ж" * 300]),
    st.sampled_from([0, -1, 2**53, 1.0, True, None]),
    st.sampled_from([[], {}, ["x"], [{}]]),
)


def mutate(draw: st.DrawFn, value: Any) -> Any:
    """Drop, add or replace something somewhere."""
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], mutate(draw, value[at]), *value[at + 1 :]]
    if not isinstance(value, dict) or not value:
        return draw(NONSENSE)
    name = draw(st.sampled_from([*value, "another"]))
    if draw(st.booleans()):
        return {key: held for key, held in value.items() if key != name}
    return {**value, name: mutate(draw, value.get(name))}


@st.composite
def said(draw: st.DrawFn) -> tuple[str, bytes]:
    """An observation, or nearly one."""
    topic = draw(st.sampled_from(list(MODELS)))
    model = draw(st.sampled_from(MODELS[topic]))
    value = as_json(draw(EVENTS[model]))
    for _ in range(draw(st.integers(0, 2))):
        value = mutate(draw, value)
    # Not canonical: in the order of the model, and with escapes.
    return topic, json.dumps(value, ensure_ascii=draw(st.booleans())).encode()


@given(said())
def test_it_accepts_what_the_models_accept_and_names_the_same_field(
    drawn: tuple[str, bytes],
) -> None:
    topic, value = drawn
    model = DECODERS[topic](value)
    if isinstance(model, Malformed):
        with pytest.raises(Unfit) as refused:
            read(topic, value)
        assert refused.value.field == model.field
        return
    found = read(topic, value)
    assert {**as_json(model), "others": None} == {**found, "others": None}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nope",
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\\ud800"}',
        b'{"a":1,}',
        b'{"a":01}',
        b'{"a":%b}' % (b"9" * 4_301),
        b'{"a":%b1%b}' % (b"[" * 201, b"]" * 201),
        b"[1]",
        b'{"usd":1} x',
    ],
)
def test_what_is_no_json_has_no_field(value: bytes) -> None:
    for topic, decode in DECODERS.items():
        with pytest.raises(Unfit) as refused:
            read(topic, value)
        assert refused.value.field == decode(value).field == ""


@given(st.recursive(st.text() | st.integers(-9, 2**53), st.lists))
def test_its_canonical_json_is_ours(value: Any) -> None:
    try:
        assert oracle_canonical(value) == canonical(value)
    except UnicodeEncodeError:  # half of a pair of surrogates is no text
        with pytest.raises(TypeError):
            canonical(value)


@given(entries(), settings)
def test_what_it_publishes_and_refuses_fits_the_models(
    drawn: list[tuple[str, bytes | None, bytes | None]], told: dict[str, Any]
) -> None:
    raw: dict[tuple[str, int], list[RawRecord]] = {}
    for topic, key, value in drawn:
        records = raw.setdefault((topic, 0), [])
        records.append(RawRecord(len(records), WORLD_MS, key, value))
    for found in derive(raw, told).values():
        for key, value in found.changes:
            if value is not None:
                model = decode_latest(key, value)
                assert not isinstance(model, Malformed)
                assert encode(model) == value
        for _, value in found.rejects:
            reject = decoder(Reject)(value)
            assert encode(reject) == value
