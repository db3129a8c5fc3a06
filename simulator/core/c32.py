"""Stacks addresses: c32 text with a checksum, and principals made of them.

The format is that of SIP-005: ``S``, the version as one c32 digit, then c32 of the
20 bytes and of the first four bytes of a double SHA-256 over version and bytes.
"""

import re
from base64 import b32hexencode
from dataclasses import dataclass
from hashlib import sha256

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MAX_VERSION = 31
HASH_BYTES = 20
MAX_NAME_LENGTH = 40

_CHECKSUM_BYTES = 4
_HEX32 = b"0123456789ABCDEFGHIJKLMNOPQRSTUV"
_TO_C32 = bytes.maketrans(_HEX32, ALPHABET.encode())
_VALUES = {digit: value for value, digit in enumerate(ALPHABET)}
_ALIASES = str.maketrans("OIL", "011")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,39}")
_ADDRESS = re.compile(r"[sS][0-9A-Za-z]{27,40}", re.ASCII)


class BadPrincipal(ValueError):
    """A text that names no principal."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{reason}: {text!r}")
        self.text, self.reason = text, reason


@dataclass(frozen=True, slots=True)
class Principal:
    """Who holds something: an address, or a contract at an address."""

    version: int
    hash160: bytes
    name: str | None = None

    @property
    def text(self) -> str:
        """The canonical spelling, which is the only one used as a key."""
        home = address(self.version, self.hash160)
        return home if self.name is None else f"{home}.{self.name}"


def encode(raw: bytes) -> str:
    """Return plain c32 text: a digit for five bits, a zero for each leading zero byte."""
    padded = raw.rjust(-(-len(raw) // 5) * 5, b"\0")
    digits = b32hexencode(padded).translate(_TO_C32).decode().lstrip("0")
    return "0" * (len(raw) - len(raw.lstrip(b"\0"))) + digits


def check_encode(version: int, payload: bytes) -> str:
    """Return the version digit and the c32 text of payload and checksum."""
    return ALPHABET[version] + encode(payload + _checksum(version, payload))


def address(version: int, hash160: bytes) -> str:
    """Return the address of 20 bytes under a version of 0 to 31."""
    return "S" + check_encode(version, hash160)


def decode_address(text: str) -> tuple[int, bytes]:
    """Return version and hash of an address, in any spelling; else `BadPrincipal`."""
    if not _ADDRESS.fullmatch(text):
        raise BadPrincipal(text, "not an address")
    digits = text[1:].upper().translate(_ALIASES)
    version, raw = digits[0], _decode(digits[1:], text)
    payload, found = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if len(payload) != HASH_BYTES:
        raise BadPrincipal(text, "not 20 bytes")
    if version not in _VALUES:
        raise BadPrincipal(text, "not a c32 digit")
    if found != _checksum(_VALUES[version], payload):
        raise BadPrincipal(text, "wrong checksum")
    return _VALUES[version], payload


def parse_principal(text: str) -> Principal:
    """Read an address or ``ADDRESS.contract-name``; else `BadPrincipal`."""
    home, dot, name = text.partition(".")
    version, hash160 = decode_address(home)
    if not dot:
        return Principal(version, hash160)
    if not _NAME.fullmatch(name):
        raise BadPrincipal(text, "not a contract name")
    return Principal(version, hash160, name)


def is_name(text: str) -> bool:
    """Whether a text may name a contract: a letter, then up to 39 of ``[a-zA-Z0-9_-]``."""
    return _NAME.fullmatch(text) is not None


def _decode(digits: str, text: str) -> bytes:
    number = 0
    for digit in digits:
        if digit not in _VALUES:
            raise BadPrincipal(text, "not a c32 digit")
        number = number * 32 + _VALUES[digit]
    zeros = next((at for at, digit in enumerate(digits) if digit != "0"), len(digits))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)


def _checksum(version: int, payload: bytes) -> bytes:
    return sha256(sha256(bytes([version]) + payload).digest()).digest()[
        :_CHECKSUM_BYTES
    ]
