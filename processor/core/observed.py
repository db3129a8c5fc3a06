"""The newest observation times of a shard."""

from collections.abc import Mapping

from schemas.log import Observed
from schemas.topics import BALANCES_RAW, PRICES_RAW, TOKENS_RAW


def never_observed(shard: int) -> Observed:
    """Return the record of a shard that has folded nothing."""
    return Observed(shard=shard, prices=None, balances=None, tokens=None)


def advanced(observed: Observed, newest_ms: Mapping[str, int]) -> Observed:
    """Return ``observed`` with the newest times of a commit, by raw topic.

    No time steps back. The same object is returned if none advances.
    """
    after = Observed(
        shard=observed.shard,
        prices=_later(observed.prices, newest_ms.get(PRICES_RAW)),
        balances=_later(observed.balances, newest_ms.get(BALANCES_RAW)),
        tokens=_later(observed.tokens, newest_ms.get(TOKENS_RAW)),
    )
    return observed if after == observed else after


def _later(before: int | None, newest: int | None) -> int | None:
    if before is None or newest is None:
        return newest if before is None else before
    return max(before, newest)
