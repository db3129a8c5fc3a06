"""The node's read-only contract calls, as HTTP answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import clarity
from .c32 import BadPrincipal, Principal, parse_principal
from .chain import Ledger
from .world import Token, World

_FIELDS = {"sender", "arguments", "sponsor"}
_PUBLIC = {"transfer", "mint", "burn", "deposit", "withdraw"}
_ARGUMENTS = {"get-balance": 1, "get-decimals": 0, "get-total-supply": 0}


class BadCall(ValueError):
    """A request the node cannot read; it answers 400 in plain text."""


class CallFailed(Exception):
    """A call that was read and failed; the node answers 200 with the cause."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Call:
    """One read-only call: a contract's function and its serialized arguments."""

    contract_id: str
    function: str
    arguments: tuple[bytes, ...]


def parse(contract_id: str, function: str, raw: bytes) -> Call:
    """Read the body of a call; `BadCall` if the node would not."""
    try:
        body: Any = json.loads(raw)
        if not isinstance(body, dict) or not {"sender", "arguments"} <= body.keys():
            raise BadCall("Failed to parse body: sender and arguments are required")
        if not body.keys() <= _FIELDS:
            raise BadCall("Failed to parse body: unknown field")
        parse_principal(str(body["sender"]))
        arguments = tuple(clarity.from_hex(str(text)) for text in body["arguments"])
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise BadCall("Failed to parse body") from error
    except (BadPrincipal, clarity.BadClarity) as error:
        raise BadCall(f"Failed to parse body: {error}") from error
    return Call(contract_id, function, arguments)


def answer(world: World, ledger: Ledger, call: Call) -> Mapping[str, object]:
    """Return the body of a 200: a serialized result, or ``okay: false`` and a cause."""
    try:
        result = _evaluate(world, ledger, call)
    except CallFailed as failure:
        return {"okay": False, "cause": failure.cause}
    return {"okay": True, "result": clarity.to_hex(result)}


def _evaluate(world: World, ledger: Ledger, call: Call) -> bytes:
    token = world.contracts.get(call.contract_id)
    if token is None:
        raise CallFailed(f'Unchecked(NoSuchContract("{call.contract_id}"))')
    if call.function in _PUBLIC:
        raise CallFailed("NotReadOnly")
    if call.function not in _ARGUMENTS:
        raise CallFailed(f'Unchecked(UndefinedFunction("{call.function}"))')
    wanted, given = _ARGUMENTS[call.function], len(call.arguments)
    if wanted != given:
        raise CallFailed(f"Unchecked(IncorrectArgumentCount({wanted}, {given}))")
    match call.function:
        case "get-balance":
            return _balance(ledger, token, _owner(call.arguments[0]))
        case "get-decimals":
            return clarity.ok(clarity.uint(token.decimals))
        case _:
            # A subnet's supply is that of the token it stands on.
            supply = ledger.supply(token.base or token.contract_id)
            return clarity.ok(clarity.uint(supply))


def _owner(argument: bytes) -> Principal:
    try:
        return clarity.decode_principal(argument)
    except clarity.BadClarity as error:
        raise CallFailed("Unchecked(TypeValueError(PrincipalType))") from error


def _balance(ledger: Ledger, token: Token, owner: Principal) -> bytes:
    holding = ledger.holding(owner.text, token.contract_id)
    try:
        amount = clarity.uint(holding.balance)
    except clarity.BadClarity as error:
        raise CallFailed("Runtime(ArithmeticUnderflow, None)") from error
    return amount if token.bare else clarity.ok(amount)
