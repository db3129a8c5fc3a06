"""The chain: blocks that move balances, and forks that take them back for a while."""

from collections import deque
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

from .draws import Draws, digest
from .genesis import Holding, Holdings
from .world import STX, World

GENESIS_HEIGHT = 1_000_000
GENESIS_BURN_HEIGHT = 900_000
# As many blocks as a reorg may take back.
MAX_REORG_DEPTH = 64

_NOTHING = Holding()
_LARGEST_SHARE = 8


class Change(NamedTuple):
    """What one transaction adds to one holding; may be negative."""

    owner: str
    contract_id: str
    balance: int
    sent: int
    received: int

    def undone(self) -> "Change":
        """Return the change that takes this one back."""
        return self._replace(
            balance=-self.balance, sent=-self.sent, received=-self.received
        )


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction: the sender's change, then the recipient's; or a lone one."""

    tx_id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One block of one fork. A height comes again after a reorg, an index hash never."""

    height: int
    fork: int
    block_hash: str
    index_hash: str
    parent_hash: str
    transactions: tuple[Transaction, ...]


class Ledger:
    """Every holding at the tip, and the last blocks, so that they can be taken back.

    What the ledger holds follows from the world, the holdings at the start and the
    calls made, in their order: it has no clock and no chance of its own.
    """

    def __init__(self, world: World, start: Sequence[Holdings], *, moves: int) -> None:
        self._world, self._moves = world, moves
        self._held = dict(zip(world.accounts, start, strict=True))
        self._supply: dict[str, int] = {}
        self._revisions = {owner: 1 for owner, held in self._held.items() if held}
        self._fork = self._mined = 0
        self._undone: list[Block] = []
        first = self._block(GENESIS_HEIGHT, parent="0x" + "00" * 32, transactions=())
        self._blocks = deque([first], maxlen=MAX_REORG_DEPTH + 1)
        for held in start:
            for contract_id, holding in held.items():
                self._add_supply(contract_id, holding.balance)

    @property
    def tip(self) -> Block:
        """The newest block of the canonical fork."""
        return self._blocks[-1]

    def holdings(self, owner: str) -> Mapping[str, Holding]:
        """Return what an account has or had, by contract id; empty if never seen."""
        return self._held.get(owner, {})

    def holding(self, owner: str, contract_id: str) -> Holding:
        """Return one holding; zeros if there never was one."""
        return self.holdings(owner).get(contract_id, _NOTHING)

    def revision(self, owner: str) -> int:
        """Return a number that grows with each change of the account; 0 if never seen."""
        return self._revisions.get(owner, 0)

    def supply(self, contract_id: str) -> int:
        """Return the sum of all holdings of a token, which transfers leave alone."""
        return self._supply.get(contract_id, 0)

    def advance(self) -> tuple[Block, ...]:
        """Mine the next block, after those that a reorg had taken back."""
        mined = [self._append(old.transactions) for old in reversed(self._undone)]
        self._undone.clear()
        self._mined += 1
        transactions = tuple(self._transfers())
        self._push(transactions)
        return (*mined, self.tip)

    def reorg(self, depth: int) -> tuple[str, ...]:
        """Take back up to `depth` blocks; return the accounts that changed, in order.

        They come again on a new fork with the next block.
        """
        owners: dict[str, None] = {}
        depth = min(depth, len(self._blocks) - 1)
        self._fork += depth > 0
        for _ in range(depth):
            block = self._blocks.pop()
            self._undone.append(block)
            for change in reversed(_changes(block)):
                self._apply(change.undone())
                owners[change.owner] = None
        return tuple(owners)

    def rewound(self, depth: int) -> "Ledger":
        """Return a ledger that knows nothing of the last blocks, as a node that lags."""
        older = deepcopy(self, {id(self._world): self._world})
        older.unlearn(depth)
        return older

    def unlearn(self, depth: int) -> None:
        """Be as before the last blocks, the revisions of the accounts included."""
        before = dict(self._revisions)
        for owner in self.reorg(depth):
            counted = self.revision(owner) - before[owner]
            self._revisions[owner] = before[owner] - counted

    def emptied(self) -> "Ledger":
        """Return a ledger of the same world in which nobody ever held anything."""
        nothing: list[Holdings] = [{} for _ in self._world.accounts]
        return Ledger(self._world, nothing, moves=self._moves)

    def put(self, owner: str, contract_id: str, wanted: Holding) -> tuple[Block, ...]:
        """Set one holding, in a block of its own that a reorg can take back.

        Blocks that a reorg had taken back come again first.
        """
        mined = [self._append(old.transactions) for old in reversed(self._undone)]
        self._undone.clear()
        have = self.holding(owner, contract_id)
        deltas = (new - old for new, old in zip(wanted, have, strict=True))
        change = Change(owner, contract_id, *deltas)
        tx_id = self._hash("put", self.tip.height + 1, owner)
        return (*mined, self._append((Transaction(tx_id, (change,)),)))

    def _append(self, transactions: tuple[Transaction, ...]) -> Block:
        for transaction in transactions:
            for change in transaction.changes:
                self._apply(change)
        return self._push(transactions)

    def _push(self, transactions: tuple[Transaction, ...]) -> Block:
        tip = self.tip
        block = self._block(
            tip.height + 1, parent=tip.block_hash, transactions=transactions
        )
        self._blocks.append(block)
        return block

    def _block(
        self, height: int, *, parent: str, transactions: tuple[Transaction, ...]
    ) -> Block:
        return Block(
            height=height,
            fork=self._fork,
            block_hash=self._hash("block", height, self._fork),
            index_hash=self._hash("index", height, self._fork),
            parent_hash=parent,
            transactions=transactions,
        )

    def _hash(self, *path: str | int) -> str:
        return "0x" + digest(self._world.seed, *path).hex()

    def _transfers(self) -> list[Transaction]:
        """Make and apply the transfers of a block, each on what the last one left."""
        draws = Draws(self._world.seed, "transfers", self._mined)
        made: list[Transaction] = []
        for number in range(self._moves):
            changes = self._transfer(draws)
            for change in changes:
                self._apply(change)
            if changes:
                tx_id = self._hash("tx", self._mined, number)
                made.append(Transaction(tx_id, changes))
        return made

    def _transfer(self, draws: Draws) -> tuple[Change, ...]:
        accounts = self._world.accounts
        sender = accounts[draws.below(len(accounts))]
        recipient = accounts[draws.below(len(accounts))]
        share = 1 + draws.below(_LARGEST_SHARE)
        pick = draws.word()
        held = [
            (contract_id, holding.balance)
            for contract_id, holding in self.holdings(sender).items()
            if holding.balance > 0
        ]
        if not held or sender == recipient:
            return ()
        contract_id, balance = held[pick % len(held)]
        amount = max(1, balance * share // 100)
        return (
            Change(sender, contract_id, -amount, amount, 0),
            Change(recipient, contract_id, amount, 0, amount),
        )

    def _apply(self, change: Change) -> None:
        owner, contract_id, balance, sent, received = change
        held = self._held.setdefault(owner, {})
        was = held.get(contract_id, _NOTHING)
        held[contract_id] = Holding(
            was.balance + balance, was.sent + sent, was.received + received
        )
        self._revisions[owner] = self.revision(owner) + 1
        self._add_supply(contract_id, balance)

    def _add_supply(self, contract_id: str, amount: int) -> None:
        self._supply[contract_id] = self.supply(contract_id) + amount


def _changes(block: Block) -> list[Change]:
    return [change for made in block.transactions for change in made.changes]


def stx_locked(world: World, ledger: Ledger, owner: str) -> int:
    """Return how much of an account's STX is locked: a third, for one in sixteen."""
    if digest(world.seed, "locked", owner, size_bytes=1)[0] % 16:
        return 0
    return max(0, ledger.holding(owner, STX).balance) // 3
