"""Events of a real chain as readings of the accounts that they touch.

Every user opens with just enough that no sum ever falls below zero. Each event yields
one whole reading of each account it touches, at its moment; an event that the recording
repeats yields the same bytes once more and moves nothing. Beside the readings stand, at
fixed intervals, what the recording has none of: confirmations, subnet balances that
follow the account, a second source that speaks at the same moment, a source that says
the impossible, users forgotten.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from tests.support.history_types import Observation, observation
from tests.support.oracle.text import sha256
from tests.support.shared_data import shared_data

# Room between two events of one moment, for what is derived from the first.
_STEP = 10
_SUBNET, _MIRROR, _CONFIRMED, _FORGOTTEN, _IMPOSSIBLE = 1, 0, 2, 3, 4
_SUBNETS = "SP1040G2081040G2081040G2081040G20ABNMJC0"

Event = Mapping[str, Any]


@dataclass(slots=True)
class _Account:
    """What a user holds of each token, and has sent and received."""

    balance: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)


def account_observations() -> list[Observation]:
    """Return all of it in the order of the events, each time the event is told."""
    told = _events()
    once = list(dict.fromkeys(told))
    accounts = _opened(once)
    said = {line: list(_said(line, n, accounts)) for n, line in enumerate(once)}
    return [seen for line in told for seen in said[line]]


def _events() -> list[str]:
    """Return the lines of the recording by their moments."""
    text = shared_data("stacks/mainnet_token_events.jsonl").read_text()
    return sorted(text.splitlines(), key=_moment_ms)


@cache
def _event(line: str) -> Event:
    event: Event = json.loads(line)
    return event


@cache
def _moment_ms(line: str) -> int:
    return int(datetime.fromisoformat(_event(line)["time"]).timestamp() * 1_000)


def _said(
    line: str, number: int, accounts: dict[str, _Account]
) -> Iterator[Observation]:
    """Apply one event; yield what is read then."""
    event = _event(line)
    for user, (sent, received) in _moves(event).items():
        account, token = accounts[user], _token(event)
        account.balance[token] += received - sent
        account.sent[token] += sent
        account.received[token] += received
    for place, user in enumerate(_users(event)):
        at = _Moment(_moment_ms(line), number * _STEP)
        yield from _read(user, accounts[user], at, number + place)


@dataclass(frozen=True, slots=True)
class _Moment:
    observed_at: int
    sequence: int

    def after(self, steps: int) -> dict[str, int]:
        return {"observedAt": self.observed_at, "sequence": self.sequence + steps}


def _read(
    user: str, account: _Account, at: _Moment, number: int
) -> Iterator[Observation]:
    """Yield the reading of one account, and what is derived from it."""
    holdings = [
        _holding(account, token)
        for token in sorted(account.balance)
        # What is spent is left out, as a source may do.
        if account.balance[token]
    ]
    who = {"userId": user, "source": "hiro"}
    whole = {**who, "holdings": holdings, "others": []}
    read = observation("account.read", **whole, **at.after(0))
    yield read
    if number % 23 == 0:
        other = whole | {"source": "mirror"}
        yield observation("account.read", **other, **at.after(_MIRROR))
    if number % 3 == 0:
        yield from _subnets(user, account, at, number)
    if number % 5 == 0:
        # Every fifth of them names a reading that nobody made.
        digest = sha256(read.value if number % 25 else b"")
        moment = at.after(_CONFIRMED)
        yield observation("account.confirmed", **who, reading=digest, **moment)
    if number % 41 == 0:
        yield observation("user.forgotten", userId=user, **at.after(_FORGOTTEN))
    if number % 29 == 0 and holdings:
        wrong = whole | {"holdings": [holdings[0] | {"balance": "-1"}, *holdings[1:]]}
        yield observation("account.read", **wrong, **at.after(_IMPOSSIBLE))


def _subnets(
    user: str, account: _Account, at: _Moment, number: int
) -> Iterator[Observation]:
    """Yield a third of each balance as what lies in a subnet, which moves sometimes."""
    for token in sorted(account.balance):
        base = ".stx" if number % 33 == 0 else token
        yield observation(
            "subnet.read",
            userId=user,
            subnetId=f"{_SUBNETS}.{token.rpartition('.')[2]}-subnet"[:80],
            baseId=base,
            source="subnet-call",
            balance=str(account.balance[token] // 3),
            **at.after(_SUBNET),
        )


def _holding(account: _Account, token: str) -> dict[str, Any]:
    return {
        "contractId": token,
        "asset": None,
        "balance": str(account.balance[token]),
        "totalSent": str(account.sent[token]),
        "totalReceived": str(account.received[token]),
    }


def _opened(lines: list[str]) -> dict[str, _Account]:
    """Return every account with the least that it must have had before."""
    now: dict[str, Counter[str]] = defaultdict(Counter)
    least: dict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        event = _event(line)
        for user, (sent, received) in _moves(event).items():
            token = _token(event)
            now[user][token] += received - sent
            least[user][token] = min(least[user][token], now[user][token])
    opened: dict[str, _Account] = defaultdict(_Account)
    for user, tokens in least.items():
        for token, amount in tokens.items():
            opened[user].balance[token] = -amount
            opened[user].received[token] = -amount
    return opened


def _moves(event: Event) -> dict[str, tuple[int, int]]:
    """Return what each user sent and received; nothing of what was never committed."""
    if not event["committed"] or "amount" not in event:
        return {}
    amount, moved = int(event["amount"]), {}
    for user in _users(event):
        sent = amount if user == event.get("sender") else 0
        received = amount if user == event.get("recipient") else 0
        moved[user] = (sent, received)
    return moved


def _users(event: Event) -> list[str]:
    names = [event.get(n) for n in ("sender", "recipient", "locked_address")]
    return sorted({name for name in names if name is not None})


def _token(event: Event) -> str:
    contract: str = event.get("asset_identifier", ".stx")
    return contract.partition("::")[0]
