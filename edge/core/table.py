"""The public table as values: what ``latest`` says, and what each record changes."""

from typing import NamedTuple, assert_never

from schemas.balances import Balance
from schemas.base import Malformed
from schemas.ids import ContractId, UserId
from schemas.latest import (
    IDENTITY_KEY,
    Latest,
    balance_key,
    decode_latest,
    parse_balance_key,
    price_key,
    token_key,
)
from schemas.log import LogIdentity, Watermark
from schemas.prices import Price
from schemas.tokens import Token

Held = tuple[UserId, ContractId]
_PRICE, _TOKEN = b"price:", b"token:"


class Change(NamedTuple):
    """What one record changed or withdrew: a price, a token, a balance, or none of these."""

    price: ContractId | None = None
    token: ContractId | None = None
    balance: Held | None = None


NOTHING = Change()


class Table:
    """The newest value of each key. Owned by one hub, which alone applies records."""

    def __init__(self) -> None:
        self.identity: LogIdentity | None = None
        self.prices: dict[ContractId, Price] = {}
        self.tokens: dict[ContractId, Token] = {}
        self.balances: dict[UserId, dict[ContractId, Balance]] = {}
        self.watermarks: dict[int, Watermark] = {}
        self.unreadable = 0

    def __len__(self) -> int:
        """Return the number of keys held."""
        held = sum(map(len, self.balances.values()))
        return len(self.prices) + len(self.tokens) + held

    def held_keys(self) -> set[bytes]:
        """Return the keys of all values held."""
        return {
            *map(price_key, self.prices),
            *map(token_key, self.tokens),
            *(balance_key(u, c) for u, held in self.balances.items() for c in held),
        }

    def apply(self, key: bytes, value: bytes | None) -> Change:
        """Take one record of ``latest``; return what it changed.

        A record that cannot be read (of a newer version, perhaps) is counted and leaves
        the table as it was.
        """
        if value is None:
            return self._withdraw(key)
        latest = decode_latest(key, value)
        if isinstance(latest, Malformed):
            self.unreadable += 1
            return NOTHING
        return self._take(latest)

    def _take(self, latest: Latest) -> Change:
        match latest:
            case Price():
                self.prices[latest.contract_id] = latest
                return Change(price=latest.contract_id)
            case Token():
                self.tokens[latest.contract_id] = latest
                return Change(token=latest.contract_id)
            case Balance(user_id=user, contract_id=contract):
                self.balances.setdefault(user, {})[contract] = latest
                return Change(balance=(user, contract))
            case Watermark():
                self.watermarks[latest.shard] = latest
            case LogIdentity():
                self.identity = latest
            case _:
                assert_never(latest)
        return NOTHING

    def _withdraw(self, key: bytes) -> Change:
        """Take a tombstone: later snapshots lack what it names.

        Of a price there is nothing to tell: the last one stays until another comes.
        """
        balance = parse_balance_key(key)
        if balance is not None:
            user, contract = balance
            held = self.balances.get(user, {})
            held.pop(contract, None)
            if not held:
                self.balances.pop(user, None)
            return Change(balance=(user, contract))
        if key.startswith(_PRICE):
            self.prices.pop(
                ContractId(key[len(_PRICE) :].decode(errors="replace")), None
            )
        elif key.startswith(_TOKEN):
            withdrawn = ContractId(key[len(_TOKEN) :].decode(errors="replace"))
            self.tokens.pop(withdrawn, None)
            return Change(token=withdrawn)
        elif key == IDENTITY_KEY:
            self.identity = None
        return NOTHING
