"""Which ids are taken, and which tokens an answer shows."""

from edge.core import snapshots
from edge.core.table import Table
from schemas.ids import STX, Network
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    WELSH,
    a_table,
    balance,
    identity,
    token,
)


def test_ids_of_the_logs_network_are_taken() -> None:
    assert snapshots.network_of(Table()) is Network.MAINNET
    table = a_table(identity(network=Network.TESTNET))
    assert snapshots.network_of(table) is Network.TESTNET


def test_ids_are_put_into_normal_form_once_each_in_the_order_asked() -> None:
    asked = ["stx", f"{CHA}::charisma", "no id", CHA, ".stx", "stx"]
    found = snapshots.asked_spellings(asked, Network.MAINNET)
    assert found == ["stx", CHA, STX]
    users = [BOB, "no user", ANNE.lower(), BOB]
    assert snapshots.asked_users(users, Network.MAINNET) == [BOB, ANNE]
    assert snapshots.asked_users([ANNE], Network.TESTNET) == []


def test_stx_has_two_spellings_and_any_other_token_one() -> None:
    assert snapshots.spellings(STX) == (STX, "stx")
    assert snapshots.spellings(CHA) == (CHA,)
    found = [snapshots.contract_of(each) for each in (STX, "stx", CHA)]
    assert found == [STX, STX, CHA]


def test_a_named_user_has_an_entry_for_every_known_token() -> None:
    table = a_table(
        balance(ANNE, CHA, 5), token(WELSH, decimals=6), token(CHA, decimals=6)
    )
    assert snapshots.shown_tokens(ANNE, table, zeros=False) == [CHA]
    assert snapshots.shown_tokens(ANNE, table, zeros=True) == [CHA, WELSH]
    assert snapshots.shown_tokens(BOB, table, zeros=False) == []
