"""What `state` must hold where history ends: each record as the fold leaves it."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from processor.core.shard_state import ShardState
from schemas.base import Malformed, decoder
from schemas.journal import Position
from schemas.states import NOT_FOLDED_KEYS, POSITION_KEY
from schemas.topics import STATE

from .commits import LogRecord
from .difference import Check, Difference, DifferenceFound, shown

_position = decoder(Position)
_offset_of = attrgetter("offset")


class StateCheck:
    """Compares ``state``, read from its beginning, with what a shard holds.

    Each commit ends what it writes there with its position. So what stands before the
    position of a commit up to ours is of such commits. What stands after it may be of a
    commit that came later than what was verified, and is passed over if it is another.
    """

    def __init__(self, state: ShardState) -> None:
        self._state = state
        # The newest record of each key, ``None`` where it is as it must be.
        self._found: dict[bytes, LogRecord | None] = {}
        self._position: LogRecord | None = None
        self._ours_end = 0
        # The position of the very commit after which the state is held, if it stands there.
        self.own_position: LogRecord | None = None

    def read(self, records: Sequence[LogRecord]) -> None:
        """Take in what is next in ``state``."""
        for record in records:
            if record.key == POSITION_KEY:
                self._read_position(record)
        held = self._state.held
        for key, record in _newest(records).items():
            if key != POSITION_KEY and key not in NOT_FOLDED_KEYS:
                self._found[key] = None if held(key) == record.value else record

    def _read_position(self, record: LogRecord) -> None:
        self._position = record
        said = _position(record.value or b"")
        if isinstance(said, Malformed) or said.commit > self._state.position.commit:
            return
        self._ours_end = record.offset
        is_own = said.commit == self._state.position.commit
        self.own_position = record if is_own else None

    def end(self, newest: int) -> None:
        """Compare, when all of ``state`` was read.

        ``newest`` is the last commit that the journal held after that. Raises
        ``DifferenceFound``.
        """
        commit = self._state.position.commit
        if commit or self._position is not None:
            value = self._position.value if self._position else None
            check_position(self._state, value, newest=newest)
        wrong = [record for record in self._found.values() if record is not None]
        for record in sorted(wrong, key=_offset_of):
            if newest <= commit or record.offset < self._ours_end:
                self._differs(record.key, record)
        for key, _ in self._state.records():
            if key not in self._found and key != POSITION_KEY:
                self._differs(key, None)

    def _differs(self, key: bytes | None, record: LogRecord | None) -> None:
        held = self._state.held(key or b"")
        raise DifferenceFound(
            Difference(
                Check.STATE,
                self._state.shard,
                self._state.position.commit,
                STATE,
                expected="nothing" if held is None else shown(held),
                found=shown(record.value) if record else "nothing",
                offset=record.offset if record else None,
                key=shown(key),
            )
        )


def _newest(records: Iterable[LogRecord]) -> dict[bytes, LogRecord]:
    """Return the last record of each key."""
    return {record.key or b"": record for record in records}


def check_position(state: ShardState, value: bytes | None, *, newest: int) -> None:
    """Compare the position in ``state`` with where the shard stands.

    One of a later commit is passed over, if it is not later than the journal's
    ``newest``. Raises ``DifferenceFound``.
    """
    ours = state.position
    said = _position(value or b"")
    if isinstance(said, Malformed):
        raise _position_differs(state, f"one that cannot be read (at {said.field})")
    if ours.commit < said.commit <= newest:
        return
    # Where a shard begins to read a topic says nothing before it has.
    read = {
        topic: at for topic, at in said.positions.items() if topic in ours.positions
    }
    if said.model_copy(update={"positions": read}) != ours:
        raise _position_differs(state, shown(value))


def _position_differs(state: ShardState, found: str) -> DifferenceFound:
    expected = state.position.model_dump_json(by_alias=True)
    commit = state.position.commit
    return DifferenceFound(
        Difference(Check.STATE, state.shard, commit, STATE, expected, found)
    )
