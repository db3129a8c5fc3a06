"""The balances party: its keys are pairs of user and token."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from edge.core.changes import Changed
from edge.core.derived import decimals_of, is_shown, price_of
from edge.core.exact import exact_balance, exact_zero
from edge.core.extras import balance_removed
from edge.core.feed import Piece, batch_bytes, batched, fill, fits_a_batch
from edge.core.forms import BASE, Form, with_field
from edge.core.groups import Groups
from edge.core.messages import balance_batch, balance_update, metadata, zero_update
from edge.core.outbox import RESET, ZEROS, Due, Outbox
from edge.core.places import Positions
from edge.core.snapshots import asked_users, shown_tokens
from edge.core.table import Held, Table
from schemas.ids import ContractId, Network, UserId


class Balances:
    """Which balances changed, and their messages with the token's metadata joined in."""

    def __init__(self, table: Table) -> None:
        self.groups = Groups()
        self._table = table
        self._metadata: dict[ContractId, bytes] = {}
        self._users: tuple[UserId, ...] = ()
        # The tokens of which accounts named by clients are told zeros; and those that
        # were not among them when it was asked last.
        self._shown: set[ContractId] = set()
        self._fresh: set[ContractId] = set()

    def accepted(self, ids: Iterable[str], network: Network) -> list[str]:
        """Return the users that are meant."""
        return list(asked_users(ids, network))

    def changed(self, changed: Changed) -> list[tuple[Held, int]]:
        """Return the balances that changed or that may be sent from now on."""
        for contract in (*changed.prices, *changed.tokens):
            self._metadata.pop(contract, None)
        if any(user not in self._table.balances for user, _ in changed.void_balances):
            self._users = ()
        self._note_tokens(changed.tokens)
        return [
            (held, RESET if held in changed.void_balances else 0)
            for held in changed.balances
        ]

    def take_fresh_tokens(self) -> frozenset[ContractId]:
        """Return the tokens that became known since this was asked last.

        Whoever named a user before is owed the user's zeros of these.
        """
        fresh, self._fresh = frozenset(self._fresh & self._shown), set()
        return fresh

    def named(self, key: Held) -> str:
        """Return the user."""
        return key[0]

    def owner(self, key: Held) -> str:
        """Return the user."""
        return key[0]

    def update(self, key: Held, flags: int, form: Form, *, now_ms: int) -> bytes:
        """Return a ``BALANCE_UPDATE``.

        Empty where there is nothing to send: not held, or of unknown decimals.
        """
        user, contract = key
        decimals = decimals_of(contract, self._table)
        if decimals is None:
            return b""
        balance = self._table.balances.get(user, {}).get(contract)
        joined = self._joined(contract)
        if balance is not None:
            made = exact_balance if form.exact else balance_update
            update = made(balance, self._table, decimals=decimals, joined=joined)
        elif flags & ZEROS:
            zero = exact_zero if form.exact else zero_update
            update = zero(user, contract, joined=joined, now_ms=now_ms)
        else:
            return b""
        if form.resume:
            version = balance.version if balance else 0
            return with_field(update, b'"version":%d' % version)
        return update

    def removed(self, key: Held, *, now_ms: int) -> bytes:
        """Return a ``REMOVED``."""
        return balance_removed(*key, now_ms=now_ms)

    def messages(
        self, updates: Sequence[bytes], form: Form, *, as_batch: bool, now_ms: int
    ) -> list[bytes]:
        """Return one update as it is and several in batches; ``as_batch`` always in them."""
        if not as_batch and len(updates) <= 1:
            return list(updates)
        return batched(
            updates,
            partial(balance_batch, now_ms=now_ms),
            limit_bytes=batch_bytes(form, self._table),
        )

    def ask(self, outbox: Outbox[Held], ids: Sequence[str] | None) -> None:
        """Ask for all tokens of these users, zeros included, or for all holdings."""
        outbox.owe_batch()
        if ids is None:
            outbox.ask_all(self.users())
        else:
            outbox.ask_owners(ids)

    def take(
        self, outbox: Outbox[Held], form: Form, *, limit_bytes: int, now_ms: int
    ) -> list[bytes]:
        """Take updates, those of an answer in batches; of one without any an empty one."""
        piece = Piece(limit_bytes=limit_bytes)
        as_batch = outbox.owes_batch
        fill(piece, self, outbox, form, self._opened, now_ms=now_ms)
        batch = batch_bytes(form, self._table)
        is_sent = any(fits_a_batch(each, limit_bytes=batch) for each in piece.updates)
        empty = []
        if outbox.settle_batch(sent=is_sent):
            empty = [balance_batch([], now_ms=now_ms)]
        updates = self.messages(piece.updates, form, as_batch=as_batch, now_ms=now_ms)
        return [*piece.voids, *updates, *empty]

    def since(
        self, positions: Positions, ids: Sequence[str] | None
    ) -> list[tuple[Held, int]]:
        """Return what may have changed of these users; what was withdrawn is void."""
        places = self._table.balance_places
        found: dict[Held, int] = {}
        if ids is None:
            found.update((held, RESET) for held in places.gone(positions))
            found.update((held, 0) for held in places.new(positions))
        for user in ids or ():
            found.update((held, RESET) for held in places.gone(positions, user))
            held_now = self._table.balances.get(UserId(user), ())
            keys = ((UserId(user), contract) for contract in held_now)
            found.update((key, 0) for key in keys if places.is_new(key, positions))
        for held in self._released(positions, ids):
            found.setdefault(held, 0)
        for held in self._new_zeros(positions, ids):
            found.setdefault(held, ZEROS)
        return list(found.items())

    def everything(
        self, users: Iterable[UserId], *, zeros: bool, now_ms: int
    ) -> list[bytes]:
        """Return the updates of users, for the answer to a GET."""
        flags = ZEROS if zeros else 0
        made = (
            self.update(key, flags, BASE, now_ms=now_ms)
            for user in users
            for key, _ in self._opened(Due(user, flags))
        )
        return [update for update in made if update]

    def users(self) -> tuple[UserId, ...]:
        """Return the users who hold anything, sorted; the same tuple while they are the same."""
        if len(self._users) != len(self._table.balances):
            self._users = tuple(sorted(self._table.balances))
        return self._users

    def _opened(self, due: Due) -> Iterator[tuple[Held, int]]:
        user = UserId(due.owner)
        if due.only is None:
            zeros = bool(due.flags & ZEROS)
            contracts = shown_tokens(user, self._table, zeros=zeros)
        else:
            held = self._table.balances.get(user, {})
            contracts = sorted((self._shown & due.only) - held.keys())
        for contract in contracts:
            yield (user, contract), due.flags

    def _note_tokens(self, changed: Iterable[ContractId]) -> None:
        for contract in changed:
            if is_shown(contract, self._table):
                if contract not in self._shown:
                    self._shown.add(contract)
                    self._fresh.add(contract)
            else:
                self._shown.discard(contract)

    def _new_zeros(
        self, positions: Positions, ids: Sequence[str] | None
    ) -> Iterator[Held]:
        """Yield what users named do not hold of tokens that became known since."""
        new = {token for token, _ in self._table.decimals_places.new(positions)}
        fresh = sorted(new & self._shown)
        for user in map(UserId, ids or ()):
            held = self._table.balances.get(user, ())
            yield from ((user, contract) for contract in fresh if contract not in held)

    def _released(
        self, positions: Positions, ids: Sequence[str] | None
    ) -> Iterator[Held]:
        """Yield balances that may have waited for a token's decimals until ``positions``."""
        known = {token for token, _ in self._table.decimals_places.new(positions)}
        if known:
            every = self._table.balances
            for user in every if ids is None else map(UserId, ids):
                for contract in every.get(user, {}).keys() & known:
                    yield user, contract

    def _joined(self, contract: ContractId) -> bytes:
        found = self._metadata.get(contract)
        if found is None:
            token = self._table.tokens[contract]
            found = metadata(token, price_of(contract, self._table))
            self._metadata[contract] = found
        return found
