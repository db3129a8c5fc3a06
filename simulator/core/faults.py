"""What goes wrong on demand: plans of faults, and what a fault does to an answer."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase

UPSTREAMS = ("hiro", "kraxel", "stxtools", "invest", "tokens", "push")
CALL_READ = "/v2/contracts/call-read/"


class Kind(StrEnum):
    """The ways in which an upstream fails."""

    TOO_MANY = "429"
    ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    GONE = "410"
    TIMEOUT = "timeout"
    TRUNCATE = "truncate"
    WRONG_TYPE = "wrong-type"
    HTML = "html"
    OKAY_FALSE = "okay-false"
    LAGGING = "lagging"
    EMPTIED = "emptied"
    INFLATED = "inflated"
    SLOW = "slow"
    DISCONNECT = "disconnect"
    MUTE = "mute"
    DROP_SUBSCRIPTIONS = "drop-subscriptions"
    DELETE_SUBSCRIPTIONS = "delete-subscriptions"
    MALFORMED = "malformed"


# What a push socket suffers at its pings, and what at its notifications.
PING_KINDS = frozenset({Kind.DROP_SUBSCRIPTIONS, Kind.DELETE_SUBSCRIPTIONS})
NOTIFY_KINDS = frozenset({Kind.MUTE, Kind.MALFORMED, Kind.DISCONNECT})
CONNECT_KINDS = frozenset(
    {
        Kind.TOO_MANY,
        Kind.ERROR,
        Kind.BAD_GATEWAY,
        Kind.UNAVAILABLE,
        Kind.GONE,
        Kind.TIMEOUT,
        Kind.HTML,
        Kind.SLOW,
    }
)
HTTP_KINDS = CONNECT_KINDS | {
    Kind.TRUNCATE,
    Kind.WRONG_TYPE,
    Kind.OKAY_FALSE,
    Kind.DISCONNECT,
    Kind.MALFORMED,
    Kind.LAGGING,
    Kind.EMPTIED,
    Kind.INFLATED,
}
_LIE = 1_000_000
_PRICES = frozenset({"stx", "price_usd", "usdPrice", "marketPrice"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where it strikes, how, and how often (`None`: until it is lifted).

    The path is a glob over the path below the upstream's base URL. `retry_after` is
    sent as it stands, for the real one has been seen to be no number. A lagging node
    answers as it would have before the last `blocks`; one that is emptied as if nobody
    ever held anything; inflated prices are a million times too high.
    """

    upstream: str
    kind: Kind
    path: str = "*"
    count: int | None = None
    retry_after: str | None = None
    delay_s: float = 1.0
    blocks: int = 1

    def strikes(self, upstream: str, path: str) -> bool:
        """Whether the fault is meant for this request."""
        if self.upstream not in {upstream, "*"}:
            return False
        if self.kind is Kind.OKAY_FALSE and not path.startswith(CALL_READ):
            return False
        return fnmatchcase(path, self.path)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The faults in force, in the order in which they were armed."""

    armed: tuple[Fault, ...] = ()

    def decide(
        self, upstream: str, path: str, among: Collection[Kind]
    ) -> tuple[Fault | None, "FaultPlan"]:
        """Return the first fault that strikes, and the plan with that one used up."""
        for at, fault in enumerate(self.armed):
            if fault.kind in among and fault.strikes(upstream, path):
                return fault, FaultPlan(
                    self.armed[:at] + _used(fault) + self.armed[at + 1 :]
                )
        return None, self


def _used(fault: Fault) -> tuple[Fault, ...]:
    if fault.count is None:
        return (fault,)
    return (replace(fault, count=fault.count - 1),) if fault.count > 1 else ()


@dataclass(frozen=True, slots=True)
class FaultReply:
    """A whole answer that a fault gives in the place of the real one."""

    status: int
    body: str
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


_PAGE = "<!doctype html><html><head><title>{0}</title></head><body>{0}</body></html>"
_DISABLED = "This endpoint has been disabled. See the documentation for its successor."


def reply(fault: Fault) -> FaultReply | None:
    """Return the answer a fault gives; `None` if it spoils or delays the real one."""
    match fault.kind:
        case Kind.TOO_MANY:
            retry = (
                {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            )
            return FaultReply(
                429, _PAGE.format("Too many requests"), "text/html", retry
            )
        case Kind.BAD_GATEWAY:
            return FaultReply(502, _PAGE.format("502 Bad Gateway"), "text/html")
        case Kind.HTML:
            return FaultReply(200, _PAGE.format("Just a moment"), "text/html")
        case Kind.MALFORMED:
            return FaultReply(200, '{"stx": {"balance": NaN,,')
        case Kind.OKAY_FALSE:
            cause = "Runtime(UnwrapFailure, Some([]))"
            return FaultReply(200, json.dumps({"okay": False, "cause": cause}))
        case _:
            return _failure(fault)


def _failure(fault: Fault) -> FaultReply | None:
    match fault.kind:
        case Kind.ERROR:
            trouble = {
                "error": "connection terminated unexpectedly",
                "stack": "Error: connection terminated unexpectedly",
                "errorTag": "00000000-0000-4000-8000-000000000000",
            }
            return FaultReply(500, json.dumps(trouble))
        case Kind.UNAVAILABLE:
            return FaultReply(
                503, json.dumps({"error": "The database service is unavailable"})
            )
        case Kind.GONE:
            return FaultReply(410, json.dumps({"error": "Gone", "message": _DISABLED}))
        case _:
            return None


def wrong_types(body: object) -> object:
    """Return a body of the same fields with every leaf of another type."""
    match body:
        case dict():
            return {key: wrong_types(value) for key, value in body.items()}
        case list():
            return [wrong_types(value) for value in body]
        case str():
            return [len(body)]
        case None:
            return False
        case _:
            return {"value": str(body)}


def inflated(body: object) -> object:
    """Return a body of prices with each of them a million times too high."""
    match body:
        case dict():
            return {key: _inflated(key, value) for key, value in body.items()}
        case list():
            return [inflated(value) for value in body]
        case _:
            return body


def _inflated(key: str, value: object) -> object:
    # A map by contract has prices under contract ids, which alone have a dot.
    if isinstance(value, float) and (key in _PRICES or "." in key):
        return value * _LIE
    return inflated(value)
