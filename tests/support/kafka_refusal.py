# mypy: allow-untyped-calls
"""A Produce request that is refused for one of its topics, by who stands in between."""

from io import BytesIO
from typing import Any

from aiokafka.protocol import produce
from aiokafka.protocol.api import RequestHeader_v1, ResponseHeader_v0

PRODUCE = 0
# For good: the driver does not send such a batch again.
_TOO_LARGE = 10


class Refusal:
    """Refuses the records for one topic of the first request that has any.

    The broker never sees them. ``met`` tells whether there was such a request.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._version = 0
        self._refused: list[tuple[str, list[int]]] = []
        self._answer_to: bytes | None = None

    @property
    def met(self) -> bool:
        return self._answer_to is not None

    def without(self, frame: bytes) -> bytes:
        """Return a request without the records that are refused."""
        if self.met:
            return frame
        body = BytesIO(frame[4:])
        header: Any = RequestHeader_v1.SCHEMA.decode(body)
        version = header[1]
        request = getattr(produce, f"ProduceRequest_v{version}").decode(body)
        if self._topic not in [topic for topic, _ in request.topics]:
            return frame
        self._answer_to, self._version = frame[8:12], version
        self._refused = [
            (topic, [number for number, _ in partitions])
            for topic, partitions in request.topics
            if topic == self._topic
        ]
        request.topics = [t for t in request.topics if t[0] != self._topic]
        return _framed(RequestHeader_v1.SCHEMA.encode(header) + request.encode())

    def answered(self, frame: bytes) -> bytes:
        """Return the answer to that request with the refusal in it; others as they are."""
        if frame[4:8] != self._answer_to:
            return frame
        self._answer_to = b""
        body = BytesIO(frame[4:])
        header: Any = ResponseHeader_v0.SCHEMA.decode(body)
        answer = getattr(produce, f"ProduceResponse_v{self._version}").decode(body)
        for topic, numbers in self._refused:
            parts = [self._too_large(number) for number in numbers]
            answer.topics = [*answer.topics, (topic, parts)]
        return _framed(ResponseHeader_v0.SCHEMA.encode(header) + answer.encode())

    def _too_large(self, number: int) -> tuple[Any, ...]:
        """Return what is said of one partition: number, error, offset, time, and more."""
        said = (number, _TOO_LARGE, -1, -1)
        if self._version < 5:
            return said
        return (*said, -1) if self._version < 8 else (*said, -1, [], None)


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4) + body
