"""The body of an answer, inflated piece by piece and bounded while that happens."""

import zlib
from collections.abc import Iterable

# One call inflates at most this much; between two calls the event loop gets its turn.
PIECE_BYTES = 65_536
_PLAIN = frozenset({"", "identity"})
_ZLIB = 15
_WINDOWS = {"gzip": _ZLIB + 16, "x-gzip": _ZLIB + 16, "deflate": _ZLIB}
_RAW_DEFLATE = -15


class BadBody(Exception):
    """The body is refused; ``large`` tells that it is for its size."""

    def __init__(self, why: str, *, large: bool = False) -> None:
        super().__init__(why)
        self.why, self.large = why, large


class Body:
    """A body that comes in chunks: ``feed`` each, then ``inflate`` until it is done.

    ``codings`` are the values of ``content-encoding``. One of gzip and deflate is taken;
    any other, and several on top of one another, are refused, since a few hundred bytes
    in two layers of gzip can stand for gigabytes. Neither the bytes that come in nor
    those that they stand for may be more than ``max_bytes``.
    """

    def __init__(self, codings: Iterable[str], *, max_bytes: int) -> None:
        named = [name.strip().lower() for name in codings]
        wanted = [name for name in named if name not in _PLAIN]
        if len(wanted) > 1:
            raise BadBody("more than one content coding")
        if wanted and wanted[0] not in _WINDOWS:
            raise BadBody("a content coding that was not asked for")
        self._coding = wanted[0] if wanted else None
        self._max_bytes = max_bytes
        self._inflater = zlib.decompressobj(_WINDOWS[wanted[0]]) if wanted else None
        self._received = 0
        self._waiting = b""
        self._whole = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes as they came; what was fed before is inflated already."""
        self._received += len(chunk)
        if self._received > self._max_bytes:
            raise BadBody("the answer is too large", large=True)
        self._waiting = chunk

    def inflate(self) -> bool:
        """Inflate one piece; return whether more of what was fed waits."""
        if self._inflater is None:
            piece, self._waiting = self._waiting, b""
        else:
            piece = self._inflated(self._inflater)
        if len(self._whole) + len(piece) > self._max_bytes:
            raise BadBody("the answer is too large", large=True)
        self._whole += piece
        return bool(self._waiting)

    def whole(self) -> bytes:
        """Return the body once all of it was fed and inflated."""
        if self._inflater is not None and self._received and not self._inflater.eof:
            raise BadBody("the compressed answer is cut short")
        return bytes(self._whole)

    def _inflated(self, inflater: "zlib._Decompress") -> bytes:
        try:
            piece = inflater.decompress(self._waiting, PIECE_BYTES)
        except zlib.error as error:
            if self._coding != "deflate" or self._whole:
                raise BadBody("the compressed answer is broken") from error
            # Some servers send deflate without the wrapper that the RFC asks for.
            self._coding, self._inflater = None, zlib.decompressobj(_RAW_DEFLATE)
            return self._inflated(self._inflater)
        if inflater.unused_data:
            raise BadBody("something follows the compressed answer")
        self._waiting = inflater.unconsumed_tail
        return piece
