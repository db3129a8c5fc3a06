"""What is due for one message of a client, whatever stands in it.

Made from the description of the protocol: a ``PONG`` has the very digits of its ``PING``. What changes meanwhile may come in between: an
update is never wrong here; whether it is true is what the bystanders look at.
"""

import json
from dataclasses import dataclass
from typing import Any, NoReturn

JsonObject = dict[str, Any]

BAD_FORMAT = "Invalid message format"
UNKNOWN_TYPE = "Unknown message type"
UPDATES = frozenset(
    {"PRICE_UPDATE", "PRICE_BATCH", "BALANCE_UPDATE", "BALANCE_BATCH", "REMOVED"}
)
UNASKED = UPDATES | {"SERVER_INFO", "HEARTBEAT"}
_FEATURES = ("ack", "seq", "resume", "heartbeat", "exact", "shutdown")
_NOTHING = object()
# An answer is no longer than this; a longer echo is refused.
_MAX_BYTES = 65_536
_USUAL_DIGITS = 18


Due = tuple[JsonObject, ...]  # the messages that must answer, each by what it must hold


@dataclass
class Speaker:
    """A client as far as its features go: what is due for what it says."""

    party: str
    features: frozenset[str] = frozenset()

    def due(self, message: bytes, *, is_text: bool) -> Due:
        """Return what must answer a message; a binary one is none."""
        said: Any = _parsed(message) if is_text else _NOTHING
        if said is _NOTHING or said is None:
            return self._error(BAD_FORMAT, "bad-format")
        kind = said.get("type") if isinstance(said, dict) else None
        match kind:
            case "SUBSCRIBE" | "UNSUBSCRIBE":
                return self._subscription(said, kind)
            case "HELLO":
                return self._hello(said.get("features", []))
            case "PING":
                return self._pong(said)
            case "MANUAL_UPDATE":
                return ()
            case _:
                return self._error(UNKNOWN_TYPE, "unknown-type")

    def _subscription(self, said: JsonObject, kind: str) -> Due:
        ids = said.get("contractIds" if self.party == "prices" else "userIds")
        if not (ids is None or isinstance(ids, list)):
            return self._error(BAD_FORMAT, "bad-format")
        resumes = kind == "SUBSCRIBE" and said.get("since") is not None
        if "ack" in self.features or (resumes and "resume" in self.features):
            return ({"type": f"{kind}D"},)
        return ()

    def _hello(self, asked: Any) -> Due:
        if not isinstance(asked, list):
            return self._error(BAD_FORMAT, "bad-format")
        granted = [each for each in _FEATURES if each in asked]
        due: Due = ({"type": "WELCOME", "features": granted},)
        self.features = frozenset(granted)
        return due

    def _pong(self, said: JsonObject) -> Due:
        pong: JsonObject = {"type": "PONG"}
        if "timestamp" in said:
            pong["timestamp"] = said["timestamp"]
            try:
                told_bytes = len(told({"type": "PONG", "timestamp": said["timestamp"]}))
            except RecursionError:
                return self._error(BAD_FORMAT, "bad-format")
            if told_bytes > _MAX_BYTES:
                return self._error(BAD_FORMAT, "bad-format")
        return (pong,)

    def _error(self, message: str, code: str) -> Due:
        error = {"type": "ERROR", "message": message}
        if "ack" in self.features:
            error["code"] = code
        return (error,)


def _parsed(message: bytes) -> Any:
    try:
        return parsed(message.decode())
    except (ValueError, RecursionError):
        return _NOTHING


class Digits(str):
    """A number as it was written, where nothing else says the same."""

    __slots__ = ()


def parsed(text: str) -> Any:
    """Return JSON as values; raise ``ValueError`` for what is none."""
    return json.loads(
        text, parse_constant=_no_constant, parse_int=_integer, parse_float=Digits
    )


def _integer(text: str) -> int | Digits:
    """Return a number that is usual as such: messages are counted by them."""
    return int(text) if text.isdigit() and len(text) < _USUAL_DIGITS else Digits(text)


def told(value: Any) -> str:
    """Return values as the shortest JSON, escaped."""
    match value:
        case Digits():
            return str(value)
        case list():
            return f"[{','.join(map(told, value))}]"
        case dict():
            pairs = (f"{json.dumps(name)}:{told(each)}" for name, each in value.items())
            return f"{{{','.join(pairs)}}}"
        case _:
            return json.dumps(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def fits(heard: JsonObject, due: JsonObject) -> bool:
    """Tell whether a message is the one that is due."""
    if due["type"] == "ERROR":
        said = heard.get("message")
        starts = isinstance(said, str) and said.startswith(due["message"])
        same = heard.get("code") == due.get("code")
        return heard.get("type") == "ERROR" and starts and same
    if due["type"] == "PONG" and "timestamp" not in due:
        return heard.get("type") == "PONG" and "timestamp" not in heard
    return all(name in heard and heard[name] == value for name, value in due.items())
