"""Readings of accounts."""

from schemas.balances import AccountRead, BalanceObserved
from schemas.base import Malformed, canonical, decoder
from tests.support.records import as_json


def test_two_holdings_of_one_contract_are_refused() -> None:
    holding = {"contractId": ".stx", "balance": "1"}
    reading = {
        "schema": "account.read/1",
        "userId": "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS",
        "source": "hiro",
        "observedAt": 1,
        "holdings": [holding],
    }
    decode = decoder(BalanceObserved)
    sound = decode(canonical(reading))
    assert isinstance(sound, AccountRead)
    assert as_json(sound)["others"] == []
    twice = canonical(reading | {"holdings": [holding, holding]})
    assert isinstance(decode(twice), Malformed)
