"""The Clarity values a balance call sends and answers with (SIP-005)."""

import re
from dataclasses import dataclass

from schemas.c32 import decode_address, encode_address
from schemas.ids import UserId

_INTEGER_BYTES = 16
_HASH_BYTES = 20
_MAX_VERSION = 31
_NAME = re.compile(rb"[a-zA-Z][a-zA-Z0-9_-]{0,39}")
_KEY = re.compile(rb"[a-zA-Z](?:[a-zA-Z0-9_!?+<>=/*-]){0,127}|[-+=/*<>]|<=|>=")
# The chain itself nests no deeper (MAX_VALUE_DEPTH there is 32).
_MAX_DEPTH = 32
# An amount takes 18 bytes. A node answers with up to 1 MiB, which would take seconds.
_MAX_HEX = 2 * 65_536 + 2


@dataclass(frozen=True, slots=True)
class Uint:
    """An unsigned integer: the only value that is an amount."""

    value: int


@dataclass(frozen=True, slots=True)
class Ok:
    """``(ok x)``."""

    value: "Value"


@dataclass(frozen=True, slots=True)
class Err:
    """``(err x)``: what is in it is an error code, never an amount."""

    value: "Value"


@dataclass(frozen=True, slots=True)
class Other:
    """A well-formed value of any other type; ``text`` is for messages."""

    text: str


Value = Uint | Ok | Err | Other


class BadClarity(ValueError):
    """The text is not exactly one well-formed Clarity value."""


def encode_principal(user: UserId) -> str:
    """Return a user, a standard or a contract principal, as a hex argument of a call."""
    address, _, name = user.partition(".")
    decoded = decode_address(address)
    if decoded is None:
        raise BadClarity(f"{user} is not a principal")
    version, hash160 = decoded
    body = bytes([version]) + hash160
    if not name:
        return "0x05" + body.hex()
    return "0x06" + (body + bytes([len(name)]) + name.encode()).hex()


def decode(text: str) -> Value:
    """Return the value that ``0x…`` stands for; raise ``BadClarity`` if it is none.

    Exactly one value: nothing may be missing and nothing left over.
    """
    if len(text) > _MAX_HEX or not re.fullmatch("0x(?:[0-9a-fA-F]{2})+", text):
        raise BadClarity("not hex")
    reader = _Reader(bytes.fromhex(text[2:]))
    value = reader.value(depth=0)
    if reader.left:
        raise BadClarity(f"{reader.left} bytes are left over")
    return value


def unsigned(value: Value) -> int | None:
    """Return the amount of ``(ok uN)`` or of a bare ``uN``; ``None`` for all else.

    Some subnet contracts answer ``get-balance`` without ``ok``.
    """
    inner = value.value if isinstance(value, Ok) else value
    return inner.value if isinstance(inner, Uint) else None


class _Reader:
    """Takes values from bytes; nothing is allocated by a count that bytes do not back."""

    def __init__(self, source: bytes) -> None:
        self._source, self._at = source, 0

    @property
    def left(self) -> int:
        return len(self._source) - self._at

    def value(self, *, depth: int) -> Value:
        if depth > _MAX_DEPTH:
            raise BadClarity("nested too deep")
        prefix = self._take(1)[0]
        match prefix:
            case 0x00:
                return Other(
                    str(int.from_bytes(self._take(_INTEGER_BYTES), signed=True))
                )
            case 0x01:
                return Uint(int.from_bytes(self._take(_INTEGER_BYTES)))
            case 0x07:
                return Ok(self.value(depth=depth + 1))
            case 0x08:
                return Err(self.value(depth=depth + 1))
            case _:
                return Other(self._other(prefix, depth=depth))

    def _other(self, prefix: int, *, depth: int) -> str:
        match prefix:
            case 0x03 | 0x04:
                return "true" if prefix == 0x03 else "false"  # noqa: PLR2004 - a type prefix
            case 0x05 | 0x06:
                return self._principal(named=prefix == 0x06)  # noqa: PLR2004
            case 0x09:
                return "none"
            case 0x0A:
                return f"(some {self.value(depth=depth + 1)})"
            case 0x0B | 0x0C:
                return self._many(keyed=prefix == 0x0C, depth=depth)  # noqa: PLR2004
            case _:
                return self._bytes(prefix)

    def _bytes(self, prefix: int) -> str:
        match prefix:
            case 0x02:
                return f"0x{self._take(self._u32()).hex()}"
            case 0x0D | 0x0E:
                encoding = "ascii" if prefix == 0x0D else "utf-8"  # noqa: PLR2004
                return self._text(self._take(self._u32()), encoding)
            case _:
                raise BadClarity(f"unknown type prefix 0x{prefix:02x}")

    def _text(self, content: bytes, encoding: str) -> str:
        try:
            return f'"{content.decode(encoding)}"'
        except UnicodeDecodeError as error:
            raise BadClarity(f"not {encoding}") from error

    def _principal(self, *, named: bool) -> str:
        version = self._take(1)[0]
        if version > _MAX_VERSION:
            raise BadClarity(f"address version {version}")
        address = encode_address(version, self._take(_HASH_BYTES))
        if not named:
            return address
        name = self._take(self._take(1)[0])
        if not _NAME.fullmatch(name):
            raise BadClarity("not a contract name")
        return f"{address}.{name.decode()}"

    def _many(self, *, keyed: bool, depth: int) -> str:
        count = self._u32()
        # Each element has a prefix byte at least.
        if count > self.left:
            raise BadClarity(f"{count} elements in {self.left} bytes")
        keys = set()
        for _ in range(count):
            if keyed:
                keys.add(self._key())
            self.value(depth=depth + 1)
        if keyed and len(keys) != count:
            raise BadClarity("two equal keys in a tuple")
        return f"{'tuple' if keyed else 'list'} of {count}"

    def _key(self) -> bytes:
        key = self._take(self._take(1)[0])
        if not _KEY.fullmatch(key):
            raise BadClarity("not a key of a tuple")
        return key

    def _u32(self) -> int:
        return int.from_bytes(self._take(4))

    def _take(self, count: int) -> bytes:
        if count > self.left:
            raise BadClarity(f"{count} bytes wanted, {self.left} left")
        taken = self._source[self._at : self._at + count]
        self._at += count
        return taken
