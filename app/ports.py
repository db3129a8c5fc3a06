"""Ports: whether one is free, and which one is."""

import errno
import socket

from app.errors import OperatorError


def check_free(host: str, port: int, *, what: str, setting: str) -> None:
    """Raise ``OperatorError`` if ``what`` could not listen there; 0 is always free."""
    try:
        _bind(host, port)
    except OSError as error:
        reason = {
            errno.EADDRINUSE: "is in use; stop what listens there, or",
            errno.EACCES: "needs more rights than this process has;",
        }.get(error.errno or 0, f"cannot be listened on ({error.strerror or error});")
        raise OperatorError(
            f"port {port} on {host} for the {what} {reason} "
            f"choose another with {setting}"
        ) from None


def free_port(host: str) -> int:
    """Return a port of ``host`` that nothing listens on just now."""
    return _bind(host, 0)


def _bind(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do, else connections in TIME_WAIT would look like a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        bound: int = probe.getsockname()[1]
        return bound
