# mypy: allow-untyped-calls
"""Two nodes of Apache Kafka, of which one may be killed: its partitions lose their leader."""

import re
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from eventlog.kafka import KafkaConfig, open_kafka
from eventlog.kafka.topics import settings_of
from eventlog.port import Cleanup, Entry, TopicSpec
from tests.support.kafka_from_maven import MavenKafka

FIRST, SECOND = 1, 2


class SecondNode(MavenKafka):
    """A broker that joins the cluster of ``first``, whose controller rules both."""

    def __init__(self, folder: Path, first: MavenKafka) -> None:
        self._first = first
        super().__init__(folder, jars=first._jars)

    def _format(self) -> None:
        ruling = self._first._properties.read_text()
        voters = re.search(r"controller\.quorum\.voters=.*", ruling)
        assert voters is not None
        text = self._properties.read_text()
        text = text.replace("process.roles=broker,controller", "process.roles=broker")
        text = text.replace("node.id=1", f"node.id={SECOND}")
        text = re.sub(r"controller\.quorum\.voters=.*", voters[0], text)
        text = re.sub(r",CONTROLLER://[0-9.:]+", "", text)
        self._properties.write_text(text)
        super()._format()


async def settle_on_the_first(config: KafkaConfig) -> None:
    """Let the cluster make its own topics while there is one node: they stay there."""
    plain = Cleanup(compact=False, retention_ms=None)
    async with open_kafka(config) as log:
        await log.create(
            [TopicSpec("settling", 1, plain), TopicSpec("shards", 1, plain)]
        )
        async with log.own(0) as writer:
            await writer.commit({"settling": [Entry(b"k", b"v")]})
        async with log.member("settling", instance="one") as member:
            await member.changed()


async def create_placed(
    config: KafkaConfig, specs: tuple[TopicSpec, ...], *, on_second: int
) -> None:
    """Create topics whose partition ``on_second`` is on the second node alone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=config.bootstrap)
    await admin.start()
    try:
        made: Any = await admin.create_topics(
            [_placed(config, s, on_second) for s in specs]
        )
        assert {row[1] for row in made.topic_errors} == {0}, made
    finally:
        await admin.close()


def _placed(config: KafkaConfig, spec: TopicSpec, on_second: int) -> NewTopic:
    nodes = {n: [SECOND if n == on_second else FIRST] for n in range(spec.partitions)}
    return NewTopic(
        name=config.topic(spec.name),
        num_partitions=-1,
        replication_factor=-1,
        replica_assignments=nodes,
        topic_configs=settings_of(spec.cleanup, replication=1),
    )
