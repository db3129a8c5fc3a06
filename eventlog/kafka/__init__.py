"""The log on a Kafka-compatible broker; the only home of aiokafka."""

from .config import KafkaConfig, KafkaSecurity
from .log import open_kafka

__all__ = ["KafkaConfig", "KafkaSecurity", "open_kafka"]
