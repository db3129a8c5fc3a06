"""Price observations as the processor would read them: a third each of three sources.

The sources follow one price that moves at every second word, up for a while, then down
for a while. The median of three is then what was said one word ago, so half of the
observations change the published price.
"""

from collections.abc import Iterator
from itertools import count as forever
from itertools import islice
from random import Random

from schemas.base import encode
from schemas.c32 import encode_address
from schemas.ids import ContractId
from schemas.prices import PriceObserved

SOURCES = ("internal", "kraxel", "stxtools")
START_MS = 1_750_000_000_000
# Sources speak this often, and the price turns after so many rounds.
_ROUND_MS, _TURN_ROUNDS = 3_000, 50


def contracts(count: int) -> list[ContractId]:
    """Return made-up contract ids, the same each time."""
    return [
        ContractId(f"{encode_address(22, n.to_bytes(20))}.token-{n}")
        for n in range(1, count + 1)
    ]


def observations(
    count: int, *, tokens: int = 200, seed: int = 1
) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of ``count`` records of ``prices.raw``."""
    return islice(_words(tokens, Random(seed)), count)


def _words(tokens: int, draw: Random) -> Iterator[tuple[bytes, bytes]]:
    ids = contracts(tokens)
    parts = {each: draw.randint(10**6, 10**7) for each in ids}
    for at in forever():
        source = SOURCES[at % len(SOURCES)]
        moment, direction = at // len(SOURCES), 1 - 2 * (at // _TURN_ROUNDS % 2)
        for each in ids:
            if draw.random() < 0.5:
                parts[each] += direction * draw.randint(1, 3)
            yield each.encode(), encode(_said(each, source, parts[each], moment))


def _said(contract: ContractId, source: str, parts: int, moment: int) -> PriceObserved:
    """Return one word; ``parts`` are hundred-thousandths of a dollar."""
    whole, rest = divmod(parts, 100_000)
    usd = f"{whole}.{rest:05}".rstrip("0").rstrip(".")
    return PriceObserved(
        contract_id=contract,
        source=source,
        usd=usd,
        observed_at=START_MS + moment * _ROUND_MS,
    )
