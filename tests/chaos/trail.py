"""What somebody saw of a partition: each record's offset and what tells it from others."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from eventlog.port import Headers


def digest_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Return 64 bits of a hash over a record without its place and time."""
    digest = blake2b(digest_size=8)
    for part in (key, value, *(part for pair in headers for part in pair)):
        raw = part.encode() if isinstance(part, str) else part
        digest.update(b"\xff" if raw is None else len(raw).to_bytes(4) + raw)
    return int.from_bytes(digest.digest())


@dataclass(slots=True)
class Trail:
    """Records of one partition in the order in which they were seen; millions fit."""

    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    digests: "array[int]" = field(default_factory=lambda: array("Q"))

    def add(
        self, offset: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        self.offsets.append(offset)
        self.digests.append(digest_of(key, value, headers))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.offsets, self.digests, strict=True)
