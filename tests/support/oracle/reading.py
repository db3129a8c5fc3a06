"""What an observation must be: every field, its type and its grammar.

Written from the models by hand. A model here is a list of fields in the order in which
they are looked at; the first that does not fit is the one that a reject names. Fields
that no model knows come last, in the order of the text.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.support.oracle.text import is_contract_id, is_user_id

MAX_INT = 2**53 - 1
MAX_DEPTH = 200
MAX_DIGITS = 4_300

# Returns the path of what is wrong within a value ("" for the value itself), or nothing.
Check = Callable[[Any], str | None]


class Unfit(Exception):
    """A value is no observation; ``field`` is the first that does not fit."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field[:200]


class Field(NamedTuple):
    """One field of a model; without a default it must be there."""

    name: str
    check: Check
    required: bool = True
    default: Any = None


def matches(pattern: str, longest: int = MAX_INT) -> Check:
    """Accept texts that match as a whole."""
    compiled = re.compile(pattern)

    def check(value: Any) -> str | None:
        fits = isinstance(value, str) and len(value) <= longest
        return None if fits and compiled.fullmatch(value) else ""

    return check


def passes(test: Callable[[str], bool]) -> Check:
    """Accept texts of at most 128 characters that pass a test."""
    return lambda value: (
        None if isinstance(value, str) and len(value) <= 128 and test(value) else ""
    )


def between(least: int, most: int) -> Check:
    """Accept integers of a range; ``true`` and ``1.0`` are none."""
    return lambda value: None if type(value) is int and least <= value <= most else ""


def maybe(check: Check) -> Check:
    """Accept ``null`` too."""
    return lambda value: None if value is None else check(value)


def boolean(value: Any) -> str | None:
    """Accept ``true`` and ``false``."""
    return None if isinstance(value, bool) else ""


def every(check: Check) -> Check:
    """Accept arrays of which each element passes."""

    def check_all(value: Any) -> str | None:
        if not isinstance(value, list):
            return ""
        for index, element in enumerate(value):
            problem = check(element)
            if problem is not None:
                return join(str(index), problem)
        return None

    return check_all


def closed(fields: Sequence[Field]) -> Check:
    """Accept objects with these fields and no other."""

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return ""
        for field in fields:
            problem = check_field(field, value)
            if problem is not None:
                return join(field.name, problem)
        known = {field.name for field in fields}
        return next((name for name in value if name not in known), None)

    return check


def check_field(field: Field, value: Mapping[str, Any]) -> str | None:
    if field.name not in value:
        return "" if field.required else None
    return field.check(value[field.name])


def join(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if inner else outer


COUNT = between(0, MAX_INT)
TEXT = matches(r"(?s:.*)", 8_192)
SOURCE = matches(r"[a-z0-9][a-z0-9._-]{0,63}")
RATIO = matches(r"-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,18})?", 40)
AMOUNT = matches(r"0|[1-9][0-9]{0,38}")
SAID = matches(r"0|-?[1-9][0-9]{0,38}")
PRICE = matches(
    r"0\.0{0,17}[1-9](?:[0-9]{0,35}[1-9])?|[1-9][0-9]{0,19}(?:\.[0-9]{0,36}[1-9])?", 39
)
SHA256 = matches(r"[0-9a-f]{64}")
CONTRACT, USER = passes(is_contract_id), passes(is_user_id)


def optional(name: str, check: Check) -> Field:
    """A field that may be ``null``, which is the same as not being there."""
    return Field(name, maybe(check), required=False)


def schema(name: str) -> Field:
    """The name of the kind; a topic of one kind takes it as said when it is absent."""
    return Field("schema", matches(re.escape(name)), required=False, default=name)


SEQUENCE = Field("sequence", COUNT, required=False, default=0)
MOMENT = (Field("observedAt", COUNT), SEQUENCE)

MARKET = tuple(
    optional(name, RATIO) for name in ("change1h", "change24h", "change7d", "marketCap")
)
PRICE_OBSERVED = (
    schema("price.observed/1"),
    Field("contractId", CONTRACT),
    Field("source", SOURCE),
    Field("usd", PRICE),
    *MOMENT,
    optional("sourceTime", COUNT),
    optional("market", closed(MARKET)),
)
HOLDING = (
    Field("contractId", CONTRACT),
    optional("asset", TEXT),
    Field("balance", SAID),
    optional("totalSent", SAID),
    optional("totalReceived", SAID),
)
ACCOUNT_READ = (
    schema("account.read/1"),
    Field("userId", USER),
    Field("source", SOURCE),
    *MOMENT,
    Field("holdings", every(closed(HOLDING))),
    Field("others", every(closed(HOLDING)), required=False, default=[]),
)
ACCOUNT_CONFIRMED = (
    schema("account.confirmed/1"),
    Field("userId", USER),
    Field("source", SOURCE),
    *MOMENT,
    Field("reading", SHA256),
)
SUBNET_READ = (
    schema("subnet.read/1"),
    Field("userId", USER),
    Field("subnetId", CONTRACT),
    Field("baseId", CONTRACT),
    Field("source", SOURCE),
    *MOMENT,
    Field("balance", SAID),
)
USER_FORGOTTEN = (schema("user.forgotten/1"), Field("userId", USER), *MOMENT)
TOKEN_FIELDS = (
    optional("name", TEXT),
    optional("symbol", TEXT),
    optional("decimals", between(0, 38)),
    optional("type", TEXT),
    optional("identifier", TEXT),
    optional("description", TEXT),
    optional("image", TEXT),
    optional("tokenUri", TEXT),
    optional("totalSupply", AMOUNT),
    optional("base", CONTRACT),
    optional("tokenAContract", TEXT),
    optional("tokenBContract", TEXT),
    optional("lpRebatePercent", RATIO),
    optional("externalPoolId", TEXT),
    optional("engineContractId", TEXT),
    optional("verified", boolean),
    optional("lastUpdated", COUNT),
)
TOKEN_OBSERVED = (
    schema("token.observed/1"),
    Field("contractId", CONTRACT),
    Field("source", SOURCE),
    *MOMENT,
    Field("fields", closed(TOKEN_FIELDS)),
)
BALANCES = {
    model[0].default: model
    for model in (ACCOUNT_READ, ACCOUNT_CONFIRMED, SUBNET_READ, USER_FORGOTTEN)
}


def read(topic: str, value: bytes | None) -> dict[str, Any]:
    """Return an observation with every field of its model; raise ``Unfit``."""
    parsed = parse(value)
    if topic == "balances.raw":
        return read_balance(parsed)
    model = PRICE_OBSERVED if topic == "prices.raw" else TOKEN_OBSERVED
    problem = closed(model)(parsed)
    if problem is not None:
        raise Unfit(problem)
    seen = filled(model, parsed)
    if topic == "tokens.raw":
        seen["fields"] = filled(TOKEN_FIELDS, seen["fields"])
        # The one field that is left out where there is nothing.
        if seen["fields"]["lastUpdated"] is None:
            del seen["fields"]["lastUpdated"]
    elif seen["market"] is not None:
        seen["market"] = filled(MARKET, seen["market"])
    return seen


def read_balance(parsed: Any) -> dict[str, Any]:
    """Return an observation of ``balances.raw``, whose ``schema`` tells the model.

    The path of what does not fit begins with that name.
    """
    name = parsed.get("schema") if isinstance(parsed, dict) else None
    if not isinstance(name, str) or name not in BALANCES:
        raise Unfit("")
    problem = closed(BALANCES[name])(parsed)
    if problem is not None:
        raise Unfit(join(name, problem))
    seen = filled(BALANCES[name], parsed)
    if name == "account.read/1":
        seen["holdings"] = [filled(HOLDING, held) for held in seen["holdings"]]
        contracts = [held["contractId"] for held in seen["holdings"]]
        if len(set(contracts)) < len(contracts):
            raise Unfit(name)
    return seen


def filled(fields: Sequence[Field], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with a value for each of its fields."""
    return {field.name: value.get(field.name, field.default) for field in fields}


def parse(value: bytes | None) -> Any:
    """Return what a text says; raise ``Unfit`` if it is not JSON in UTF-8.

    A surrogate without its other half is no character. An integer of more than 4,300
    digits and anything nested more than 200 deep are refused like other nonsense.
    """
    try:
        text = (value or b"").decode()
        parsed = json.loads(text, parse_int=integer)
        # Only an escape can say half of a pair: UTF-8 has none.
        if "\\u" in text:
            canonical_again(parsed)
    except (ValueError, RecursionError) as error:
        raise Unfit("") from error
    # What opens less often cannot be deeper.
    if text.count("[") + text.count("{") > MAX_DEPTH and depth(text) > MAX_DEPTH:
        raise Unfit("")
    return parsed


def integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ValueError("too long")
    return int(digits)


def canonical_again(parsed: Any) -> None:
    """Raise ``ValueError`` where a string holds half of a pair of surrogates."""
    json.dumps(parsed, ensure_ascii=False).encode()


def depth(text: str) -> int:
    """Return how deep the arrays and objects of a JSON text are nested."""
    deepest = now = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        now += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
        deepest = max(deepest, now)
    return deepest
