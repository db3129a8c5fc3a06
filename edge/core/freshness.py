"""How old what we serve may be: what the log, its shards and their observations say."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edge.core.table import Table
from schemas.ids import ContractId
from schemas.log import Observed

# A heartbeat names at most this many old prices: everybody who wants heartbeats gets them all.
MAX_OLD_NAMED = 50


class Newest(NamedTuple):
    """When the newest observation of each kind was made; ``None``: never."""

    prices: int | None = None
    balances: int | None = None
    tokens: int | None = None


NEVER = Newest()


class OldPrices(NamedTuple):
    """The tokens of the table that no source quotes any more.

    ``quoted_at`` has when each was last quoted, of those that were dropped last; ``total`` is
    how many there are.
    """

    total: int = 0
    quoted_at: Mapping[ContractId, int] = {}


NO_OLD_PRICES = OldPrices()


def old_prices(table: Table, *, limit_s: float) -> OldPrices:
    """Return the prices that are old while others are observed.

    Each shard tells which tokens are far behind its newest observation. All prices of a shard
    are old whose newest observation is further behind that of another than ``limit_s``: it
    may have a single token.
    """
    newest_ms = newest_of(table.observed.values()).prices
    if newest_ms is None:
        return NO_OLD_PRICES
    silent = {
        shard: seen.prices
        for shard, seen in table.observed.items()
        if seen.prices is not None and newest_ms - seen.prices > limit_s * 1_000
    }
    old: dict[ContractId, int] = {}
    more = 0
    for shard, unquoted in table.unquoted.items():
        old.update(unquoted.prices)
        if shard not in silent:  # all prices of a silent shard are counted one by one
            more += unquoted.count - len(unquoted.prices)
    if silent:
        partition_of = table.registry_places.partition_of
        for contract in table.prices:
            seen_ms = silent.get(partition_of(contract))
            if seen_ms is not None:
                old.setdefault(contract, seen_ms)
    if not old:
        return NO_OLD_PRICES
    latest_first = sorted(old.items(), key=lambda each: (-each[1], each[0]))
    return OldPrices(len(old) + more, dict(latest_first[:MAX_OLD_NAMED]))


def newest_of(shards: Iterable[Observed]) -> Newest:
    """Return the newest observations of all shards together."""
    told = list(shards)
    return Newest(
        prices=_newest(each.prices for each in told),
        balances=_newest(each.balances for each in told),
        tokens=_newest(each.tokens for each in told),
    )


def _newest(moments: Iterable[int | None]) -> int | None:
    return max((each for each in moments if each is not None), default=None)


def old_because(newest: Newest, *, now_ms: int, limit_s: float) -> str | None:
    """Return why prices may be old; ``None`` if they are not, or none was ever observed."""
    if newest.prices is None or now_ms - newest.prices <= limit_s * 1_000:
        return None
    age_s = (now_ms - newest.prices) // 1_000
    return f"the newest price was observed {age_s} s ago"


def stale_because(
    watermarks_ms: Mapping[int, int],
    *,
    shards: int,
    silent_s: float,
    now_ms: int,
    limit_s: float,
) -> str | None:
    """Return why newer values may exist than those we have; ``None`` if they are fresh.

    ``silent_s`` is how long the log has not answered us: then what the watermarks say is
    no news. A shard counts when its watermark is further back than ``limit_s``.
    """
    if silent_s > limit_s:
        return f"the log has not answered for {silent_s:.0f} s"
    said: list[str] = []
    for shard in range(shards):
        mark_ms = watermarks_ms.get(shard)
        if mark_ms is None:
            said.append(f"shard {shard} was never processed")
        elif now_ms - mark_ms > limit_s * 1_000:
            behind_s = (now_ms - mark_ms) // 1_000
            said.append(f"shard {shard} is processed up to {behind_s} s ago")
    return "; ".join(said) or None


def oldest_ms(watermarks_ms: Mapping[int, int], *, shards: int) -> int:
    """Return the watermark of the shard that is furthest behind; 0 if one has none."""
    return min((watermarks_ms.get(shard, 0) for shard in range(shards)), default=0)
