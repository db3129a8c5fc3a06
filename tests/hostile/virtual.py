"""The mutations in one process, on a virtual clock: each answer goes to the real readers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

import httpx

from ingest.config import PRICE_SOURCES, Upstream
from ingest.core.backoff import retry_after_s
from ingest.core.budget import Limits
from ingest.core.headers import headers_of
from ingest.core.history import Observation, Past, past_of
from ingest.core.normalize.push import frame
from ingest.sources.accounts import Accounts, AccountSeen
from ingest.sources.client import SourceDown, UpstreamClient, http_client
from ingest.sources.moments import MomentSource
from ingest.sources.prices import PriceSource
from ingest.sources.subnets import read_subnet
from ingest.sources.tokens import read_charisma, read_decimals, read_hiro
from schemas.ids import ContractId, Network
from tests.hostile.answers import End, Hostile, dead, good, odd, push_frames
from tests.support.foreign import ALFA, BETA, USER

MAIN = Network.MAINNET
# Nothing holds up one reading for longer, but a wait that a 429 asks for in so many words.
LONGEST_READING_S = 600.0
# After the last odd answer every source is read again within this.
BACK_WITHIN_S = 300.0
_SPELL = 300
_PUSHED = 0.2
_ERRORS: tuple[type[httpx.TransportError], ...] = (
    httpx.ReadTimeout,
    httpx.ReadError,
    httpx.RemoteProtocolError,
    httpx.ConnectError,
)


class VirtualClock:
    """Time that passes when somebody sleeps, and at once."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now_ms(self) -> int:
        return 1_700_000_000_000 + round(self.elapsed_s * 1_000)

    def monotonic_s(self) -> float:
        return self.elapsed_s

    async def sleep(self, seconds: float) -> None:
        self.elapsed_s += max(seconds, 0.0)
        await asyncio.sleep(0)


class _Chunks(httpx.AsyncByteStream):
    def __init__(self, answer: Hostile, error: type[httpx.TransportError]) -> None:
        self._answer, self._error = answer, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body, count = self._answer.body, self._answer.pieces
        size = min(65_536, len(body) // count + 1)
        for at in range(0, len(body), size):
            yield body[at : at + size]
        if self._answer.end is not End.KEEP:
            raise self._error("the connection is gone")


@dataclass
class HostileTransport(httpx.AsyncBaseTransport):
    """Answers every request with what the generator draws, or as it should be."""

    random: Random
    clock: VirtualClock
    hostile: bool = True
    served: "Counter[str]" = field(default_factory=Counter)
    cookies: int = 0
    # Until when answers asked to wait, with the tenth that may be added to it.
    wait_until_s: float = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.cookies += "cookie" in request.headers
        answer = self._drawn(path)
        self.served[answer.kind.name] += 1
        error = self.random.choice(_ERRORS)
        if answer.raw is not None:
            raise error("no answer")
        headers = [
            (name.encode(), value.encode("latin-1", errors="replace"))
            for name, value in answer.headers
        ]
        response = httpx.Response(
            answer.status, headers=headers, stream=_Chunks(answer, error)
        )
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            said = headers_of(response.headers.raw)
            wait_s = 1.1 * retry_after_s(said, now_ms=self.clock.now_ms())
            until_s = self.clock.elapsed_s + wait_s
            self.wait_until_s = max(self.wait_until_s, until_s)
        return response

    def _drawn(self, path: str) -> Hostile:
        if not self.hostile:
            return good(path)
        # In every other spell next to nothing can be read: sources are left alone.
        drawn = self.random.random()
        if self.served.total() // _SPELL % 2 and drawn < 0.8:
            return dead(self.random, path)
        return good(path) if drawn < 0.2 else odd(self.random, path, heavy=False)


@dataclass
class Trial:
    """What was read and what was found wrong."""

    served: "Counter[str]" = field(default_factory=Counter)
    outcomes: "Counter[str]" = field(default_factory=Counter)
    flaws: list[str] = field(default_factory=list)


_Reader = Callable[[], Awaitable[list[Past]]]


@asynccontextmanager
async def _client(
    name: str, clock: VirtualClock, transport: HostileTransport, random: Random
) -> AsyncIterator[UpstreamClient]:
    async with http_client(transport=transport) as http:
        yield UpstreamClient(
            name,
            Upstream("http://upstream", Limits(6_000)),
            http=http,
            clock=clock,
            moments=MomentSource(clock),
            draw=random.random,
        )


def _readers(client: UpstreamClient) -> dict[str, _Reader]:
    """Return everything that is read, each as a call that gives what the log would get."""
    accounts = Accounts(
        client,
        network=MAIN,
        chosen=lambda _: None,
        generation=1,
        rewrite_after_s=1e9,
    )

    async def account() -> list[Past]:
        seen = await accounts.read(USER, full=False)
        if isinstance(seen, AccountSeen):
            accounts.remember(seen)
        return []

    async def subnet() -> list[Past]:
        subnet, base = ContractId(ALFA), ContractId(BETA)
        return [past_of(await read_subnet(client, USER, subnet, base))]

    async def decimals() -> list[Past]:
        return [past_of(await read_decimals(client, ContractId(ALFA)))]

    async def listed(read: Awaitable[Sequence[Observation]]) -> list[Past]:
        return [past_of(one) for one in await read]

    sources = [PriceSource(name, client, network=MAIN) for name in PRICE_SOURCES]
    return {
        **{source.name: partial(_prices, source) for source in sources},
        "charisma": lambda: listed(read_charisma(client, MAIN)),
        "hiro": lambda: listed(read_hiro(client, MAIN)),
        "account": account,
        "subnet": subnet,
        "decimals": decimals,
    }


async def _prices(source: PriceSource) -> list[Past]:
    return [past_of(one) for one in await source.read()]


async def run(seed: int, mutations: int) -> Trial:
    """Read from hostile upstreams until so many answers were served; then from good ones."""
    random, clock, trial = Random(seed), VirtualClock(), Trial()
    transport = HostileTransport(random, clock)
    async with _client("hostile", clock, transport, random) as client:
        readers = _readers(client)
        while transport.served.total() < mutations:
            name = random.choice(list(readers))
            await _read(name, readers[name], transport, trial)
            _read_frames(random)
            clock.elapsed_s += random.choice([0.1, 1.0, 30.0])
        transport.hostile = False
        for name, read in readers.items():
            await _comes_back(name, read, transport, trial)
    if transport.cookies:
        trial.flaws.append(f"{transport.cookies} requests carried a cookie")
    trial.served = transport.served
    return trial


def _read_frames(random: Random) -> None:
    if random.random() < _PUSHED:
        for content in push_frames(random, USER):
            frame(content)


async def _read(
    name: str, read: _Reader, transport: HostileTransport, trial: Trial
) -> bool:
    clock = transport.clock
    began_s = clock.elapsed_s
    try:
        await read()
        outcome = "read"
    except SourceDown as error:
        outcome = "down" if error.asked else "left alone"
    lasted_s = clock.elapsed_s - max(began_s, transport.wait_until_s)
    if lasted_s > LONGEST_READING_S:
        trial.flaws.append(f"{name}: one reading took {lasted_s:.0f} s")
    trial.outcomes[outcome] += 1
    return outcome == "read"


async def _comes_back(
    name: str, read: _Reader, transport: HostileTransport, trial: Trial
) -> None:
    clock = transport.clock
    began_s = clock.elapsed_s
    while not await _read(name, read, transport, trial):
        if clock.elapsed_s - began_s > BACK_WITHIN_S:
            trial.flaws.append(f"{name}: good answers are not read")
            return
        clock.elapsed_s += 5.0
