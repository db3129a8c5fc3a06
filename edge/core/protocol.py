"""The server's side of a WebSocket (RFC 6455) once the handshake is done; sans-I/O.

Bytes go in with ``feed``; events come out of ``next``, one at a time, so that nothing is
looked at before its turn has come.

======== ============================== ======================================== =======
state    what comes                     event                                    then
======== ============================== ======================================== =======
OPEN     the last frame of a message    ``Message``                              OPEN
OPEN     a short part of a message      ``Fragment``                             OPEN
OPEN     a longer part of a message     none                                     OPEN
OPEN     ping, pong                     ``Ping``, ``Pong``                       OPEN
OPEN     close                          ``Close``                                DONE
OPEN     what a client must not send    ``Broken``, with the code to close with  DONE
CLOSING  close                          ``Close``                                DONE
CLOSING  any other frame                none                                     CLOSING
CLOSING  what a client must not send,   ``Broken``                               DONE
         or too many frames
DONE     anything                       none                                     DONE
======== ============================== ======================================== =======

The state is CLOSING after ``expect_close``: we have sent a close frame and wait for the
client's. Messages may be compressed (RFC 7692) where that was agreed on, each by itself.
"""

import base64
import binascii
import hashlib
from enum import Enum, auto
from typing import NamedTuple, TypeAlias

from edge.core.deflated import inflated

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_CONTINUATION, _FIRST_CONTROL = 0, 8
_OPCODES = frozenset((_CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_FINAL, _COMPRESSED, _RESERVED, _MASKED = 0x80, 0x40, 0x30, 0x80
_MASK_BYTES, _MAX_CONTROL_BYTES = 4, 125
_LEN16_BYTES, _MAX_LEN16 = 2, 0xFFFF
_NO_MASK = bytes(_MASK_BYTES)

NORMAL, PROTOCOL_ERROR, NOT_UTF_8, TOO_BIG = 1000, 1002, 1007, 1009
# The codes that may stand in a close frame: those of the RFC and its registry, and from
# 3000 on those of libraries and applications. 1004-1006 and 1015 are never sent.
_CLOSE_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
_CODE_BYTES = 2

# A part of a message costs us the same however little is in it, so shorter ones count.
SHORT_FRAGMENT_BYTES = 256
# What a client had under way when it was told of the close; more is a flood.
_MOST_FRAMES_WHILE_CLOSING = 1_000

VERSION = "13"
_KEY_BYTES = 16
_KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Message(NamedTuple):
    """A whole message; ``bytes`` came in binary frames."""

    data: str | bytes


class Fragment(NamedTuple):
    """A part of a message that is so short that it counts as a message."""


class Ping(NamedTuple):
    """To be answered with the same payload."""

    payload: bytes


class Pong(NamedTuple):
    """A sign of life."""


class Close(NamedTuple):
    """The client closes; ``reply`` is the code to answer with: its own, if it gave one."""

    reply: int


class Broken(NamedTuple):
    """The client broke the protocol; nothing after that is read. Close with ``code``."""

    code: int
    reason: str


Event: TypeAlias = Message | Fragment | Ping | Pong | Close | Broken


def accept_key(key: str) -> str | None:
    """Return what answers ``Sec-WebSocket-Key``; ``None`` for what is no key."""
    try:
        decoded = base64.b64decode(key.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(decoded) != _KEY_BYTES:
        return None
    digest = hashlib.sha1(key.strip().encode() + _KEY_SUFFIX, usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()


class _State(Enum):
    OPEN = auto()
    CLOSING = auto()
    DONE = auto()


class _Frame(NamedTuple):
    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def is_final(self) -> bool:
        return bool(self.first & _FINAL)


class _Violation(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Receiver:
    """What one client sends.

    A message, its parts together, has at most ``limit_bytes``, as sent and as inflated; 0
    is no limit. ``deflate``: messages may be compressed.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_deflate",
        "_frames_while_closing",
        "_limit_bytes",
        "_message",
        "_opened",
        "_state",
    )

    def __init__(self, *, limit_bytes: int, deflate: bool = False) -> None:
        self._limit_bytes, self._deflate = limit_bytes, deflate
        self._state = _State.OPEN
        # What was not looked at yet begins at ``_at``.
        self._buffer, self._at = bytearray(), 0
        # The first byte of a message in fragments, and its payload so far.
        self._opened: int | None = None
        self._message = bytearray()
        self._frames_while_closing = 0

    @property
    def buffered_bytes(self) -> int:
        """How much waits to be looked at."""
        return len(self._buffer) - self._at

    def feed(self, data: bytes) -> None:
        """Take in bytes as they come."""
        if self._state is not _State.DONE:
            self._buffer += data

    def expect_close(self) -> None:
        """Look for nothing but the client's close frame from now on: ours was sent."""
        if self._state is _State.OPEN:
            self._state = _State.CLOSING
            self._opened, self._message = None, bytearray()

    def next(self) -> Event | None:
        """Return what comes next; ``None`` until more was fed, or when nothing can come."""
        try:
            while self._state is not _State.DONE:
                frame = self._next_frame()
                if frame is None:
                    self._drop_seen()
                    return None
                event = self._take(frame)
                if event is not None:
                    return event
        except _Violation as wrong:
            self._end()
            return Broken(wrong.code, wrong.reason)
        return None

    # ---- frames

    def _next_frame(self) -> _Frame | None:
        """Return the next whole frame; a wrong head is refused before its payload comes."""
        buffer, at = self._buffer, self._at
        if len(buffer) < at + 2:
            return None
        first, second = buffer[at], buffer[at + 1]
        self._check_head(first, second)
        size, start = second & 0x7F, at + 2
        if size > _MAX_CONTROL_BYTES:
            end = start + (2 if size == _MAX_CONTROL_BYTES + 1 else 8)
            if len(buffer) < end:
                return None
            size = int.from_bytes(buffer[start:end])
            _check_length(size, written_bytes=end - start)
            start = end
        self._check_size(first & 0x0F, size)
        end = start + _MASK_BYTES + size
        if len(buffer) < end:
            return None
        self._at = end
        mask = bytes(buffer[start : start + _MASK_BYTES])
        return _Frame(first, _unmasked(bytes(buffer[start + _MASK_BYTES : end]), mask))

    def _check_head(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        if first & _RESERVED or opcode not in _OPCODES:
            raise _Violation(PROTOCOL_ERROR, "reserved bit or opcode")
        if first & _COMPRESSED and not self._deflate:
            raise _Violation(PROTOCOL_ERROR, "compression was not agreed on")
        if first & _COMPRESSED and opcode not in {TEXT, BINARY}:
            raise _Violation(PROTOCOL_ERROR, "only the first frame says compressed")
        if not second & _MASKED:
            raise _Violation(PROTOCOL_ERROR, "a frame without a mask")
        if opcode >= _FIRST_CONTROL:
            if not first & _FINAL or second & 0x7F > _MAX_CONTROL_BYTES:
                raise _Violation(PROTOCOL_ERROR, "a control frame in parts or too long")
        elif self._state is _State.OPEN:
            self._check_order(opcode)

    def _check_order(self, opcode: int) -> None:
        is_open = self._opened is not None
        if opcode == _CONTINUATION and not is_open:
            raise _Violation(PROTOCOL_ERROR, "a continuation of nothing")
        if opcode != _CONTINUATION and is_open:
            raise _Violation(PROTOCOL_ERROR, "a message within a message")

    def _check_size(self, opcode: int, size: int) -> None:
        is_data = opcode < _FIRST_CONTROL
        if is_data and 0 < self._limit_bytes < len(self._message) + size:
            raise _Violation(TOO_BIG, "message too big")

    # ---- what they mean

    def _take(self, frame: _Frame) -> Event | None:
        if frame.opcode == CLOSE:
            self._end()
            return Close(_reply_to(frame.payload))
        if self._state is _State.CLOSING:
            self._pass_over()
            return None
        if frame.opcode == PING:
            return Ping(frame.payload)
        return Pong() if frame.opcode == PONG else self._take_data(frame)

    def _pass_over(self) -> None:
        self._frames_while_closing += 1
        if self._frames_while_closing > _MOST_FRAMES_WHILE_CLOSING:
            raise _Violation(PROTOCOL_ERROR, "too much after a close")

    def _take_data(self, frame: _Frame) -> Event | None:
        if self._opened is None:
            if frame.is_final:
                return Message(self._whole(frame.first, frame.payload))
            self._opened = frame.first
        self._message += frame.payload
        if not frame.is_final:
            is_short = len(frame.payload) < SHORT_FRAGMENT_BYTES
            return Fragment() if is_short else None
        first, payload = self._opened, bytes(self._message)
        self._opened, self._message = None, bytearray()
        return Message(self._whole(first, payload))

    def _whole(self, first: int, payload: bytes) -> str | bytes:
        if first & _COMPRESSED:
            payload = self._inflated(payload)
        if first & 0x0F == BINARY:
            return payload
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise _Violation(NOT_UTF_8, "text that is not UTF-8") from None

    def _inflated(self, payload: bytes) -> bytes:
        try:
            message = inflated(payload, limit_bytes=self._limit_bytes)
        except ValueError:
            raise _Violation(NOT_UTF_8, "a message that cannot be inflated") from None
        if message is None:
            raise _Violation(TOO_BIG, "message too big")
        return message

    # ---- the buffer

    def _drop_seen(self) -> None:
        del self._buffer[: self._at]
        self._at = 0

    def _end(self) -> None:
        self._state = _State.DONE
        self._buffer, self._at = bytearray(), 0
        self._opened, self._message = None, bytearray()


def _check_length(size: int, *, written_bytes: int) -> None:
    """Raise for a length that is not written in as few bytes as it needs, or too long."""
    if size >> 63:
        raise _Violation(PROTOCOL_ERROR, "a length of more than 63 bits")
    if size <= (_MAX_CONTROL_BYTES if written_bytes == _LEN16_BYTES else _MAX_LEN16):
        raise _Violation(PROTOCOL_ERROR, "a length in more bytes than it needs")


def _reply_to(payload: bytes) -> int:
    """Return the code to answer a close frame with; raise for one that must not be sent."""
    if not payload:
        return NORMAL
    if len(payload) < _CODE_BYTES:
        raise _Violation(PROTOCOL_ERROR, "half a close code")
    code = int.from_bytes(payload[:_CODE_BYTES])
    if code not in _CLOSE_CODES:
        raise _Violation(PROTOCOL_ERROR, "a close code that must not be sent")
    try:
        payload[_CODE_BYTES:].decode()
    except UnicodeDecodeError:
        raise _Violation(NOT_UTF_8, "a reason that is not UTF-8") from None
    return code


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    if mask == _NO_MASK or not payload:
        return payload
    size = len(payload)
    # As one number: a loop over the bytes would take a hundred times as long.
    repeated = (mask * (size // _MASK_BYTES + 1))[:size]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")
    return number.to_bytes(size, "little")
