"""Canonical JSON and the normal form of ids, from the standard library alone."""

import hashlib
import json
import re
from functools import lru_cache
from typing import Any

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
STX = ".stx"
# Single and multisig, of the main chain and of the test chain.
VERSIONS = (22, 20, 26, 21)
# A name may have 40 characters, and an address 40 digits behind its S.
NAME = re.compile("[a-zA-Z][a-zA-Z0-9_-]{0,39}")
ADDRESS = re.compile(f"S[{DIGITS}]{{2,62}}")


def canonical(value: Any) -> bytes:
    """Return canonical JSON (RFC 8785) of what our records hold.

    RFC 8785 sorts keys by UTF-16 units, Python by code points: the same for our keys,
    which are ASCII. It writes numbers as doubles: ours are integers below 2**53, whose
    shortest form is their digits. It escapes quote, backslash and the characters below
    U+0020, with the short escapes where there are any and in lower case else, and
    nothing more: so does Python with ``ensure_ascii=False``.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def sha256(data: bytes) -> str:
    """Return the SHA-256 as records write it."""
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=100_000)
def is_contract_id(text: str) -> bool:
    """Tell whether a text is a contract id in normal form."""
    if text == STX:
        return True
    address, dot, name = text.partition(".")
    return dot == "." and is_address(address) and NAME.fullmatch(name) is not None


def is_user_id(text: str) -> bool:
    """Tell whether a text is a user, a person or a contract, in normal form."""
    return is_address(text) or (text != STX and is_contract_id(text))


@lru_cache(maxsize=100_000)
def is_address(text: str) -> bool:
    """Tell whether a text is an address of a known kind in normal form.

    In normal form: no alias of a digit, no lower case, and a leading zero digit for each
    leading zero byte and no other.
    """
    if ADDRESS.fullmatch(text) is None:
        return False
    version, digits = DIGITS.index(text[1]), text[2:]
    payload = _bytes_of(digits)
    if version not in VERSIONS or len(payload) != 24:
        return False
    return _checksum(version, payload[:20]) == payload[20:]


def _bytes_of(digits: str) -> bytes:
    number = 0
    for digit in digits:
        number = number * 32 + DIGITS.index(digit)
    zeros = len(digits) - len(digits.lstrip("0"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _checksum(version: int, hash160: bytes) -> bytes:
    inner = hashlib.sha256(bytes([version]) + hash160).digest()
    return hashlib.sha256(inner).digest()[:4]
