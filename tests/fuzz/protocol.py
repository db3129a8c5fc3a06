"""What any bytes of a client mean as WebSocket frames (RFC 6455), and what is due for them.

Made from the RFC, not from the edge: each stream has exactly one right outcome. Where
compression (RFC 7692) was agreed on, each message is by itself, and one that is cut off is
as long as it is.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.raw_ws import BINARY, CLOSE, PING, PONG, TEXT, masked

_CONTROL, _PACKED = 8, 0x40
_TRAILER = b"\x00\x00\xff\xff"
_OPCODES = (0, TEXT, BINARY, CLOSE, PING, PONG)
_MAX_CONTROL = 125
PROTOCOL_ERROR, NOT_UTF_8, TOO_BIG = 1002, 1007, 1009
# Codes that may stand in a close frame; above 2999 those of libraries and applications.
_CLOSE_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
# How often a compressed message may say that a block is its last one.
_MOST_ENDINGS = 8


class Message(NamedTuple):
    """A whole message, its fragments joined."""

    payload: bytes
    is_text: bool


class Ping(NamedTuple):
    """To be answered with the same payload."""

    payload: bytes


class Closes(NamedTuple):
    """The client takes its leave: the edge does too, with the same code.

    One that goes on sending after that (``is_last`` is false) may hear nothing of it.
    """

    is_last: bool = True
    code: int = 1000


class Breaks(NamedTuple):
    """Nothing after this is heard; the edge closes with the code."""

    code: int


class Cut(NamedTuple):
    """The stream ends within a frame, of which the bytes from ``at`` on are there."""

    at: int


Event = Message | Ping | Closes | Breaks | Cut


class _Frame(NamedTuple):
    first: int
    payload: bytes
    end: int

    @property
    def is_final(self) -> bool:
        return bool(self.first & 0x80)

    @property
    def opcode(self) -> int:
        return self.first & 0xF


@dataclass
class Reading:
    """A stream, read frame by frame; ``opened`` is the opcode of a message in fragments.

    ``packed``: messages may be compressed.
    """

    stream: bytes
    limit_bytes: int
    packed: bool = False
    opened: int | None = None
    parts: bytearray = field(default_factory=bytearray)
    is_packed: bool = False

    def events(self) -> Iterator[Event]:
        at = 0
        while at < len(self.stream):
            found = self._frame(at)
            if not isinstance(found, _Frame):
                yield found
                return
            event = self._event(found)
            if isinstance(event, Closes):
                event = Closes(found.end == len(self.stream), event.code)
            if event is not None:
                yield event
            if isinstance(event, Closes | Breaks):
                return
            at = found.end

    def _frame(self, at: int) -> "_Frame | Breaks | Cut":
        """Read one frame; what is wrong with a head is so before its payload is there."""
        head = self.stream[at : at + 14]
        if len(head) < 2:
            return Cut(at)
        if _is_forbidden(head) or not self._takes_bit(head) or self._is_misplaced(head):
            return Breaks(PROTOCOL_ERROR)
        start, size = _length(head)
        if len(head) < start:
            return Cut(at)
        shortest = 2 if size <= _MAX_CONTROL else 4 if size < 65_536 else 10
        if size >> 63 or start != shortest:
            return Breaks(PROTOCOL_ERROR)
        if head[0] & 0xF < _CONTROL and len(self.parts) + size > self.limit_bytes:
            return Breaks(TOO_BIG)
        return self._whole(at, at + start, size)

    def _whole(self, at: int, start: int, size: int) -> "_Frame | Cut":
        stream = self.stream
        mask, start = stream[start : start + 4], start + 4
        end = start + size
        if len(stream) < end:
            return Cut(at)
        return _Frame(stream[at], masked(stream[start:end], mask), end)

    def _event(self, found: _Frame) -> Event | None:
        match found.opcode:
            case opcode if opcode == PING:
                return Ping(found.payload)
            case opcode if opcode == PONG:
                return None
            case opcode if opcode == CLOSE:
                return _closing(found.payload)
            case _:
                return self._part(found)

    def _takes_bit(self, head: bytes) -> bool:
        """Tell whether the bit of compression may be as it is in a head."""
        return not head[0] & _PACKED or (
            self.packed and head[0] & 0xF in (TEXT, BINARY)
        )

    def _is_misplaced(self, head: bytes) -> bool:
        """Tell whether it is a part of nothing, or no part of what is open."""
        opcode = head[0] & 0xF
        return opcode < _CONTROL and (opcode == 0) is (self.opened is None)

    def _message(self, payload: bytes, opcode: int) -> Event:
        if self.is_packed:
            try:
                payload = self._inflated(payload + _TRAILER)
            except zlib.error:
                return Breaks(NOT_UTF_8)
            if len(payload) > self.limit_bytes:
                return Breaks(TOO_BIG)
        if opcode == TEXT and not _is_utf_8(payload):
            return Breaks(NOT_UTF_8)
        return Message(payload, opcode == TEXT)

    def _inflated(self, rest: bytes) -> bytes:
        """Return what a message says, as far as one byte more than it may."""
        most, said = self.limit_bytes + 1, b""
        for _ in range(_MOST_ENDINGS):
            # What ends with a last block is followed by a new beginning.
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            said += inflater.decompress(rest, most - len(said))
            rest = inflater.unused_data
            if not rest or len(said) == most:
                return said
        raise zlib.error("no end")

    def _part(self, found: _Frame) -> Event | None:
        if self.opened is None:
            self.opened = found.opcode
            self.is_packed = bool(found.first & _PACKED)
        self.parts += found.payload
        if not found.is_final:
            return None
        message = self._message(bytes(self.parts), self.opened)
        self.opened, self.parts = None, bytearray()
        return message


def _is_forbidden(head: bytes) -> bool:
    """Tell whether the first two bytes can begin no frame."""
    first, size = head[0], head[1] & 0x7F
    opcode = first & 0xF
    cut_control = opcode >= _CONTROL and (not first & 0x80 or size > _MAX_CONTROL)
    is_bare = not head[1] & 0x80
    return bool(first & 0x30) or opcode not in _OPCODES or cut_control or is_bare


def _length(head: bytes) -> tuple[int, int]:
    """Return where the mask of a frame begins, and the length of its payload."""
    size = head[1] & 0x7F
    if size <= _MAX_CONTROL:
        return 2, size
    start = 4 if size == 126 else 10
    return start, int.from_bytes(head[2:start], "big")


def read(stream: bytes, *, limit_bytes: int, packed: bool = False) -> list[Event]:
    """Return what a stream of frames means, to its end or to where it breaks."""
    return list(Reading(stream, limit_bytes, packed=packed).events())


def _closing(payload: bytes) -> Event:
    if not payload:
        return Closes()
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or code not in _CLOSE_CODES:
        return Breaks(PROTOCOL_ERROR)
    return Closes(code=code) if _is_utf_8(payload[2:]) else Breaks(NOT_UTF_8)


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
