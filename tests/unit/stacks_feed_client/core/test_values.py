"""What counts as news of a value."""

from dataclasses import replace

from stacks_feed_client.core.values import BalanceKey, Token
from tests.support.client_talk import a_balance, a_price


def test_a_value_is_kept_under_its_id() -> None:
    assert a_price().key == ".stx"
    assert a_balance().key == BalanceKey("SPA", "SPA.cha")


def test_what_becomes_of_a_token_is_no_news_of_its_balances() -> None:
    before = a_balance()
    after = replace(before, token=Token("SPA.cha", symbol="CHA"))
    assert before != after
    assert before.content == after.content
    assert before.content != replace(before, balance=2).content
    assert before.content != replace(before, observed_at_ms=2).content


def test_when_a_balance_that_is_not_held_was_looked_for_is_no_news() -> None:
    before = replace(a_balance(), source="default-zero")
    assert not before.is_held
    assert before.content == replace(before, observed_at_ms=2).content


def test_a_price_is_news_if_anything_of_it_is_another() -> None:
    assert a_price().content == a_price()
    assert a_price().content != replace(a_price(), observed_at_ms=2).content
