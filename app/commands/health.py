"""``stacks-feed health URL``: is the service there ready? For a container's check."""

import argparse
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPSConnection,
)
from socket import gaierror
from ssl import SSLCertVerificationError, SSLError
from urllib.parse import SplitResult, urlsplit

import orjson

from app.errors import OperatorError, SettingsError, without_codes

_READY = "/health/ready"
_LIMIT_S = 5.0
# Why there is no answer, in words; the first one that fits. An answer that breaks off at
# once is a bad status line too.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "refused, nothing listens there"),
    (ConnectionError, "the connection was closed without an answer"),
    (HTTPException, "what answers there does not speak HTTP"),
    (TimeoutError, f"no answer within {_LIMIT_S:.0f} s"),
    (gaierror, "the name of the host is not known"),
    (SSLError, "what answers there does not speak TLS as it should"),
)
_CONNECTIONS = {"http": HTTPConnection, "https": HTTPSConnection}


def run(arguments: argparse.Namespace) -> int:
    """Ask, and say what was answered in one line; 0 if the service is ready."""
    status, body = _asked(_checked(arguments.url))
    said = _in_one_line(body)
    # What answers 200 without our report is no service of ours.
    ready = status == 200 and said is not None  # noqa: PLR2004 - HTTP's OK
    print(said if said is not None else f"status {status}, no report of health")
    return 0 if ready else 1


def _checked(url: str) -> SplitResult:
    """Return the address to ask; the path is ours unless another one is given."""
    wrong = SettingsError(f"{url} is no http:// or https:// address")
    try:
        parts = urlsplit(url)
        known = parts.scheme in _CONNECTIONS and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        raise wrong from None
    if not known:
        raise wrong
    return parts._replace(path=_READY) if parts.path in {"", "/"} else parts


def _asked(parts: SplitResult) -> tuple[int, bytes]:
    connection = _CONNECTIONS[parts.scheme](
        parts.hostname or "", parts.port, timeout=_LIMIT_S
    )
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (HTTPException, OSError) as error:
        raise OperatorError(f"{parts.geturl()}: {_why(error)}") from error
    finally:
        connection.close()


def _why(error: HTTPException | OSError) -> str:
    """Return why there was no answer, as an operator would say it."""
    if isinstance(error, SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    for kind, why in _REASONS:
        if isinstance(error, kind):
            return why
    return without_codes(f"{error}")


def _in_one_line(body: bytes) -> str | None:
    """Return the report of a service in one line; ``None`` if it is none."""
    try:
        said = orjson.loads(body)
        state = {True: "ready", False: "not ready"}[said["ready"]]
        found = [*said["reasons"], *said.get("warnings", ())]
    except (ValueError, KeyError, TypeError):
        return None
    return "; ".join([state, *(" ".join(f"{each}".split()) for each in found)])
