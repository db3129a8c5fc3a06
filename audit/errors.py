"""What keeps the audit from answering."""

from pathlib import Path

from eventlog.port import LogError


class WrongMoment(Exception):
    """A cut is of another log, or of commits that this log does not have."""


class HistoryGone(LogError):
    """Retention has dropped where history would have to be read from.

    ``begins`` is the commit of the shard with which history begins that is left, if there
    is any; ``declared`` tells whether that is a declared point.
    """

    def __init__(
        self,
        topic: str,
        shard: int,
        *,
        oldest: int,
        begins: int = 0,
        declared: bool = False,
    ) -> None:
        super().__init__(
            f"{topic}[{shard}] begins at offset {oldest}, what stood before was dropped, "
            + (
                _beginning(shard, begins, declared=declared)
                if begins
                else _NO_BEGINNING
            )
        )
        self.topic, self.shard, self.oldest, self.begins = topic, shard, oldest, begins


_NO_BEGINNING = (
    "and no snapshot stands in for it. Put the topic back from a copy; or accept that "
    "history up to now can never be verified, with "
    "`stacks-feed audit watch --from now`: from there on the log proves itself again"
)


def _beginning(shard: int, begins: int, *, declared: bool) -> str:
    point = ", where a point was declared" if declared else ""
    return (
        f"and of shard {shard} nothing before commit {begins}{point} can be told any more. "
        "Ask for that commit or a later moment, or put the topic back from a copy"
    )


class IndexWrong(Exception):
    """The index names an offset at which the log holds something else."""

    def __init__(self, topic: str, shard: int, *, offset: int) -> None:
        super().__init__(f"the index is wrong about {topic}[{shard}] at {offset}")
        self.topic, self.shard, self.offset = topic, shard, offset


class IndexUnusable(Exception):
    """The file of the index cannot be read or written."""

    def __init__(self, path: Path | None, *, why: str) -> None:
        super().__init__(
            f"the index at {path} cannot be used: {why}; delete it, or name another file "
            "by STACKS_FEED_AUDIT_INDEX"
        )
        self.path, self.why = path, why


class WrongKey(Exception):
    """A text names nothing that can be explained."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} names nothing that can be explained; give a key as price:ID, "
            "balance:USER:ID or token:ID, or an observation as reject:TOPIC:SHARD:OFFSET"
        )


class NoParquet(Exception):
    """What writes Parquet is not installed."""

    def __init__(self) -> None:
        super().__init__("Parquet needs the extra: pip install 'stacks-feed[parquet]'")


class WrongFolder(Exception):
    """A folder holds the export of another log."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} holds the export of another log; name another one")
        self.folder = folder
