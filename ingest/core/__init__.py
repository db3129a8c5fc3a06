"""What ingest decides, as pure functions of values."""
