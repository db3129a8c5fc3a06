"""Log lines: an event name plus fields, as JSON on stderr, or short for a terminal.

Write ``logger.info("price published", extra={"version": 3})``: the message is the name of
the event and never varies, everything else is a field. ``bound(shard=2)`` adds fields to
every line of a task and of the tasks it starts. Secrets do not get out: fields named like
one and passwords inside URLs are masked.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

Fields = Mapping[str, Any]

MASK = "***"
_context: ContextVar[Fields] = ContextVar("log_context", default={})  # noqa: B039 - never mutated, bound() replaces it
_BUILT_IN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
# `token` alone is a coin here, so it is not in the list.
_SECRET_NAME = re.compile(r"(?i)password|secret|api_?key|authorization|access_?token")
# Up to the last @ before path or query: a password may hold one, as URLs are read.
_URL_PASSWORD = re.compile(r"(?<=://)[^/?#\s]+@")
_LONGEST_INT = 2**63 - 1
_FORGING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# They log every request, and failures that they also raise to us: what matters is counted
# and logged by the services.
_TALKATIVE = {
    "aiohttp.access": logging.WARNING,
    "aiokafka": logging.CRITICAL,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "websockets": logging.WARNING,
}


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add fields to every line logged inside, by this task and by tasks it starts."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def configure(
    service: str,
    *,
    level: str = "INFO",
    stream: TextIO | None = None,
    human: bool | None = None,
) -> None:
    """Send this process's log lines to ``stream`` (stderr), replacing what was set up.

    ``human`` chooses the short form; by default a terminal gets it, all else JSON.
    """
    out = stream or sys.stderr
    short = out.isatty() if human is None else human
    target = logging.StreamHandler(out)
    target.setFormatter(ShortLines(service) if short else JsonLines(service))
    root = logging.getLogger()
    root.handlers[:] = [target]
    root.setLevel(level)
    for name, least in _TALKATIVE.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    # A filter that stands there already is not added again.
    logging.getLogger("aiohttp.server").addFilter(_is_of_us)
    logging.captureWarnings(capture=True)


def _is_of_us(record: logging.LogRecord) -> bool:
    """Tell whether a line of aiohttp's server is about our code.

    Bytes of a stranger that are no HTTP are answered with 400, and who leaves in the
    middle of an answer is gone: a traceback of each would look like a bug of ours, and let
    strangers fill the log.
    """
    error = record.exc_info[1] if record.exc_info else None
    no_http = type(error).__module__ == "aiohttp.http_exceptions"
    return not (no_http or isinstance(error, ConnectionError))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, service, event, then context and fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a newline inside."""
        line = {
            "time": _when(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "event": _masked_text(record.getMessage()),
            **fields_of(record),
        }
        if record.exc_info:
            line["traceback"] = _masked_text(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str, option=_JSON).decode()


_JSON = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


class ShortLines(logging.Formatter):
    """For eyes: time, level, service, event, fields as ``name=value``."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback follows on lines of its own."""
        fields = "".join(
            f" {k}={_FORGING.sub('?', str(v))}" for k, v in fields_of(record).items()
        )
        moment = _when(record).astimezone().strftime("%H:%M:%S")
        event = _FORGING.sub("?", _masked_text(record.getMessage()))
        line = (
            f"{moment} {record.levelname.lower():7} {self._service:9} {event}{fields}"
        )
        if record.exc_info:
            line += "\n" + _masked_text(self.formatException(record.exc_info))
        return line


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the context and the fields of a line, secrets masked."""
    own = {k: v for k, v in vars(record).items() if k not in _BUILT_IN}
    return {k: _masked(k, v) for k, v in {**_context.get(), **own}.items()}


def _masked(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, bool | float | None):
        return value
    if isinstance(value, int):
        # JSON of ours takes no more than 64 bits; amounts are longer.
        return value if abs(value) <= _LONGEST_INT else str(value)
    if isinstance(value, Mapping):
        return {_masked_text(str(k)): _masked(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(name, v) for v in value]
    return _masked_text(str(value))


def _masked_text(text: str) -> str:
    """Return a text without passwords, and without what no encoding of it could hold."""
    sound = text if text.isascii() else text.encode(errors="replace").decode()
    return _URL_PASSWORD.sub(f"{MASK}@", sound)


def _when(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
