"""WebSocket text frames as a server sends them (RFC 6455): no mask, whole messages."""

from struct import Struct

from edge.core.deflated import MIN_BYTES, deflated

_TEXT_FINAL, _COMPRESSED = 0x81, 0x40
_SHORT, _LEN16, _LEN64 = 126, 126, 127
_head16, _head64 = Struct(">BBH").pack, Struct(">BBQ").pack
_MAX_16 = 0xFFFF

# No message is longer: what is more goes into the next one.
MAX_MESSAGE_BYTES = 65_536


def text_frame(message: bytes) -> bytes:
    """Return one message as one frame."""
    return _frame(_TEXT_FINAL, message)


def packed_frame(message: bytes) -> bytes:
    """Return one message as one frame, compressed if it is long."""
    if len(message) < MIN_BYTES:
        return text_frame(message)
    return _frame(_TEXT_FINAL | _COMPRESSED, deflated(message))


def _frame(head: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < _SHORT:
        return bytes((head, size)) + payload
    if size <= _MAX_16:
        return _head16(head, _LEN16, size) + payload
    return _head64(head, _LEN64, size) + payload
