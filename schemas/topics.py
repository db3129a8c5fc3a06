"""Every topic: its name, how it forgets, and which part of a key places a record."""

from dataclasses import dataclass
from enum import Enum

DAY_MS = 86_400_000
MINUTE_MS = 60_000

PRICES_RAW = "prices.raw"
BALANCES_RAW = "balances.raw"
TOKENS_RAW = "tokens.raw"
LATEST = "latest"
CHANGES = "changes"
JOURNAL = "journal"
STATE = "state"
REJECTS = "rejects"
DEMAND = "demand"
SNAPSHOTS = "snapshots"
SHARDS = "shards"

# In the order in which a commit reads them.
RAW = (PRICES_RAW, BALANCES_RAW, TOKENS_RAW)


class Keep(Enum):
    """How long the records of a topic stand."""

    AUDIT = "as long as the audit horizon"
    NEWEST = "the newest of each key"
    REJECTS = "30 days"
    LEASES = "the newest of each key, for 10 minutes"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, whatever log it is in."""

    name: str
    keep: Keep


TOPICS = (
    Topic(PRICES_RAW, Keep.AUDIT),
    Topic(BALANCES_RAW, Keep.AUDIT),
    Topic(TOKENS_RAW, Keep.AUDIT),
    Topic(LATEST, Keep.NEWEST),
    Topic(CHANGES, Keep.AUDIT),
    Topic(JOURNAL, Keep.AUDIT),
    Topic(STATE, Keep.NEWEST),
    Topic(REJECTS, Keep.REJECTS),
    Topic(DEMAND, Keep.LEASES),
    Topic(SNAPSHOTS, Keep.AUDIT),
    Topic(SHARDS, Keep.AUDIT),
)
REJECTS_MS = 30 * DAY_MS
LEASES_MS = 10 * MINUTE_MS


def partition_key(key: bytes) -> bytes:
    """Return the part of a key that decides its partition: the token's or the user's id.

    ``SP….token`` (raw), ``price:ID`` and ``token:ID`` stand where ID puts them,
    ``balance:USER:ID`` and the lease ``USER|EDGE`` where USER does. Keys that belong to a
    shard (``watermark:SHARD``, ``observed:SHARD``, ``unquoted:SHARD``, ``terms:SHARD``) or to
    the log (``log:identity``) are placed by number, not by key.
    """
    kind, colon, rest = key.partition(b":")
    if not colon:
        return key.partition(b"|")[0]
    if kind in {b"price", b"token", b"refresh"}:
        return rest
    if kind in {b"balance", b"account"}:
        return rest.partition(b":")[0]
    return key
