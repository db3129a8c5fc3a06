"""The balance fold: tables of cases, the words of the text beside them."""

from hashlib import sha256

import pytest

from processor.core.batch import GENERATION_1
from processor.core.shard_state import ShardState
from schemas.balances import AccountRead, Balance, MainnetPart, SubnetPart
from schemas.base import Event, encode
from schemas.ids import ContractId
from schemas.journal import Origin
from schemas.states import MAX_SUBNETS
from tests.support.folding import (
    ALPHA,
    ALPHA_SUBNET,
    BETA,
    BETA_SUBNET,
    SHA,
    SHARD,
    STX,
    USER,
    Folding,
    Told,
    confirmed,
    forgotten,
    holding,
    reading,
    subnet,
)

TOO_MUCH = 2**128
FIRST = reading(5, holding(ALPHA, 7, sent=1, received=8))


def of(read: AccountRead) -> str:
    return sha256(encode(read)).hexdigest()


def origin(offset: int) -> Origin:
    return Origin("balances.raw", SHARD, offset)


def balance(told: Told, key: str = "balance:USER:ALPHA") -> Balance:
    value = told.values[key]
    assert isinstance(value, Balance)
    return value


@pytest.mark.parametrize(
    ("second", "decisions"),
    [
        pytest.param(FIRST, {"duplicate": 1}, id="the same reading"),
        pytest.param(reading(5), {"rejected": 1}, id="the moment, another content"),
        pytest.param(reading(4), {"stale": 1}, id="earlier, without the token"),
        pytest.param(
            reading(4, holding(STX, 1)), {"stale": 2}, id="earlier, another token"
        ),
        pytest.param(
            reading(5, holding(ALPHA, 9), source="node"),
            {"stale": 1},
            id="the moment, another source",
        ),
        pytest.param(
            reading(6, holding(ALPHA, 7, sent=1, received=8)),
            {"unchanged": 1},
            id="later, the same",
        ),
        pytest.param(
            reading(6, holding(ALPHA, 9, sent=1, received=8)),
            {"published": 1},
            id="later, another balance",
        ),
        pytest.param(
            reading(6, holding(ALPHA, 7, sent=2, received=8)),
            {"published": 1},
            id="later, another total",
        ),
        pytest.param(
            reading(6, holding(ALPHA, 7)), {"published": 1}, id="later, no totals"
        ),
        pytest.param(reading(6), {"published": 1}, id="later, gone"),
        pytest.param(
            reading(6, holding(ALPHA, -1)), {"suspect": 1}, id="a negative balance"
        ),
        pytest.param(
            reading(6, holding(ALPHA, TOO_MUCH)), {"suspect": 1}, id="too large"
        ),
        pytest.param(
            reading(6, holding(ALPHA, 7, sent=-1)), {"suspect": 1}, id="a bad total"
        ),
        pytest.param(
            reading(6, holding(BETA, 1), holding(STX, -1)),
            {"published": 2, "suspect": 1},
            id="one decision a token",
        ),
    ],
)
def test_a_second_reading(second: AccountRead, decisions: dict[str, int]) -> None:
    assert Folding().tell_all([FIRST, second]).decisions == decisions


def test_a_reading_without_tokens_counts_once() -> None:
    folding = Folding()
    assert folding.tell(reading(5)).decisions == {"unchanged": 1}
    assert folding.tell(reading(4)).decisions == {"stale": 1}


def test_what_is_not_in_a_reading_is_zero_with_the_totals_it_had() -> None:
    value = balance(Folding().tell_all([FIRST, reading(6)]))
    assert value.mainnet == MainnetPart(
        balance="0", total_sent="1", total_received="8", observed_at=6
    )
    assert (value.version, value.observed_at) == (2, 6)
    assert value.origins == (origin(1),)


def test_values_go_out_in_the_order_of_contracts() -> None:
    told = Folding().tell(reading(1, holding(BETA, 1), holding(STX, 2)))
    assert list(told.values) == ["balance:USER:STX", "balance:USER:BETA"]


def test_a_suspect_part_stays_where_it_was_while_the_account_moves_on() -> None:
    folding = Folding()
    folding.tell_all([FIRST, confirmed(6, of(FIRST)), reading(9, holding(ALPHA, -1))])
    value = balance(folding.tell(subnet(1, 3)))
    assert value.mainnet is not None
    assert (value.mainnet.balance, value.mainnet.observed_at) == ("7", 5)
    assert value.origins == (origin(0), origin(3))
    # It holds the moment of the confirmation, and follows no more.
    assert folding.tell(reading(6, holding(ALPHA, 8))).decisions == {"stale": 1}
    told = folding.tell(reading(7, holding(ALPHA, 8)))
    assert told.decisions == {"published": 1}
    assert balance(told).origins == (origin(5), origin(3))
    # Set by a reading older than the account it keeps its own moment.
    assert folding.tell(reading(8, holding(ALPHA, 8))).decisions == {"unchanged": 1}
    assert folding.tell(reading(8, holding(ALPHA, 9))).decisions == {"stale": 1}


def test_a_second_suspect_amount_changes_nothing_more() -> None:
    folding = Folding()
    bad = [reading(at, holding(ALPHA, -1)) for at in (6, 7)]
    assert folding.tell_all([FIRST, *bad]).decisions == {"suspect": 1}
    assert balance(folding.tell(subnet(1, 3))).origins == (origin(0), origin(3))


@pytest.mark.parametrize(
    ("at", "named", "told"),
    [
        pytest.param(6, of(FIRST), {"unchanged": 1}, id="later"),
        pytest.param(5, of(FIRST), {"stale": 1}, id="the moment of the account"),
        pytest.param(5, SHA, {"stale": 1}, id="stale before it is looked at"),
        pytest.param(6, SHA, {"rejected": 1}, id="of another reading"),
    ],
)
def test_a_confirmation(at: int, named: str, told: dict[str, int]) -> None:
    assert Folding().tell_all([FIRST, confirmed(at, named)]).decisions == told


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([], id="without an account"),
        pytest.param([subnet(1, 3)], id="with a subnet alone"),
        pytest.param([FIRST, forgotten(6)], id="once forgotten"),
    ],
)
def test_a_confirmation_of_an_unknown_reading(before: list[Event]) -> None:
    told = Folding().tell_all([*before, confirmed(9, of(FIRST))])
    assert told.refused == ("unknown-reading",)


def test_a_confirmation_moves_what_follows_the_account() -> None:
    folding = Folding()
    folding.tell_all([FIRST, confirmed(9, of(FIRST))])
    assert folding.tell(reading(8, holding(ALPHA, 1))).decisions == {"stale": 1}
    # The reading is still the one that was read, at its own moment.
    assert folding.tell(FIRST).decisions == {"duplicate": 1}
    assert balance(folding.tell(subnet(1, 3))).mainnet == MainnetPart(
        balance="7", total_sent="1", total_received="8", observed_at=5
    )


@pytest.mark.parametrize(
    ("second", "decision"),
    [
        pytest.param(subnet(5, 3), "duplicate", id="the same"),
        pytest.param(subnet(5, 4), "rejected", id="the moment, another balance"),
        pytest.param(subnet(5, 3, base=BETA), "rejected", id="the moment, other base"),
        pytest.param(subnet(5, 4, source="b"), "stale", id="the moment, other source"),
        pytest.param(subnet(4, 4), "stale", id="earlier"),
        pytest.param(subnet(4, 4, base=BETA), "stale", id="earlier, under any base"),
        pytest.param(subnet(6, -1), "suspect", id="a negative balance"),
        pytest.param(subnet(6, TOO_MUCH), "suspect", id="too large"),
        pytest.param(subnet(6, 3), "unchanged", id="later, the same"),
        pytest.param(subnet(6, 4), "published", id="later, another balance"),
        pytest.param(subnet(1, 3, contract=BETA_SUBNET), "published", id="another"),
    ],
)
def test_a_second_reading_of_a_subnet(second: Event, decision: str) -> None:
    assert Folding().tell_all([subnet(5, 3), second]).decisions == {decision: 1}


def test_a_balance_shows_all_its_parts() -> None:
    folding = Folding()
    folding.tell_all([subnet(9, 3, contract=BETA_SUBNET), FIRST])
    value = balance(folding.tell(subnet(4, 2)))
    assert value.subnets == {
        ALPHA_SUBNET: SubnetPart(balance="2", observed_at=4),
        BETA_SUBNET: SubnetPart(balance="3", observed_at=9),
    }
    assert (value.observed_at, value.version) == (9, 3)
    assert value.origins == (origin(1), origin(2), origin(0))


def test_a_part_never_read_is_null() -> None:
    assert balance(Folding().tell(subnet(1, 3))).mainnet is None


def test_a_subnet_that_is_read_the_same_moves_on() -> None:
    folding = Folding()
    folding.tell_all([subnet(5, 3), subnet(7, 3)])
    assert folding.tell(subnet(6, 4)).decisions == {"stale": 1}


def test_a_subnet_changes_its_base() -> None:
    folding = Folding()
    folding.tell_all([FIRST, subnet(5, 3)])
    told = folding.tell(subnet(6, 3, base=BETA))
    assert told.decisions == {"published": 1}
    assert list(told.values) == ["balance:USER:ALPHA", "balance:USER:BETA"]
    assert (balance(told).subnets, balance(told).version) == ({}, 3)
    moved = balance(told, "balance:USER:BETA")
    assert moved.subnets == {ALPHA_SUBNET: SubnetPart(balance="3", observed_at=6)}


def test_a_base_that_is_left_without_any_part_is_withdrawn() -> None:
    folding = Folding()
    told = folding.tell_all([subnet(5, 3), subnet(6, 3, base=BETA)])
    assert told.values["balance:USER:ALPHA"] is None
    # The version goes on where it was.
    told = folding.tell(subnet(7, 3))
    assert balance(told).version == 2
    assert told.values["balance:USER:BETA"] is None


# ---- a subnet in which nothing was ever held


@pytest.mark.parametrize(
    ("events", "decision"),
    [
        pytest.param([subnet(5, 0)], "unchanged", id="a first reading of 0"),
        pytest.param([subnet(5, 0), subnet(6, 0)], "unchanged", id="0 again"),
        pytest.param([subnet(5, 0), subnet(5, 0)], "duplicate", id="the same"),
        pytest.param([subnet(5, 0), subnet(5, 1)], "rejected", id="another balance"),
        pytest.param(
            [subnet(5, 0), subnet(5, 0, base=BETA)], "rejected", id="another base"
        ),
        pytest.param([subnet(5, 0), subnet(4, 9)], "stale", id="earlier"),
        pytest.param([subnet(5, 0), subnet(6, -1)], "suspect", id="a bad balance"),
        pytest.param(
            [subnet(5, 0), subnet(6, 0, base=BETA)],
            "unchanged",
            id="under another base",
        ),
        pytest.param([FIRST, subnet(5, 0)], "unchanged", id="beside a mainnet part"),
        pytest.param(
            [subnet(5, 3), forgotten(6), subnet(7, 0)], "unchanged", id="once forgotten"
        ),
    ],
)
def test_a_zero_of_a_subnet_that_held_nothing_publishes_nothing(
    events: list[Event], decision: str
) -> None:
    told = Folding().tell_all(events)
    assert (told.decisions, told.values) == ({decision: 1}, {})


def test_generation_1_publishes_it() -> None:
    told = Folding(GENERATION_1).tell(subnet(5, 0))
    assert balance(told).subnets == {
        ALPHA_SUBNET: SubnetPart(balance="0", observed_at=5)
    }


def test_it_is_in_no_value_until_a_balance_is_read_and_then_stays() -> None:
    folding = Folding()
    folding.tell(subnet(5, 0))
    value = balance(folding.tell(FIRST))
    assert (value.subnets, value.origins) == ({}, (origin(1),))
    assert balance(folding.tell(subnet(6, 3))).subnets.keys() == {ALPHA_SUBNET}
    spent = balance(folding.tell(subnet(7, 0)))
    assert spent.subnets == {ALPHA_SUBNET: SubnetPart(balance="0", observed_at=7)}
    assert folding.tell(subnet(8, 0)).decisions == {"unchanged": 1}


def test_a_deposit_under_another_base_is_published_under_that_alone() -> None:
    folding = Folding()
    folding.tell_all([FIRST, subnet(5, 0)])
    told = folding.tell(subnet(6, 3, base=BETA))
    assert told.values.keys() == {"balance:USER:BETA"}
    assert balance(told, "balance:USER:BETA").version == 1


def test_a_part_that_was_spent_moves_as_the_part_that_it_is() -> None:
    folding = Folding()
    folding.tell_all([subnet(4, 3), subnet(5, 0)])
    told = folding.tell(subnet(6, 0, base=BETA))
    assert told.values["balance:USER:ALPHA"] is None
    moved = balance(told, "balance:USER:BETA")
    assert moved.subnets == {ALPHA_SUBNET: SubnetPart(balance="0", observed_at=6)}


def test_a_user_is_not_forgotten_before_the_zero_was_read() -> None:
    folding = Folding()
    folding.tell(subnet(5, 0))
    assert folding.tell(forgotten(5)).decisions == {"stale": 1}
    told = folding.tell(forgotten(6))
    assert (told.decisions, told.values) == ({"unchanged": 1}, {})
    assert [key for key, _ in folding.state.records()] == [
        f"account:{USER}".encode(),
        b"position",
    ]


def test_what_is_restored_still_knows_that_nothing_was_held() -> None:
    live, restored = Folding(), Folding()
    live.tell_all([FIRST, subnet(5, 0)])
    restored.state = ShardState.restore(SHARD, live.state.records())
    restored.offsets = dict(live.offsets)
    for folding in (live, restored):
        assert folding.tell(subnet(4, 9)).decisions == {"stale": 1}
        assert balance(folding.tell(reading(6))).subnets == {}


def test_a_base_takes_so_many_subnets() -> None:
    folding = Folding()
    user = ALPHA.partition(".")[0]
    many = [ContractId(f"{user}.s{n}") for n in range(MAX_SUBNETS)]
    folding.tell_all([subnet(1, 1, contract=contract) for contract in many])
    assert folding.tell(subnet(1, 1)).refused == ("full",)
    assert folding.tell(subnet(2, 1, contract=many[0])).decisions == {"unchanged": 1}
    folding.tell(subnet(1, 1, base=BETA))
    assert folding.tell(subnet(2, 1)).refused == ("full",)
    assert folding.tell(subnet(2, 0)).refused == ("full",)


@pytest.mark.parametrize(
    ("at", "before", "decisions"),
    [
        pytest.param(6, [FIRST], {"published": 1}, id="later than the account"),
        pytest.param(5, [FIRST], {"stale": 1}, id="not later than the account"),
        pytest.param(9, [FIRST, subnet(9, 3)], {"stale": 1}, id="not than a subnet"),
        pytest.param(6, [forgotten(6)], {"stale": 1}, id="not than another"),
        pytest.param(6, [], {"unchanged": 1}, id="of a user unknown"),
        pytest.param(7, [FIRST, forgotten(6)], {"unchanged": 1}, id="nothing left"),
        pytest.param(
            6,
            [FIRST, subnet(1, 3, base=BETA)],
            {"published": 2},
            id="one decision a balance",
        ),
    ],
)
def test_a_user_is_forgotten(
    at: int, before: list[Event], decisions: dict[str, int]
) -> None:
    told = Folding().tell_all([*before, forgotten(at)])
    assert told.decisions == decisions
    assert len(told.values) == decisions.get("published", 0)
    assert set(told.values.values()) <= {None}


def test_after_forgetting_only_later_readings_count() -> None:
    folding = Folding()
    folding.tell_all([FIRST, subnet(1, 3), forgotten(6)])
    assert folding.tell(reading(6, holding(ALPHA, 1))).decisions == {"stale": 1}
    assert folding.tell(subnet(6, 3)).decisions == {"stale": 1}
    assert balance(folding.tell(reading(7, holding(ALPHA, 1)))).version == 3
    assert folding.tell(subnet(6, 3)).decisions == {"stale": 1}
    assert balance(folding.tell(subnet(7, 3))).version == 4
