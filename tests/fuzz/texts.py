"""Messages of clients, whole ones and spoilt ones, from a seed."""

import json
import random
from collections.abc import Callable
from typing import Any

from schemas.extras import FEATURES
from tests.support.serving import ANNE, BOB, CHA, WELSH

_IDS = [CHA, WELSH, ".stx", "stx", ANNE, BOB, f"{CHA}::charisma", "", "x", "SP.a", "💥"]
_CURSORS = [
    "",
    "1.000000000000.0.0",
    "1.000000000000.18c.ffffffffffffff",
    "2.000000000000.0.0",
    "2.000000000000.0.0.0",
    "2.000000000000.18c.ffffffffffffff.ffffffffffffffff",
    "2.000000000000.18c.1." + "f" * 17,
    "1.000000000000.0." + "-".join(["0"] * 1_024),
    "1." + "0" * 16_384,
    "\0",
    "💥" * 40,
    7,
    None,
    ["1"],
    {},
]
_STRANGE: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    2**64,
    -(2**200),
    0.1,
    "",
    "\0",
    "\ud800",
    "x" * 300,
    [],
    [[[]]],
    {},
    {"a": {"a": {}}},
    [None, 1, "x", {}],
]
_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "9" * 4_300,
    "9" * 4_301,
    "0." + "1" * 2_000,
    "01",
    "+1",
    "1.",
    ".5",
    "0x10",
    "1_000",
    "-0",
    "1e-99999",
]


def text(dice: random.Random) -> bytes:
    """Return a message that is more or less one."""
    message = _message(dice)
    spoil = dice.choice(_SPOILT)
    return spoil(message, dice)


def sound_text(dice: random.Random) -> bytes:
    """Return a message as clients in use send it."""
    return _encoded(_message(dice))


def _encoded(message: Any) -> bytes:
    return json.dumps(message).encode()


def _message(dice: random.Random) -> dict[str, Any]:
    ids = dice.choices(_IDS, k=dice.randint(0, 4))
    kind = dice.choice(("SUBSCRIBE", "UNSUBSCRIBE", "PING", "HELLO", "MANUAL_UPDATE"))
    message: dict[str, Any] = {"type": kind}
    match kind:
        case "SUBSCRIBE" | "UNSUBSCRIBE":
            message[dice.choice(("contractIds", "userIds"))] = ids
            if dice.random() < 0.3:
                message["since"] = dice.choice(_CURSORS)
            message["clientId"] = "c"
        case "PING":
            message["timestamp"] = dice.choice(_STRANGE)
        case "HELLO":
            message["features"] = dice.sample(FEATURES, dice.randint(0, 6))
        case _:
            pass
    return message


def _as_is(message: dict[str, Any], dice: random.Random) -> bytes:
    return _encoded(message)


def _cut(message: dict[str, Any], dice: random.Random) -> bytes:
    whole = _encoded(message)
    return whole[: dice.randrange(len(whole))]


def _byte(message: dict[str, Any], dice: random.Random) -> bytes:
    """Change, insert or drop a few bytes: it may be no UTF-8 any more."""
    whole = bytearray(_encoded(message))
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(whole))
        match dice.randrange(3):
            case 0:
                whole[at] = dice.randrange(256)
            case 1:
                whole.insert(at, dice.choice(b'\0\xff\xc3\x80"\\{}[],:\r\n '))
            case _:
                del whole[at : at + dice.randint(1, 4)]
    return bytes(whole)


def _field(message: dict[str, Any], dice: random.Random) -> bytes:
    """Put anything where a field stands."""
    name = dice.choice([*message, "type", "timestamp", "contractIds", "userIds"])
    return _encoded({**message, name: dice.choice(_STRANGE)})


def _number(message: dict[str, Any], dice: random.Random) -> bytes:
    name = dice.choice(("timestamp", "contractIds", "userIds", "features", "type"))
    number = dice.choice(_NUMBERS)
    if dice.random() < 0.5:
        number = f"[{number}]"
    rest = _encoded(message)[1:].decode()
    return f'{{"{name}":{number},{rest}'.encode()


def _deep(message: dict[str, Any], dice: random.Random) -> bytes:
    depth = dice.choice((10, 300, 900, 5_000, 30_000))
    opened, closed = dice.choice((("[", "]"), ('{"a":', "}")))
    inside = opened * depth + "1" + (closed * depth if dice.random() < 0.7 else "")
    name = dice.choice(("timestamp", "contractIds", "userIds", "features", "x"))
    return f'{{"type":"{message["type"]}","{name}":{inside}}}'.encode()


def _twice(message: dict[str, Any], dice: random.Random) -> bytes:
    """Name fields twice: the last counts."""
    other = _encoded(_message(dice))[1:-1]
    return b"{" + _encoded(message)[1:-1] + b"," + other + b"}"


def _surrogate(message: dict[str, Any], dice: random.Random) -> bytes:
    lone = dice.choice(("\\ud800", "\\udfff", "\\udc00\\ud800", "\\u0000"))
    name = dice.choice(("type", "timestamp", "contractIds", "userIds", "since"))
    value = f'["{lone}"]' if dice.random() < 0.5 else f'"{lone}"'
    rest = _encoded(message)[:-1].decode()
    return f'{rest},"{name}":{value}}}'.encode()


def _wide(message: dict[str, Any], dice: random.Random) -> bytes:
    """Name very many ids, or few very long ones; not all fit into a message."""
    count, size = dice.choice(((5_000, 3), (20_000, 1), (3, 20_000), (1, 70_000)))
    ids = [f"{dice.randrange(10**6)}".ljust(size, "y") for _ in range(count)]
    name = dice.choice(("contractIds", "userIds", "features"))
    return json.dumps({**message, name: ids}, separators=(",", ":")).encode()[:70_000]


def _no_object(message: dict[str, Any], dice: random.Random) -> bytes:
    return dice.choice(
        (
            b"",
            b"null",
            b" ",
            b"7",
            b"[]",
            b"{}",
            b'"PING"',
            b"\xef\xbb\xbf" + _encoded(message),
            _encoded([message]),
            _encoded(message) + _encoded(message),
            _encoded(message) + b"\n",
            json.dumps(message).encode("utf-16"),
            bytes(dice.randrange(256) for _ in range(dice.randint(1, 40))),
        )
    )


def _kind(message: dict[str, Any], dice: random.Random) -> bytes:
    kind = dice.choice(("ping", "PING ", "WELCOME", "", "REFRESH_METADATA", "Ping\0"))
    return _encoded({**message, "type": kind})


_SPOILT: list[Callable[[dict[str, Any], random.Random], bytes]] = [
    _as_is,
    _cut,
    _byte,
    _byte,
    _field,
    _field,
    _number,
    _deep,
    _twice,
    _surrogate,
    _wide,
    _no_object,
    _kind,
]
