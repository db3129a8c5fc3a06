"""What the writer says: an endless stream, every batch a function of its number.

So a writer that was killed goes on from any batch, and nobody has to remember what the
one before said. Each batch holds observations of its own moment, some of them said
twice, some late, some contradicted, and what is no observation at all.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from schemas.c32 import encode_address
from tests.support.history_noise import Raw, noise
from tests.support.history_types import Observation, observation
from tests.support.oracle.text import sha256

# One batch stands for so much time.
BATCH_MS = 100
_TOKENS, _USERS, _HELD = 60, 400, 3
_PRICES, _ACCOUNTS, _SUBNETS, _CONFIRMED, _WORDS = 110, 40, 40, 20, 20
_SOURCES = ("internal", "kraxel", "stxtools", "cetus")
_WORD_SOURCES = ("contract", "charisma", "hiro", "alex")
# How many batches after a reading it is confirmed, and its subnets are read.
_CONFIRMED_AFTER, _SUBNETS_AFTER = 5, 3
_HELD_BACK, _LATE = 4, 50
_NOISE_EVERY, _FORGOTTEN_EVERY = 20, 7
_UNSAID = dict.fromkeys(
    (
        *("name", "symbol", "decimals", "type", "identifier", "description", "image"),
        *("tokenUri", "totalSupply", "base", "tokenAContract", "tokenBContract"),
        *("lpRebatePercent", "externalPoolId", "engineContractId", "verified"),
    )
)


def _address(number: int) -> str:
    return encode_address(22, number.to_bytes(20))


TOKENS = tuple(f"{_address(1_000 + n)}.token-{n}" for n in range(_TOKENS))
SUBNETS = tuple(f"{token}-subnet" for token in TOKENS)
USERS = tuple(_address(5_000 + n) for n in range(_USERS))


class Stream:
    """The batches of one seed; their first moment is ``start_ms``."""

    def __init__(self, seed: int, *, start_ms: int) -> None:
        self._seed, self._start_ms = seed, start_ms
        self._said = lru_cache(maxsize=64)(self._said_at)

    def batch(self, number: int) -> list[Raw]:
        """Return what is appended as batch ``number``, in this order."""
        draw = self._draw("batch", number)
        own, _ = self._parted(number)
        _, held_back = self._parted(number - _HELD_BACK)
        late = self._said(number - _LATE) if number >= _LATE else []
        seen = [*own, *held_back, *_some(own, draw, 0.02), *_some(late, draw, 0.01)]
        for _ in range(len(seen) // 20):
            one, other = draw.randrange(len(seen)), draw.randrange(len(seen))
            seen[one], seen[other] = seen[other], seen[one]
        records: list[Raw] = [(one.topic, one.key, one.value) for one in seen]
        return [*records, *self._disturbance(own, number, draw)]

    def _draw(self, what: str, *names: int) -> Random:
        return Random(f"{self._seed} {what} {names}")

    def _parted(self, number: int) -> tuple[list[Observation], list[Observation]]:
        """Return what is said at a moment: at once, and a few batches later."""
        if number < 0:
            return [], []
        draw = self._draw("held back", number)
        at_once: list[Observation] = []
        later: list[Observation] = []
        for one in self._said(number):
            (later if draw.random() < 0.03 else at_once).append(one)
        return at_once, later

    def _disturbance(
        self, own: Sequence[Observation], number: int, draw: Random
    ) -> Iterator[Raw]:
        for one in _some([o for o in own if "usd" in o.fields], draw, 0.02):
            other = one.fields | {"usd": "0.5"}
            told = observation("price.observed", **_without_schema(other))
            yield told.topic, told.key, told.value
        yield "prices.raw", TOKENS[number % _TOKENS].encode(), b"nonsense"
        yield "balances.raw", USERS[number % _USERS].encode(), None
        if number % _NOISE_EVERY == 0:
            # The first is the token that has more sources than are heard.
            crowded = self._price(number, 0, token=TOKENS[0])
            yield from noise([crowded, *draw.sample(own, 20)])

    def _said_at(self, number: int) -> list[Observation]:
        return [
            *(self._price(number, n) for n in range(_PRICES)),
            *(self._account(number, n) for n in range(_ACCOUNTS)),
            *self._subnets(number),
            *self._confirmations(number),
            *(self._word(number, n) for n in range(_WORDS)),
            *self._forgotten(number),
        ]

    def _moment(self, number: int, sequence: int) -> dict[str, int]:
        return {
            "observedAt": self._start_ms + number * BATCH_MS,
            "sequence": sequence,
        }

    def _price(self, number: int, at: int, token: str | None = None) -> Observation:
        draw = self._draw("price", number, at)
        cents = 100 + draw.randrange(40) * (1 + at % 5)
        return observation(
            "price.observed",
            contractId=token or TOKENS[(number * _PRICES + at) % _TOKENS],
            source=draw.choice(_SOURCES),
            usd=f"{cents // 100}.{cents % 100:02}".rstrip("0").rstrip("."),
            market={
                "change1h": None,
                "change24h": str(draw.randrange(-9, 9)),
                "change7d": None,
                "marketCap": None,
            }
            if at % 7 == 0
            else None,
            **self._moment(number, at),
        )

    def _reader_of(self, number: int, at: int) -> int:
        return (number * _ACCOUNTS + at) % _USERS

    def _account(self, number: int, at: int) -> Observation:
        user = self._reader_of(number, at)
        draw = self._draw("account", number, at)
        first = user + draw.randrange(2)
        holdings = [
            {
                "contractId": TOKENS[(first + n * 7) % _TOKENS],
                "asset": None,
                "balance": str(draw.choice((10**6, 2 * 10**6, 7, -1, 10**20))),
                "totalSent": str(draw.randrange(3)),
                "totalReceived": None,
            }
            for n in range(_HELD)
        ]
        return observation(
            "account.read",
            userId=USERS[user],
            source="hiro" if at % 9 else "mirror",
            holdings=holdings,
            others=[],
            **self._moment(number, at),
        )

    def _subnets(self, number: int) -> Iterator[Observation]:
        if number < _SUBNETS_AFTER:
            return
        for at in range(_SUBNETS):
            user = self._reader_of(number - _SUBNETS_AFTER, at % _ACCOUNTS)
            draw = self._draw("subnet", number, at)
            token = (user + draw.randrange(3)) % _TOKENS
            # Now and then a subnet says that it belongs to another token.
            base = TOKENS[(token + (draw.random() < 0.02)) % _TOKENS]
            yield observation(
                "subnet.read",
                userId=USERS[user],
                subnetId=SUBNETS[token],
                baseId=base,
                source="subnet-call",
                balance=str(draw.randrange(4) - (draw.random() < 0.02)),
                **self._moment(number, at),
            )

    def _confirmations(self, number: int) -> Iterator[Observation]:
        before = number - _CONFIRMED_AFTER
        if before < 0:
            return
        for at in range(_CONFIRMED):
            read = self._account(before, at)
            # Every tenth names a reading that nobody made.
            digest = sha256(read.value if (number + at) % 10 else b"")
            yield observation(
                "account.confirmed",
                userId=USERS[self._reader_of(before, at)],
                source="hiro",
                reading=digest,
                **self._moment(number, at),
            )

    def _word(self, number: int, at: int) -> Observation:
        name = _WORD_SOURCES[at % len(_WORD_SOURCES)]
        token = (number * 3 + at) % _TOKENS
        said = {"name": f"token {token}", "description": f"as of {number // 40}"}
        return observation(
            "token.observed",
            contractId=TOKENS[token],
            source=name,
            fields=_UNSAID | said | ({"decimals": 6} if name == "contract" else {}),
            **self._moment(number, at),
        )

    def _forgotten(self, number: int) -> Iterator[Observation]:
        if number % _FORGOTTEN_EVERY == 0:
            user = self._draw("forgotten", number).randrange(_USERS)
            yield observation(
                "user.forgotten", userId=USERS[user], **self._moment(number, 99)
            )


def _some(seen: Sequence[Observation], draw: Random, share: float) -> list[Observation]:
    return [one for one in seen if draw.random() < share]


def _without_schema(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "schema"}
