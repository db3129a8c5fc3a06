"""What ``--log`` names: a file or a broker."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from app.errors import SettingsError

_EXAMPLES = "a path, sqlite:///path or kafka://host:port"


@dataclass(frozen=True, slots=True)
class File:
    """An embedded log: one SQLite file."""

    path: Path


@dataclass(frozen=True, slots=True)
class Broker:
    """A Kafka-compatible broker; ``bootstrap`` is ``host:port``, several by commas."""

    bootstrap: str


Place: TypeAlias = File | Broker


def parse_place(text: str) -> Place:
    """Read where the log is; raise ``SettingsError`` for what is neither."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _file(text)
    match scheme:
        case "sqlite":
            # As in SQLAlchemy: three slashes are relative, four absolute.
            return _file(rest.removeprefix("/"))
        case "kafka":
            return _broker(rest.rstrip("/"))
        case _:
            raise SettingsError(
                f"{scheme}:// is not a log; STACKS_FEED_LOG or --log takes {_EXAMPLES}"
            )


def _file(path: str) -> File:
    if not path:
        raise SettingsError(f"the log has no path; STACKS_FEED_LOG takes {_EXAMPLES}")
    return File(Path(path))


def _broker(bootstrap: str) -> Broker:
    if "@" in bootstrap:
        raise SettingsError(
            "user and password do not belong in the log's URL; set "
            "STACKS_FEED_KAFKA_USER and STACKS_FEED_KAFKA_PASSWORD"
        )
    for server in bootstrap.split(","):
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit():
            raise SettingsError(
                f"{server!r} is not host:port; STACKS_FEED_LOG takes {_EXAMPLES}"
            )
    return Broker(bootstrap)
