"""Hiro's HTTP API: status, balances, read-only calls, token metadata."""

import re

from aiohttp import web

from .answers import (
    BadRequest,
    answer,
    flag,
    ledger_of,
    number,
    principal,
    stage_of,
)
from .core import accounts, node, registry
from .core.push import burn_height

_VERSION = "stacks-blockchain-api v9.0.2 (simulated)"
_WARNING = (
    '299 - "Deprecated: See https://docs.hiro.so/stacks/api for more information"'
)
_ASSET = re.compile(
    r"S[0-9A-Z]{27,40}\.[a-zA-Z][a-zA-Z0-9_-]{0,39}::[a-zA-Z][a-zA-Z0-9_!?+<>=/*-]{0,127}"
)
_CURSOR = re.compile(r"[0-9]+:.+", re.ASCII)
_TIP = re.compile(r"[0-9a-f]{64}")
_METADATA_LIMIT = 60
_PAGE = 100


def routes() -> list[web.RouteDef]:
    """Return the routes below ``/hiro``."""
    extended = "/hiro/extended"
    v2 = f"{extended}/v2/addresses/{{principal}}/balances"
    v3 = f"{extended}/v3/principals/{{principal}}/balances"
    return [
        web.get(extended, _status),
        web.get(f"{extended}/", _status),
        web.get(f"{extended}/v1/status", _moved),
        web.get(f"{extended}/v1/address/{{principal}}/balances", _v1),
        web.get(f"{v2}/stx", _v2_stx),
        web.get(f"{v2}/ft", _v2_tokens),
        web.get(f"{v2}/ft/{{asset}}", _v2_token),
        web.get(f"{v3}/stx", _v3_stx),
        web.get(f"{v3}/ft", _v3_tokens),
        web.get(f"{v3}/ft/{{asset}}", _v3_token),
        web.post(
            "/hiro/v2/contracts/call-read/{address}/{contract}/{function}", _call_read
        ),
        web.get("/hiro/metadata/v1/ft", _metadata_list),
        web.get("/hiro/metadata/v1/ft/{principal}", _metadata),
    ]


async def _status(request: web.Request) -> web.Response:
    tip = ledger_of(request).tip
    chain_tip = {
        "block_height": tip.height,
        "block_hash": tip.block_hash,
        "index_block_hash": tip.index_hash,
        "burn_block_height": burn_height(tip.height),
    }
    body = {"server_version": _VERSION, "status": "ready", "chain_tip": chain_tip}
    return answer(body)


async def _moved(request: web.Request) -> web.Response:
    location = request.path.removesuffix("v1/status")
    return web.Response(status=301, headers={"Location": location})


async def _v1(request: web.Request) -> web.Response:
    account = _account(request)
    if flag(request, "unanchored") and "until_block" in request.query:
        raise BadRequest(
            "can't handle both 'unanchored=true' and 'until_block' in the same request"
        )
    return _unless_known(request, account, lambda: accounts.v1(account), old=True)


async def _v2_stx(request: web.Request) -> web.Response:
    account, mempool = _account(request), flag(request, "include_mempool")
    return _unless_known(
        request, account, lambda: accounts.v2_stx(account, mempool=mempool), old=True
    )


async def _v2_tokens(request: web.Request) -> web.Response:
    account, limit = _account(request), _limit(request)
    offset = number(request, "offset", 0)
    return _unless_known(
        request,
        account,
        lambda: accounts.v2_tokens(account, limit=limit, offset=offset),
        old=True,
    )


async def _v2_token(request: web.Request) -> web.Response:
    account, asset = _account(request), _asset(request)
    balance = str(accounts.one_balance(account, asset))
    return _unless_known(request, account, lambda: {"balance": balance}, old=True)


async def _v3_stx(request: web.Request) -> web.Response:
    account = _account(request)
    return _unless_known(request, account, lambda: accounts.v3_stx(account))


async def _v3_tokens(request: web.Request) -> web.Response:
    account, limit = _account(request), _limit(request)
    cursor = request.query.get("cursor")
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise BadRequest('querystring/cursor must match pattern "^\\d+:.+$"')
    return _unless_known(
        request,
        account,
        lambda: accounts.v3_tokens(account, limit=limit, cursor=cursor),
    )


async def _v3_token(request: web.Request) -> web.Response:
    account, asset = _account(request), _asset(request)
    return _unless_known(request, account, lambda: accounts.v3_token(account, asset))


async def _call_read(request: web.Request) -> web.Response:
    stage = stage_of(request)
    if request.content_type != "application/json":
        return web.Response(status=400, text="Invalid content-type")
    tip = request.query.get("tip", "")
    # Any text that is no block id means the tip of the chain, without a word.
    if _TIP.fullmatch(tip) and "0x" + tip != stage.ledger.tip.index_hash:
        return web.Response(status=404, text="Chain tip not found")
    path = request.match_info
    try:
        contract_id = f"{path['address']}.{path['contract']}"
        call = node.parse(contract_id, path["function"], await request.read())
    except node.BadCall as error:
        return web.Response(status=400, text=str(error))
    return answer(node.answer(stage.world, ledger_of(request), call))


async def _metadata_list(request: web.Request) -> web.Response:
    limit = number(request, "limit", 20, least=1, most=_METADATA_LIMIT)
    offset = number(request, "offset", 0)
    world = stage_of(request).world
    return answer(registry.hiro_list(world, limit=limit, offset=offset))


async def _metadata(request: web.Request) -> web.Response:
    world = stage_of(request).world
    token = world.contracts.get(principal(request))
    if token is None or token.base is not None:
        return answer({"error": "Contract not found"}, status=404)
    if token.metadata_pending:
        return answer({"error": "Token metadata fetch in progress"}, status=422)
    return answer(registry.hiro_token(world, token))


def _account(request: web.Request) -> accounts.Account:
    world = stage_of(request).world
    return accounts.Account(world, ledger_of(request), principal(request))


def _limit(request: web.Request) -> int:
    return number(request, "limit", _PAGE, least=1, most=accounts.MAX_LIMIT)


def _asset(request: web.Request) -> str:
    asset = request.match_info["asset"]
    if not _ASSET.fullmatch(asset):
        raise BadRequest("params/asset_identifier must be an asset identifier")
    return asset


def _unless_known(
    request: web.Request,
    account: accounts.Account,
    body: accounts.MakeBody,
    *,
    old: bool = False,
) -> web.Response:
    """Return the body, or 304 to who names the state it would show."""
    headers = {"Warning": _WARNING} if old else {}
    etag = account.etag
    if etag is not None:
        headers |= {"ETag": etag, "Cache-Control": "public, max-age=0, must-revalidate"}
        if etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
    return answer(body(), headers=headers)
