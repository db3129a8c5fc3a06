"""What a log also meets: late copies, contradictions, nonsense, the future, the many."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.history_types import Observation, observation
from tests.support.oracle.text import canonical

_LATE_EVERY = 97
_FUTURE_MS = 9_000_000_000_000
_NONSENSE: tuple[bytes, ...] = (
    b"",
    b"nope",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"schema":"price.observed/1"}',
    b'{"schema":"account.read/2"}',
    b'{"schema":"user.forgotten/1","userId":"\\ud800"}',
    b'{"a":' * 300,
    b"9" * 70_000,
)
_TOPICS = ("prices.raw", "balances.raw", "tokens.raw")

# A topic, a key and a value: what stands in a log need not be an observation.
Raw = tuple[str, bytes | None, bytes | None]


def noise(seen: Sequence[Observation]) -> Iterator[Raw]:
    """Yield what follows a history: the same for the same history."""
    yield from _late(seen)
    yield from _contradictions(seen)
    yield from _nonsense(seen)
    yield from _bent(seen)
    yield from _crowd(seen)


def _late(seen: Sequence[Observation]) -> Iterator[Raw]:
    """Old observations once more: stale, or duplicates where nothing came after."""
    for one in seen[::_LATE_EVERY]:
        yield one.topic, one.key, one.value


def _contradictions(seen: Sequence[Observation]) -> Iterator[Raw]:
    """The last word of each source on each key, with another content."""
    last = {
        (one.key, one.fields.get("source"), one.fields["schema"]): one for one in seen
    }
    for one in last.values():
        for changed in _otherwise(one.fields):
            yield one.topic, one.key, canonical(changed)


def _otherwise(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match said["schema"]:
        case "price.observed/1":
            yield said | {"usd": "0.000000000000000001"}
        case "token.observed/1":
            yield said | {"fields": said["fields"] | {"description": "other"}}
        case "account.read/1":
            yield said | {"holdings": []}
        case "subnet.read/1":
            yield said | {"balance": "1"}
            yield said | {"baseId": said["subnetId"]}
        case _:
            pass


def _nonsense(seen: Sequence[Observation]) -> Iterator[Raw]:
    """Bytes that are no observations, tombstones, and records without a key."""
    for topic in _TOPICS:
        for value in _NONSENSE:
            yield topic, b"nonsense", value
        yield topic, seen[0].key, None
        yield topic, None, seen[0].value
        yield topic, b"k" * 3_000, b"{}"


def _bent(seen: Sequence[Observation]) -> Iterator[Raw]:
    """Of each kind one observation, bent in every field."""
    kinds = {one.fields["schema"]: one for one in seen}
    for one in kinds.values():
        said = one.fields
        for name in said:
            for wrong in (None, -1, 1.5, "", "wrong", [1], {"a": 1}):
                yield one.topic, one.key, _as_said(said | {name: wrong})
            left = {key: value for key, value in said.items() if key != name}
            yield one.topic, one.key, _as_said(left)
        yield one.topic, one.key, _as_said(said | {"another": 1})
        yield one.topic, b"another", one.value
        yield one.topic, one.key, canonical(said | {"observedAt": _FUTURE_MS})


def _as_said(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _crowd(seen: Sequence[Observation]) -> Iterator[Raw]:
    """More sources of one token than are heard."""
    token = next(one for one in seen if one.topic == "prices.raw").fields["contractId"]
    newest = max(one.observed_at for one in seen)
    for number in range(70):
        one = observation(
            "price.observed",
            contractId=token,
            source=f"crowd-{number}",
            usd=f"1.{number + 1}1",
            observedAt=newest + number % 7 * 1_000,
            sequence=number,
        )
        yield one.topic, one.key, one.value
