"""The public table as ingest reads it back: the token registry, and who holds what."""

import asyncio
from collections.abc import Callable

from eventlog.port import Batches, EventLog, Record
from ingest.core.registry import Registry
from ingest.follower import follow_table
from runtime.clock import Clock
from schemas.balances import Balance
from schemas.ids import ContractId, UserId
from schemas.latest import decode_latest, parse_balance_key
from schemas.tokens import Token
from schemas.topics import LATEST

_TOKEN, _BALANCE = b"token:", b"balance:"


class Table:
    """Tokens of all shards, balances of our own.

    Calls ``changed`` when a token did, ``holds`` where a user holds something, and sets
    ``ready`` when all that was there has been read. Of balances only two things are kept: in which subnets a user holds something now,
    and the newest moment of what is published of the user.
    """

    def __init__(
        self,
        shards: frozenset[int],
        *,
        registry: Registry,
        ready: asyncio.Event,
        changed: Callable[[], None],
        holds: Callable[[UserId, ContractId], None],
    ) -> None:
        self.registry, self.ready = registry, ready
        self.held: dict[UserId, set[ContractId]] = {}
        self._seen_ms: dict[UserId, dict[ContractId, int]] = {}
        self._shards, self._changed, self._holds = shards, changed, holds
        self._news = False

    async def run(
        self, log: EventLog, partitions: int, *, clock: Clock, draw: Callable[[], float]
    ) -> None:
        """Follow ``latest`` until it was away for so long that a new table is needed."""
        await follow_table(log, LATEST, partitions, taker=self, clock=clock, draw=draw)

    def take(self, batches: Batches) -> None:
        """Take the next records of ``latest``."""
        for part, records in batches.items():
            for record in records:
                self._take(record, ours=part.number in self._shards)
        if self._news:
            self._news = False
            self._changed()

    def caught_up(self) -> None:
        """The table is complete."""
        self.ready.set()

    def seen_ms(self) -> dict[UserId, int]:
        """Return each user with balances and the newest moment of them."""
        return {user: max(seen.values()) for user, seen in self._seen_ms.items()}

    def _take(self, record: Record, *, ours: bool) -> None:
        key = record.key or b""
        if key.startswith(_TOKEN):
            self._token(key, record.value)
        elif ours and key.startswith(_BALANCE):
            self._balance(key, record.value)

    def _token(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            contract = key.removeprefix(_TOKEN).decode(errors="replace")
            self.registry.drop(ContractId(contract))
            self._news = True
            return
        token = decode_latest(key, value)
        if isinstance(token, Token):
            self.registry.put(token)
            self._news = True

    def _balance(self, key: bytes, value: bytes | None) -> None:
        names = parse_balance_key(key)
        if names is None:
            return
        user, contract = names
        if value is None:
            self._withdraw(user, contract)
            return
        balance = decode_latest(key, value)
        if isinstance(balance, Balance):
            self._note(user, balance)

    def _withdraw(self, user: UserId, contract: ContractId) -> None:
        balances = self._seen_ms.get(user, {})
        balances.pop(contract, None)
        if not balances:
            self._seen_ms.pop(user, None)
            self.held.pop(user, None)

    def _note(self, user: UserId, balance: Balance) -> None:
        self._seen_ms.setdefault(user, {})[balance.contract_id] = balance.observed_at
        for subnet, part in balance.subnets.items():
            if part.balance != "0":
                self.held.setdefault(user, set()).add(subnet)
                self._holds(user, subnet)
