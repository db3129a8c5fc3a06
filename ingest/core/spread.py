"""How far the sources of prices are from one another: to be counted, never used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from schemas.ids import ContractId

# Two sources that are apart by more than this do not mean the same.
FAR = 2
_CHECKED = 2

# Of each source its last price of each token.
Words = Mapping[str, Mapping[ContractId, Decimal]]


@dataclass(frozen=True, slots=True)
class Spread:
    """What the sources say of one another.

    ``far`` and ``compared`` count the tokens of each source: those whose price is far
    from the others', and those that others price too. ``unchecked`` tokens have one
    source. ``widest`` is the largest ratio between two prices of one token, at least 1.
    """

    far: Mapping[str, int]
    compared: Mapping[str, int]
    unchecked: int
    widest: Decimal

    def suspects(self) -> list[str]:
        """Return the sources that are far from the others on more than half."""
        return [name for name, far in self.far.items() if 2 * far > self.compared[name]]


def spread(words: Words) -> Spread:
    """Hold the sources against one another, token by token.

    Of three and more each is held against the median of all, so one that lies stands
    out alone; of two nobody knows which it is, and both are far.
    """
    far, compared = dict.fromkeys(words, 0), dict.fromkeys(words, 0)
    unchecked, widest = 0, Decimal(1)
    for said in _by_token(words):
        if len(said) < _CHECKED:
            unchecked += 1
            continue
        prices = list(said.values())
        widest = max(widest, max(prices) / min(prices))
        for source, price in said.items():
            compared[source] += 1
            far[source] += _is_far(price, prices)
    return Spread(far, compared, unchecked, widest)


def _is_far(price: Decimal, prices: Sequence[Decimal]) -> bool:
    middle = median(prices) if len(prices) > _CHECKED else sum(prices) - price
    return not middle / FAR <= price <= middle * FAR


def _by_token(words: Words) -> list[Mapping[str, Decimal]]:
    found: dict[ContractId, dict[str, Decimal]] = {}
    for source, prices in words.items():
        for token, price in prices.items():
            found.setdefault(token, {})[source] = price
    return list(found.values())
