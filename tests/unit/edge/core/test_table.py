"""The table after each kind of record."""

from edge.core.places import Place
from edge.core.table import NOTHING, PRICE, TOKEN, Change, Table
from schemas.base import encode
from schemas.latest import IDENTITY_KEY, observed_key, terms_key, watermark_key
from schemas.log import Observed, Term, Terms, Watermark
from tests.support.edge_table import (
    ANNE,
    CHA,
    NOW_MS,
    WELSH,
    Record,
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


def put(table: Table, record: Record, offset: int = 0) -> Change:
    return table.apply(*record, Place(0, offset, NOW_MS))


def test_each_record_says_what_it_changed() -> None:
    table = Table()
    assert put(table, A_PRICE) == Change(price=CHA)
    assert put(table, A_TOKEN) == Change(token=CHA)
    assert put(table, A_BALANCE) == Change(balance=(ANNE, CHA))
    assert table.prices[CHA].usd == "2"
    assert table.tokens[CHA].fields.decimals == 6
    assert table.balances[ANNE][CHA].version == 1
    assert len(table) == 3


def test_the_log_says_which_it_is_and_how_far_it_was_read() -> None:
    mark = Watermark(shard=1, log_time=7)
    table = Table()
    assert put(table, identity()) == NOTHING
    assert put(table, (watermark_key(1), encode(mark))) == NOTHING
    observed = Observed(shard=1, prices=5, balances=None, tokens=None)
    assert put(table, (observed_key(1), encode(observed))) == NOTHING
    terms = Terms(shard=1, terms=(Term("0" * 12, 0, 5),))
    assert put(table, (terms_key(1), encode(terms))) == NOTHING
    assert table.identity is not None
    assert table.watermarks == {1: mark}
    assert table.observed == {1: observed}
    assert table.terms == {1: terms}
    assert len(table) == 0


def test_what_cannot_be_read_is_counted_and_changes_nothing() -> None:
    table = a_table(A_PRICE)
    assert put(table, (A_PRICE[0], b'{"schema":"price/2"}')) == NOTHING
    assert put(table, (b"of another kind", b"{}")) == NOTHING
    assert table.unreadable == 2
    assert table.prices[CHA].usd == "2"


def test_a_tombstone_withdraws_its_key() -> None:
    other = balance(ANNE, WELSH, 1)
    table = a_table(A_PRICE, A_TOKEN, A_BALANCE, other, identity())
    assert put(table, gone(A_PRICE)) == Change(price=CHA)
    assert put(table, gone(A_TOKEN)) == Change(token=CHA)
    assert put(table, gone(A_BALANCE)) == Change(balance=(ANNE, CHA))
    assert list(table.balances[ANNE]) == [WELSH]
    assert put(table, gone(other)) == Change(balance=(ANNE, WELSH))
    assert put(table, (IDENTITY_KEY, None)) == NOTHING
    assert (len(table), table.balances, table.identity) == (0, {}, None)


def test_a_tombstone_of_what_was_never_held_is_harmless() -> None:
    table = Table()
    for record in (A_PRICE, A_TOKEN, A_BALANCE):
        put(table, gone(record))
    assert put(table, (watermark_key(0), None)) == NOTHING
    assert len(table) == 0


def test_the_place_of_each_record_is_known() -> None:
    table = a_table(A_PRICE, A_TOKEN, A_BALANCE, gone(A_PRICE))
    assert (table.positions, table.log_times, table.newest_ms) == (
        {0: 4},
        {0: NOW_MS},
        NOW_MS,
    )
    assert list(table.registry_places.new({})) == [(CHA, TOKEN)]
    assert list(table.registry_places.gone({})) == [(CHA, PRICE)]
    assert list(table.balance_places.new({})) == [(ANNE, CHA)]
    assert Table().newest_ms == 0


def test_decimals_stand_where_they_became_what_they_are() -> None:
    table = Table()
    records = (
        token(CHA, name="Charisma"),
        token(CHA, decimals=6),
        token(CHA, decimals=6, name="Charisma"),
        token(CHA, decimals=7),
    )
    found = []
    for offset, record in enumerate(records):
        put(table, record, offset)
        found.append(table.decimals_places.offset_of((CHA, TOKEN)))
    assert found == [0, 1, 1, 3]


def test_it_knows_the_keys_of_what_it_holds() -> None:
    table = Table()
    records = (A_PRICE, A_TOKEN, A_BALANCE, identity())
    for record in records:
        put(table, record)
    assert table.held_keys() == {A_PRICE[0]: 0, A_TOKEN[0]: 0, A_BALANCE[0]: 0}
    put(table, gone(A_TOKEN))
    assert table.held_keys() == {A_PRICE[0]: 0, A_BALANCE[0]: 0}


def test_what_the_log_forgot_is_withdrawn_as_late_as_can_be() -> None:
    table = a_table(A_PRICE, A_BALANCE)
    assert table.withdraw(A_PRICE[0], Place(0, 9, NOW_MS)) == Change(price=CHA)
    assert table.held_keys() == {A_BALANCE[0]: 0}
    assert list(table.registry_places.gone({0: 9})) == [(CHA, PRICE)]
    # What stands between was not read: nobody is told that it was.
    assert table.positions == {0: 2}
