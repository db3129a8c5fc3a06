"""What a feed of the size of the real one hears in a year, or as many days as wanted.

Every five minutes each of three sources says a price of each token, one in eight of them
another than before; each account is found as it was once an hour, and read anew, with
another balance, once a day.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import cycle
from random import Random

from benchmarks.market import SOURCES, START_MS, contracts
from schemas.base import canonical
from schemas.c32 import encode_address
from schemas.topics import BALANCES_RAW, PRICES_RAW

ROUND_MS = 300_000
A_DAY, AN_HOUR = 288, 12
TOKENS, ACCOUNTS = 200, 10_000
# Topic, key and value.
Said = tuple[str, bytes, bytes]


def users(count: int) -> list[str]:
    """Return made-up user ids, the same each time."""
    return [encode_address(22, (n + 2**64).to_bytes(20)) for n in range(count)]


@dataclass(slots=True)
class Year:
    """The world that is heard of: prices in hundred-thousandths, readings by their hash."""

    tokens: int = TOKENS
    accounts: int = ACCOUNTS
    seed: int = 1
    _draw: Random = field(init=False)
    _readings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._draw = Random(self.seed)

    def rounds(self, days: float) -> Iterator[list[Said]]:
        """Yield what is heard in each five minutes."""
        ids = [str(each) for each in contracts(self.tokens)]
        owners = users(self.accounts)
        held = dict(zip(owners, cycle(ids), strict=False))
        parts = {each: self._draw.randint(10**4, 10**7) for each in ids}
        for number in range(max(1, round(days * A_DAY))):
            now_ms = START_MS + number * ROUND_MS
            said = [
                self._price(each, source, parts, now_ms)
                for source in SOURCES
                for each in ids
            ]
            due = owners[number % AN_HOUR :: AN_HOUR]
            said += [self._account(owner, held[owner], number, now_ms) for owner in due]
            yield said

    def _price(
        self, contract: str, source: str, parts: dict[str, int], now_ms: int
    ) -> Said:
        if self._draw.random() < 1 / 8:
            parts[contract] += self._draw.choice((-1, 1))
        whole, rest = divmod(parts[contract], 100_000)
        usd = f"{whole}.{rest:05}".rstrip("0").rstrip(".")
        value = (
            f'{{"contractId":"{contract}","market":null,"observedAt":{now_ms},'
            f'"schema":"price.observed/1","sequence":0,"source":"{source}",'
            f'"sourceTime":null,"usd":"{usd}"}}'
        )
        return PRICES_RAW, contract.encode(), value.encode()

    def _account(self, owner: str, contract: str, number: int, now_ms: int) -> Said:
        known = self._readings.get(owner)
        if known is not None and number // AN_HOUR % 24:
            value = (
                f'{{"observedAt":{now_ms},"reading":"{known}",'
                f'"schema":"account.confirmed/1","sequence":0,"source":"hiro",'
                f'"userId":"{owner}"}}'
            ).encode()
        else:
            value = self._reading(owner, contract, now_ms)
            self._readings[owner] = sha256(value).hexdigest()
        return BALANCES_RAW, owner.encode(), value

    def _reading(self, owner: str, contract: str, now_ms: int) -> bytes:
        holding = {
            "contractId": contract,
            "asset": None,
            "balance": f"{self._draw.randint(1, 10**12)}",
            "totalSent": None,
            "totalReceived": None,
        }
        return canonical(
            {
                "schema": "account.read/1",
                "userId": owner,
                "source": "hiro",
                "observedAt": now_ms,
                "sequence": 0,
                "holdings": [holding],
                "others": [],
            }
        )
