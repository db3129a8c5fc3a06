"""What an operator of the simulator may ask for, read from JSON."""

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from .c32 import BadPrincipal, parse_principal
from .chain import MAX_REORG_DEPTH
from .faults import UPSTREAMS, Fault, Kind
from .genesis import Holding
from .world import STX, World

MAX_TICKS = 10_000

_AMOUNT = re.compile(r"-?(0|[1-9][0-9]{0,39})")


class BadCommand(ValueError):
    """A command that makes no sense; the text says why."""


class Put(NamedTuple):
    """One holding to be set, and its totals where they are given."""

    owner: str
    contract_id: str
    amount: int
    sent: int | None
    received: int | None

    def wanted(self, have: Holding) -> Holding:
        """Return the holding to set: totals not given grow by what the balance moved."""
        moved = self.amount - have.balance
        sent, received = have.sent + max(0, -moved), have.received + max(0, moved)
        return Holding(
            self.amount,
            sent if self.sent is None else self.sent,
            received if self.received is None else self.received,
        )


def body(raw: bytes) -> Mapping[str, Any]:
    """Read an object; nothing at all is an empty one."""
    try:
        read = json.loads(raw or b"{}")
    except ValueError as error:
        raise BadCommand("the body is not JSON") from error
    if not isinstance(read, dict):
        raise BadCommand("the body is not an object")
    return read


def ticks(asked: Mapping[str, Any]) -> int:
    """Read how many ticks to advance, 1 if nothing is said."""
    return _whole(asked, "count", 1, most=MAX_TICKS)


def depth(asked: Mapping[str, Any]) -> int:
    """Read how many blocks to take back, 1 if nothing is said."""
    return _whole(asked, "depth", 1, most=MAX_REORG_DEPTH)


def price(world: World, asked: Mapping[str, Any]) -> tuple[str, float | None]:
    """Read whose price to pin and at what; null lets it wander again."""
    contract_id = STX if asked.get("contractId") == "stx" else asked.get("contractId")
    token = world.contracts.get(str(contract_id))
    if contract_id != STX and (token is None or token.base is not None):
        raise BadCommand(f"no mainnet token {contract_id}")
    if asked.get("usd") is None:
        return str(contract_id), None
    try:
        usd = float(asked["usd"])
    except (TypeError, ValueError) as error:
        raise BadCommand("usd is no number") from error
    if not isfinite(usd):
        raise BadCommand("usd is no number")
    return str(contract_id), usd


def put(world: World, asked: Mapping[str, Any]) -> Put:
    """Read which holding to set. Amounts are integers, as text or as JSON numbers."""
    contract_id = str(asked.get("contractId"))
    contract_id = STX if contract_id == "stx" else contract_id.partition("::")[0]
    if contract_id != STX and contract_id not in world.contracts:
        raise BadCommand(f"no token {contract_id}")
    try:
        owner = parse_principal(str(asked.get("user"))).text
    except BadPrincipal as error:
        raise BadCommand(f"user: {error}") from error
    amount = _amount(asked, "amount")
    if amount is None:
        raise BadCommand("amount is missing")
    sent, received = _amount(asked, "sent"), _amount(asked, "received")
    return Put(owner, contract_id, amount, sent, received)


def fault(asked: Mapping[str, Any]) -> Fault:
    """Read a fault to arm."""
    upstream = asked.get("upstream", "*")
    if upstream not in {*UPSTREAMS, "*"}:
        raise BadCommand(f"no upstream {upstream}")
    try:
        kind = Kind(str(asked.get("kind")))
    except ValueError as error:
        raise BadCommand(f"no fault {asked.get('kind')}") from error
    retry = asked.get("retryAfter")
    forever = asked.get("count") is None
    return Fault(
        upstream=str(upstream),
        kind=kind,
        path=str(asked.get("path") or "*"),
        count=None if forever else _whole(asked, "count", 1, most=MAX_TICKS),
        retry_after=None if retry is None else str(retry),
        delay_s=_seconds(asked.get("delaySeconds", 1.0)),
        blocks=_whole(asked, "blocks", 1, most=MAX_REORG_DEPTH),
    )


def shown(armed: Fault) -> dict[str, object]:
    """Return a fault as it was asked for."""
    return {
        "upstream": armed.upstream,
        "path": armed.path,
        "kind": armed.kind,
        "count": armed.count,
        "retryAfter": armed.retry_after,
        "delaySeconds": armed.delay_s,
        "blocks": armed.blocks,
    }


def _whole(asked: Mapping[str, Any], key: str, default: int, *, most: int) -> int:
    number = asked.get(key, default)
    if type(number) is not int or not 1 <= number <= most:
        raise BadCommand(f"{key} is no integer from 1 to {most}")
    return number


def _seconds(asked: Any) -> float:
    if type(asked) not in {int, float} or not 0 <= asked < float("inf"):
        raise BadCommand("delaySeconds is no number of seconds")
    return float(asked)


def _amount(asked: Mapping[str, Any], key: str) -> int | None:
    given = asked.get(key)
    if given is None:
        return None
    if type(given) not in {int, str} or not _AMOUNT.fullmatch(str(given)):
        raise BadCommand(f"{key} is no integer")
    return int(given)
