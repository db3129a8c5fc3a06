"""A log and several edges that read it, each as far as it got, for laws about clients."""

import itertools
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field

from edge.core.hub import Hub, Rules, Write
from edge.core.places import Place
from edge.core.table import Table
from processor.core.terms import with_term
from schemas.base import encode
from schemas.extras import FEATURES
from schemas.ids import STX, ContractId, UserId
from schemas.latest import IDENTITY_KEY, watermark_key
from schemas.log import Term, Terms, Watermark
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    WELSH,
    Record,
    balance,
    gone,
    identity,
    price,
    terms,
    token,
)

HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000
PARTITIONS = 2
TOKENS, USERS = (CHA, WELSH, STX), (ANNE, BOB)
# As the log does, it forgets a tombstone a day after it was written.
KEPT_MS = 24 * HOUR_MS
_term_ids = itertools.count(1)
RULES = Rules(features=FEATURES, piece_bytes=1_000)


def partition_of(key: bytes) -> int:
    """Return where a key stands: all keys of a token or a user in one partition."""
    if key == IDENTITY_KEY:
        return 0
    if key.startswith((b"watermark:", b"terms:")):
        return int(key[-1:])
    return key.split(b":")[1][-1] % PARTITIONS


@dataclass(frozen=True, slots=True)
class Placed:
    place: Place
    key: bytes
    value: bytes | None


@dataclass
class Log:
    """What was published, in the order of publication; compaction is for readers."""

    records: list[Placed] = field(default_factory=list)
    now_ms: int = START_MS
    _offsets: "Counter[int]" = field(default_factory=Counter)
    _versions: "Counter[bytes]" = field(default_factory=Counter)
    _terms: dict[int, Terms | None] = field(
        default_factory=lambda: dict.fromkeys(range(PARTITIONS))
    )
    _ownerless: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.put(identity())
        for part in range(PARTITIONS):
            self.begin_term(part)
        for each in (CHA, WELSH):
            self.put(token(each, decimals=0))
        self.tick()

    def put(self, record: Record) -> None:
        key, value = record
        part = partition_of(key)
        if part in self._ownerless:
            self._ownerless.remove(part)
            self.begin_term(part)
        # Offsets have holes: a transaction marker after each record.
        self._offsets[part] += 2
        self.now_ms += 1
        place = Place(part, self._offsets[part], self.now_ms)
        self.records.append(Placed(place, key, value))

    def begin_term(self, part: int) -> None:
        """Let another owner take a partition, as a processor does."""
        term = Term(f"{next(_term_ids):012x}", self._offsets[part] + 1, self.now_ms)
        self._terms[part] = kept = with_term(self._terms[part], part, term)
        self.put(terms(part, *kept.terms))

    def copied(self) -> "Log":
        """Return what a copy of the log holds that is put in place later.

        Nothing is written to it before an owner has begun a term.
        """
        copy = deepcopy(self)
        copy._ownerless = set(range(PARTITIONS))
        return copy

    def last_offset(self, part: int) -> int:
        return self._offsets[part]

    def tick(self) -> None:
        """Publish watermarks, as every processor does while it lives."""
        for part in range(PARTITIONS):
            mark = Watermark(shard=part, log_time=self.now_ms)
            self.put((watermark_key(part), encode(mark)))

    def price(self, contract: ContractId) -> None:
        version = self._next(price(contract, "1")[0])
        self.put(price(contract, f"{version}", version=version))

    def balance(self, user: UserId, contract: ContractId) -> None:
        version = self._next(balance(user, contract, 0)[0])
        self.put(balance(user, contract, version, version=version))

    def withdraw(self, record: Record) -> None:
        self.put(gone(record))

    def compacted(self) -> list[Placed]:
        """Return what a reader finds that begins now."""
        last = {record.key: record for record in self.records}
        oldest_ms = self.now_ms - KEPT_MS
        return [
            record
            for record in self.records
            if last[record.key] is record
            and (record.value is not None or record.place.time_ms >= oldest_ms)
        ]

    def table(self) -> Table:
        table = Table()
        for each in self.records:
            table.apply(each.key, each.value, each.place)
        return table

    def _next(self, key: bytes) -> int:
        self._versions[key] += 1
        return self._versions[key]


class Edge:
    """A hub and how far it has read, partition by partition."""

    def __init__(self, log: Log, rules: Rules = RULES) -> None:
        self.log, self.hub = log, Hub(rules)
        self._read = [-1] * PARTITIONS
        self._take(log.compacted())

    def read(self, part: int, count: int) -> list[Write]:
        """Read the next records of a partition; return what goes to whom."""
        new = (
            each
            for each in self.log.records
            if each.place.partition == part and each.place.offset > self._read[part]
        )
        return self._take(list(itertools.islice(new, count)))

    def read_all(self) -> list[Write]:
        new = [
            each
            for each in self.log.records
            if each.place.offset > self._read[each.place.partition]
        ]
        return self._take(new)

    def read_again(self) -> list[Write]:
        """Do as an edge that was away for longer than tombstones stand."""
        found = self.log.compacted()
        at_ms = max(each.place.time_ms for each in found)
        vanished = self.hub.vanished({each.key for each in found})
        ends = [self.log.last_offset(part) for part in range(PARTITIONS)]
        placed = [(k, Place(part, ends[part], at_ms)) for k, part in vanished.items()]
        writes = self.hub.withdraw(placed, now_ms=self.log.now_ms)
        new = [e for e in found if e.place.offset > self._read[e.place.partition]]
        return writes + self._take(new)

    def _take(self, records: list[Placed]) -> list[Write]:
        for each in records:
            self._read[each.place.partition] = each.place.offset
        return self.hub.apply(
            [(each.key, each.value) for each in records],
            places=[each.place for each in records],
            now_ms=self.log.now_ms,
        )


def subnet(base: ContractId) -> Record:
    return token(CHA_SUBNET, type="SUBNET", base=base)
