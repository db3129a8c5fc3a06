# mypy: allow-untyped-calls
"""What is known of topics while others forget it: the driver is played."""

from types import SimpleNamespace
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from eventlog.kafka.config import KafkaConfig
from eventlog.kafka.topics import Shape, Topics


class Interrupted(AIOKafkaAdminClient):
    """Answers every question, and meanwhile something fails elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.topics: Topics | None = None

    async def describe_topics(self, topics: Any = None) -> list[Any]:
        assert self.topics is not None
        self.topics.forget()
        return [{"topic": t, "error_code": 0, "partitions": [0, 1]} for t in topics]

    async def describe_configs(
        self, config_resources: Any, include_synonyms: bool = False
    ) -> list[Any]:
        rows = [
            (0, None, 2, each.name, [("max.message.bytes", "9")])
            for each in config_resources
        ]
        return [SimpleNamespace(resources=rows)]


async def test_what_is_forgotten_during_an_answer_is_still_in_it() -> None:
    admin = Interrupted()
    topics = admin.topics = Topics(KafkaConfig(bootstrap="nowhere:1"), admin)
    shape = Shape(partitions=2, limit_bytes=9)
    await topics.shapes(["state"])
    found = await topics.shapes(["state", "journal"])
    assert {name: found[name] for name in ("state", "journal")} == {
        "state": shape,
        "journal": shape,
    }
    topics.forget()
    assert found["state"] == shape
