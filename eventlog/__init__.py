"""The log as a port, with two adapters: one SQLite file, or a Kafka-compatible broker."""
