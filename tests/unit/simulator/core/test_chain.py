"""The chain: what blocks move, and what forks take back."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.core.chain import MAX_REORG_DEPTH, Ledger, stx_locked
from simulator.core.genesis import Holding
from simulator.core.world import STX
from tests.support.simulated import Grown, grown


def balances(of: Grown) -> dict[str, dict[str, Holding]]:
    return {owner: dict(of.ledger.holdings(owner)) for owner in of.world.accounts}


def totals(of: Grown) -> dict[str, int]:
    summed: dict[str, int] = {}
    for held in balances(of).values():
        for contract_id, holding in held.items():
            summed[contract_id] = summed.get(contract_id, 0) + holding.balance
    return summed


@given(st.integers(0, 50), st.integers(1, 12))
def test_transfers_conserve_every_total(seed: int, ticks: int) -> None:
    of = grown(seed)
    before = totals(of)
    for _ in range(ticks):
        of.ledger.advance()
    assert totals(of) == before
    assert all(of.ledger.supply(key) == total for key, total in before.items())


@given(st.integers(0, 50), st.integers(1, 8))
def test_the_same_seed_and_ticks_give_the_same_ledger(seed: int, ticks: int) -> None:
    one, two = grown(seed), grown(seed)
    for of in (one, two):
        for _ in range(ticks):
            of.ledger.advance()
    assert balances(one) == balances(two)
    assert one.ledger.tip == two.ledger.tip


@given(st.integers(0, 50), st.integers(1, 6), st.integers(1, 9))
def test_a_fork_goes_back_and_then_forward_to_the_same_balances(
    seed: int, ticks: int, depth: int
) -> None:
    straight, forked, short = grown(seed), grown(seed), grown(seed)
    for _ in range(ticks):
        straight.ledger.advance()
        forked.ledger.advance()
    for _ in range(max(0, ticks - depth)):
        short.ledger.advance()
    forked.ledger.reorg(depth)
    assert seen(forked) == seen(short)
    assert forked.ledger.tip.height == short.ledger.tip.height
    mined = forked.ledger.advance()
    assert len(mined) == min(depth, ticks) + 1
    straight.ledger.advance()
    assert balances(forked) == balances(straight)
    assert forked.ledger.tip.height == straight.ledger.tip.height
    assert forked.ledger.tip.index_hash != straight.ledger.tip.index_hash


def seen(of: Grown) -> dict[str, dict[str, Holding]]:
    """What is held, without the zeros that a taken back transfer leaves behind."""
    return {
        owner: {key: holding for key, holding in held.items() if any(holding)}
        for owner, held in balances(of).items()
    }


def test_blocks_hang_together() -> None:
    ledger = grown().ledger
    before = ledger.tip
    (block,) = ledger.advance()
    assert block.parent_hash == before.block_hash
    assert block.height == before.height + 1
    assert len(block.transactions) > 0


def test_a_reorg_reaches_no_deeper_than_the_blocks_kept() -> None:
    ledger = grown(moves=1).ledger
    for _ in range(MAX_REORG_DEPTH + 9):
        ledger.advance()
    height = ledger.tip.height
    ledger.reorg(MAX_REORG_DEPTH + 9)
    assert ledger.tip.height == height - MAX_REORG_DEPTH
    assert ledger.reorg(1) == ()


def test_a_holding_that_was_put_goes_and_comes_with_a_reorg() -> None:
    of = grown()
    owner, contract_id = of.world.accounts[0], of.world.tokens[0].contract_id
    before = of.ledger.holding(owner, contract_id)
    wanted = Holding(2_000, 5, 2_005)
    supply = of.ledger.supply(contract_id)
    of.ledger.put(owner, contract_id, wanted)
    assert of.ledger.holding(owner, contract_id) == wanted
    assert of.ledger.supply(contract_id) == supply + 2_000 - before.balance
    assert of.ledger.reorg(1) == (owner,)
    assert of.ledger.holding(owner, contract_id) == before
    blocks = of.ledger.put(owner, STX, Holding(1, 0, 1))
    assert len(blocks) == 2
    assert of.ledger.holding(owner, contract_id) == wanted


def test_each_change_gives_an_account_a_new_revision() -> None:
    of = grown()
    stranger = "SP000000000000000000002Q6VF78"
    assert of.ledger.revision(stranger) == 0
    assert of.ledger.holdings(stranger) == {}
    of.ledger.put(stranger, STX, Holding(1, 0, 1))
    first = of.ledger.revision(stranger)
    of.ledger.reorg(1)
    assert of.ledger.revision(stranger) > first > 0


def test_some_accounts_have_a_third_of_their_stx_locked() -> None:
    of = grown(accounts=200)
    shares = {
        stx_locked(of.world, of.ledger, owner)
        * 10
        // max(1, of.ledger.holding(owner, STX).balance)
        for owner in of.world.accounts
    }
    assert shares == {0, 3}


def test_a_world_of_one_account_has_nobody_to_send_to() -> None:
    of = grown(accounts=1)
    assert isinstance(of.ledger, Ledger)
    (block,) = of.ledger.advance()
    assert block.transactions == ()


def _held(of: Grown) -> dict[str, dict[str, Holding]]:
    """Without holdings of nothing, which taking back a first receipt leaves behind."""
    return {
        owner: {key: holding for key, holding in held.items() if any(holding)}
        for owner, held in balances(of).items()
    }


@given(st.integers(0, 50), st.integers(1, 6))
def test_a_node_that_lags_is_as_all_were_some_blocks_ago(seed: int, depth: int) -> None:
    of, then = grown(seed), grown(seed)
    for _ in range(depth):
        of.ledger.advance()
    now = balances(of)
    lagging = Grown(of.world, of.ledger.rewound(depth))
    assert balances(of) == now
    assert _held(lagging) == _held(then)
    assert [lagging.ledger.revision(owner) for owner in of.world.accounts] == [
        then.ledger.revision(owner) for owner in of.world.accounts
    ]
    assert lagging.ledger.tip.height == then.ledger.tip.height


def test_in_an_emptied_ledger_nobody_ever_held_anything() -> None:
    of = grown()
    empty = of.ledger.emptied()
    assert not any(balances(Grown(of.world, empty)).values())
    assert {empty.revision(owner) for owner in of.world.accounts} == {0}
    assert any(balances(of).values())
