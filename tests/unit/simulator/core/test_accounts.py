"""Hiro's account answers, in three generations."""

import json
from typing import Any

import pytest

from simulator.core import accounts
from simulator.core.accounts import Account
from simulator.core.genesis import Holding
from simulator.core.world import STX
from tests.support.shared_data import shared_data
from tests.support.simulated import Grown, grown

COLLECTOR = 1


@pytest.fixture(scope="module")
def of() -> Grown:
    return grown()


def account(of: Grown, at: int = COLLECTOR) -> Account:
    return Account(of.world, of.ledger, of.world.accounts[at])


def examples() -> dict[str, Any]:
    read = json.loads(shared_data("hiro/balance_examples.json").read_text())
    return {example["request"]: example["body"] for example in read["examples"]}


def unseen(of: Grown) -> Account:
    return Account(of.world, of.ledger, "SP000000000000000000002Q6VF78")


def test_the_first_generation_has_the_fields_of_the_reference(of: Grown) -> None:
    wanted = examples()["GET /extended/v1/address/{contract principal}/balances"]
    body = accounts.v1(account(of))
    assert body.keys() == wanted.keys()
    assert body["stx"].keys() == wanted["stx"].keys()
    (row,) = {tuple(sorted(row)) for row in body["fungible_tokens"].values()}
    assert row == ("balance", "total_received", "total_sent")


def test_the_second_generation_has_the_fields_of_the_reference(of: Grown) -> None:
    path = "GET /extended/v2/addresses/{same contract}/balances/stx"
    for query, mempool in (("", False), ("?include_mempool=true", True)):
        body = accounts.v2_stx(account(of), mempool=mempool)
        assert body.keys() == examples()[path + query].keys()


def test_the_third_generation_has_the_fields_of_the_reference(of: Grown) -> None:
    path = "GET /extended/v3/principals/{p}/balances/"
    shape = examples()
    page = accounts.v3_tokens(account(of), limit=100, cursor=None)
    assert page.keys() == shape[path + "ft"].keys()
    assert page["cursor"].keys() == shape[path + "ft"]["cursor"].keys()
    assert page["results"][0].keys() == shape[path + "ft"]["results"][0].keys()
    nothing = accounts.v3_tokens(unseen(of), limit=100, cursor=None)
    assert nothing == shape[path + "ft (none)"]
    assert (
        accounts.v3_stx(unseen(of)) == shape[path + "stx (no activity: 200, not 404)"]
    )
    locked = next(one for at in range(60) if (one := account(of, at)).locked)
    wanted = shape[path + "stx (locked)"]
    assert accounts.v3_stx(locked)["locked"].keys() == wanted["locked"].keys()


def test_locked_stx_is_part_of_the_balance_and_not_available(of: Grown) -> None:
    locked = next(one for at in range(60) if (one := account(of, at)).locked)
    third, first = accounts.v3_stx(locked), accounts.v1_stx(locked)
    assert int(third["available"]) + locked.locked == int(third["balance"])
    assert first["locked"] == str(locked.locked)
    assert first["lock_tx_id"] == third["locked"]["lock_tx_id"]


def test_pages_of_the_third_generation_add_up_and_lead_back(of: Grown) -> None:
    read: list[dict[str, str]] = []
    cursor, previous = None, []
    while True:
        page = accounts.v3_tokens(account(of), limit=7, cursor=cursor)
        read += page["results"]
        previous.append(page["cursor"]["previous"])
        cursor = page["cursor"]["next"]
        if cursor is None:
            break
    assert len(read) == page["total"] == len({row["asset_identifier"] for row in read})
    sizes = [int(row["balance"]) for row in read]
    assert sizes == sorted(sizes, reverse=True)
    first = accounts.v3_tokens(account(of), limit=7, cursor=None)
    assert previous[:2] == [None, first["cursor"]["current"]]


def test_pages_of_the_second_generation_add_up(of: Grown) -> None:
    pages = [
        accounts.v2_tokens(account(of), limit=20, offset=offset)
        for offset in (0, 20, 40)
    ]
    read = [row["token"] for page in pages for row in page["results"]]
    assert len(set(read)) == len(read) == pages[0]["total"]


def test_a_cursor_behind_the_last_row_gives_an_empty_page(of: Grown) -> None:
    page = accounts.v3_tokens(account(of), limit=7, cursor="0:~")
    assert page["results"] == []
    assert page["cursor"]["next"] is None


def test_zeros_are_listed_by_the_first_generation_alone() -> None:
    of = grown()
    token = of.world.tokens[0]
    of.ledger.put(of.world.accounts[0], token.contract_id, Holding(0, 5, 5))
    body = accounts.v1(account(of, 0))
    assert body["fungible_tokens"][token.asset_id]["balance"] == "0"
    page = accounts.v3_tokens(account(of, 0), limit=200, cursor=None)
    assert token.asset_id not in {row["asset_identifier"] for row in page["results"]}
    assert accounts.v3_token(account(of, 0), token.asset_id)["balance"] == "0"
    assert accounts.v3_token(account(of, 0), "SP1.no::no")["balance"] == "0"


def test_subnet_holdings_are_not_part_of_the_account() -> None:
    of = grown()
    subnet = of.world.subnets[0]
    of.ledger.put(of.world.accounts[0], subnet.contract_id, Holding(5, 0, 5))
    assets = accounts.v1(account(of, 0))["fungible_tokens"]
    assert not any(subnet.contract_id in asset for asset in assets)


def test_the_mark_of_a_state_changes_with_it() -> None:
    of = grown()
    before = account(of, 0).etag
    of.ledger.put(of.world.accounts[0], STX, Holding(1, 0, 1))
    assert account(of, 0).etag != before
    assert unseen(of).etag is None
