"""Crockford-32 addresses with checksum, as Stacks writes them (SIP-005)."""

from hashlib import sha256

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {char: i for i, char in enumerate(_ALPHABET)} | {
    char.lower(): i for i, char in enumerate(_ALPHABET)
}
# What people misread is read as what was meant.
_VALUES |= dict.fromkeys("Oo", 0) | dict.fromkeys("IiLl", 1)
_HASH_BYTES = 20
_CHECKSUM_BYTES = 4
_PAYLOAD_BYTES = _HASH_BYTES + _CHECKSUM_BYTES
_BITS = 5
# Of an address with its S and its version.
_LENGTHS = range(3, 64)


def encode_address(version: int, hash160: bytes) -> str:
    """Return the address of a version (0 to 31) and a hash of 20 bytes."""
    payload = hash160 + _checksum(version, hash160)
    return f"S{_ALPHABET[version]}{_encode(payload)}"


def decode_address(text: str) -> tuple[int, bytes] | None:
    """Return version and hash of an address; ``None`` if it is none.

    Reads lower case and the aliases O, I and L too: encode again for the one normal form.
    """
    if len(text) not in _LENGTHS or text[0] not in "Ss" or text[1] not in _VALUES:
        return None
    payload = _decode(text[2:])
    if payload is None or len(payload) != _PAYLOAD_BYTES:
        return None
    version = _VALUES[text[1]]
    hash160, checksum = payload[:_HASH_BYTES], payload[_HASH_BYTES:]
    return (version, hash160) if checksum == _checksum(version, hash160) else None


def _checksum(version: int, hash160: bytes) -> bytes:
    once = sha256(bytes([version]) + hash160).digest()
    return sha256(once).digest()[:_CHECKSUM_BYTES]


def _encode(payload: bytes) -> str:
    number, digits = int.from_bytes(payload), []
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    # One zero digit for each leading zero byte, as base58 does it.
    zeros = len(payload) - len(payload.lstrip(b"\0"))
    return _ALPHABET[0] * zeros + "".join(reversed(digits))


def _decode(text: str) -> bytes | None:
    number = 0
    for char in text:
        value = _VALUES.get(char)
        if value is None:
            return None
        number = (number << _BITS) | value
    zeros = next((i for i, char in enumerate(text) if _VALUES[char]), len(text))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
