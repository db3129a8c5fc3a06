"""Which pages may use this edge: one rule for HTTP (CORS, Fetch Standard 3.2) and WebSockets.

A page may read answers and open connections when its origin is listed, when every origin
is (``*``), or when it is the edge's own: the origin names the host that the request was
sent to. A program that is no page sends no ``Origin`` and is let in.

Only origins that are listed by name for it may send credentials (cookies, client
certificates). An edge uses none itself; a gateway in front of it may.
"""

import re
from collections.abc import Iterable, Mapping

ANY_ORIGIN = "*"
# Headers that pages may read, beside those that browsers always let them read.
EXPOSED = "ETag, Retry-After, Feed-Cursor, WWW-Authenticate, Allow"
# Headers that pages may send. A preflight is told these and whatever else it asks for: an
# edge ignores headers that it does not know, so there is nothing to protect.
SENDABLE = (
    "Authorization",
    "Content-Type",
    "Cache-Control",
    "If-None-Match",
    "Last-Event-ID",
)
_PREFLIGHT_S = 86_400
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@*]+")
_DEFAULT_PORT = re.compile(r"^(http://.*):80$|^(https://.*):443$")


def normal_origin(text: str) -> str | None:
    """Return an origin as browsers write it; ``None`` if the text is none.

    A slash at the end, capitals and the default port of the scheme are forgiven.
    ``null`` is the origin of sandboxed frames and local files.
    """
    origin = text.strip().lower().removesuffix("/")
    if origin == "null":
        return origin
    if not _ORIGIN.fullmatch(origin):
        return None
    return _DEFAULT_PORT.sub(r"\1\2", origin)


class Origins:
    """The origins of pages that may use the edge."""

    def __init__(
        self, listed: Iterable[str] = (), *, with_credentials: Iterable[str] = ()
    ) -> None:
        listed = tuple(listed)
        self._any = ANY_ORIGIN in listed
        self._with_credentials = _normal(with_credentials)
        self._listed = _normal(listed) | self._with_credentials

    @property
    def depends_on_origin(self) -> bool:
        """Whether answers to different origins differ, so that caches must keep them apart."""
        return not self._any or bool(self._with_credentials)

    def admits(self, origin: str | None, host: str) -> bool:
        """Tell whether a page may read answers and open connections.

        ``host`` is the ``Host`` of the request.
        """
        if self._any or origin is None:
            return True
        return origin in self._listed or _is_own(origin, host)

    def headers(self, origin: str | None, host: str) -> dict[str, str]:
        """Return the headers with which an answer tells a browser who may read it."""
        exposed = {"Access-Control-Expose-Headers": EXPOSED}
        if origin in self._with_credentials:
            return {
                "Access-Control-Allow-Origin": f"{origin}",
                "Access-Control-Allow-Credentials": "true",
                **exposed,
            }
        if self._any:
            return {"Access-Control-Allow-Origin": ANY_ORIGIN, **exposed}
        if origin is not None and self.admits(origin, host):
            return {"Access-Control-Allow-Origin": origin, **exposed}
        return {}


def preflight(methods: str, requested_headers: str | None) -> Mapping[str, str]:
    """Return what a preflight is told beside the headers of every answer.

    ``requested_headers`` is the value of ``Access-Control-Request-Headers``.
    """
    names = {name.lower(): name for name in SENDABLE}
    for requested in (requested_headers or "").split(","):
        name = requested.strip()
        if _TOKEN.fullmatch(name):
            names.setdefault(name.lower(), name)
    return {
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": ", ".join(names.values()),
        "Access-Control-Max-Age": f"{_PREFLIGHT_S}",
    }


def vary(present: str | None, *, on: str) -> str:
    """Return the value of ``Vary`` with the header ``on`` in it."""
    names = [name.strip() for name in (present or "").split(",") if name.strip()]
    if on.lower() not in {name.lower() for name in names}:
        names.append(on)
    return ", ".join(names)


def _normal(texts: Iterable[str]) -> frozenset[str]:
    origins = (normal_origin(text) for text in texts)
    return frozenset(origin for origin in origins if origin is not None)


def _is_own(origin: str, host: str) -> bool:
    return origin in {normal_origin(f"http://{host}"), normal_origin(f"https://{host}")}
