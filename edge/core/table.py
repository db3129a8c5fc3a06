"""The public table as values: what ``latest`` says, and what each record changes."""

from collections import deque
from typing import NamedTuple, assert_never

from edge.core.places import Place, Places, Positions
from edge.core.timeline import OtherTimeline, contradicts, digest_of, record_term
from schemas.balances import Balance
from schemas.base import Malformed
from schemas.ids import ContractId, UserId
from schemas.latest import (
    IDENTITY_KEY,
    Latest,
    balance_key,
    decode_latest,
    parse_balance_key,
    price_key,
    token_key,
)
from schemas.log import LogIdentity, Observed, Terms, Unquoted, Watermark
from schemas.prices import Price
from schemas.tokens import Token

Held = tuple[UserId, ContractId]
_PRICE, _TOKEN, _TERMS = b"price:", b"token:", b"terms:"
# How a price and a token are called among the places.
PRICE, TOKEN = "price", "token"
_TOMBSTONES_MS = 82_800_000
_MINUTE_MS = 60_000


class Change(NamedTuple):
    """What one record changed or withdrew: a price, a token, a balance, or none of these."""

    price: ContractId | None = None
    token: ContractId | None = None
    balance: Held | None = None


NOTHING = Change()


class OldestAfter:
    """The oldest append time of the records from any offset of a partition on.

    Append times follow a clock that may be set back. It holds one entry for each minute of
    the last ``kept_ms``: an offset and a time, both of which only rise.
    """

    __slots__ = ("_entries", "_first", "_kept_ms")

    def __init__(self, *, kept_ms: int) -> None:
        self._kept_ms = kept_ms
        self._entries: deque[tuple[int, int]] = deque()
        # From here on entries are held.
        self._first = 0

    def add(self, offset: int, time_ms: int) -> None:
        """Note the record that was read next."""
        entries = self._entries
        while entries and entries[-1][1] >= time_ms:
            entries.pop()
        if entries and time_ms - entries[-1][1] < _MINUTE_MS:
            time_ms = entries.pop()[1]
        entries.append((offset, time_ms))
        while entries[0][1] < time_ms - self._kept_ms:
            self._first = entries.popleft()[0] + 1

    def at(self, offset: int) -> int | None:
        """Return the oldest time from an offset on; 0 for one before all entries."""
        if offset < self._first:
            return 0
        return next((at_ms for held, at_ms in self._entries if held >= offset), None)


class Table:
    """The newest value of each key. Owned by one hub, which alone applies records.

    ``positions`` are the offsets after the newest records read, ``append_times`` and
    ``log_times`` the append and log times of these. It remembers keys that were withdrawn
    for ``tombstones_ms`` of log time.
    """

    def __init__(self, *, tombstones_ms: int = _TOMBSTONES_MS) -> None:
        self._tombstones_ms = tombstones_ms
        self.positions: dict[int, int] = {}
        self.append_times: dict[int, int] = {}
        self._oldest_after: dict[int, OldestAfter] = {}
        self.log_times: dict[int, int] = {}
        self.registry_places: Places[tuple[ContractId, str]] = Places()
        self.balance_places: Places[Held] = Places()
        # Where the record stands that gave a token the decimals it has.
        self.decimals_places: Places[tuple[ContractId, str]] = Places()
        self.identity: LogIdentity | None = None
        self.prices: dict[ContractId, Price] = {}
        self.tokens: dict[ContractId, Token] = {}
        self.balances: dict[UserId, dict[ContractId, Balance]] = {}
        self.watermarks: dict[int, Watermark] = {}
        self.observed: dict[int, Observed] = {}
        self.unquoted: dict[int, Unquoted] = {}
        self.terms: dict[int, Terms] = {}
        # Digest of the newest terms of all partitions; ``None`` while one has none.
        self.terms_digest: str | None = None
        # Another number when what is known of terms may be something else.
        self.terms_read = 0
        # Whether records must agree with the terms known: once all that stood in the log
        # was read. Until then compaction may have taken the terms between two records.
        self.checks_terms = False
        self.unreadable = 0

    def __len__(self) -> int:
        """Return the number of keys held."""
        held = sum(map(len, self.balances.values()))
        return len(self.prices) + len(self.tokens) + held

    def held_keys(self) -> dict[bytes, int]:
        """Return the keys of all values held, and in which partition each stands."""
        registry, owners = self.registry_places, self.balance_places
        return {
            **{price_key(c): registry.partition_of(c) for c in self.prices},
            **{token_key(c): registry.partition_of(c) for c in self.tokens},
            **{
                balance_key(user, contract): owners.partition_of(user)
                for user, held in self.balances.items()
                for contract in held
            },
        }

    def withdraw(self, key: bytes, place: Place) -> Change:
        """Take out a key of which the log has no record any more, not even a tombstone.

        ``place`` is as late as that can have stood. The positions stay: of what stands
        before it not everything was read yet.
        """
        return self._withdraw(key, place)

    def apply(self, key: bytes, value: bytes | None, place: Place) -> Change:
        """Take one record of ``latest``; return what it changed.

        A record that cannot be read (of a newer version, perhaps) is counted and leaves
        the table as it was. Raises ``OtherTimeline``, if it ``checks_terms``, for a record
        which shows that the log has lost some that were read of it: the table is wrong.
        """
        before = self.positions.get(place.partition, 0)
        self._pass(place)
        if value is None:
            # Append times may step back, log times do not.
            at_ms = self.log_times[place.partition]
            return self._withdraw(key, place._replace(time_ms=at_ms))
        latest = decode_latest(key, value)
        if isinstance(latest, Malformed):
            self.unreadable += 1
            return NOTHING
        if isinstance(latest, Watermark | Terms) and self.checks_terms:
            self._check(latest, place, before=before)
        return self._take(latest, place)

    @property
    def newest_ms(self) -> int:
        """The append time of the last record read, of the partition where it is newest."""
        return max(self.append_times.values(), default=0)

    def oldest_ms_since(self, partition: int, position: int) -> int | None:
        """Return the oldest append time of the records read at a position and after it.

        It may be a minute too old, and is 0 of a position so far back that nobody noted it.
        ``None`` if none was read.
        """
        oldest_after = self._oldest_after.get(partition)
        return None if oldest_after is None else oldest_after.at(position)

    def has_forgotten(self, since: Positions) -> bool:
        """Tell whether a key that was withdrawn at or past ``since`` was forgotten."""
        return self.registry_places.has_forgotten(
            since
        ) or self.balance_places.has_forgotten(since)

    def agree(self, terms: bytes) -> None:
        """Compare the newest terms of a shard with all that was read of it until now.

        Raises ``OtherTimeline`` if the log has lost some of that.
        """
        read = decode_latest(_TERMS, terms)
        known = self.terms.get(read.shard) if isinstance(read, Terms) else None
        if known is None or not isinstance(read, Terms):
            return
        if contradicts(known, read, self.positions[read.shard]):
            raise OtherTimeline(read.shard)

    def record_term(self, partition: int, offset: int) -> str | None:
        """Name the term of a record; ``None`` if no term of its shard is known."""
        terms = self.terms.get(partition)
        return record_term(terms, offset) if terms else None

    def _pass(self, place: Place) -> None:
        partition, offset, time_ms, _ = place
        self.positions[partition] = offset + 1
        self.append_times[partition] = time_ms
        oldest_after = self._oldest_after.get(partition)
        if oldest_after is None:
            oldest_after = OldestAfter(kept_ms=self._tombstones_ms)
            self._oldest_after[partition] = oldest_after
        oldest_after.add(offset, time_ms)
        if time_ms > self.log_times.get(partition, -1):
            self.log_times[partition] = time_ms
            oldest_ms = time_ms - self._tombstones_ms
            self.registry_places.forget_gone(before_ms=oldest_ms)
            self.balance_places.forget_gone(before_ms=oldest_ms)

    def _take(self, latest: Latest, place: Place) -> Change:
        match latest:
            case Price():
                self.prices[latest.contract_id] = latest
                self.registry_places.put((latest.contract_id, PRICE), place)
                return Change(price=latest.contract_id)
            case Token():
                return self._take_token(latest, place)
            case Balance(user_id=user, contract_id=contract):
                self.balances.setdefault(user, {})[contract] = latest
                self.balance_places.put((user, contract), place)
                return Change(balance=(user, contract))
            case Watermark() | Observed() | Unquoted() | Terms():
                self._take_of_shard(latest)
            case LogIdentity():
                self.identity = latest
                self._digest_terms()
            case _:
                assert_never(latest)
        return NOTHING

    def _take_of_shard(self, latest: Watermark | Observed | Unquoted | Terms) -> None:
        match latest:
            case Watermark():
                self.watermarks[latest.shard] = latest
            case Observed():
                self.observed[latest.shard] = latest
            case Unquoted():
                self.unquoted[latest.shard] = latest
            case Terms():
                self.terms[latest.shard] = latest
                self._digest_terms()
            case _:
                assert_never(latest)

    def _digest_terms(self) -> None:
        self.terms_read += 1
        if self.identity is None:
            self.terms_digest = None
            return
        found = map(self.terms.get, range(self.identity.partitions))
        self.terms_digest = digest_of(
            each.terms[-1] if each else None for each in found
        )

    def _check(self, latest: Watermark | Terms, place: Place, *, before: int) -> None:
        known = self.terms.get(latest.shard)
        if known is None:
            return
        if isinstance(latest, Terms):
            is_other = contradicts(known, latest, before)
        else:
            is_other = place.term not in {None, known.terms[-1].id}
        if is_other:
            raise OtherTimeline(latest.shard)

    def _take_token(self, token: Token, place: Place) -> Change:
        contract = token.contract_id
        before = self.tokens.get(contract)
        if before is None or before.fields.decimals != token.fields.decimals:
            self.decimals_places.put((contract, TOKEN), place)
        self.tokens[contract] = token
        self.registry_places.put((contract, TOKEN), place)
        return Change(token=contract)

    def _withdraw(self, key: bytes, place: Place) -> Change:
        """Take a tombstone: later snapshots lack what it names."""
        balance = parse_balance_key(key)
        if balance is not None:
            return self._withdraw_balance(balance, place)
        if key.startswith(_PRICE):
            contract = ContractId(key[len(_PRICE) :].decode(errors="replace"))
            self.prices.pop(contract, None)
            self.registry_places.withdraw((contract, PRICE), place)
            return Change(price=contract)
        if key.startswith(_TOKEN):
            contract = ContractId(key[len(_TOKEN) :].decode(errors="replace"))
            self.tokens.pop(contract, None)
            self.registry_places.withdraw((contract, TOKEN), place)
            return Change(token=contract)
        if key == IDENTITY_KEY:
            self.identity = None
        return NOTHING

    def _withdraw_balance(self, balance: Held, place: Place) -> Change:
        user, contract = balance
        held = self.balances.get(user, {})
        held.pop(contract, None)
        if not held:
            self.balances.pop(user, None)
        self.balance_places.withdraw(balance, place)
        return Change(balance=balance)
