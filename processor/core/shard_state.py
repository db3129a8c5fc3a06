"""All that one shard remembers: its states, and where it stands."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from schemas.base import Malformed, decoder, encode
from schemas.journal import GENESIS, Position
from schemas.states import NOT_FOLDED_KEYS, POSITION_KEY
from schemas.topics import BALANCES_RAW, PRICES_RAW, TOKENS_RAW

from .states import (
    ITSELF,
    Parts,
    UnreadableState,
    price_of,
    price_of_v1,
    price_parts,
    price_parts_v1,
    token_of,
    token_parts,
    user_of,
    user_parts,
    user_parts_v1,
)

# More states than these are not kept as objects; their bytes always are.
_MAX_OBJECTS = 50_000
StateRecord = tuple[bytes, bytes]


class State(Protocol):
    """What is held of one owner, a token or a user."""

    @property
    def changed(self) -> bool:
        """Whether it is not as it was when it was copied."""
        ...

    def copy(self: "S") -> "S":
        """Return the same as something not yet changed."""
        ...


S = TypeVar("S", bound=State)


class Kind(NamedTuple):
    """How the states of one kind are named, read and written."""

    itself: bytes
    part: bytes
    read: Callable[[bytes, Parts], Any]
    changes: Callable[[Any], Sequence[tuple[bytes, bytes | None]]]

    def key(self, owner: bytes, part: bytes) -> bytes:
        """Return the key in ``state`` of a part of an owner's state."""
        if part == ITSELF:
            return b"%b:%b" % (self.itself, owner)
        return b"%b:%b:%b" % (self.part, owner, part)


# By the topic whose observations are folded into them.
Kinds = Mapping[str, Kind]
KINDS: Final[Kinds] = {
    PRICES_RAW: Kind(b"price", b"price", price_of, price_parts),
    BALANCES_RAW: Kind(b"account", b"balance", user_of, user_parts),
    TOKENS_RAW: Kind(b"token", b"token", token_of, token_parts),
}
# As generation 1 of the fold reads and writes them; the keys are the same.
KINDS_V1: Final[Kinds] = {
    PRICES_RAW: Kind(b"price", b"price", price_of_v1, price_parts_v1),
    BALANCES_RAW: Kind(b"account", b"balance", user_of, user_parts_v1),
    TOKENS_RAW: KINDS[TOKENS_RAW],
}
_TOPICS = {name: topic for topic, kind in KINDS.items() for name in kind[:2]}
_position = decoder(Position)


class ShardState:
    """The state of one shard after a commit.

    It is held as the bytes that stand in ``state``, and read on first use: a million
    records are loaded in seconds. Nothing but ``load``, ``start_at``, ``read_on``
    and ``replace`` changes what it says.
    """

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.position = Position(commit=0, chain=GENESIS, log_time=0, positions={})
        self._parts: dict[str, dict[bytes, dict[bytes, bytes]]] = {
            topic: {} for topic in KINDS
        }
        self._objects: dict[str, dict[bytes, Any]] = {topic: {} for topic in KINDS}
        self._made_by: dict[str, Kind] = dict(KINDS)
        # The same token or source is a part of many states.
        self._names: dict[bytes, bytes] = {}
        self._records = 0

    @classmethod
    def restore(
        cls, shard: int, records: Iterable[tuple[bytes, bytes | None]]
    ) -> "ShardState":
        """Return the state that ``records`` of ``state`` leave, in their order."""
        state = cls(shard)
        for key, value in records:
            state.load(key, value)
        return state

    def __len__(self) -> int:
        """Return the number of records held."""
        return self._records

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take over one record of ``state``; a tombstone takes it away.

        Raises ``UnreadableState`` for a key that this program does not write.
        """
        name, _, rest = key.partition(b":")
        topic = _TOPICS.get(name)
        if topic is not None:
            owner, _, part = rest.partition(b":")
            self._put(topic, owner, part, value)
        elif key == POSITION_KEY and value is not None:
            self._load_position(value)
        elif key not in NOT_FOLDED_KEYS:
            raise UnreadableState(key, part=ITSELF, field="key")

    def start_at(self, positions: Mapping[str, int]) -> None:
        """Let topics that the shard never read from begin at ``positions``."""
        self.read_on({**positions, **self.position.positions})

    def read_on(self, positions: Mapping[str, int]) -> None:
        """Let each topic named be read on from there: what stood before is gone."""
        known = self.position.positions
        self.position = self.position.model_copy(
            update={"positions": {**known, **positions}}
        )

    def open(self, topic: str, owner: bytes, kinds: Kinds = KINDS) -> Any:
        """Return the state that ``topic`` folds into of one owner, a copy to change.

        ``kinds`` are those of the generation of the fold that is to change it.
        """
        objects = self._objects_of(topic, kinds)
        held = objects.get(owner)
        if held is None:
            parts = self._parts[topic].get(owner, {})
            held = objects[owner] = kinds[topic].read(owner, parts)
        return held.copy()

    def owners(self, topic: str) -> list[bytes]:
        """Return all of whom there is a state that ``topic`` folds into."""
        return list(self._parts[topic])

    def _objects_of(self, topic: str, kinds: Kinds) -> dict[bytes, Any]:
        """Return the objects held; none of them if another generation has made them."""
        if self._made_by[topic] is not kinds[topic]:
            self._objects[topic].clear()
            self._made_by[topic] = kinds[topic]
        return self._objects[topic]

    def replace(
        self,
        changed: Mapping[str, Mapping[bytes, Any]],
        *,
        parts: Iterable[tuple[str, bytes, bytes, bytes | None]],
        position: Position,
        kinds: Kinds = KINDS,
    ) -> None:
        """Take over a commit: what was changed, as objects and in parts."""
        for topic, owner, part, value in parts:
            # A copy has its own size; what orjson returns holds 4 KiB for its life.
            copied = None if value is None else bytes(memoryview(value))
            self._put(topic, owner, part, copied)
        for topic, states in changed.items():
            objects = self._objects_of(topic, kinds)
            objects.update(states)
            if len(objects) > _MAX_OBJECTS:
                objects.clear()
        self.position = position

    def held(self, key: bytes) -> bytes | None:
        """Return the value under a key of ``state``; ``None`` if there is none.

        The position has none here: it is ``position``.
        """
        name, _, rest = key.partition(b":")
        topic = _TOPICS.get(name)
        if topic is None:
            return None
        owner, _, part = rest.partition(b":")
        # Several keys may be read as one part; it is written under one of them.
        if KINDS[topic].key(owner, part) != key:
            return None
        return self._parts[topic].get(owner, {}).get(part)

    def records(self) -> Iterator[StateRecord]:
        """Yield every record held, in no order that means anything; the position last."""
        for topic, kind in KINDS.items():
            for owner, parts in self._parts[topic].items():
                for part, value in parts.items():
                    yield kind.key(owner, part), value
        yield POSITION_KEY, encode(self.position)

    def _load_position(self, value: bytes) -> None:
        position = _position(value)
        if isinstance(position, Malformed):
            raise UnreadableState(POSITION_KEY, part=ITSELF, field=position.field)
        self.position = position

    def _put(self, topic: str, owner: bytes, part: bytes, value: bytes | None) -> None:
        parts = self._parts[topic].setdefault(owner, {})
        known = len(parts)
        if value is None:
            parts.pop(part, None)
        else:
            parts[self._names.setdefault(part, part)] = value
        self._records += len(parts) - known
        # Loading bytes makes the object read from older ones wrong.
        self._objects[topic].pop(owner, None)
