"""The operator's side: tick, pin, set, fork, break, and see what was asked."""

from dataclasses import replace

from aiohttp import web

from .answers import answer, number, stage_of
from .core import commands, market
from .core.faults import FaultPlan
from .core.world import Token
from .stage import Stage

_SHOWN_ACCOUNTS = 20


def routes() -> list[web.RouteDef]:
    """Return the routes below ``/admin``."""
    return [
        web.get("/admin/world", _world),
        web.post("/admin/tick", _tick),
        web.post("/admin/price", _price),
        web.post("/admin/balance", _balance),
        web.post("/admin/reorg", _reorg),
        web.post("/admin/ping", _ping),
        web.get("/admin/faults", _faults),
        web.post("/admin/faults", _arm),
        web.delete("/admin/faults", _lift),
        web.get("/admin/requests", _requests),
        web.delete("/admin/requests", _forget_requests),
    ]


async def _world(request: web.Request) -> web.Response:
    stage = stage_of(request)
    shown = number(request, "accounts", _SHOWN_ACCOUNTS)
    world, tip = stage.world, stage.ledger.tip
    body = {
        "seed": world.seed,
        "network": world.network,
        "tick": stage.tick,
        "height": tip.height,
        "fork": tip.fork,
        "tokens": [_token(stage, token) for token in world.tokens],
        "subnets": [_token(stage, token) for token in world.subnets],
        "accountsTotal": len(world.accounts),
        "accounts": world.accounts[:shown],
        "listeners": len(stage.listeners),
    }
    return answer(body)


async def _tick(request: web.Request) -> web.Response:
    stage = stage_of(request)
    for _ in range(commands.ticks(commands.body(await request.read()))):
        stage.advance()
    return answer({"tick": stage.tick, "height": stage.ledger.tip.height})


async def _price(request: web.Request) -> web.Response:
    stage = stage_of(request)
    asked = commands.body(await request.read())
    contract_id, usd = commands.price(stage.world, asked)
    stage.market = market.pin(stage.market, contract_id, usd)
    return answer({"contractId": contract_id, "usd": usd})


async def _balance(request: web.Request) -> web.Response:
    stage = stage_of(request)
    put = commands.put(stage.world, commands.body(await request.read()))
    wanted = put.wanted(stage.ledger.holding(put.owner, put.contract_id))
    blocks = stage.ledger.put(put.owner, put.contract_id, wanted)
    stage.announce(blocks)
    body = {
        "user": put.owner,
        "contractId": put.contract_id,
        "amount": str(wanted.balance),
        "sent": str(wanted.sent),
        "received": str(wanted.received),
    }
    return answer(body)


async def _reorg(request: web.Request) -> web.Response:
    stage = stage_of(request)
    depth = commands.depth(commands.body(await request.read()))
    owners = stage.reorg(depth)
    return answer({"height": stage.ledger.tip.height, "accounts": owners})


async def _ping(request: web.Request) -> web.Response:
    stage = stage_of(request)
    for listener in stage.listeners:
        stage.ping(listener)
    return answer({"listeners": len(stage.listeners)})


async def _faults(request: web.Request) -> web.Response:
    armed = stage_of(request).faults.armed
    return answer({"faults": [commands.shown(fault) for fault in armed]})


async def _arm(request: web.Request) -> web.Response:
    stage = stage_of(request)
    fault = commands.fault(commands.body(await request.read()))
    stage.faults = replace(stage.faults, armed=(*stage.faults.armed, fault))
    return await _faults(request)


async def _lift(request: web.Request) -> web.Response:
    stage_of(request).faults = FaultPlan()
    return await _faults(request)


async def _requests(request: web.Request) -> web.Response:
    stage = stage_of(request)
    paths: dict[str, dict[str, int]] = {}
    for (upstream, path), count in sorted(stage.requests.items()):
        paths.setdefault(upstream, {})[path] = count
    statuses: dict[str, dict[str, int]] = {}
    for (upstream, status), count in sorted(stage.statuses.items()):
        statuses.setdefault(upstream, {})[str(status)] = count
    total = stage.requests.total()
    return answer({"total": total, "upstreams": paths, "statuses": statuses})


async def _forget_requests(request: web.Request) -> web.Response:
    stage = stage_of(request)
    stage.requests.clear()
    stage.statuses.clear()
    return await _requests(request)


def _token(stage: Stage, token: Token) -> dict[str, object]:
    return {
        "contractId": token.contract_id,
        "asset": token.asset_id,
        "symbol": token.symbol,
        "decimals": token.decimals,
        "base": token.base,
        "bare": token.bare,
        "usd": market.base_usd(stage.world, token.base or token.contract_id),
    }
