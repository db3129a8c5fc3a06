"""What a batch of records changes, derived values included."""

from edge.core.changes import Changed, Changes
from edge.core.places import NOWHERE
from edge.core.table import Table
from schemas.ids import ContractId
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    WELSH,
    Record,
    balance,
    gone,
    price,
    token,
)

SECOND = ContractId(f"{ANNE}.charisma-token-subnet-v2")
SUBNET = token(CHA_SUBNET, type="SUBNET", base=CHA)
KNOWN = (token(CHA, decimals=6), token(WELSH, decimals=6))


def changes(*records: Record) -> Changes:
    made = Changes(Table())
    made.take(records, NOWHERE)
    return made


def take(made: Changes, *records: Record) -> Changed:
    return made.take(records, NOWHERE)


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
    changed = take(made, moved)
    assert changed.prices == (CHA_SUBNET,)
    assert changed.void_prices == {CHA_SUBNET}
    assert changed.tokens == (CHA_SUBNET,)
    assert take(made, price(CHA, "4")).prices == (CHA,)
    assert take(made, token(CHA_SUBNET, type="SUBNET")).prices == (CHA_SUBNET,)
    assert take(made, token(CHA_SUBNET, type="SIP10")).prices == ()


def test_a_withdrawn_subnet_token_is_its_own_base_again() -> None:
    made = changes(SUBNET)
    assert take(made, gone(SUBNET)).prices == (CHA_SUBNET,)
    assert take(made, price(CHA, "2")).prices == (CHA,)
    assert take(made, price(CHA_SUBNET, "2")).prices == (CHA_SUBNET,)


def test_a_withdrawn_price_is_void_and_so_are_those_that_follow_it() -> None:
    made = changes(SUBNET, price(CHA, "2"), price(WELSH, "2"))
    changed = take(made, price(WELSH, "3"), gone(price(CHA, "2")))
    assert changed.prices == (WELSH, CHA, CHA_SUBNET)
    assert changed.void_prices == {CHA, CHA_SUBNET}


def test_balances_of_unknown_decimals_wait_for_them() -> None:
    made = changes()
    early = take(made, balance(BOB, CHA, 2), balance(ANNE, CHA, 1))
    assert (len(early.balances), made.held_back) == (2, 2)
    assert take(made, token(CHA, name="Charisma")).balances == ()
    assert take(made, token(CHA, decimals=6)).balances == ((ANNE, CHA), (BOB, CHA))
    assert made.held_back == 0


def test_a_withdrawn_balance_is_void_and_held_back_no_more() -> None:
    record = balance(ANNE, CHA, 1)
    made = changes(record)
    withdrawn = take(made, gone(record))
    assert withdrawn.balances == ((ANNE, CHA),)
    assert withdrawn.void_balances == {(ANNE, CHA)}
    assert made.held_back == 0
    assert take(made, KNOWN[0]).balances == ()


def test_whose_price_may_follow_from_a_record() -> None:
    chained = token(SECOND, type="SUBNET", base=CHA_SUBNET)
    lost = ContractId(f"{ANNE}.lost")
    made = changes(SUBNET, chained, token(lost, type="SUBNET"))

    def priced(
        prices: list[ContractId], tokens: list[ContractId]
    ) -> tuple[set[ContractId], set[ContractId]]:
        whose, moved = made.priced_by(prices, tokens)
        return set(whose), set(moved)

    family = {CHA_SUBNET, SECOND}
    assert priced([CHA], []) == ({CHA, *family}, set())
    assert priced([CHA_SUBNET], []) == (set(), set())
    assert priced([WELSH], [SECOND]) == ({WELSH, *family}, family)
    assert priced([], [CHA]) == ({CHA, *family}, {CHA, *family})
    assert priced([], [lost]) == ({lost}, {lost})
    assert priced([], [WELSH]) == ({WELSH}, {WELSH})
