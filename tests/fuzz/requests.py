"""HTTP requests, sound ones and spoilt ones, from a seed; with each the answers it may get."""

import random
from collections.abc import Callable
from typing import NamedTuple

from tests.support.serving import ANNE, CHA

_PATHS = ("/prices", "/balances", "/parties/prices/main", "/party/x", "/health/ready")
_BAD_VERBS = ("get", "BREW", "G@T", "GET\0", "", "PRI", "DELETE", "TRACE", "X" * 5_000)
_SPOILT_VALUES = ("", "\0", "\xff", "x" * 9_000, "1.000000000000.0.0", '"', "W/", "💥")
_NAMES = ("If-None-Match", "Last-Event-ID", "Accept", "Origin", "Accept-Encoding")


class Asked(NamedTuple):
    """Bytes of a request.

    ``statuses`` are those one of which must answer. ``may_wait``: it is not whole, and
    who waits for the rest is right too.
    """

    stream: bytes
    statuses: frozenset[int]
    may_wait: bool = False


_FINE = frozenset({200, 304})
_REFUSED = frozenset({400, 413, 414, 431})
_ANY = _FINE | _REFUSED | {204, 404, 405, 406, 415, 417, 426, 501, 505}


def asked(dice: random.Random) -> Asked:
    """Return one request."""
    return dice.choice(_KINDS)(dice)


def _head(line: str, *headers: str) -> bytes:
    return "\r\n".join((line, "Host: x", *headers, "", "")).encode()


def _get(dice: random.Random) -> str:
    return f"GET {dice.choice(_PATHS)} HTTP/1.1"


def _cut(dice: random.Random) -> Asked:
    whole = _head(_get(dice), "Accept: application/json")
    return Asked(whole[: dice.randrange(1, len(whole) - 1)], _ANY, may_wait=True)


def _verb(dice: random.Random) -> Asked:
    verb = dice.choice(_BAD_VERBS)
    return Asked(_head(f"{verb} /prices HTTP/1.1"), _REFUSED | {405, 501})


def _line(dice: random.Random) -> Asked:
    line = dice.choice(
        (
            "GET /prices",
            "GET /prices HTTP/9.9",
            "GET  /prices HTTP/1.1",
            "GET http://[x/prices HTTP/1.1",
            "GET /\0 HTTP/1.1",
            f"GET /{'x' * 70_000} HTTP/1.1",
            "GET * HTTP/1.1",
            "GET ../../etc/passwd HTTP/1.1",
            "GET /%zz?%=%&&&tokens HTTP/1.1",
            "GET /prices?tokens=%ff%00 HTTP/1.1",
            "HTTP/1.1 200 OK",
        )
    )
    return Asked(_head(line), _ANY, may_wait=True)


def _bomb(dice: random.Random) -> Asked:
    many = [f"X-{number}: y" for number in range(dice.choice((200, 5_000)))]
    header = dice.choice((["X: " + "y" * 100_000], many, ["X" * 20_000 + ": y"]))
    return Asked(_head(_get(dice), *header), _FINE | _REFUSED)


def _header(dice: random.Random) -> Asked:
    """Anything in a header that is looked at."""
    value = dice.choice(_SPOILT_VALUES)
    if dice.random() < 0.3:
        value = "".join(chr(dice.randrange(32, 127)) for _ in range(30))
    named = f"{dice.choice(_NAMES)}: {value}"
    return Asked(_head(f"{_get(dice)}", named, "Connection: close"), _FINE | _ANY)


def _query(dice: random.Random) -> Asked:
    ids = dice.choice(("", ",", ",,,", CHA, ANNE, "x" * 9_000, f"{CHA}," * 600, "%00"))
    name = dice.choice(("tokens", "users", "since", "TOKENS", "tokens[]"))
    path = dice.choice(_PATHS)
    return Asked(_head(f"GET {path}?{name}={ids} HTTP/1.1"), _FINE | _REFUSED | {404})


def _body(dice: random.Random) -> Asked:
    """A body where none is due, or one that is not as long as it says."""
    headers, body = dice.choice(
        (
            (("Content-Length: 5",), b"12345"),
            (("Content-Length: -1",), b""),
            (("Content-Length: 5", "Content-Length: 6"), b"12345"),
            (("Content-Length: 99999999999999999999",), b"x"),
            (("Transfer-Encoding: chunked",), b"zz\r\n\r\n"),
            (("Transfer-Encoding: chunked",), b"5\r\n12345\r\n0\r\n\r\n"),
            (("Transfer-Encoding: chunked", "Content-Length: 3"), b"123"),
            (("Expect: 100-continue", "Content-Length: 1"), b""),
            (("Expect: x",), b""),
            (("Content-Encoding: gzip", "Content-Length: 3"), b"\x1f\x8b\x00"),
        )
    )
    verb = dice.choice(("GET", "POST", "HEAD", "OPTIONS"))
    head = _head(f"{verb} /prices HTTP/1.1", *headers)
    return Asked(head + body, _ANY | {100}, may_wait=True)


def _upgrade(dice: random.Random) -> Asked:
    """A handshake that lacks something."""
    headers = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    at = dice.randrange(4)
    name = headers[at].partition(":")[0]
    spoilt = dice.choice(([], [f"{name}: "], [f"{name}: 9"], [f"{name}: ="]))
    headers[at : at + 1] = spoilt
    return Asked(_head(_get(dice), *headers), _FINE | {400, 404, 426})


def _stream(dice: random.Random) -> Asked:
    """Events asked for, from a cursor that is none."""
    value = dice.choice(_SPOILT_VALUES)
    query = dice.choice(("", "?since=", "?since=x", "?since=2.000000000000.0.0.0"))
    path = dice.choice(("/prices", "/balances"))
    headers = ["Accept: text/event-stream"]
    if dice.random() < 0.7:
        headers.append(f"Last-Event-ID: {value}")
    return Asked(_head(f"GET {path}{query} HTTP/1.1", *headers), _FINE | _REFUSED)


def _noise(dice: random.Random) -> Asked:
    return Asked(dice.randbytes(dice.randint(1, 400)), _REFUSED, may_wait=True)


def _flipped(dice: random.Random) -> Asked:
    """A few bytes of a request changed: whether it is still one is not for us to say."""
    whole = bytearray(_head(f"{_get(dice)}", "Accept: */*", "Connection: close"))
    for _ in range(dice.randint(1, 3)):
        whole[dice.randrange(len(whole))] = dice.randrange(256)
    return Asked(bytes(whole), _ANY | {101}, may_wait=True)


_KINDS: list[Callable[[random.Random], Asked]] = [
    _cut,
    _verb,
    _line,
    _bomb,
    _header,
    _header,
    _query,
    _body,
    _upgrade,
    _stream,
    _noise,
    _flipped,
]
