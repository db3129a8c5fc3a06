"""Ports: whether one is free, and which one is."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from app.errors import OperatorError

# Listening on one of these is reached, on the same machine, through the other.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def address(host: str, port: int) -> str:
    """Return ``host:port`` as it stands in a URL; an IPv6 address gets its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_address(host: str, port: int) -> str:
    """Return ``host:port`` at which this machine reaches what listens on ``host``."""
    return address(_LOOPBACK.get(host, host), port)


def check_free(host: str, port: int, *, what: str, setting: str) -> None:
    """Raise ``OperatorError`` if ``what`` could not listen there; 0 is always free."""
    with held_port(host, port, what=what, setting=setting, shared=False):
        pass


@contextmanager
def held_port(
    host: str, port: int, *, what: str, setting: str, shared: bool = True
) -> Iterator[int]:
    """Hold a port for processes of ours that share it, which others cannot have then.

    Nobody can connect to it by this. Port 0 takes a free one. Raises ``OperatorError`` if
    ``what`` could not listen there.
    """
    try:
        held = _bound(host, port, shared=shared)
    except OSError as error:
        reason = {
            errno.EADDRINUSE: "is in use; stop what listens there, or",
            errno.EACCES: "needs more rights than this process has;",
        }.get(error.errno or 0, f"cannot be listened on ({error.strerror or error});")
        raise OperatorError(
            f"port {port} on {host} for the {what} {reason} "
            f"choose another with {setting}"
        ) from None
    with held:
        yield held.getsockname()[1]


def free_port(host: str) -> int:
    """Return a port of ``host`` that nothing listens on just now."""
    (port,) = free_ports(host, 1)
    return port


def free_ports(host: str, count: int) -> list[int]:
    """Return different ports of ``host`` that nothing listens on just now."""
    with ExitStack() as held:
        # All at once: what is let go may be found again.
        found = [
            held.enter_context(_bound(host, 0, shared=False)) for _ in range(count)
        ]
        return [each.getsockname()[1] for each in found]


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        # As servers do, else connections in TIME_WAIT would look like a listener.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
        if shared:
            # From now on only those get it that share it too.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        made.close()
        raise
    return made
