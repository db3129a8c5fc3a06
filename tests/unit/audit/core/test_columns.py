"""Records as rows: amounts exact, and nothing that cannot be read stops an export."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.columns import TABLES, Kind, decimal_of
from eventlog.port import Record
from schemas.amounts import MAX_AMOUNT
from schemas.base import encode
from schemas.topics import (
    BALANCES_RAW,
    CHANGES,
    JOURNAL,
    PRICES_RAW,
    RAW,
)
from tests.support.audited import SHARD, a_history
from tests.support.folding import ALPHA, ALPHA_SUBNET, USER, price, subnet


def rows(what: str, topic: str) -> list[dict[str, Any]]:
    return [row(what, topic, record) for record in a_history().of(topic, SHARD)]


def row(what: str, topic: str, record: Record) -> dict[str, Any]:
    table = TABLES[what]
    names = [column.name for column in table.columns]
    return dict(zip(names, table.row(topic, SHARD, record), strict=True))


def test_an_observation_has_what_it_says() -> None:
    record = Record(7, 8, ALPHA.encode(), encode(price("1.5", "a", 9)))
    found = row("observations", PRICES_RAW, record)
    assert found["value"].encode() == record.value
    assert {name: found[name] for name in ("usd", "source", "observed_at")} == {
        "usd": "1.5",
        "source": "a",
        "observed_at": 9,
    }
    assert (found["shard"], found["offset"], found["appended_at"]) == (SHARD, 7, 8)
    assert (found["topic"], found["key"]) == (PRICES_RAW, ALPHA)
    other = Record(7, 8, USER.encode(), encode(subnet(3, 5)))
    found = row("observations", BALANCES_RAW, other)
    assert (found["balance"], found["subnet_id"]) == ("5", ALPHA_SUBNET)


def test_a_change_has_its_commit_and_its_amounts() -> None:
    found = rows("changes", CHANGES)
    balances = [each for each in found if each["kind"] == "balance"]
    layered = next(each for each in balances if '"subnets":{"' in each["value"])
    assert int(layered["total"]) >= int(layered["mainnet"] or 0)
    withdrawn = next(each for each in balances if each["value"] is None)
    assert (withdrawn["total"], withdrawn["version"]) == (None, None)
    assert all(each["commit"] > 0 for each in found)
    prices = [each for each in found if each["kind"] == "price"]
    assert all(Decimal(each["usd"]) > 0 and not each["total"] for each in prices)


def test_a_commit_has_its_counts() -> None:
    found = rows("journal", JOURNAL)
    assert [each["commit"] for each in found] == list(range(1, len(found) + 1))
    assert sum(each["published"] for each in found) == len(rows("changes", CHANGES))
    assert all(each["log_time"] > 0 and each["settings"] for each in found)


@pytest.mark.parametrize(
    "value", [None, b"", b"[]", b"\xff", b'{"balance":5,"sequence":true}']
)
@pytest.mark.parametrize("what", list(TABLES))
def test_whatever_is_written_there_is_a_row(what: str, value: bytes | None) -> None:
    for key in (None, b"\xff", b"balance:a:b"):
        found = row(what, TABLES[what].topics[0], Record(1, 2, key, value))
        assert found["offset"] == 1
        if value == b"\xff":
            assert (found["value"], found["value_base64"]) == (None, "/w==")


def test_a_number_that_no_table_can_hold_is_none() -> None:
    record = Record(1, 2, b"a", b'{"observedAt":9223372036854775808}')
    assert row("observations", RAW[0], record)["observed_at"] is None


@pytest.mark.parametrize(
    ("text", "kind", "fits"),
    [
        (f"{10**38 - 1}", Kind.AMOUNT, True),
        (f"{10**38}", Kind.AMOUNT, False),
        (f"{MAX_AMOUNT}", Kind.AMOUNT, False),
        ("-5", Kind.AMOUNT, True),
        ("0.1", Kind.AMOUNT, False),
        ("0.000000000000000001", Kind.PRICE, True),
        ("0.0000000000000000001", Kind.PRICE, False),
        ("99999999999999999999.5", Kind.PRICE, True),
        ("NaN", Kind.PRICE, False),
        ("soon", Kind.PRICE, False),
        (None, Kind.PRICE, False),
    ],
)
def test_what_fits_is_a_decimal_and_exact(
    text: str | None, kind: Kind, fits: bool
) -> None:
    found = decimal_of(text, kind)
    assert (found is not None) == fits
    assert found is None or found == Decimal(text or "")


@given(st.integers(0, MAX_AMOUNT))
def test_an_amount_is_never_another(amount: int) -> None:
    found = decimal_of(f"{amount}", Kind.AMOUNT)
    assert found is None or int(found) == amount
    assert (found is None) == (amount >= 10**38)
