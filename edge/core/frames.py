"""WebSocket text frames as a server sends them (RFC 6455): no mask, whole messages."""

from struct import Struct

from edge.core.deflated import MIN_BYTES, deflated

_TEXT_FINAL, _CLOSE_FINAL, _PING_FINAL, _PONG_FINAL = 0x81, 0x88, 0x89, 0x8A
_COMPRESSED = 0x40
_SHORT, _LEN16, _LEN64 = 126, 126, 127
_head16, _head64 = Struct(">BBH").pack, Struct(">BBQ").pack
_MAX_16 = 0xFFFF

# No message is longer: what is more goes into the next one.
MAX_MESSAGE_BYTES = 65_536
# No batch is longer: some client libraries take no more by default.
MAX_BATCH_BYTES = 32_768


def text_frame(message: bytes) -> bytes:
    """Return one message as one frame."""
    return _frame(_TEXT_FINAL, message)


def packed_frame(message: bytes) -> bytes:
    """Return one message as one frame, compressed if it is long."""
    if len(message) < MIN_BYTES:
        return text_frame(message)
    return _frame(_TEXT_FINAL | _COMPRESSED, deflated(message))


def ping_frame() -> bytes:
    """Return a ping without a payload."""
    return _frame(_PING_FINAL, b"")


def pong_frame(payload: bytes) -> bytes:
    """Return the answer to a ping."""
    return _frame(_PONG_FINAL, payload)


def close_frame(code: int, reason: str) -> bytes:
    """Return a close frame; the reason has at most 123 bytes."""
    return _frame(_CLOSE_FINAL, code.to_bytes(2) + reason.encode())


def _frame(head: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < _SHORT:
        return bytes((head, size)) + payload
    if size <= _MAX_16:
        return _head16(head, _LEN16, size) + payload
    return _head64(head, _LEN64, size) + payload
