"""The topics as they should be, the log's identity, and how both come to be."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import assert_never

from app.errors import OperatorError
from eventlog.port import (
    Cleanup,
    Drift,
    Entry,
    EventLog,
    Fenced,
    Partition,
    TopicSpec,
    TopicState,
    UnknownTopic,
)
from runtime.crash import OnStep, no_step
from schemas.base import Malformed, encode
from schemas.ids import Network
from schemas.latest import IDENTITY_KEY, decode_latest
from schemas.log import LogIdentity, World
from schemas.topics import (
    CHANGES,
    DAY_MS,
    JOURNAL,
    LATEST,
    LEASES_MS,
    RAW,
    REJECTS_MS,
    STATE,
    TOPICS,
    Keep,
)

_HOME = Partition(LATEST, 0)
# What a processor writes in one transaction, and what it reads from where it was.
_PROCESSORS = (LATEST, CHANGES, STATE, JOURNAL)
_GOES_ON_FROM = (*RAW, *_PROCESSORS)
# With one of these wrong records go astray; the rest only changes how long they stay.
_HARMFUL = {"partitions", "cleanup.policy", "message.timestamp.type"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a new log is to be."""

    network: Network
    world: World
    partitions: int
    audit_days: float


@dataclass(frozen=True, slots=True)
class Applied:
    """What ``apply`` did and found."""

    identity: LogIdentity
    created: tuple[str, ...]
    drift: tuple[Drift, ...]


@dataclass(frozen=True, slots=True)
class TopicShown:
    """One topic that exists; ``records`` counts offsets, holes included."""

    name: str
    partitions: int
    records: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What is in a log; ``lost`` says what was lost of it and what to do about that."""

    identity: LogIdentity | None
    topics: tuple[TopicShown, ...]
    missing: tuple[str, ...]
    drift: tuple[Drift, ...]
    lost: str | None = None

    @property
    def as_it_should_be(self) -> bool:
        """Whether nothing is missing and nothing differs."""
        return self.identity is not None and not self.missing and not self.drift


def specs(*, partitions: int, audit_days: float) -> tuple[TopicSpec, ...]:
    """Return every topic as it should be; ``audit_days`` 0 keeps history for ever."""
    audit_ms = round(audit_days * DAY_MS) or None
    return tuple(
        TopicSpec(topic.name, partitions, _cleanup(topic.keep, audit_ms=audit_ms))
        for topic in TOPICS
    )


def _cleanup(keep: Keep, *, audit_ms: int | None) -> Cleanup:
    match keep:
        case Keep.AUDIT:
            return Cleanup(compact=False, retention_ms=audit_ms)
        case Keep.NEWEST:
            return Cleanup(compact=True, retention_ms=None)
        case Keep.REJECTS:
            return Cleanup(compact=False, retention_ms=REJECTS_MS)
        case Keep.LEASES:
            return Cleanup(compact=True, retention_ms=LEASES_MS)
        case _:
            assert_never(keep)


async def apply(
    log: EventLog,
    wanted: Wanted,
    *,
    new_id: str,
    now_ms: Callable[[], int],
    on_step: OnStep = no_step,
) -> Applied:
    """Create what is missing, write the identity if there is none, report the rest.

    Never alters and never deletes. Raises ``OperatorError``, and creates nothing, where a
    topic was lost that others go on from: see ``loss_in``. The identity is written through the fence of shard 0
    and only if that shard has none, so of several who apply at once one writes it; a log
    that has one is not touched and its owner of shard 0 not disturbed.
    """
    topics = specs(partitions=wanted.partitions, audit_days=wanted.audit_days)
    lost = await loss_in(log, topics)
    if lost is not None:
        raise OperatorError(lost)
    created = await log.create(topics)
    on_step("topics-created")
    identity = await read_identity(log)
    if identity is None:
        identity = await _write_identity(
            log, wanted, new_id=new_id, created_at=now_ms()
        )
    drift = drift_in(await log.describe(topics))
    return Applied(identity, created, drift)


async def _write_identity(
    log: EventLog, wanted: Wanted, *, new_id: str, created_at: int
) -> LogIdentity:
    identity = LogIdentity(
        id=new_id,
        network=wanted.network,
        world=wanted.world,
        partitions=wanted.partitions,
        created_at=created_at,
    )
    entry = Entry(IDENTITY_KEY, encode(identity))
    while True:
        async with log.own(_HOME.number) as writer:
            # Of several who apply at once another may have written it by now …
            written = await read_identity(log)
            if written is not None:
                return written
            with suppress(Fenced):  # … or be about to: then look again
                await writer.commit({LATEST: [entry]})


async def loss_in(log: EventLog, topics: Sequence[TopicSpec]) -> str | None:
    """Say which topics were lost beside others that hold records, and what to do.

    A processor goes on from where ``state`` says it is. What it wrote and read before is
    not written or read again, so a topic that is made anew would lack it for ever. The
    table counts as lost also if the topic is there and the log's identity is not.
    """
    states = {state.name: state for state in await log.describe(topics)}
    lost = [name for name in _GOES_ON_FROM if name not in states]
    if LATEST in states and await read_identity(log) is None:
        lost.append(LATEST)
    found = [states[name] for name in _PROCESSORS if name in states.keys() - lost]
    holding = [state.name for state in found if await _holds_records(log, state)]
    if not lost or not holding:
        return None
    remedy = (
        "write it again with `stacks-feed topics rebuild latest`"
        if lost == [LATEST]
        else "put the log back from a copy, or begin a new one (--log, or "
        "STACKS_FEED_LOG_PREFIX)"
    )
    return (
        f"the log at {log.where} has lost {_listed(lost)}, while {_listed(holding)} "
        f"{'holds' if len(holding) == 1 else 'hold'} records: made anew, that would lack "
        f"all that was there; {remedy}"
    )


async def _holds_records(log: EventLog, state: TopicState) -> bool:
    parts = [Partition(state.name, number) for number in range(state.partitions)]
    return any((await log.ends(parts)).values())


def _listed(names: Sequence[str]) -> str:
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


async def read_identity(log: EventLog) -> LogIdentity | None:
    """Return the log's identity; ``None`` if the topics or the identity do not exist.

    It is the first record of its partition, so little is read.
    """
    async with aclosing(_identities(log, at_once=500)) as identities:
        async for identity in identities:
            return identity
    return None


async def read_only_identity(log: EventLog) -> LogIdentity | None:
    """Return the log's identity like ``read_identity``, if there is no other one.

    All of its partition is read. Raises ``OperatorError`` where it holds two that differ:
    readers of ``latest`` would take the later one, and everybody else the first.
    """
    only: LogIdentity | None = None
    async with aclosing(_identities(log, at_once=5_000)) as identities:
        async for identity in identities:
            if only is not None and identity != only:
                raise OperatorError(
                    f"the log at {log.where} has two identities that differ "
                    f"({_in_short(only)}; {_in_short(identity)}): somebody has written "
                    "into it; put the log back from a copy"
                )
            only = identity
    return only


def _in_short(identity: LogIdentity) -> str:
    return (
        f"{identity.id} of {identity.network.value}, {identity.world.value}, "
        f"{identity.partitions} partitions"
    )


async def _identities(log: EventLog, *, at_once: int) -> AsyncGenerator[LogIdentity]:
    """Yield the identities that a log holds, in their order; the first is the log's."""
    try:
        start, end = await log.oldest([_HOME]), await log.ends([_HOME])
    except UnknownTopic:
        return
    async with log.reader(start) as reader:
        while reader.position(_HOME) < end[_HOME]:
            batches = await reader.read(max_records=at_once, wait_s=1.0)
            records = batches.get(_HOME, ())
            for value in [r.value for r in records if r.key == IDENTITY_KEY]:
                yield _identity(value or b"", where=log.where)


def _identity(value: bytes, *, where: str) -> LogIdentity:
    identity = decode_latest(IDENTITY_KEY, value)
    if isinstance(identity, LogIdentity):
        return identity
    field = identity.field if isinstance(identity, Malformed) else ""
    raise OperatorError(
        f"the identity of the log at {where} cannot be read (field {field!r}); "
        "it was written by another program or a newer version"
    )


async def show(log: EventLog, wanted: Wanted) -> Shown:
    """Say what is there and how it differs from what is wanted; changes nothing."""
    identity = await read_only_identity(log)
    partitions = identity.partitions if identity else wanted.partitions
    topics = specs(partitions=partitions, audit_days=wanted.audit_days)
    states = await log.describe(topics)
    return Shown(
        identity=identity,
        topics=tuple([await _shown(log, state) for state in states]),
        missing=tuple(sorted({t.name for t in topics} - {s.name for s in states})),
        drift=drift_in(states),
        lost=await loss_in(log, topics),
    )


async def _shown(log: EventLog, state: TopicState) -> TopicShown:
    parts = [Partition(state.name, number) for number in range(state.partitions)]
    start, end = await log.oldest(parts), await log.ends(parts)
    return TopicShown(
        name=state.name,
        partitions=state.partitions,
        records=sum(end[part] - start[part] for part in parts),
    )


def check_identity(
    identity: LogIdentity, *, network: Network, world: World, where: str
) -> None:
    """Refuse a log that holds another chain or another world than this process serves."""
    if identity.network is not network:
        raise OperatorError(
            f"the log at {where} is of {identity.network.value}, this process of "
            f"{network.value}; set STACKS_FEED_NETWORK, or choose another log"
        )
    if identity.world is not world:
        raise OperatorError(
            f"the log at {where} holds a {identity.world.value} world, this process is "
            f"{world.value}; choose another log with --log, or "
            + (
                "start it with --live"
                if world is World.SIMULATED
                else "leave out --live and STACKS_FEED_ENVIRONMENT=production"
            )
        )


def drift_in(states: Sequence[TopicState]) -> tuple[Drift, ...]:
    """Return all drift, in the order of the topics."""
    return tuple(drift for state in states for drift in state.drift)


def harmful(drift: Sequence[Drift]) -> tuple[Drift, ...]:
    """Return the drift with which no service may run."""
    return tuple(each for each in drift if each.setting in _HARMFUL)


def in_words(drift: Drift) -> str:
    """Say one drift: what it is and what was wanted."""
    return f"{drift.topic}: {drift.setting} is {drift.found}, should be {drift.wanted}"


def refuse_harmful(drift: Sequence[Drift], *, where: str) -> None:
    """Raise ``OperatorError`` if records would go astray in these topics."""
    wrong = harmful(drift)
    if wrong:
        said = "; ".join(in_words(each) for each in wrong)
        raise OperatorError(
            f"the topics of the log at {where} are not as they must be: {said}. "
            "Correct them with the broker's own tool, or choose a new log or prefix"
        )
