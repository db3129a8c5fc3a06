"""Answers that no upstream should give: drawn from valid ones by a seeded generator."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random
from typing import Any

from tests.support.foreign import ALFA, FOREIGN, dumps, garbled, mutated, replaced

MIB = 1_048_576
Header = tuple[str, str]


class Kind(Enum):
    """How sure it is what an answer is worth."""

    GOOD = auto()
    ODD = auto()
    # Nothing can be read from it, whatever reads it.
    DEAD = auto()


class End(Enum):
    """What happens to the connection behind an answer."""

    KEEP = auto()
    STALL = auto()
    CUT = auto()


@dataclass(frozen=True)
class Hostile:
    """An answer in its parts. ``pieces`` are how many writes the body takes."""

    status: int = 200
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    raw: bytes | None = None
    pieces: int = 1
    pause_s: float = 0.0
    end: End = End.KEEP
    kind: Kind = Kind.ODD

    def head(self) -> bytes:
        """Return status line and headers as they go over the wire."""
        named = {name.lower() for name, _ in self.headers}
        length: list[Header] = []
        if not named & {"content-length", "transfer-encoding"}:
            length.append(("Content-Length", str(len(self.body))))
        lines = [f"{name}: {value}" for name, value in (*self.headers, *length)]
        head = "\r\n".join([f"HTTP/1.1 {self.status} Whatever", *lines, "", ""])
        return head.encode("latin-1", errors="replace")


# What a path asks for; the longest that fits counts.
_VALID: dict[str, Any] = {
    "/api/prices": FOREIGN["kraxel"].valid,
    "/tokens": FOREIGN["stxtools"].valid,
    "/api/v1/prices": FOREIGN["internal"].valid,
    "/api/v1/metadata": FOREIGN["charisma"].valid,
    "/metadata/v1/ft": FOREIGN["hiro tokens"].valid,
    "/extended/v1/address/": FOREIGN["account v1"].valid,
    "/extended/v2/addresses/": FOREIGN["account v2"].valid,
    "/extended/v3/principals/": replaced(
        FOREIGN["account v3"].valid, ("cursor", "next"), None
    ),
    "/v2/contracts/call-read/": FOREIGN["call"].valid,
}
_STX = FOREIGN["stx"].valid


def valid_body(path: str) -> Any:
    """Return the tree of the answer that is right for a path."""
    if path.endswith("/balances/stx"):
        return _STX
    fits = [start for start in _VALID if path.startswith(start)]
    return _VALID[max(fits, key=len)] if fits else {"error": "Not Found"}


def good(path: str) -> Hostile:
    """Return the right answer."""
    headers = (("Content-Type", "application/json"),)
    return Hostile(200, headers, dumps(valid_body(path)), kind=Kind.GOOD)


def _twice(body: bytes) -> bytes:
    return gzip.compress(gzip.compress(body))


# Made once: each stands for far more than it weighs.
_BOMB = gzip.compress(bytes(64 * MIB))
_NESTED = gzip.compress(gzip.compress(bytes(256 * MIB)))
_EMPTY_BLOCKS = zlib.compress(b"")[:2] + b"\x00\x00\x00\xff\xff" * 400_000


def dead(random: Random, path: str) -> Hostile:
    """Return an answer of which nothing can be read."""
    body = dumps(valid_body(path))
    answers: list[Hostile] = [
        Hostile(503, body=b"<html>"),
        Hostile(500, body=body, end=End.CUT),
        Hostile(404, body=b"{}"),
        Hostile(301, (("Location", "http://127.0.0.1:1/elsewhere"),)),
        Hostile(200, body=b"<html>no</html>"),
        Hostile(200, body=body[: len(body) // 2]),
        Hostile(raw=b"", end=End.CUT),
        Hostile(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", end=End.CUT),
        Hostile(raw=b"", end=End.STALL),
        Hostile(200, (("Content-Encoding", "gzip, gzip"),), _twice(body)),
        Hostile(200, (("Content-Encoding", "gzip"),), _BOMB),
        Hostile(200, (("Content-Encoding", "br"),), body),
    ]
    return replace(random.choice(answers), kind=Kind.DEAD)


def odd(random: Random, path: str, *, heavy: bool = True) -> Hostile:
    """Return the right answer, spoilt in one to three ways.

    Without ``heavy`` none that takes long to read.
    """
    answer = replace(good(path), kind=Kind.ODD)
    ways = (*_WAYS, _bomb, _large) if heavy else _WAYS
    for _ in range(random.choice([1, 1, 2, 3])):
        answer = random.choice(ways)(answer, random, path)
    return answer


def _tree(answer: Hostile, random: Random, path: str) -> Hostile:
    return replace(answer, body=dumps(mutated(valid_body(path), random)))


def _bytes(answer: Hostile, random: Random, _: str) -> Hostile:
    return replace(answer, body=garbled(answer.body, random))


def _another(answer: Hostile, random: Random, _: str) -> Hostile:
    return replace(answer, body=dumps(random.choice(list(_VALID.values()))))


_STATUSES = (
    *(200, 201, 203, 204, 206, 299, 300, 301, 302, 304, 307, 308),
    *(400, 401, 403, 404, 405, 408, 410, 418, 422, 425, 429, 451),
    *(500, 501, 502, 503, 504, 511, 520, 599, 600, 999),
)


def _status(answer: Hostile, random: Random, _: str) -> Hostile:
    return replace(answer, status=random.choice(_STATUSES))


_VALUES = (
    "",
    "0",
    "1",
    "2",
    "900",
    "-1",
    "1e9",
    "NaN",
    "999999999999",
    "9" * 400,
    "1, 900",
    "100;w=1, 10;w=60",
    "soon",
    "Mon, 1 Jan 99999999999999999999 00:00:00 GMT",
    "Thu, 01 Jan 2026 00:00:00 +9999999999999",
    "Tue, 14 Nov 2023 22:13:20 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    '"a-tag"',
    'W/"\xe4"',
    "\xff\xfe",
    "x" * 8_000,
    "http://127.0.0.1:99999999/",
    "//[",
    "http://%ff:%ff@127.0.0.1/",
    "text/html; charset=utf-7",
)
_NARROW = frozenset({"0", "1", "2", "900", "1, 900", "100;w=1, 10;w=60"})
_NAMES = (
    "Date",
    "Age",
    "ETag",
    "Location",
    "Content-Type",
    "Cache-Control",
    "Warning",
    "Set-Cookie",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-RateLimit-Limit",
    "X-RateLimit-Cost-Stacks",
    "X-RateLimit-Limit-Stacks-Second",
    "X-RateLimit-Limit-Stacks-Minute",
    "X-RateLimit-Remaining-Stacks-Minute",
    "X-RateLimit-Limit-Stacks-Month",
    "X-RateLimit-Remaining-Stacks-Month",
)
# A wait that can be read would keep the host out of a short run: the long ones are not.
_WAITS = ("0", "1", "2", "-5", "1.5", "Tue, 14 Nov 2023 22:13:20 GMT")


def _header(random: Random) -> Header:
    name, value = random.choice(_NAMES), random.choice(_VALUES)
    if "RateLimit" in name and value in _NARROW and random.random() < 0.9:
        # Each narrow limit holds its host up for a minute, and the run with it.
        value = "9000"
    return name, value


def _headers(answer: Hostile, random: Random, _: str) -> Hostile:
    more = [_header(random) for _ in range(random.randint(1, 6))]
    if random.random() < 0.1:
        more = [("Set-Cookie", f"c{at}=v; Path=/") for at in range(60)]
    if random.random() < 0.02:
        more = [(f"X-{at}", "y" * 200) for at in range(150)]
    return replace(answer, headers=(*answer.headers, *more))


def _limited(answer: Hostile, random: Random, _: str) -> Hostile:
    wait = ("Retry-After", random.choice(_WAITS))
    return replace(answer, status=429, headers=(*answer.headers, wait))


_CODINGS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("GZIP ", gzip.compress),
    ("identity, gzip", gzip.compress),
    ("gzip, gzip", _twice),
    ("gzip, gzip", lambda _: _NESTED),
    ("gzip", lambda body: gzip.compress(body)[:-5]),
    ("gzip", lambda body: gzip.compress(body) + body),
    ("gzip", bytes),
    ("deflate", lambda body: body[::-1]),
    ("br", bytes),
    ("zstd, gzip", gzip.compress),
    ("\xff", bytes),
)


def _coded(answer: Hostile, random: Random, _: str) -> Hostile:
    name, encode = random.choice(_CODINGS)
    coding = ("Content-Encoding", name)
    body = encode(answer.body)
    return replace(answer, headers=(*answer.headers, coding), body=body)


def _bomb(answer: Hostile, random: Random, _: str) -> Hostile:
    name, body = random.choice([("gzip", _BOMB), ("deflate", _EMPTY_BLOCKS)])
    coding = ("Content-Encoding", name)
    return replace(answer, headers=(*answer.headers, coding), body=body)


def _large(answer: Hostile, random: Random, _: str) -> Hostile:
    body = random.choice(
        [
            b"[" + b"1.5," * 499_000 + b"1]",
            b"[" + b"{}," * 240_000 + b"{}]",
            b"{" + b",".join(b'"k%d":1.5' % at for at in range(240_000)) + b"}",
            b'["' + "\U0001f600".encode() + b"a" * (3 * MIB) + b'"]',
            b"[" * 400_000,
            b"[" + b"1" * (3 * MIB) + b"]",
            b" " * (20 * MIB),
        ]
    )
    return replace(answer, body=body)


def _framed(answer: Hostile, random: Random, _: str) -> Hostile:
    """Spoil how the body is delimited; nothing can follow on such a connection."""
    more, body = random.choice(
        [
            (("Content-Length", str(len(answer.body) + 9)), answer.body),
            (("Content-Length", str(max(0, len(answer.body) - 9))), answer.body),
            (("Content-Length", "-1"), answer.body),
            (("Content-Length", "9" * 30), answer.body),
            (("Transfer-Encoding", "chunked"), answer.body),
            (("Transfer-Encoding", "chunked"), b"5\r\nhello\r\n0\r\n\r\n"),
            (("Transfer-Encoding", "chunked"), b"fffffffffffffffff\r\nx"),
            (("Transfer-Encoding", "chunked"), b"1\r\n[\r\n" * 2_000),
            (("Transfer-Encoding", "gzip"), answer.body),
        ]
    )
    return replace(answer, headers=(*answer.headers, more), body=body, end=End.CUT)


def _unframed(answer: Hostile, random: Random, _: str) -> Hostile:
    raw = random.choice(
        [
            b"",
            b"\x00" * 100,
            random.randbytes(300),
            b"HTTP/9.9 200\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50_000,
            b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000,
            b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000 + answer.head() + answer.body,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + answer.body,
            answer.head() + answer.body[: len(answer.body) // 2],
        ]
    )
    return replace(answer, raw=raw, end=End.CUT)


def _slow(answer: Hostile, random: Random, _: str) -> Hostile:
    return replace(
        answer,
        pieces=random.choice([2, 5, 20]),
        pause_s=random.choice([0.01, 0.1, 0.4]),
        end=random.choice([End.KEEP, End.CUT, End.STALL]),
    )


def _deaf(answer: Hostile, random: Random, _: str) -> Hostile:
    raw = random.choice([b"", answer.head(), answer.head() + answer.body[:20]])
    return replace(answer, raw=raw, end=End.STALL)


_Way = Callable[[Hostile, Random, str], Hostile]
# By how often each is drawn: what is cheap to answer and to read comes more often.
_WAYS: tuple[_Way, ...] = (
    *(_tree,) * 12,
    *(_bytes,) * 5,
    *(_another,) * 2,
    *(_status,) * 4,
    *(_headers,) * 10,
    *(_limited,) * 1,
    *(_coded,) * 4,
    *(_framed,) * 3,
    *(_unframed,) * 2,
    *(_slow,) * 2,
    _deaf,
)


# ---- frames of the push socket


# A refusal ends a connection for an hour, and what could be tried on it.
_FRAMES = (*("block", "hint", "subscribed") * 1_000, "refused")


def push_frames(random: Random, user: str) -> list[bytes]:
    """Return the contents of some frames, half of them as they should be."""
    contents = []
    for _ in range(random.randint(1, 12)):
        valid = FOREIGN[random.choice(_FRAMES)].valid
        if random.random() < 0.5:
            contents.append(dumps(valid))
        elif random.random() < 0.5:
            contents.append(dumps(mutated(valid, random)))
        else:
            contents.append(garbled(dumps(valid), random))
    return [
        content.replace(ALFA.partition(".")[0].encode(), user.encode())
        for content in contents
    ]
