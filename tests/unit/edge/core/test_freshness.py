"""When the table counts as stale, and what is said of it."""

from collections.abc import Mapping

import pytest

from edge.core.freshness import (
    MAX_OLD_NAMED,
    NEVER,
    NO_OLD_PRICES,
    Newest,
    OldPrices,
    newest_of,
    old_because,
    old_prices,
    oldest_ms,
    stale_because,
)
from edge.core.places import Place
from edge.core.table import Table
from schemas.base import encode
from schemas.ids import ContractId
from schemas.latest import observed_key, unquoted_key
from schemas.log import Observed, Unquoted
from tests.support.edge_table import CHA, WELSH, price

NOW_MS = 1_000_000


@pytest.mark.parametrize(
    ("watermarks_ms", "silent_s", "said"),
    [
        ({0: NOW_MS, 1: NOW_MS - 30_000}, 0.0, None),
        ({0: NOW_MS + 3_600_000, 1: NOW_MS}, 30.0, None),
        ({0: NOW_MS, 1: NOW_MS - 45_500}, 0.0, "shard 1 is processed up to 45 s ago"),
        ({1: NOW_MS}, 0.0, "shard 0 was never processed"),
        ({}, 0.0, "shard 0 was never processed; shard 1 was never processed"),
        ({0: 0, 1: 0}, 31.0, "the log has not answered for 31 s"),
    ],
    ids=["fresh", "ahead of our clock", "behind", "one unknown", "new log", "silent"],
)
def test_what_may_be_old_is_said(
    watermarks_ms: Mapping[int, int], silent_s: float, said: str | None
) -> None:
    found = stale_because(
        watermarks_ms, shards=2, silent_s=silent_s, now_ms=NOW_MS, limit_s=30.0
    )
    assert found == said


@pytest.mark.parametrize(
    ("watermarks_ms", "oldest"), [({0: 5, 1: 3}, 3), ({0: 5}, 0), ({}, 0)]
)
def test_the_oldest_watermark_is_that_of_the_shard_furthest_behind(
    watermarks_ms: Mapping[int, int], oldest: int
) -> None:
    assert oldest_ms(watermarks_ms, shards=2) == oldest


def test_what_is_newest_is_so_over_all_shards_and_by_kind() -> None:
    shards = [
        Observed(shard=0, prices=5, balances=None, tokens=None),
        Observed(shard=1, prices=3, balances=7, tokens=None),
    ]
    assert newest_of(shards) == Newest(prices=5, balances=7, tokens=None)
    assert newest_of([]) == NEVER


@pytest.mark.parametrize(
    ("prices_ms", "said"),
    [
        (None, None),
        (NOW_MS + 5_000, None),
        (NOW_MS - 60_000, None),
        (NOW_MS - 60_001, "the newest price was observed 60 s ago"),
    ],
    ids=["never observed", "ahead of our clock", "just in time", "old"],
)
def test_prices_are_old_when_nobody_observed_one_for_long(
    prices_ms: int | None, said: str | None
) -> None:
    newest = Newest(prices=prices_ms, balances=1, tokens=1)
    assert old_because(newest, now_ms=NOW_MS, limit_s=60.0) == said


# ---- prices that no source gives any more


def a_table() -> Table:
    """Return a table with a price in each of two shards."""
    table = Table()
    for shard, contract in enumerate((CHA, WELSH)):
        table.apply(*price(contract, "1"), Place(shard, 0, NOW_MS))
    return table


def observed(table: Table, shard: int, prices: int | None) -> None:
    said = Observed(shard=shard, prices=prices, balances=None, tokens=None)
    table.apply(observed_key(shard), encode(said), Place(shard, 1, NOW_MS))


def unquoted(
    table: Table, shard: int, prices: dict[ContractId, int], *, more: int = 0
) -> None:
    said = Unquoted(shard=shard, count=len(prices) + more, prices=prices)
    table.apply(unquoted_key(shard), encode(said), Place(shard, 2, NOW_MS))


def test_old_prices_are_those_that_their_shards_name() -> None:
    table = a_table()
    unquoted(table, 0, {CHA: 5}, more=2)
    assert old_prices(table, limit_s=60) == NO_OLD_PRICES
    observed(table, 0, NOW_MS)
    observed(table, 1, NOW_MS)
    assert old_prices(table, limit_s=60) == OldPrices(3, {CHA: 5})
    unquoted(table, 0, {})
    assert old_prices(table, limit_s=60) == NO_OLD_PRICES


def test_all_prices_of_a_shard_are_old_when_others_alone_are_observed() -> None:
    table = a_table()
    observed(table, 0, NOW_MS - 60_000)
    observed(table, 1, NOW_MS)
    assert old_prices(table, limit_s=60) == NO_OLD_PRICES
    observed(table, 1, NOW_MS + 1)
    assert old_prices(table, limit_s=60) == OldPrices(1, {CHA: NOW_MS - 60_000})
    # It has named the token itself, and knows better when it was quoted.
    unquoted(table, 0, {CHA: 5})
    assert old_prices(table, limit_s=60) == OldPrices(1, {CHA: 5})
    # Those that it did not name are not counted twice.
    unquoted(table, 0, {CHA: 5}, more=2)
    assert old_prices(table, limit_s=60) == OldPrices(1, {CHA: 5})
    # One that never observed a price has none.
    observed(table, 0, None)
    unquoted(table, 0, {})
    assert old_prices(table, limit_s=60) == NO_OLD_PRICES


def test_of_many_old_prices_those_dropped_last_are_named() -> None:
    table = a_table()
    observed(table, 0, NOW_MS)
    names = [ContractId(f"{CHA}{number}") for number in range(MAX_OLD_NAMED + 1)]
    unquoted(table, 0, {name: at for at, name in enumerate(names)})
    found = old_prices(table, limit_s=60)
    assert found.total == MAX_OLD_NAMED + 1
    assert list(found.quoted_at) == names[:0:-1]
