"""The prices party: its keys are ids as clients spell them."""

from collections.abc import Iterable, Iterator, Sequence

from edge.core.changes import Changed, Changes
from edge.core.derived import price_of
from edge.core.exact import exact_price
from edge.core.extras import price_removed
from edge.core.feed import Piece, batch_bytes, fill
from edge.core.forms import BASE, Form, with_field
from edge.core.groups import Groups
from edge.core.messages import is_simulated, price_batch, price_update
from edge.core.outbox import RESET, Outbox, Sweep
from edge.core.places import Positions
from edge.core.snapshots import asked_spellings, contract_of, spellings
from edge.core.table import PRICE, TOKEN, Table
from schemas.ids import ContractId, Network


class Prices:
    """Which prices changed, and their messages, each made once in each form."""

    def __init__(self, table: Table, changes: Changes) -> None:
        self.groups = Groups()
        self._table, self._changes = table, changes
        self._source = ""
        self._updates: dict[Form, dict[str, bytes]] = {}
        # Every token that may have a price, sorted; and the parts of the batch of all, by
        # form and first token: where the next part begins, and the updates.
        self._known: set[ContractId] = set()
        self._contracts: tuple[ContractId, ...] = ()
        self._parts: dict[tuple[Form, int], tuple[int, list[bytes]]] = {}

    def accepted(self, ids: Iterable[str], network: Network) -> list[str]:
        """Return the valid ones; ``stx`` stays as it was asked for."""
        return asked_spellings(ids, network)

    def changed(self, changed: Changed) -> list[tuple[str, int]]:
        """Return the ids under which a price is another now, under all spellings."""
        keys = [
            (each, RESET if contract in changed.void_prices else 0)
            for contract in changed.prices
            for each in spellings(contract)
        ]
        for updates in self._updates.values():
            for each, _ in keys:
                updates.pop(each, None)
        if changed.prices or changed.tokens:
            self._parts = {}
            self._learn(changed)
        return keys

    def named(self, key: str) -> str:
        """Return the id as spelt."""
        return key

    def owner(self, key: str) -> str:
        """Return the token."""
        return contract_of(key)

    def update(self, key: str, flags: int, form: Form, *, now_ms: int) -> bytes:
        """Return a ``PRICE_UPDATE``."""
        del flags, now_ms
        made = self._updates.setdefault(form.wording, {})
        if key not in made:
            made[key] = self._update(key, form)
        return made[key]

    def removed(self, key: str, *, now_ms: int) -> bytes:
        """Return a ``REMOVED``."""
        return price_removed(key, now_ms=now_ms)

    def messages(
        self, updates: Sequence[bytes], form: Form, *, as_batch: bool, now_ms: int
    ) -> list[bytes]:
        """Return the updates one by one; in a batch, if there are any."""
        del form  # parts of a batch are made as long as it has room
        if not as_batch:
            return list(updates)
        return [price_batch(updates, now_ms=now_ms)] if updates else []

    def ask(self, outbox: Outbox[str], ids: Sequence[str] | None) -> None:
        """Ask for one update of each id, or for all prices in batches."""
        if ids is None:
            outbox.ask_all(self._contracts)
        else:
            outbox.ask((each, 0) for each in ids)

    def take(
        self, outbox: Outbox[str], form: Form, *, limit_bytes: int, now_ms: int
    ) -> list[bytes]:
        """Take the next part of a batch of all, or updates as they come."""
        if outbox.sweep is not None:
            limit_bytes = min(limit_bytes, batch_bytes(form, self._table))
            part = self._part(outbox.sweep, form.wording, limit_bytes)
            if outbox.sweep.is_done:
                outbox.sweep = None
            return self.messages(part, form, as_batch=True, now_ms=now_ms)
        piece = Piece(limit_bytes=limit_bytes)
        fill(piece, self, outbox, form, now_ms=now_ms)
        return [*piece.voids, *piece.updates]

    def since(
        self, positions: Positions, ids: Sequence[str] | None
    ) -> list[tuple[str, int]]:
        """Return the ids whose price may be another; those of other tokens are void."""
        priced, moved = self._new(positions)
        void = self._gone(positions) | moved
        wanted = (
            (each for contract in sorted(priced) for each in spellings(contract))
            if ids is None
            else (each for each in ids if contract_of(each) in priced)
        )
        return [(each, RESET if contract_of(each) in void else 0) for each in wanted]

    def everything(self) -> list[bytes]:
        """Return the update of every price, for the answer to a GET."""
        updates = (self.update(each, 0, BASE, now_ms=0) for each in self.spellings())
        return [update for update in updates if update]

    def spellings(self) -> Iterator[str]:
        """Yield every id that may have a price, in the order of the tokens."""
        return (each for c in self._contracts for each in spellings(c))

    def _new(
        self, positions: Positions
    ) -> tuple[frozenset[ContractId], frozenset[ContractId]]:
        places = self._table.registry_places
        records = [*places.new(positions), *places.gone(positions)]
        prices = [contract for contract, kind in records if kind == PRICE]
        tokens = [contract for contract, kind in records if kind == TOKEN]
        return self._changes.priced_by(prices, tokens)

    def _gone(self, positions: Positions) -> frozenset[ContractId]:
        gone = self._table.registry_places.gone(positions)
        prices = [contract for contract, kind in gone if kind == PRICE]
        return self._changes.priced_by(prices, ())[0]

    def _update(self, key: str, form: Form) -> bytes:
        price = price_of(contract_of(key), self._table)
        if price is None:
            return b""
        made = exact_price if form.exact else price_update
        update = made(key, price, source=self._source)
        if form.resume:
            return with_field(update, b'"version":%d' % price.version)
        return update

    def _part(self, sweep: Sweep, form: Form, limit_bytes: int) -> list[bytes]:
        """Return what goes into one batch; shared by all who are as far in the same list."""
        current = sweep.owners is self._contracts
        found = self._parts.get((form, sweep.at)) if current else None
        if found is None:
            found = self._made_part(sweep, form, limit_bytes)
            if current:
                self._parts[form, sweep.at] = found
        sweep.at, part = found
        return part

    def _made_part(
        self, sweep: Sweep, form: Form, limit_bytes: int
    ) -> tuple[int, list[bytes]]:
        piece = Piece(limit_bytes=limit_bytes)
        for at in range(sweep.at, len(sweep.owners)):
            updates = [
                self.update(each, 0, form, now_ms=0)
                for each in spellings(ContractId(sweep.owners[at]))
            ]
            # Joined, so that the many who want it have no more to join.
            if not piece.add(b"", b",".join(filter(None, updates))):
                return at, [b",".join(piece.updates)]
        return len(sweep.owners), [b",".join(piece.updates)] if piece.updates else []

    def _learn(self, changed: Changed) -> None:
        """Note tokens never seen, and in which world this is."""
        source = "local-dev" if is_simulated(self._table) else "api"
        if source != self._source:
            self._source, self._updates = source, {}
        seen = {*changed.prices, *changed.tokens}
        if not seen <= self._known:
            self._known |= seen
            self._contracts = tuple(sorted(self._known))
