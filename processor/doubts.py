"""Prices that may be wrong, shown while they are: in metrics, readiness and the log."""

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from processor.core.prices import Doubt
from runtime import metrics
from runtime.clock import Clock
from runtime.health import Health
from runtime.trouble import Trouble

logger = logging.getLogger(__name__)

# At most this many tokens are named in a warning or a log line; the rest are counted.
MAX_NAMED = 5

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
}


class PriceDoubts:
    """The doubtful prices of all shards that this process serves.

    They are known from the first observation of a token after the shard was taken over.
    """

    def __init__(self, clock: Clock) -> None:
        self._tokens: dict[Doubt, dict[tuple[int, str], str]] = {
            kind: {} for kind in Doubt
        }
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
        """Take over what is doubtful now about tokens that a commit has changed."""
        for contract_id, doubts in tokens:
            for kind, held in self._tokens.items():
                if kind in doubts:
                    held[shard, contract_id] = doubts[kind]
                elif held:
                    held.pop((shard, contract_id), None)
        self._tell(shard)

    def forget(self, shard: int) -> None:
        """Forget a shard that is another's now."""
        for held in self._tokens.values():
            for key in [key for key in held if key[0] == shard]:
                del held[key]
        self._tell(shard)
        for kind in Doubt:
            metrics.PRICE_DOUBTS.remove(shard, kind.value)

    def warning(self, kind: Doubt) -> str | None:
        """Return the tokens in doubt for one reason, in one line."""
        held = self._tokens[kind]
        if not held:
            return None
        count = f"{len(held)} token{'s' if len(held) > 1 else ''}"
        return f"{count}: {_MEANING[kind]}: {'; '.join(_named(held))}"

    def _tell(self, shard: int) -> None:
        for kind, held in self._tokens.items():
            here = sum(number == shard for number, _ in held)
            metrics.PRICE_DOUBTS.labels(shard, kind.value).set(here)
            if held:
                self._troubles[kind].happened(count=len(held), tokens=_named(held))
            else:
                self._troubles[kind].over()


def _named(held: Mapping[tuple[int, str], str]) -> list[str]:
    named = [
        f"{contract_id} ({details})"
        for (_, contract_id), details in list(held.items())[:MAX_NAMED]
    ]
    more = len(held) - len(named)
    return [*named, f"and {more} more"] if more else named
