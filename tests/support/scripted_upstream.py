"""All upstreams behind one address, whose answers a test writes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import orjson
from aiohttp import web

ALFA = "SPQ0C021RA5G5WXSKT7K7F1EBBR4HJ7S25MY0XGB.alfa-token"
BETA = "SPQ0C021RA5G5WXSKT7K7F1EBBR4HJ7S25MY0XGB.beta-token"
ALFA_SUBNET = "SPQ0C021RA5G5WXSKT7K7F1EBBR4HJ7S25MY0XGB.alfa-subnet"
USER = "SP3C9EF8VN93S5HM4C7Q55KRMJJE1VPC721WCDBG"

KRAXEL, STXTOOLS, INTERNAL = "/api/prices", "/tokens", "/api/v1/prices"
REGISTRY, METADATA = "/api/v1/metadata", "/metadata/v1/ft"
ACCOUNTS, CALLS = "/extended/*", "/v2/contracts/call-read/*"


@dataclass(frozen=True)
class Answer:
    """One answer; ``hangs`` answers nothing at all."""

    json: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    hangs: bool = False

    def body(self) -> bytes:
        return orjson.dumps(self.json) if self.text is None else self.text.encode()


def amounts(balance: int, *, sent: int = 0, received: int | None = None) -> Any:
    """One row of a v1 account; by default all of it was received."""
    total = balance + sent if received is None else received
    return {
        "balance": str(balance),
        "total_sent": str(sent),
        "total_received": str(total),
    }


def account(stx: int, **tokens: Any) -> Any:
    """A v1 account; ``tokens`` are rows of ``alfa`` and ``beta``."""
    ids = {"alfa": f"{ALFA}::alfa", "beta": f"{BETA}::beta"}
    return {
        "stx": amounts(stx),
        "fungible_tokens": {ids[name]: row for name, row in tokens.items()},
    }


def token(contract: str, name: str, **more: Any) -> Any:
    """One record of the registry."""
    said = {"contractId": contract, "name": name, "symbol": name.upper(), "decimals": 6}
    return {**said, "identifier": name, "type": "", **more}


_RUNTIME_ERROR = {"okay": False, "cause": "Unchecked(NotReadOnly)"}
HEALTHY: Mapping[str, Answer] = {
    KRAXEL: Answer({".stx": 0.5, ALFA: 0.25, BETA: 2}),
    STXTOOLS: Answer(
        {"data": [{"contract_id": ".stx", "metrics": {"price_usd": 0.5}}]}
    ),
    INTERNAL: Answer(
        {
            "status": "success",
            "data": [{"tokenId": ".stx", "usdPrice": 0.5, "confidence": 0.9}],
        }
    ),
    REGISTRY: Answer([token(ALFA, "alfa"), token(BETA, "beta")]),
    METADATA: Answer(
        {
            "total": 1,
            "results": [
                {"contract_principal": ALFA, "asset_identifier": f"{ALFA}::alfa"}
            ],
        }
    ),
    ACCOUNTS: Answer(account(1_000_000, alfa=amounts(5_000_000), beta=amounts(70))),
    CALLS: Answer(_RUNTIME_ERROR),
}


class ScriptedUpstream:
    """The answers in force; a path may be a glob, and the newest that fits is given."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self._scripts: dict[str, list[Answer]] = {}
        self._released = asyncio.Event()

    def answer(self, path: str, *answers: Answer) -> None:
        """Give these one after the other; the last one for ever, from now on."""
        self._scripts.pop(path, None)
        self._scripts[path] = list(answers)

    def heal(self) -> None:
        """Give sound answers to everything from now on, and end what hangs."""
        self._scripts.clear()
        self._released.set()
        self._released = asyncio.Event()

    def count(self, path: str) -> int:
        """How many requests came to a path, which may be a glob."""
        return sum(fnmatchcase(asked, path) for asked in self.asked)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        found = self._next(request.path)
        if found.hangs:
            await self._released.wait()
        return web.Response(
            status=found.status,
            body=found.body(),
            headers={"content-type": "application/json", **found.headers},
        )

    def _next(self, path: str) -> Answer:
        for pattern, script in reversed(self._scripts.items()):
            if fnmatchcase(path, pattern):
                return script.pop(0) if len(script) > 1 else script[0]
        for pattern, found in HEALTHY.items():
            if fnmatchcase(path, pattern):
                return found
        return Answer({"error": "Not Found"}, status=404)


@asynccontextmanager
async def scripted_upstream() -> AsyncIterator[ScriptedUpstream]:
    """Serve on a free port of this machine."""
    upstream = ScriptedUpstream()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        upstream.url = f"http://127.0.0.1:{port}"
        yield upstream
    finally:
        upstream.heal()
        await runner.cleanup()
