# mypy: allow-untyped-calls
"""Topics on a broker: creating them, describing them, knowing what one takes."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from eventlog.port import (
    MAX_RECORD_BYTES,
    Cleanup,
    Drift,
    TopicSpec,
    TopicState,
    UnknownTopic,
)

from .config import KafkaConfig
from .errors import border

# Names of settings of a topic whose drift is reported.
_COMPARED = (
    "cleanup.policy",
    "retention.ms",
    "message.timestamp.type",
    "max.message.bytes",
)
# With the broker's defaults (a segment of 7 days, half of it dirty) a quiet compacted
# topic is never compacted.
_COMPACTED = {
    "min.cleanable.dirty.ratio": "0.2",
    "segment.ms": "600000",
    "segment.bytes": "33554432",
}
_MAX_COMPACTION_LAG_MS = 21_600_000
_LOOK_AGAIN_S = 0.02


class Shape(NamedTuple):
    """What a writer must know of a topic."""

    partitions: int
    limit_bytes: int


def settings_of(
    cleanup: Cleanup,
    *,
    replication: int,
    others: Mapping[str, str | None] = MappingProxyType({}),
) -> dict[str, str]:
    """Return the settings a topic is created with.

    ``others`` come from the operator: more settings, or ``None`` to leave one of ours to
    the broker.
    """
    policies = ["compact"] * cleanup.compact
    if cleanup.retention_ms is not None or not cleanup.compact:
        policies.append("delete")
    kept_ms = -1 if cleanup.retention_ms is None else cleanup.retention_ms
    settings = {
        "cleanup.policy": ",".join(policies),
        "retention.ms": str(kept_ms),
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_RECORD_BYTES),
    }
    if cleanup.compact:
        settings |= _COMPACTED
        settings["max.compaction.lag.ms"] = str(_MAX_COMPACTION_LAG_MS)
        settings["delete.retention.ms"] = str(cleanup.tombstones_ms)
    if replication >= 3:  # noqa: PLR2004 - two of three: one may be away
        settings["min.insync.replicas"] = "2"
    wanted = {**settings, **others}
    return {name: value for name, value in wanted.items() if value is not None}


def drift_of(
    spec: TopicSpec,
    *,
    partitions: int,
    found: Mapping[str, str],
    others: Mapping[str, str | None] = MappingProxyType({}),
) -> tuple[Drift, ...]:
    """Return how a topic that was found differs from its spec."""
    wanted = settings_of(spec.cleanup, replication=1, others=others)
    pairs = [("partitions", str(spec.partitions), str(partitions))]
    pairs += [
        (name, wanted[name], found.get(name, "unknown"))
        for name in _COMPARED
        if name in wanted
    ]
    return tuple(
        Drift(spec.name, setting, want, have)
        for setting, want, have in pairs
        if _normal(want) != _normal(have)
    )


def retention_of(found: Mapping[str, str]) -> int | None:
    """Return how long a topic with these settings keeps its records; ``None``: for ever."""
    kept_ms = int(found.get("retention.ms", -1))
    deletes = "delete" in found.get("cleanup.policy", "")
    return kept_ms if deletes and kept_ms >= 0 else None


def _normal(value: str) -> list[str]:
    """Policies are a set; brokers list them in any order."""
    return sorted(value.replace(" ", "").split(","))


class Topics:
    """Asks the broker about topics, and remembers the shape of those it saw."""

    def __init__(self, config: KafkaConfig, admin: AIOKafkaAdminClient) -> None:
        self._config, self._admin = config, admin
        self._shapes: Mapping[str, Shape] = {}

    async def create(self, specs: Sequence[TopicSpec]) -> tuple[str, ...]:
        """Create the topics that do not exist; return their names."""
        if not specs:
            return ()
        wanted = [self._new_topic(spec) for spec in specs]
        async with border(self._config.where, limit_s=self._config.request_limit_s):
            response: Any = await self._admin.create_topics(wanted)
            self._config.on_step("topics-written")
            # The driver raises nothing: each topic has its own error code.
            errors = {row[0]: for_code(row[1]) for row in response.topic_errors}
            for name, _, *messages in response.topic_errors:
                error = errors[name]
                if error not in {NoError, TopicAlreadyExistsError}:
                    # The oldest version of the answer has no message.
                    why = next(filter(None, messages), error.__name__)
                    raise error(f"topic {name} was not created: {why}")
            await self._until_known([spec.name for spec in specs])
        return tuple(
            s.name for s in specs if errors[self._config.topic(s.name)] is NoError
        )

    async def _until_known(self, names: Sequence[str]) -> None:
        """Wait until the broker heard of new topics: the controller knows them first."""
        while True:
            if len(await self._partitions(names)) == len(names):
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def describe(self, specs: Sequence[TopicSpec]) -> tuple[TopicState, ...]:
        """Return those that exist, each with its drift."""
        if not specs:
            return ()
        names = [spec.name for spec in specs]
        async with border(self._config.where, limit_s=self._config.request_limit_s):
            partitions = await self._partitions(names)
            settings = await self._settings(partitions)
        return tuple(
            TopicState(
                s.name,
                count,
                drift_of(
                    s,
                    partitions=count,
                    found=found,
                    others=self._config.topic_configs,
                ),
                retention_of(found),
            )
            for s in specs
            if (count := partitions.get(s.name)) is not None
            and (found := settings.get(s.name)) is not None
        )

    async def shapes(self, names: Iterable[str]) -> Mapping[str, Shape]:
        """Return the shapes of topics, from memory where possible.

        Raises ``UnknownTopic``. The answer may hold more, and is whole whatever is
        forgotten meanwhile.
        """
        known = self._shapes
        missing = [name for name in names if name not in known]
        if not missing:
            return known
        learned = await self._learned(missing)
        self._shapes = {**self._shapes, **learned}
        return {**known, **learned}

    async def require(self, topic: str, partition: int) -> Shape:
        """Return the shape of a topic that has this partition, else ``UnknownTopic``."""
        shape = (await self.shapes([topic]))[topic]
        if not 0 <= partition < shape.partitions:
            raise UnknownTopic(topic)
        return shape

    def forget(self) -> None:
        """Ask again next time: something failed, perhaps a topic changed."""
        # Whoever was given the old ones keeps them.
        self._shapes = {}

    async def _learned(self, names: Sequence[str]) -> dict[str, Shape]:
        async with border(self._config.where, limit_s=self._config.request_limit_s):
            partitions = await self._partitions(names)
            for name in names:
                if name not in partitions:
                    raise UnknownTopic(name)
            settings = await self._settings(partitions)
        limits = {
            name: found.get("max.message.bytes", MAX_RECORD_BYTES)
            for name, found in settings.items()
        }
        return {
            name: Shape(count, int(limits.get(name, MAX_RECORD_BYTES)))
            for name, count in partitions.items()
        }

    def _new_topic(self, spec: TopicSpec) -> NewTopic:
        replication = self._config.replication
        return NewTopic(
            name=self._config.topic(spec.name),
            num_partitions=spec.partitions,
            replication_factor=replication,
            topic_configs=settings_of(
                spec.cleanup,
                replication=replication,
                others=self._config.topic_configs,
            ),
        )

    async def _partitions(self, names: Sequence[str]) -> dict[str, int]:
        """Return how many partitions each topic has; absent is what does not exist."""
        full = {self._config.topic(name): name for name in names}
        counts = {}
        for topic in await self._admin.describe_topics(list(full)):
            error = for_code(topic["error_code"])
            if error is NoError:
                counts[full[topic["topic"]]] = len(topic["partitions"])
            elif error is not UnknownTopicOrPartitionError:
                raise error(topic["topic"])
        return counts

    async def _settings(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return the settings of each topic that the broker shows us."""
        full = {self._config.topic(name): name for name in names}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in full]
        if not asked:
            return {}
        found: dict[str, dict[str, str]] = {}
        responses: Sequence[Any] = await self._admin.describe_configs(asked)
        for response in responses:
            for row in response.resources:
                code, _, _, name, entries = row[:5]
                if for_code(code) is NoError:
                    found[full[name]] = _pairs(entries)
        return found


def _pairs(entries: Iterable[Sequence[Any]]) -> dict[str, str]:
    """Return names and values of a driver's configuration entries."""
    return {str(entry[0]): str(entry[1]) for entry in entries}
