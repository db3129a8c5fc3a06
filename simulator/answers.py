"""How answers are written: JSON bodies, errors in their shapes, query numbers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from aiohttp import web

from .core.c32 import BadPrincipal, parse_principal
from .core.chain import Ledger
from .stage import STAGE, Stage

_chosen: ContextVar[Ledger | None] = ContextVar("ledger", default=None)
_SEPARATORS = (",", ":")


def stage_of(request: web.Request) -> Stage:
    """Return what the handlers of this server share."""
    return request.app[STAGE]


def ledger_of(request: web.Request) -> Ledger:
    """Return the ledger as the node asked knows it, which a fault may have chosen."""
    return _chosen.get() or stage_of(request).ledger


@contextmanager
def answered_from(ledger: Ledger) -> Iterator[None]:
    """Have the request that is handled inside answered from another ledger."""
    token = _chosen.set(ledger)
    try:
        yield
    finally:
        _chosen.reset(token)


def answer(
    body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a JSON answer, the same bytes for the same body."""
    return web.Response(
        text=json.dumps(body, separators=_SEPARATORS),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def refusal(stage: Stage, status: int, reason: str) -> web.Response:
    """Return an error of Hiro's API, in the shape of the generation simulated."""
    if stage.config.error_style == "v7":
        return answer({"error": reason}, status=status)
    phrase = {400: "Bad Request", 404: "Not Found"}[status]
    body = {"statusCode": status, "error": phrase, "message": reason}
    return answer(body, status=status)


class BadRequest(Exception):
    """A request that Hiro's API refuses with 400 and a reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def principal(request: web.Request) -> str:
    """Return the principal in the path, in canonical spelling."""
    text = request.match_info["principal"]
    try:
        return parse_principal(text).text
    except BadPrincipal as error:
        raise BadRequest(f'invalid STX address "{text}"') from error


def number(
    request: web.Request, name: str, default: int, *, least: int = 0, most: int = 2**53
) -> int:
    """Return a whole number of the query, within its bounds."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise BadRequest(f"querystring/{name} must be an integer {least} to {most}")
    return int(text)


def flag(request: web.Request, name: str) -> bool:
    """Return a yes or no of the query; no unless said."""
    text = request.query.get(name, "false")
    if text not in {"", "true", "false", "1", "0"}:
        raise BadRequest(f"querystring/{name} must be boolean")
    return text in {"", "true", "1"}
