"""WebSocket text frames as a server sends them (RFC 6455): no mask, whole messages."""

from struct import Struct

_TEXT_FINAL = 0x81
_SHORT, _LEN16, _LEN64 = 126, 126, 127
_head16, _head64 = Struct(">BBH").pack, Struct(">BBQ").pack
_MAX_16 = 0xFFFF

# No message is longer: what is more goes into the next one.
MAX_MESSAGE_BYTES = 65_536


def text_frame(message: bytes) -> bytes:
    """Return one message as one frame."""
    size = len(message)
    if size < _SHORT:
        return bytes((_TEXT_FINAL, size)) + message
    if size <= _MAX_16:
        return _head16(_TEXT_FINAL, _LEN16, size) + message
    return _head64(_TEXT_FINAL, _LEN64, size) + message
