"""What keeps the audit from answering."""

from eventlog.port import LogError


class WrongMoment(Exception):
    """A cut is of another log, or of commits that this log does not have."""


class HistoryGone(LogError):
    """Retention has dropped where history would have to be read from."""

    def __init__(self, topic: str, shard: int, *, oldest: int) -> None:
        super().__init__(
            f"{topic}[{shard}] begins at offset {oldest}, what stood before was dropped, "
            "and no snapshot stands in for it"
        )
        self.topic, self.shard, self.oldest = topic, shard, oldest
