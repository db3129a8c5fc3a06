"""The second implementation: small cases worked out by hand."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest

from tests.support.oracle.derive import DEFAULTS, Derived, RawRecord, derive
from tests.support.oracle.text import canonical as oracle_canonical

USER = "SP466FNC0P7JWTNM2R9T199QRZN1MYEDTAR0KP27"
BASE, SUBNET = f"{USER}.alpha", f"{USER}.alpha-subnet"
APPENDED_MS = 1_000_000
NO_TOTALS = {"totalSent": None, "totalReceived": None}


def price(usd: str, *, source: str = "a", at: int = 0, **more: Any) -> dict[str, Any]:
    named = {"contractId": ".stx", "source": source, "usd": usd, "observedAt": at}
    return {"schema": "price.observed/1", **named, **more}


def reading(at: int, source: str = "hiro", **balances: str) -> dict[str, Any]:
    held = [
        {"contractId": f"{USER}.{name}", "balance": said}
        for name, said in balances.items()
    ]
    return account("account.read/1", at, source=source, holdings=held)


def account(schema: str, at: int, **more: Any) -> dict[str, Any]:
    return {"schema": schema, "userId": USER, "observedAt": at, **more}


def confirmed(at: int, of: dict[str, Any]) -> dict[str, Any]:
    digest = sha256(oracle_canonical(of)).hexdigest()
    return account("account.confirmed/1", at, source="hiro", reading=digest)


def subnet(at: int, balance: str, base: str = BASE) -> dict[str, Any]:
    ids = {"subnetId": SUBNET, "baseId": base, "source": "call"}
    return account("subnet.read/1", at, balance=balance, **ids)


def forgotten(at: int) -> dict[str, Any]:
    return account("user.forgotten/1", at)


def token(at: int, source: str, **fields: Any) -> dict[str, Any]:
    named = {"contractId": ".stx", "source": source, "observedAt": at}
    return {"schema": "token.observed/1", **named, "fields": fields}


def derived(
    topic: str, *seen: dict[str, Any], generation: int = 2, **settings: Any
) -> Derived:
    """Fold observations of one topic, of which each stands at its number."""
    records = [
        RawRecord(
            offset,
            APPENDED_MS,
            one["userId" if topic == "balances.raw" else "contractId"].encode(),
            oracle_canonical(one),
        )
        for offset, one in enumerate(seen)
    ]
    raw = {(topic, 0): records}
    return derive(raw, DEFAULTS | settings, generation=generation)[0]


def words(found: Derived) -> dict[str, int]:
    return {name.partition(".")[2]: n for name, n in found.decisions.items()}


def values(found: Derived, field: str) -> list[Any]:
    """Return one field of everything published; nothing for a tombstone."""
    return [value and json.loads(value)[field] for _, value in found.changes]


def test_one_price_is_published_with_these_bytes() -> None:
    found = derived("prices.raw", price("1.5", at=7))
    assert found.changes == [
        (
            b"price:.stx",
            b'{"contractId":".stx","market":null,"observedAt":7,'
            b'"origins":[["prices.raw",0,0]],"schema":"price/1","usd":"1.5","version":1}',
        )
    ]


@pytest.mark.parametrize(
    ("second", "usd", "decisions"),
    [
        (price("2", at=1), ["1", "2"], {"published": 2}),
        (price("1", at=1), ["1"], {"published": 1, "unchanged": 1}),
        (price("1"), ["1"], {"published": 1, "duplicate": 1}),
        (price("2"), ["1"], {"published": 1, "rejected": 1}),
        (price("2", sequence=1), ["1", "2"], {"published": 2}),
        (price("2", source="b", at=1), ["1"], {"published": 1, "unchanged": 1}),
        (price("2", source="b", at=900_001), ["1", "2"], {"published": 2}),
        (price("2", source="b", at=900_000), ["1"], {"published": 1, "unchanged": 1}),
        (price("2", at=1_060_000), ["1", "2"], {"published": 2}),
        (price("2", at=1_060_001), ["1"], {"published": 1, "rejected": 1}),
    ],
    ids=[
        "moved",
        "same price",
        "same moment",
        "same moment with another price",
        "later sequence",
        "second source",
        "first source too old",
        "first source just fresh",
        "as far in the future as may be",
        "from the future",
    ],
)
def test_a_second_price(
    second: dict[str, Any], usd: list[str], decisions: dict[str, int]
) -> None:
    found = derived("prices.raw", price("1"), second)
    assert values(found, "usd") == usd
    assert words(found) == decisions


def test_an_earlier_price_is_stale() -> None:
    found = derived("prices.raw", price("1", at=2), price("9", at=1))
    assert words(found) == {"published": 1, "stale": 1}


@pytest.mark.parametrize(
    ("deviation", "second", "count"),
    [("0.1", "1.1", 1), ("0.1", "1.100000000000000001", 2), ("1", "2", 1)],
)
def test_a_price_that_moves_no_more_than_allowed_is_unchanged(
    deviation: str, second: str, count: int
) -> None:
    seen = price("1"), price(second, at=1)
    found = derived("prices.raw", *seen, priceDeviation=deviation)
    assert words(found).get("published") == count


def test_the_mean_of_generation_1_is_cut_half_to_even() -> None:
    least, two = "0.000000000000000001", "0.000000000000000002"
    quotes = price(least), price(two, source="b")
    found = derived("prices.raw", *quotes, generation=1)
    assert values(found, "usd") == [least, two]


def test_the_market_is_that_of_the_latest_word_that_has_one() -> None:
    found = derived(
        "prices.raw",
        price("1", at=1, market={"change24h": "1"}),
        price("2", source="b", at=1, market={"change24h": "2"}),
        price("3", source="c", at=2),
    )
    changes = [market["change24h"] for market in values(found, "market")]
    assert changes == ["1", "2"]


def test_the_65th_source_of_a_price_is_refused() -> None:
    seen = [price(str(n + 1), source=f"s{n}", at=n) for n in range(65)]
    found = derived("prices.raw", *seen)
    assert json.loads(found.rejects[0][1])["reason"] == "full"
    assert len(found.rejects) == 1


def test_a_reading_is_published_token_by_token_and_what_is_missing_is_zero() -> None:
    found = derived(
        "balances.raw", reading(1, beta="5", alpha="3"), reading(2, beta="5")
    )
    assert [key.decode().rpartition(".")[2] for key, _ in found.changes] == [
        "alpha",
        "beta",
        "alpha",
    ]
    assert found.changes[2][1] == (
        b'{"contractId":"%(user)b.alpha","mainnet":{"balance":"0","observedAt":2,'
        b'"totalReceived":null,"totalSent":null},"observedAt":2,'
        b'"origins":[["balances.raw",0,1]],"schema":"balance/1","subnets":{},'
        b'"userId":"%(user)b","version":2}' % {b"user": USER.encode()}
    )
    assert words(found) == {"published": 3, "unchanged": 1}


READ = reading(5, alpha="3")
CASES: list[tuple[str, list[dict[str, Any]], dict[str, int]]] = [
    ("same reading", [READ], {"published": 1, "duplicate": 1}),
    ("same moment, other content", [reading(5)], {"published": 1, "rejected": 1}),
    ("same moment of another source", [reading(5, "x")], {"published": 1, "stale": 1}),
    ("earlier", [reading(4, alpha="9")], {"published": 1, "stale": 1}),
    (
        "earlier, of a token not held",
        [reading(4, beta="9")],
        {"published": 1, "stale": 2},
    ),
    ("negative", [reading(6, alpha="-1")], {"published": 1, "suspect": 1}),
    ("too much", [reading(6, alpha=str(2**128))], {"published": 1, "suspect": 1}),
    ("the most", [reading(6, alpha=str(2**128 - 1))], {"published": 2}),
    ("confirmed", [confirmed(6, READ)], {"published": 1, "unchanged": 1}),
    ("confirmed too early", [confirmed(5, READ)], {"published": 1, "stale": 1}),
    ("confirmed another", [confirmed(6, {})], {"published": 1, "rejected": 1}),
    (
        "confirmed, then one between",
        [confirmed(9, READ), reading(7, alpha="9")],
        {"published": 1, "unchanged": 1, "stale": 1},
    ),
    (
        "suspect, then one between: it follows no more",
        [reading(8, alpha="-1"), reading(7, alpha="9"), confirmed(9, READ)],
        {"published": 2, "suspect": 1, "rejected": 1},
    ),
    ("forgotten", [forgotten(6)], {"published": 2}),
    ("forgotten too early", [forgotten(5)], {"published": 1, "stale": 1}),
    (
        "forgotten, then an old one",
        [forgotten(9), reading(8, alpha="1"), subnet(9, "1"), subnet(10, "1")],
        {"published": 3, "stale": 2},
    ),
    (
        "forgotten twice",
        [forgotten(6), forgotten(7)],
        {"published": 2, "unchanged": 1},
    ),
]


@pytest.mark.parametrize(
    ("then", "decisions"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_after_a_reading(
    then: Sequence[dict[str, Any]], decisions: dict[str, int]
) -> None:
    assert words(derived("balances.raw", READ, *then)) == decisions


def test_an_empty_reading_is_one_decision() -> None:
    found = derived("balances.raw", reading(2), reading(1), reading(3))
    assert words(found) == {"unchanged": 2, "stale": 1}


def test_a_confirmation_without_an_account_is_refused() -> None:
    found = derived("balances.raw", confirmed(1, READ))
    assert json.loads(found.rejects[0][1])["reason"] == "unknown-reading"


def test_a_subnet_part_stands_beside_the_mainnet_part() -> None:
    found = derived("balances.raw", READ, subnet(7, "4"))
    subnets = {SUBNET: {"balance": "4", "observedAt": 7}}
    assert values(found, "subnets") == [{}, subnets]
    assert values(found, "origins")[1] == [
        ["balances.raw", 0, 0],
        ["balances.raw", 0, 1],
    ]


@pytest.mark.parametrize(
    ("second", "decisions"),
    [
        (subnet(1, "4"), {"published": 1, "duplicate": 1}),
        (subnet(1, "5"), {"published": 1, "rejected": 1}),
        (subnet(1, "4", ".stx"), {"published": 1, "rejected": 1}),
        (subnet(0, "4"), {"published": 1, "stale": 1}),
        (subnet(2, "-4"), {"published": 1, "suspect": 1}),
        (subnet(2, "4"), {"published": 1, "unchanged": 1}),
        (subnet(2, "5"), {"published": 2}),
        (forgotten(1), {"published": 1, "stale": 1}),
    ],
)
def test_after_a_subnet_reading(
    second: dict[str, Any], decisions: dict[str, int]
) -> None:
    assert words(derived("balances.raw", subnet(1, "4"), second)) == decisions


def test_a_base_left_without_parts_is_withdrawn_and_keeps_its_version() -> None:
    seen = subnet(1, "4"), subnet(2, "4", ".stx"), subnet(3, "4")
    found = derived("balances.raw", *seen)
    assert words(found) == {"published": 3}
    assert values(found, "version") == [1, 1, None, None, 2]


def test_of_each_field_the_first_word_counts() -> None:
    found = derived(
        "tokens.raw",
        token(1, "zzz", name="z", symbol="Z", image="i"),
        token(1, "hiro", name="h"),
        token(1, "charisma", symbol="C", verified=False),
        token(2, "charisma", symbol="C", verified=False),
    )
    assert words(found) == {"published": 3, "unchanged": 1}
    last = values(found, "fields")[-1]
    said = {name: text for name, text in last.items() if text is not None}
    assert said == {"name": "h", "symbol": "C", "image": "i", "verified": False}


def test_a_refused_record_is_kept_with_where_it_stood() -> None:
    records = [
        RawRecord(3, 0, b"k" * 2_000, b"x" * 70_000),
        RawRecord(4, 0, None, None),
        RawRecord(9, 0, b"other", oracle_canonical(price("1"))),
    ]
    found = derive({("prices.raw", 2): records}, DEFAULTS)[2]
    rejects = [(key, json.loads(value)) for key, value in found.rejects]
    assert [key and len(key) for key, _ in rejects] == [1_024, None, 5]
    assert [one["field"] for _, one in rejects] == ["", "", "key"]
    assert [one["size"] for _, one in rejects][:2] == [70_000, 0]
    assert rejects[0][1]["origin"] == ["prices.raw", 2, 3]
    assert len(rejects[0][1]["original"]) == 87_384
