"""Values paired by what they stand on: what is the same, added, missing, different."""

from decimal import Decimal

import pytest

from audit.core.differing import (
    EXAMPLES,
    Comparison,
    How,
    WrongSetting,
    changed_settings,
    settings_in,
)
from schemas.base import canonical
from schemas.journal import FoldSettings, FoldSettingsV1

KEY, BALANCE = b"price:a", b"balance:b:c"


def value(usd: str, offset: int, *, version: int = 1) -> bytes:
    return canonical(
        {
            "schema": "price/1",
            "usd": usd,
            "origins": [["prices.raw", 0, 0], ["prices.raw", 0, offset]],
            "version": version,
        }
    )


def balance(*amounts: str, mainnet: str | None = "5") -> bytes:
    return canonical(
        {
            "schema": "balance/1",
            "mainnet": mainnet and {"balance": mainnet},
            "subnets": {f"{n}": {"balance": a} for n, a in enumerate(amounts)},
            "origins": [["balances.raw", 0, 1]],
            "version": 1,
        }
    )


def compared(
    written: list[bytes | None], other: list[bytes | None], *, key: bytes = KEY
) -> Comparison:
    found = Comparison()
    found.commit(
        [(key, each) for each in written],
        [(key, each, ()) for each in other],
        shard=1,
        commit=2,
    )
    return found


@pytest.mark.parametrize(
    ("written", "other", "counts"),
    [
        ([], [], {}),
        ([value("1", 1)], [value("1", 1, version=9)], {How.SAME: 1}),
        ([value("1", 1)], [value("2", 1)], {How.DIFFERENT: 1}),
        ([value("1", 1)], [], {How.MISSING: 1}),
        ([], [value("1", 1)], {How.ADDED: 1}),
        (
            [value("1", 1), value("2", 2)],
            [value("2", 2), value("3", 3)],
            {How.MISSING: 1, How.SAME: 1, How.ADDED: 1},
        ),
        ([None, None], [None], {How.SAME: 1, How.MISSING: 1}),
        ([b"?", b"[]"], [value("1", 1)], {How.MISSING: 2, How.ADDED: 1}),
        ([b"?"], [b"{}"], {How.DIFFERENT: 1}),
    ],
)
def test_values_are_paired_by_the_newest_observation(
    written: list[bytes | None], other: list[bytes | None], counts: dict[How, int]
) -> None:
    found = compared(written, other)
    assert found.counts == {("price", how): n for how, n in counts.items()}
    assert found.is_different == bool(counts.keys() - {How.SAME})


def test_the_largest_difference_is_a_share_of_what_was_written() -> None:
    found = compared([value("2", 1)], [value("3", 1)])
    found.add(compared([value("4", 1)], [value("3", 1)]))
    share, example = found.largest["price"]
    assert (share, example.written) == (Decimal("0.5"), value("2", 1))
    assert found.keys == {KEY: 2}


def test_a_balance_counts_with_all_its_parts() -> None:
    found = compared([balance("5")], [balance("10", mainnet=None)], key=BALANCE)
    assert not found.largest["balance"].share
    assert compared([balance(mainnet="0")], [balance()], key=BALANCE).largest == {}


def test_a_few_examples_are_kept_of_each_kind() -> None:
    found = Comparison()
    for offset in range(9):
        found.add(compared([value("1", offset)], []))
    assert len(found.examples["price", How.MISSING]) == EXAMPLES
    many = compared([value("1", offset) for offset in range(9)], [])
    assert len(many.examples["price", How.MISSING]) == EXAMPLES


def test_settings_have_the_names_that_the_journal_gives_them() -> None:
    changed = settings_in(
        ["priceDeviation=0.01", "priceMaxAgeMs=5", "tokenSources=a,b"]
    )
    assert changed_settings(FoldSettings(), changed, generation=2) == FoldSettings(
        price_deviation="0.01", price_max_age_ms=5, token_sources=("a", "b")
    )


def test_a_setting_that_a_generation_does_not_have_is_refused_with_what_to_do() -> None:
    changed = settings_in(["priceJumpFactor=5"])
    with pytest.raises(
        WrongSetting, match=r"generation 1 .* no setting priceJumpF.*--gen"
    ):
        changed_settings(FoldSettingsV1(), changed, generation=1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("priceDeviation", "no NAME=VALUE"),
        ("price_deviation=1", "names are priceMaxAgeMs, priceDeviation"),
        ("priceDeviation=2", "priceDeviation cannot be that"),
        ("priceJumpFactor=1", "priceJumpFactor cannot be that"),
        ("priceMaxAgeMs=soon", "priceMaxAgeMs cannot be that"),
    ],
)
def test_what_is_no_setting_is_refused(text: str, why: str) -> None:
    with pytest.raises(WrongSetting, match=why):
        settings_in([text])
