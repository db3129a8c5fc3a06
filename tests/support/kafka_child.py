# mypy: allow-untyped-calls
"""A process of its own that writes a shard on a broker, to be stopped or killed."""

import asyncio
import sys
from dataclasses import replace
from itertools import count

from eventlog.kafka import KafkaConfig, open_kafka
from eventlog.kafka.batches import cut
from eventlog.kafka.producers import answers, send, start_producer
from eventlog.port import Entry, Fenced, Partition
from tests.support.broker_choice import least_session_ms

SHARD = 0
TOPICS = ("raw", "table")


def say(word: str) -> None:
    """Tell the parent how far it is."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def write_until_fenced(config: KafkaConfig) -> None:
    """Commit numbers, one after the other; stop when fenced."""
    async with open_kafka(config) as log, log.own(SHARD) as writer:
        try:
            for number in count():
                entry = Entry(b"child", str(number).encode())
                await writer.commit({topic: [entry] for topic in TOPICS})
                say(f"committed {number}")
        except Fenced:
            say("fenced")


async def hang_before_commit(config: KafkaConfig) -> None:
    """Write into a transaction, see it acknowledged, and never commit."""
    producer = await start_producer(
        config, transactional_id=f"{config.prefix}shard-{SHARD}", limit_s=10
    )
    await producer.begin_transaction()
    entries = [Entry(b"child", b"half")]
    batches = [
        batch
        for topic in TOPICS
        for batch in cut(
            producer.create_batch, Partition(topic, SHARD), entries, limit_bytes=1_000
        )
    ]
    await answers(await send(producer, batches, config=config))
    say("sent")
    await asyncio.Event().wait()


async def join(config: KafkaConfig) -> None:
    """Join the group and stay until killed."""
    quick = replace(config, session_timeout_ms=least_session_ms())
    async with open_kafka(quick) as log, log.member("g", instance="b") as member:
        while not await member.changed():
            pass
        say("joined")
        await asyncio.Event().wait()


if __name__ == "__main__":
    mode, bootstrap, prefix = sys.argv[1:]
    runs = {"write": write_until_fenced, "hang": hang_before_commit, "join": join}
    asyncio.run(runs[mode](KafkaConfig(bootstrap=bootstrap, prefix=prefix)))
