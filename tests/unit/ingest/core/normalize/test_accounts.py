"""Accounts in three generations: whole or nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.normalize.accounts import (
    Account,
    Doubt,
    Doubts,
    Page,
    account_of_pages,
    account_v1,
    doubts,
    page_v2,
    page_v3,
    same_content,
    stx_balance,
)
from ingest.core.normalize.body import Unusable
from schemas.ids import ContractId, Network
from tests.support.shared_data import shared_data

A = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.a"
B = "SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4.b"
MAIN = Network.MAINNET


def nobody(_: ContractId) -> str | None:
    return None


def amounts(balance: Any, **more: Any) -> dict[str, Any]:
    return {"balance": balance, **more}


def v1(tokens: dict[str, Any], stx: Any = None) -> bytes:
    said = {"stx": stx or amounts("5"), "fungible_tokens": tokens}
    return json.dumps(said).encode()


def read(body: bytes, network: Network = MAIN, chosen: Any = nobody) -> Account:
    account = account_v1(body, network=network, chosen=chosen)
    assert isinstance(account, Account), account
    return account


def balances(account: Account) -> dict[str, str]:
    return {held.contract_id: held.balance for held in account.holdings}


def test_stx_and_tokens_are_sorted_by_contract_and_zeros_stay() -> None:
    totals = {"total_sent": "1", "total_received": "6"}
    stx = {**amounts("9007199254740993"), **totals, "locked": "7"}
    account = read(
        v1({f"{A}::x": amounts("0"), f"{B}::y": amounts("7", **totals)}, stx)
    )
    assert balances(account) == {".stx": "9007199254740993", B: "7", A: "0"}
    assert list(balances(account)) == sorted(balances(account))
    assert account.holdings[1].asset == "y"
    assert account.rows == 3
    assert (account.holdings[1].total_sent, account.holdings[2].total_sent) == (
        "1",
        None,
    )


def test_a_negative_balance_is_kept_as_it_was_said() -> None:
    assert balances(read(v1({f"{A}::x": amounts("-4415943194")})))[A] == "-4415943194"


def test_assets_without_an_id_of_this_network_are_left_out_and_counted() -> None:
    account = read(
        v1({"bux": amounts("1"), "stx": amounts("1"), f"{A}::x": amounts("2")})
    )
    assert (list(balances(account)), account.foreign) == ([".stx", A], 2)
    assert read(v1({f"{A}::x": amounts("2")}), Network.TESTNET).foreign == 1


def test_the_other_assets_of_a_contract_count_as_rows_too() -> None:
    account = read(v1({f"{A}::x": amounts("1"), f"{A}::y": amounts("2")}))
    assert [len(account.holdings), len(account.others), account.rows] == [2, 1, 3]


@pytest.mark.parametrize(
    "bad", ["1.5", "0x1", "", "1_2", "01", "+1", "1" * 40, "٣", 5, None, ["1"]]
)
def test_one_amount_that_cannot_be_read_makes_the_reading_unusable(bad: Any) -> None:
    for body in (
        v1({f"{A}::x": amounts(bad), f"{B}::y": amounts("1")}),
        v1({}, amounts(bad)),
        v1({f"{A}::x": amounts("1", total_sent=bad)} if bad is not None else {"x": 1}),
    ):
        account = account_v1(body, network=MAIN, chosen=nobody)
        assert isinstance(account, Unusable)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"error": "Gone", "message": "off"},
        {"stx": amounts("1")},
        {"fungible_tokens": {}},
        {"stx": amounts("1"), "fungible_tokens": []},
        [],
    ],
)
def test_a_body_of_another_shape_is_never_an_empty_account(said: Any) -> None:
    body = json.dumps(said).encode()
    assert isinstance(account_v1(body, network=MAIN, chosen=nobody), Unusable)


def test_of_two_assets_of_a_contract_the_registrys_counts() -> None:
    body = v1(
        {f"{A}::x": amounts("1"), f"{A}::y": amounts("2"), f"{A}::w": amounts("3")}
    )
    account = read(body, chosen={A: "y"}.get)
    assert balances(account)[A] == "2"
    assert [(other.asset, other.balance) for other in account.others] == [
        ("w", "3"),
        ("x", "1"),
    ]


def test_of_two_assets_nobody_knows_the_first_by_name_counts() -> None:
    body = v1({f"{A}::y": amounts("2"), f"{A}::x": amounts("1")})
    assert balances(read(body))[A] == "1"
    assert balances(read(body, chosen={A: "other"}.get))[A] == "1"


def test_the_recorded_accounts_are_read_to_the_last_digit() -> None:
    recorded = json.loads(
        shared_data("stacks/hiro_v1_shaped_balances.json").read_text()
    )
    for said in recorded["responses"].values():
        account = read(json.dumps(said).encode())
        assert account.foreign == 0
        kept = {
            (held.contract_id, held.asset, held.balance) for held in account.holdings
        }
        for asset_id, row in said["fungible_tokens"].items():
            contract, _, asset = asset_id.partition("::")
            assert (contract, asset, row["balance"]) in kept


def test_the_examples_of_the_api_are_read() -> None:
    examples = json.loads(shared_data("hiro/balance_examples.json").read_text())
    for example in examples["examples"]:
        body = json.dumps(example["body"]).encode()
        path = example["request"].split("?")[0]
        if "/v1/" in path:
            read(body)
        elif "balances/stx" in path:
            assert stx_balance(body) == example["body"]["balance"]
        elif "results" in example["body"]:
            page = page_v3(body) if "/v3/" in path else page_v2(body)
            assert isinstance(page, Page)


def pages(*rows: list[tuple[str, str]], total: int | None = None) -> list[Page]:
    count = sum(len(some) for some in rows) if total is None else total
    return [Page(tuple(some), count) for some in rows]


def of_pages(found: list[Page]) -> Account | Unusable:
    return account_of_pages("5", found, network=MAIN, chosen=nobody)


def test_pages_make_an_account_without_totals() -> None:
    account = of_pages(pages([(f"{A}::x", "1")], [(f"{B}::y", "2")]))
    assert isinstance(account, Account)
    assert balances(account) == {".stx": "5", A: "1", B: "2"}
    assert {held.total_sent for held in account.holdings} == {None}


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([], id="no page"),
        pytest.param(pages([(f"{A}::x", "1")], total=2), id="a row is missing"),
        pytest.param(pages([(f"{A}::x", "1")], [(f"{A}::x", "2")]), id="a row moved"),
        pytest.param(
            [Page(((f"{A}::x", "1"),), 2), Page(((f"{B}::y", "1"),), 3)],
            id="total moved",
        ),
        pytest.param(pages([(f"{A}::x", "one")]), id="not an amount"),
    ],
)
def test_pages_that_do_not_make_a_whole_are_unusable(found: list[Page]) -> None:
    assert isinstance(of_pages(found), Unusable)


def test_pages_of_both_generations_are_read() -> None:
    v2 = {
        "limit": 1,
        "offset": 0,
        "total": 1,
        "results": [{"token": "t", "balance": "1"}],
    }
    v3 = {
        "total": 2,
        "cursor": {"next": "1:t", "current": None},
        "results": [{"asset_identifier": "t", "balance": "1"}],
    }
    assert page_v2(json.dumps(v2).encode()) == Page((("t", "1"),), 1)
    assert page_v3(json.dumps(v3).encode()) == Page((("t", "1"),), 2, "1:t")
    assert isinstance(page_v2(json.dumps(v3).encode()), Unusable)
    assert isinstance(page_v3(json.dumps(v2).encode()), Unusable)
    assert isinstance(stx_balance(b"{}"), Unusable)


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2**128 - 1)))
def test_equal_accounts_are_the_same_content(held: dict[str, int]) -> None:
    one = read(v1({f"{A}{name}::x": amounts(str(n)) for name, n in held.items()}))
    reverse = dict(reversed(held.items()))
    two = read(v1({f"{A}{name}::x": amounts(str(n)) for name, n in reverse.items()}))
    assert same_content(one, two)
    assert not same_content(one, read(v1({f"{B}::new": amounts("1")})))


def of_totals(sent: str | None, received: str | None, balance: str = "5") -> Account:
    totals = {"total_sent": sent, "total_received": received}
    given = {name: amount for name, amount in totals.items() if amount is not None}
    return read(v1({f"{A}::x": amounts(balance, **given)}))


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        pytest.param(("1", "6"), ("1", "6"), None, id="the same"),
        pytest.param(("1", "6"), ("2", "7"), None, id="moved on"),
        pytest.param(("1", "6"), ("0", "6"), Doubt.BACK, id="sent less"),
        pytest.param(("1", "6"), ("1", "5"), Doubt.BACK, id="received less"),
        pytest.param(("1", "6"), (None, None), Doubt.BACK, id="no totals any more"),
        pytest.param(("0", "6"), (None, "6"), None, id="no zero total any more"),
        pytest.param((None, None), ("1", "6"), None, id="no totals before"),
    ],
)
def test_totals_that_shrink_are_doubtful(
    before: tuple[str | None, str | None],
    after: tuple[str | None, str | None],
    found: Doubt | None,
) -> None:
    assert why(of_totals(*before), of_totals(*after)) is found


def why(before: Account, after: Account) -> Doubt | None:
    found = doubts(before, after)
    return found.why if found else None


def test_an_account_with_nothing_left_is_doubtful_and_an_empty_one_is_not() -> None:
    full = read(v1({f"{A}::x": amounts("2")}))
    spent = read(v1({f"{A}::x": amounts("0")}))
    empty = read(v1({}, amounts("0")))
    assert why(full, spent) is None
    assert why(full, empty) is Doubt.EMPTY
    assert why(empty, empty) is None
    assert why(empty, full) is None


def test_an_asset_that_was_not_there_before_is_not_doubtful() -> None:
    before = read(v1({}))
    after = read(v1({f"{A}::y": amounts("5", total_sent="0")}))
    assert why(before, after) is None


@pytest.mark.parametrize(
    ("row", "found"),
    [
        pytest.param(("5", "0", "5"), Doubt.BACK, id="held"),
        pytest.param(("0", "5", "5"), Doubt.BACK, id="spent, with totals"),
        pytest.param(("0", "0", "0"), None, id="never held"),
        pytest.param(("0", None, None), None, id="nothing, without totals"),
        pytest.param(("5", None, None), Doubt.MISSING, id="held, without totals"),
    ],
)
def test_a_row_that_vanishes_is_doubtful_if_it_said_anything(
    row: tuple[str, str | None, str | None], found: Doubt | None
) -> None:
    balance, sent, received = row
    given = {"total_sent": sent, "total_received": received}
    totals = {name: amount for name, amount in given.items() if amount is not None}
    kept = {f"{B}::y": amounts("9")}
    before = read(v1({f"{A}::x": amounts(balance, **totals), **kept}))
    after = read(v1(kept))
    assert why(before, after) is found
    rows: dict[tuple[ContractId, str | None], None] = {(ContractId(A), "x"): None}
    assert doubts(before, after) == (Doubts(found, rows) if found else None)


def test_another_asset_of_a_contract_vanishes_like_a_first_one() -> None:
    both = {f"{A}::x": amounts("5"), f"{A}::y": amounts("6", total_received="6")}
    before = read(v1(both))
    after = read(v1({f"{A}::x": amounts("5")}))
    assert why(before, after) is Doubt.BACK


def test_a_balance_that_shrinks_though_nothing_was_sent_is_doubtful() -> None:
    before = of_totals("1", "6", balance="5")
    assert why(before, of_totals("1", "6", balance="4")) is Doubt.BACK
    assert why(before, of_totals("2", "6", balance="4")) is None
    assert why(of_totals(None, None), of_totals(None, None, balance="4")) is None
    # Fees are taken from STX, and nobody sent them.
    totals = {"total_sent": "1", "total_received": "6"}
    rich, poor = (read(v1({}, amounts(held, **totals))) for held in ("5", "4"))
    assert why(rich, poor) is None


def test_two_readings_agree_when_they_say_the_same_of_what_is_in_doubt() -> None:
    before = read(v1({f"{A}::x": amounts("5"), f"{B}::y": amounts("9")}))
    lost_a = doubts(before, read(v1({f"{B}::y": amounts("9")})))
    still_lost_a = doubts(before, read(v1({f"{B}::y": amounts("10")})))
    lost_b = doubts(before, read(v1({f"{A}::x": amounts("5")})))
    assert lost_a is not None
    assert still_lost_a is not None
    assert lost_b is not None
    assert lost_a.repeats(still_lost_a)
    assert not lost_a.repeats(lost_b)
