"""Chance without a state: numbers that follow from a seed and a path alone."""

from hashlib import blake2b
from struct import unpack

_WORD = 1 << 32
_WORDS_A_DIGEST = 16


def digest(seed: int, *path: str | int, size_bytes: int = 32) -> bytes:
    """Return bytes that look random and depend on nothing but seed and path."""
    text = "/".join(map(str, (seed, *path)))
    return blake2b(text.encode(), digest_size=size_bytes).digest()


class Draws:
    """A stream of draws that its seed and path determine, on every machine."""

    __slots__ = ("_block", "_path", "_seed", "_words")

    def __init__(self, seed: int, *path: str | int) -> None:
        self._seed, self._path = seed, path
        self._block = 0
        self._words: list[int] = []

    def word(self) -> int:
        """Return the next number in [0, 2**32)."""
        if not self._words:
            drawn = digest(self._seed, *self._path, self._block, size_bytes=64)
            self._words = list(unpack(f"<{_WORDS_A_DIGEST}I", drawn))
            self._block += 1
        return self._words.pop()

    def unit(self) -> float:
        """Return the next number in [0, 1), exact in a double."""
        return self.word() / _WORD

    def below(self, bound: int) -> int:
        """Return the next number in [0, bound), for a bound up to 2**32."""
        return (self.word() * bound) >> 32
