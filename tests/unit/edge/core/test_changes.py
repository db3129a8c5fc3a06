"""What a batch of records changes, and in which bytes for whom."""

from edge.core.changes import Changed, Changes
from edge.core.subscriptions import ClientId, Subscriptions
from edge.core.table import Table
from schemas.ids import STX, ContractId, UserId
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    NOW_MS,
    WELSH,
    Record,
    balance,
    gone,
    heard,
    price,
    token,
)

ONE, TWO, THREE = map(ClientId, (1, 2, 3))
SECOND = ContractId(f"{ANNE}.charisma-token-subnet-v2")
SUBNET = token(CHA_SUBNET, type="SUBNET", base=CHA)
KNOWN = (token(CHA, decimals=6), token(WELSH, decimals=6))


def changes(*records: Record) -> Changes:
    made = Changes(Table())
    made.take(records)
    return made


def take(made: Changes, *records: Record) -> Changed:
    return made.take(records)


def prices_to(
    changed: Changed, index: Subscriptions[str]
) -> dict[tuple[ClientId, ...], list[tuple[str, float]]]:
    return {
        write.clients: [(m["contractId"], m["price"]) for m in heard([write.frames])]
        for write in changed.price_writes(index)
    }


def test_a_base_price_moves_its_subnet_tokens_too() -> None:
    made = changes(SUBNET, token(SECOND, type="SUBNET", base=CHA_SUBNET))
    assert take(made, price(CHA, "2")).prices == (CHA, CHA_SUBNET, SECOND)
    assert take(made, price(CHA_SUBNET, "9")).prices == ()


def test_a_key_that_changed_twice_is_sent_once() -> None:
    made = changes()
    twice = take(made, price(CHA, "2"), price(WELSH, "1"), price(CHA, "3"))
    assert twice.prices == (CHA, WELSH)


def test_a_token_has_another_price_when_its_base_changes() -> None:
    made = changes(price(CHA, "2"), price(WELSH, "3"))
    assert take(made, SUBNET).prices == (CHA_SUBNET,)
    assert take(made, SUBNET).prices == ()
    moved = token(CHA_SUBNET, type="SUBNET", base=WELSH)
    assert take(made, moved).prices == (CHA_SUBNET,)
    assert take(made, price(CHA, "4")).prices == (CHA,)
    assert take(made, token(CHA_SUBNET, type="SUBNET")).prices == (CHA_SUBNET,)
    assert take(made, token(CHA_SUBNET, type="SIP10")).prices == ()


def test_a_withdrawn_subnet_token_is_its_own_base_again() -> None:
    made = changes(SUBNET)
    assert take(made, gone(SUBNET)).prices == (CHA_SUBNET,)
    assert take(made, price(CHA, "2")).prices == (CHA,)
    assert take(made, price(CHA_SUBNET, "2")).prices == (CHA_SUBNET,)


def test_clients_that_want_the_same_share_their_bytes() -> None:
    index: Subscriptions[str] = Subscriptions()
    for client in (ONE, TWO):
        index.add(client, CHA)
    index.add(THREE, WELSH)
    changed = take(changes(), price(WELSH, "1"), price(CHA, "2"))
    assert prices_to(changed, index) == {
        (ONE, TWO): [(CHA, 2)],
        (THREE,): [(WELSH, 1)],
    }


def test_all_has_both_spellings_of_stx_once_though_named_as_well() -> None:
    index: Subscriptions[str] = Subscriptions()
    index.add_all(ONE)
    index.add(ONE, "stx")
    index.add(TWO, "stx")
    index.add(TWO, STX)
    index.add(THREE, "stx")
    changed = take(changes(), price(STX, "0.5"))
    assert prices_to(changed, index) == {
        (TWO, ONE): [(STX, 0.5), ("stx", 0.5)],
        (THREE,): [("stx", 0.5)],
    }


def test_nothing_is_written_where_nothing_changed_or_nobody_asked() -> None:
    index: Subscriptions[str] = Subscriptions()
    assert take(changes(), price(CHA, "1")).price_writes(index) == []
    index.add_all(ONE)
    assert take(changes()).price_writes(index) == []
    made = take(changes(), token(CHA_SUBNET, type="SUBNET", base=CHA))
    assert made.price_writes(index) == []


def balances_to(
    changed: Changed,
    index: Subscriptions[UserId],
    behind: dict[ClientId, set[UserId]] | None = None,
) -> dict[tuple[ClientId, ...], list[object]]:
    writes = changed.balance_writes(index, behind or {}, now_ms=NOW_MS)
    return {
        write.clients: [
            (m["type"], [e["balance"] for e in m.get("balances", [m])])
            for m in heard([write.frames])
        ]
        for write in writes
    }


def test_one_balance_is_an_update_and_several_are_a_batch() -> None:
    index: Subscriptions[UserId] = Subscriptions()
    index.add(ONE, ANNE)
    index.add(TWO, BOB)
    index.add_all(THREE)
    records = balance(ANNE, CHA, 1), balance(BOB, CHA, 2), balance(ANNE, WELSH, 3)
    assert balances_to(take(changes(*KNOWN), *records), index) == {
        (ONE,): [("BALANCE_BATCH", [1, 3])],
        (TWO,): [("BALANCE_UPDATE", [2])],
        (THREE,): [("BALANCE_BATCH", [1, 2, 3])],
    }


def test_who_is_behind_with_a_user_gets_nothing_of_it_yet() -> None:
    index: Subscriptions[UserId] = Subscriptions()
    index.add(ONE, ANNE)
    index.add_all(TWO)
    behind = {ONE: {ANNE}, TWO: {ANNE}}
    changed = take(changes(*KNOWN), balance(ANNE, CHA, 1))
    assert balances_to(changed, index, behind) == {}
    changed = take(changes(*KNOWN), balance(ANNE, CHA, 1), balance(BOB, CHA, 2))
    assert balances_to(changed, index, behind) == {(TWO,): [("BALANCE_UPDATE", [2])]}


def test_balances_of_unknown_decimals_wait_for_them() -> None:
    index: Subscriptions[UserId] = Subscriptions()
    index.add_all(ONE)
    made = changes()
    early = take(made, balance(BOB, CHA, 2), balance(ANNE, CHA, 1))
    assert (balances_to(early, index), made.held_back) == ({}, 2)
    assert balances_to(take(made, token(CHA, name="Charisma")), index) == {}
    late = take(made, token(CHA, decimals=6))
    assert balances_to(late, index) == {(ONE,): [("BALANCE_BATCH", [1, 2])]}
    assert made.held_back == 0


def test_a_withdrawn_balance_is_neither_held_back_nor_sent() -> None:
    index: Subscriptions[UserId] = Subscriptions()
    index.add_all(ONE)
    record = balance(ANNE, CHA, 1)
    made = changes(record)
    withdrawn = take(made, gone(record))
    assert (balances_to(withdrawn, index), made.held_back) == ({}, 0)
    assert balances_to(take(made, KNOWN[0]), index) == {}
