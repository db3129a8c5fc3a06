"""What goes wrong for an operator, said in one line with what to do about it."""

import re

from audit.core.difference import DifferenceFound
from eventlog.port import (
    LogError,
    LogFull,
    LogRefused,
    LogUnavailable,
    RecordTooLarge,
)
from schemas.newer import WrittenByNewer

# Exit codes of the audit: it was answered, and how.
AS_DERIVED, DIFFERENT = 0, 1


class OperatorError(Exception):
    """Something that the operator can put right; the text says how.

    ``exit_code`` is 1 for a world that is not as it should be, 2 for a wrong request.
    """

    exit_code = 1


class SettingsError(OperatorError):
    """A setting is missing, wrong or unknown."""

    exit_code = 2


class RequestError(OperatorError):
    """What was asked for makes no sense."""

    exit_code = 2


class NotAnswered(OperatorError):
    """Something kept an audit from its answer; the log may be right or wrong."""

    exit_code = 3


# The settings behind the fields of the adapters' configs that a log may refuse.
_SETTINGS = {
    "replication": "STACKS_FEED_KAFKA_REPLICATION",
    "session_timeout_ms": "STACKS_FEED_KAFKA_SESSION_TIMEOUT_S",
    "topic_configs": "STACKS_FEED_KAFKA_TOPIC_CONFIGS",
}
# How Python and OpenSSL write where an error comes from: of no use to an operator.
_CODES = re.compile(r"\[(?:Errno -?\d+|SSL(?:: \w+)?)\] | \(_ssl\.c:\d+\)")
# Reported in one line wherever a process meets them; all else is a bug.
OPERATIONAL: tuple[type[Exception], ...] = (
    OperatorError,
    DifferenceFound,
    LogError,
    OSError,
    WrittenByNewer,
)


def in_one_line(error: BaseException) -> str | None:
    """Say what broke and what to do; ``None`` for what is a bug."""
    match error:
        case LogUnavailable():
            said = f"{error}; start it or correct STACKS_FEED_LOG, then try again"
        case LogRefused(setting=setting) if setting in _SETTINGS:
            said = f"{error}; correct {_SETTINGS[setting]}"
        case LogFull():
            said = f"{error}; make room or move the log, nothing half-written is left"
        case RecordTooLarge():
            return None
        case _ if isinstance(error, OPERATIONAL):
            said = f"{error}"
        case _:
            return None
    return without_codes(said)


def without_codes(text: str) -> str:
    """Return what the system said in one line, without the numbers of its errors."""
    return " ".join(_CODES.sub("", text).split())
