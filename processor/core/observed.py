"""How new the observations of a shard are: the newest ones, and tokens that have none."""

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Final

from schemas.ids import ContractId
from schemas.log import MAX_UNQUOTED, Observed, Unquoted
from schemas.topics import BALANCES_RAW, PRICES_RAW, TOKENS_RAW

from .prices import TokenPrice, quoted_at

# Sources are not read at the same moment: nothing is unquoted sooner, whatever the rules.
MIN_UNQUOTED_MS: Final = 60_000


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


class LastQuotes:
    """When each token of a shard that has a price was last quoted.

    A token that all sources have dropped keeps its last price, and nothing that the fold
    does tells it from one whose price stands still.
    """

    def __init__(self, shard: int, *, max_age_ms: int) -> None:
        self._shard = shard
        self._max_age_ms = max(max_age_ms, MIN_UNQUOTED_MS)
        self._quoted: dict[str, int] = {}
        self._newest = 0

    def update(self, tokens: Iterable[TokenPrice]) -> None:
        """Take over the tokens that a commit has changed."""
        for token in tokens:
            self._newest = max(self._newest, token.newest)
            if token.usd is not None:
                self._quoted[token.contract_id] = quoted_at(token)

    @property
    def has_prices(self) -> bool:
        """Whether any token of the shard has a price."""
        return bool(self._quoted)

    def unquoted(self) -> Unquoted:
        """Return the tokens whose newest quote is too far behind the newest observation.

        While nothing at all is observed no token becomes one of them.
        """
        since = self._newest - self._max_age_ms
        old = [(name, at) for name, at in self._quoted.items() if at < since]
        # Those dropped last: what was dropped long ago surprises nobody any more.
        named = sorted(sorted(old), key=itemgetter(1), reverse=True)[:MAX_UNQUOTED]
        prices = {ContractId(name): at for name, at in named}
        return Unquoted(shard=self._shard, count=len(old), prices=prices)
