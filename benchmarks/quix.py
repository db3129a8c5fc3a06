"""The same fold in Quix Streams: its own topics, state store and exactly-once commits.

Run by the Python of an environment that has ``quixstreams`` (see ``peers``), with this
project on its path, so that fold and codecs are the very same code.
"""

from pathlib import Path
from typing import Any

from quixstreams import (  # type: ignore[import-not-found,unused-ignore]
    Application,
    State,
    message_context,
)

from benchmarks.trial import start
from eventlog.port import Record
from processor.core.observations import read_price
from processor.core.prices import TokenPrice, fold
from processor.core.rules import Refused, Rules
from processor.core.states import ITSELF, price_of, price_parts
from schemas.journal import FoldSettings
from schemas.topics import CHANGES, LATEST, PRICES_RAW

_RULES = Rules.of(FoldSettings(), shard=0)


async def run(args: dict[str, Any]) -> int:
    """Fold ``count`` records and stop; count from the first record to the last commit."""
    app = Application(
        broker_address=args["kafka"],
        consumer_group=args["peer_prefix"],
        auto_offset_reset="earliest",
        commit_interval=1.0,
        processing_guarantee="exactly-once",
        state_dir=Path(args["folder"]),
        loglevel="WARNING",
    )
    job = _Job(app, last=args["count"] - 1, cached=args["cached"])
    said = app.topic(
        args["prefix"] + PRICES_RAW,
        key_deserializer="bytes",
        value_deserializer="bytes",
    )
    folded = app.dataframe(said).apply(job.fold, stateful=True, metadata=True)
    published = folded.filter(_is_news)
    for name in (LATEST, CHANGES):
        topic = app.topic(
            args["peer_prefix"] + name, key_serializer="bytes", value_serializer="bytes"
        )
        published.to_topic(topic, key=_key_of)
    app.run()
    return int(args["count"])


def _key_of(value: bytes) -> bytes:
    return b"price:" + value[len(b'{"contractId":"') : value.index(b'",')]


def _is_news(value: bytes | None) -> bool:
    return value is not None


class _Job:
    """One record at a time; ``cached`` keeps the states as objects, as we do."""

    def __init__(self, app: Application, *, last: int, cached: bool) -> None:
        self._app, self._last = app, last
        self._objects: dict[bytes, TokenPrice] | None = {} if cached else None
        self._started = False

    def fold(
        self, value: bytes, key: bytes, time_ms: int, _headers: Any, state: State
    ) -> bytes | None:
        if not self._started:
            self._started = True
            start()
        offset = message_context().offset
        if offset >= self._last:
            self._app.stop()
        seen = read_price(Record(offset, time_ms, key, value))
        if isinstance(seen, Refused):
            return None
        token = self._open(key, state)
        outcome = fold(token, seen, _RULES)
        if isinstance(outcome, Refused):
            return None
        if token.changed:
            state.set_bytes("state", price_parts(token)[0][1])
        return outcome.published[0][1] if outcome.published else None

    def _open(self, key: bytes, state: State) -> TokenPrice:
        held = None if self._objects is None else self._objects.get(key)
        if held is None:
            kept = state.get_bytes("state")
            held = price_of(key, {ITSELF: kept} if kept else {})
            if self._objects is not None:
                self._objects[key] = held
        held.changed = False
        return held
