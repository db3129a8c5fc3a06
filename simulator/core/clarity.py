"""The few Clarity values a token contract takes and gives, as SIP-005 bytes in hex."""

from .c32 import HASH_BYTES, MAX_VERSION, Principal, is_name

UINT_MAX = 2**128 - 1

_UINT, _ADDRESS, _CONTRACT, _OK, _ERR = 0x01, 0x05, 0x06, 0x07, 0x08
_UINT_BYTES = 16
_STANDARD_BYTES = 2 + HASH_BYTES


class BadClarity(ValueError):
    """Bytes that are no Clarity value of the kind asked for."""


def uint(value: int) -> bytes:
    """Return ``uN``; a number outside of 0 to 2**128 - 1 raises `BadClarity`."""
    if not 0 <= value <= UINT_MAX:
        raise BadClarity(f"{value} is no uint128")
    return bytes([_UINT]) + value.to_bytes(_UINT_BYTES)


def ok(value: bytes) -> bytes:
    """Return ``(ok value)``."""
    return bytes([_OK]) + value


def err(value: bytes) -> bytes:
    """Return ``(err value)``."""
    return bytes([_ERR]) + value


def principal(who: Principal) -> bytes:
    """Return a standard or a contract principal."""
    home = bytes([who.version]) + who.hash160
    if who.name is None:
        return bytes([_ADDRESS]) + home
    return bytes([_CONTRACT]) + home + bytes([len(who.name)]) + who.name.encode()


def decode_principal(raw: bytes) -> Principal:
    """Read one principal that takes up all of the bytes; else `BadClarity`."""
    if len(raw) < _STANDARD_BYTES or raw[1] > MAX_VERSION:
        raise BadClarity("not a principal")
    home, rest = raw[2:_STANDARD_BYTES], raw[_STANDARD_BYTES:]
    if raw[0] == _ADDRESS and not rest:
        return Principal(raw[1], home)
    if raw[0] != _CONTRACT or not rest or rest[0] != len(rest) - 1:
        raise BadClarity("not a principal")
    # Latin-1 gives every byte a character, so that the grammar alone refuses.
    name = rest[1:].decode("latin-1")
    if not is_name(name):
        raise BadClarity("not a contract name")
    return Principal(raw[1], home, name)


def to_hex(value: bytes) -> str:
    """Return the text that the node's HTTP interface speaks: ``0x`` and hex digits."""
    return "0x" + value.hex()


def from_hex(text: str) -> bytes:
    """Read hex digits, with or without ``0x``; else `BadClarity`."""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise BadClarity(str(error)) from error
