"""Plays one case against a running edge; tells what was wrong with what came of it."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.fuzz import requests, streams
from tests.fuzz.answers import UNASKED, JsonObject, Speaker, fits, parsed
from tests.fuzz.protocol import Breaks, Closes, Cut, Event, Message, Ping, read
from tests.support.raw_ws import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Heard,
    RawSocket,
    frame,
    open_raw,
)

LIMIT_BYTES = 65_536
_MARK = b"so far"
_SHOWN = 400
KINDS = {"texts": 5, "frames": 3, "packed": 2, "request": 2}
_STREAMS = {"texts": streams.texts, "frames": streams.frames, "packed": streams.packed}
# Of one request, or of what is said on one connection.
_PARTS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """What one seed and number stand for; ``units`` are its frames or requests."""

    number: int
    kind: str
    party: str
    parts: tuple[bytes, ...]
    asked: requests.Asked | None = None

    @property
    def units(self) -> int:
        return len(self.parts)

    @property
    def stream(self) -> bytes:
        return b"".join(self.parts)

    @property
    def is_packed(self) -> bool:
        return self.kind == "packed"

    @property
    def events(self) -> list[Event]:
        """What its stream means."""
        return read(self.stream, limit_bytes=LIMIT_BYTES, packed=self.is_packed)


def case(seed: int, number: int) -> Case:
    """Return a case, always the same."""
    dice = random.Random(f"{seed}:{number}")
    (kind,) = dice.choices(list(KINDS), list(KINDS.values()))
    party = dice.choice(("prices", "balances"))
    if kind == "request":
        asked = requests.asked(dice)
        return Case(number, kind, party, (asked.stream,), asked)
    return Case(number, kind, party, tuple(_STREAMS[kind](dice)))


async def play(played: Case, port: int, *, seed: int, limit_s: float) -> str | None:
    """Play a case; return what was wrong, ``None`` if nothing was."""
    dice = random.Random(f"{seed}:{played.number}:pace")
    talk = _request if played.asked else _converse
    try:
        async with asyncio.timeout(limit_s):
            return await talk(played, port, dice)
    except TimeoutError:
        return f"not answered within {limit_s} s"
    except ConnectionError as error:
        return f"{type(error).__name__}: {error}"


# ---- WebSocket


async def _converse(played: Case, port: int, dice: random.Random) -> str | None:
    connection = await open_raw(port, f"/{played.party}", packed=played.is_packed)
    try:
        heard = await _said_to(connection, played, dice)
    finally:
        connection.transport.abort()
    if connection.broken:
        return f"a broken frame came: {connection.broken}"
    return judged(played.events, heard, played.party)


async def _said_to(
    connection: RawSocket, played: Case, dice: random.Random
) -> list[Heard]:
    """Say all of it; return all that was heard, to the end of the connection."""
    events, stream = played.events, played.stream
    end = events[-1] if events else None
    if isinstance(end, Closes | Breaks):
        await _send(connection, stream, dice)
        return await _until(connection, None)
    whole = stream[: end.at] if isinstance(end, Cut) else stream
    await _send(connection, whole + frame(PING, _MARK), dice)
    heard = await _until(connection, Heard(PONG, _MARK))
    if isinstance(end, Cut):
        connection.send(stream[end.at :])
        connection.transport.write_eof()
    else:
        connection.send(frame(CLOSE, b""))
    return heard + await _until(connection, None)


async def _send(connection: RawSocket, stream: bytes, dice: random.Random) -> None:
    """Send a stream in some pieces, wherever they end."""
    cuts = sorted(
        dice.randrange(len(stream) + 1) for _ in range(dice.randrange(_PARTS))
    )
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        connection.send(stream[start:end])
        await asyncio.sleep(0)


async def _until(connection: RawSocket, mark: Heard | None) -> list[Heard]:
    heard = []
    while (found := await connection.next()) is not None:
        heard.append(found)
        if found == mark:
            break
    return heard


def judged(events: Sequence[Event], heard: Sequence[Heard], party: str) -> str | None:
    """Return what is wrong with what was heard from handshake to end."""
    end = (
        events[-1] if events and isinstance(events[-1], Breaks | Closes | Cut) else None
    )
    wanted = list(_wanted(events, party))
    if not isinstance(end, Breaks | Closes):
        wanted.append(Heard(PONG, _MARK))
    if isinstance(end, Breaks):
        wanted.append(_closed(end.code))
    elif not isinstance(end, Cut):
        wanted.append(_closed(end.code if end else 1_000))
    try:
        found = list(_answers(heard))
    except ValueError as error:
        return f"{error}"
    if isinstance(end, Closes) and not end.is_last:
        wanted = wanted[: len(found)]
    for number, want in enumerate(wanted):
        got = found[number] if number < len(found) else "nothing more"
        if not _is_due(got, want):
            return f"answer {number} is {_shown(got)}, due is {_shown(want)}"
    more = found[len(wanted) :]
    return f"nobody asked for {_shown(more[0])}" if more else _misnumbered(heard)


def _wanted(events: Sequence[Event], party: str) -> Iterator[JsonObject | Heard]:
    speaker = Speaker(party)
    for event in events:
        match event:
            case Message(payload, is_text):
                yield from speaker.due(payload, is_text=is_text)
            case Ping(payload):
                yield Heard(PONG, payload)
            case _:
                pass


def _closed(code: int) -> Heard:
    return Heard(CLOSE, code.to_bytes(2, "big"))


def _answers(heard: Sequence[Heard]) -> Iterator[JsonObject | Heard]:
    """Yield what answers; of what comes by itself only see that it can be read."""
    for each in heard:
        if each.opcode == TEXT:
            message = _message(each.payload)
            if message["type"] not in UNASKED:
                yield message
        elif each.opcode == CLOSE:
            yield Heard(CLOSE, each.payload[:2])
        else:
            yield each


def _message(payload: bytes) -> JsonObject:
    try:
        message: Any = parsed(payload.decode())
        named = isinstance(message, dict) and isinstance(message.get("type"), str)
    except ValueError:
        named, message = False, None
    if not named:
        raise ValueError(f"no message: {_shown(payload)}")
    found: JsonObject = message
    return found


def _is_due(got: JsonObject | Heard | str, want: JsonObject | Heard) -> bool:
    if isinstance(want, Heard):
        return got == want
    return isinstance(got, dict) and fits(got, want)


def _misnumbered(heard: Sequence[Heard]) -> str | None:
    texts = [_message(each.payload) for each in heard if each.opcode == TEXT]
    numbers = [each["seq"] for each in texts if "seq" in each]
    if numbers == list(range(1, len(numbers) + 1)):
        return None
    return f"numbered {_shown(numbers)}"


def _shown(found: object) -> str:
    return f"{found!r}"[:_SHOWN]


# ---- HTTP


async def _request(played: Case, port: int, dice: random.Random) -> str | None:
    asked = played.asked
    assert asked is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    try:
        writer.write(asked.stream)
        if asked.may_wait:
            return await _whatever(reader, writer)
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        return f"closed without an answer: {error.partial!r}"
    finally:
        writer.transport.abort()
    return _wrong_status(head, asked)


async def _whatever(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str | None:
    """Leave in the middle: any answer, or none, but the connection must end."""
    answer = b""
    with suppress(ConnectionError):
        writer.write_eof()
        answer = await reader.read(65_536)
        while await reader.read(65_536):
            pass
    failed = answer.startswith(b"HTTP/1.1 500")
    return f"answered with {_shown(answer)}" if failed else None


def _wrong_status(head: bytes, asked: requests.Asked) -> str | None:
    words = head.split(None, 2)
    if len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit():
        status = int(words[1])
        if status in asked.statuses:
            return None
        return f"status {status}, due is one of {sorted(asked.statuses)}"
    return f"no HTTP: {_shown(head)}"
