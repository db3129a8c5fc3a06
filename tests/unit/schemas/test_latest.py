"""The public table: keys and what stands under them."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.balances import Balance
from schemas.base import Event, Malformed, encode
from schemas.ids import ContractId, UserId
from schemas.latest import (
    IDENTITY_KEY,
    balance_key,
    decode_latest,
    observed_key,
    parse_balance_key,
    price_key,
    terms_key,
    token_key,
    unquoted_key,
    watermark_key,
)
from schemas.log import LogIdentity, Observed, Terms, Unquoted, Watermark
from schemas.prices import Price
from schemas.tokens import Token
from tests.support.records import EVENTS, contract_ids, user_ids

keys: dict[type[Event], bytes] = {
    Price: price_key(ContractId(".stx")),
    Token: token_key(ContractId(".stx")),
    Balance: balance_key(UserId("SP1"), ContractId(".stx")),
    Watermark: watermark_key(3),
    Observed: observed_key(3),
    Unquoted: unquoted_key(3),
    Terms: terms_key(3),
    LogIdentity: IDENTITY_KEY,
}


@given(st.data())
def test_the_key_tells_what_stands_under_it(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(keys, key=repr)))
    event = data.draw(EVENTS[kind])
    assert decode_latest(keys[kind], encode(event)) == event
    other = next(key for each, key in keys.items() if each is not kind)
    assert isinstance(decode_latest(other, encode(event)), Malformed)


def test_an_unknown_key_is_refused_as_data() -> None:
    assert decode_latest(b"something:else", b"{}") == Malformed("key")


@given(user_ids, contract_ids)
def test_a_balance_key_can_be_read(user: UserId, contract: ContractId) -> None:
    assert parse_balance_key(balance_key(user, contract)) == (user, contract)


def test_any_other_key_is_no_balance_key() -> None:
    assert parse_balance_key(b"price:.stx") is None
    assert parse_balance_key(b"balance:x") is None
    assert parse_balance_key(b"\xff:a:b") is None
