"""A Kafka-compatible broker for the tests that need one, else a skip that says how."""
