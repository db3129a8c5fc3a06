"""The table after each kind of record."""

from edge.core.table import NOTHING, Change, Table
from schemas.base import encode
from schemas.latest import IDENTITY_KEY, watermark_key
from schemas.log import Watermark
from tests.support.edge_table import (
    ANNE,
    CHA,
    WELSH,
    a_table,
    balance,
    gone,
    identity,
    price,
    token,
)

A_PRICE, A_TOKEN, A_BALANCE = (
    price(CHA, "2"),
    token(CHA, decimals=6),
    balance(ANNE, CHA, 5),
)


def test_each_record_says_what_it_changed() -> None:
    table = Table()
    assert table.apply(*A_PRICE) == Change(price=CHA)
    assert table.apply(*A_TOKEN) == Change(token=CHA)
    assert table.apply(*A_BALANCE) == Change(balance=(ANNE, CHA))
    assert table.prices[CHA].usd == "2"
    assert table.tokens[CHA].fields.decimals == 6
    assert table.balances[ANNE][CHA].version == 1
    assert len(table) == 3


def test_the_log_says_which_it_is_and_how_far_it_was_read() -> None:
    mark = Watermark(shard=1, log_time=7)
    table = Table()
    assert table.apply(*identity()) == NOTHING
    assert table.apply(watermark_key(1), encode(mark)) == NOTHING
    assert table.identity is not None
    assert table.watermarks == {1: mark}
    assert len(table) == 0


def test_what_cannot_be_read_is_counted_and_changes_nothing() -> None:
    table = a_table(A_PRICE)
    assert table.apply(A_PRICE[0], b'{"schema":"price/2"}') == NOTHING
    assert table.apply(b"of another kind", b"{}") == NOTHING
    assert table.unreadable == 2
    assert table.prices[CHA].usd == "2"


def test_a_tombstone_withdraws_its_key() -> None:
    other = balance(ANNE, WELSH, 1)
    table = a_table(A_PRICE, A_TOKEN, A_BALANCE, other, identity())
    assert table.apply(*gone(A_PRICE)) == NOTHING
    assert table.apply(*gone(A_TOKEN)) == Change(token=CHA)
    assert table.apply(*gone(A_BALANCE)) == Change(balance=(ANNE, CHA))
    assert list(table.balances[ANNE]) == [WELSH]
    assert table.apply(*gone(other)) == Change(balance=(ANNE, WELSH))
    assert table.apply(IDENTITY_KEY, None) == NOTHING
    assert (len(table), table.balances, table.identity) == (0, {}, None)


def test_a_tombstone_of_what_was_never_held_is_harmless() -> None:
    table = Table()
    for record in (A_PRICE, A_TOKEN, A_BALANCE):
        table.apply(*gone(record))
    assert table.apply(watermark_key(0), None) == NOTHING
    assert len(table) == 0


def test_it_knows_the_keys_of_what_it_holds() -> None:
    table = Table()
    records = (A_PRICE, A_TOKEN, A_BALANCE, identity())
    for record in records:
        table.apply(*record)
    assert table.held_keys() == {A_PRICE[0], A_TOKEN[0], A_BALANCE[0]}
    table.apply(*gone(A_TOKEN))
    assert table.held_keys() == {A_PRICE[0], A_BALANCE[0]}
