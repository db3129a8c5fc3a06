"""Prices that may be wrong, shown while they are: in metrics, readiness and the log."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

from processor.core.prices import Doubt
from runtime import metrics
from runtime.clock import Clock
from runtime.health import Health
from runtime.trouble import Trouble
from schemas.log import Unquoted

logger = logging.getLogger(__name__)

# At most this many tokens are named in a warning or a log line; the rest are counted.
MAX_NAMED = 5

_SECOND_MS = 1_000
# The last second that has a date.
_LAST_S = 253_402_300_799
# What is told from the quotes of a token alone.
_OF_ONE_TOKEN: Final = tuple(kind for kind in Doubt if kind is not Doubt.UNQUOTED)

# What a token's doubts are, each with its details in a few words.
Doubts = Mapping[Doubt, str]

_MEANING: Final[Mapping[Doubt, str]] = {
    Doubt.SUSPECT: (
        "a jump is held back until another source, or the same one later, confirms it"
    ),
    Doubt.FROZEN: "a source repeats one price while others move, and does not count",
    Doubt.DISAGREEMENT: "sources are far apart; the price follows those that agreed",
    Doubt.UNDECIDED: (
        "sources are far apart and have never agreed, so the price may be wrong"
    ),
    Doubt.UNQUOTED: "no source quotes it any more; the last price stays, and is old",
}


class PriceDoubts:
    """The doubtful prices of all shards that this process serves."""

    def __init__(self, clock: Clock) -> None:
        self._tokens: dict[Doubt, dict[tuple[int, str], str]] = {
            kind: {} for kind in Doubt
        }
        self._unquoted: dict[int, Unquoted] = {}
        self._troubles = {
            kind: Trouble(
                logger,
                f"prices in doubt: {kind.value}",
                f"prices no longer in doubt: {kind.value}",
                monotonic_s=clock.monotonic_s,
            )
            for kind in Doubt
        }

    def show_in(self, health: Health) -> None:
        """Warn of each kind of doubt in the readiness of this process."""
        for kind in Doubt:
            health.warn(f"price {kind.value}", partial(self.warning, kind))

    def update(self, shard: int, tokens: Iterable[tuple[str, Doubts]]) -> None:
        """Take over what their own quotes make doubtful now about some tokens."""
        for contract_id, doubts in tokens:
            for kind in _OF_ONE_TOKEN:
                held = self._tokens[kind]
                if kind in doubts:
                    held[shard, contract_id] = doubts[kind]
                elif held:
                    held.pop((shard, contract_id), None)
        for kind in _OF_ONE_TOKEN:
            self._tell(shard, kind)

    def replace(self, shard: int, unquoted: Unquoted) -> None:
        """Take over which tokens of a shard no source quotes any more."""
        if unquoted == self._unquoted.get(shard):
            return
        self._unquoted[shard] = unquoted
        held = self._tokens[Doubt.UNQUOTED]
        _drop(held, shard)
        for contract_id, at_ms in unquoted.prices.items():
            held[shard, contract_id] = f"last quoted {_moment(at_ms)}"
        self._tell(shard, Doubt.UNQUOTED)

    def forget(self, shard: int) -> None:
        """Forget a shard that is another's now."""
        self._unquoted.pop(shard, None)
        for kind, held in self._tokens.items():
            _drop(held, shard)
            self._tell(shard, kind)
            metrics.PRICE_DOUBTS.remove(shard, kind.value)

    def warning(self, kind: Doubt) -> str | None:
        """Return the tokens in doubt for one reason, in one line."""
        held = self._tokens[kind]
        if not held:
            return None
        found = self._count(kind)
        count = f"{found} token{'s' if found > 1 else ''}"
        return f"{count}: {_MEANING[kind]}: {'; '.join(_named(held, found))}"

    def _tell(self, shard: int, kind: Doubt) -> None:
        held, found = self._tokens[kind], self._count(kind)
        metrics.PRICE_DOUBTS.labels(shard, kind.value).set(self._count(kind, shard))
        if held:
            self._troubles[kind].happened(count=found, tokens=_named(held, found))
        else:
            self._troubles[kind].over()

    def _count(self, kind: Doubt, shard: int | None = None) -> int:
        """Return how many tokens of a shard, or of all, are in doubt."""
        if kind is Doubt.UNQUOTED:
            found = {number: one.count for number, one in self._unquoted.items()}
        else:
            found = Counter(number for number, _ in self._tokens[kind])
        return sum(found.values()) if shard is None else found.get(shard, 0)


def _drop(held: dict[tuple[int, str], str], shard: int) -> None:
    for key in [key for key in held if key[0] == shard]:
        del held[key]


def _moment(at_ms: int) -> str:
    at = datetime.fromtimestamp(min(at_ms // _SECOND_MS, _LAST_S), UTC)
    return f"{at.replace(tzinfo=None).isoformat()}Z"


def _named(held: Mapping[tuple[int, str], str], found: int) -> list[str]:
    named = [
        f"{contract_id} ({details})"
        for (_, contract_id), details in list(held.items())[:MAX_NAMED]
    ]
    more = found - len(named)
    return [*named, f"and {more} more"] if more else named
