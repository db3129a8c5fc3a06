"""The dashboard and the documents about the two protocols, as they lie in ``static``."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from importlib.resources import files

from aiohttp import hdrs, web

from edge.core.pages import Page, answer, html, json_document

_STATIC = files("edge") / "static"


def handlers() -> list[tuple[str, Callable[[web.Request], Awaitable[web.Response]]]]:
    """Return what answers ``/``, ``/openapi.json`` and ``/asyncapi.json``, by path."""
    return [(path, partial(_serve, page)) for path, page in _pages().items()]


@cache
def _pages() -> Mapping[str, Page]:
    return {
        "/": html(_read("index.html")),
        "/openapi.json": json_document(_read("openapi.json")),
        "/asyncapi.json": json_document(_read("asyncapi.json")),
    }


async def _serve(page: Page, request: web.Request) -> web.Response:
    asked = request.headers
    found = answer(
        page,
        accept_encoding=asked.get(hdrs.ACCEPT_ENCODING),
        if_none_match=asked.get(hdrs.IF_NONE_MATCH),
    )
    return web.Response(status=found.status, headers=found.headers, body=found.body)


def _read(name: str) -> bytes:
    return (_STATIC / name).read_bytes()
