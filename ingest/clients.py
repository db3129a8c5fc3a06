"""The clients of all upstreams, opened and closed together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median

from ingest.config import IngestConfig, Upstream
from ingest.sources.client import UpstreamClient, http_client
from ingest.tools import Tools

# So far our clock may be from the hosts' before an operator is told.
_CLOCK_S = 30.0


@dataclass(frozen=True, slots=True)
class Clients:
    """One client an upstream."""

    hiro: UpstreamClient
    kraxel: UpstreamClient
    stxtools: UpstreamClient
    invest: UpstreamClient
    tokens: UpstreamClient

    def trouble(self) -> str | None:
        """Return which sources are left alone now, and why, if any."""
        down = [
            f"{source} ({why})"
            for client in self._every()
            for source, why in client.left_alone().items()
        ]
        return f"left alone after failures: {', '.join(down)}" if down else None

    def limits(self) -> str | None:
        """Return which hosts cannot be asked as often as is set, and why."""
        said = ((client.name, client.slowness()) for client in self._every())
        slow = [f"{name}: {why}" for name, why in said if why is not None]
        return "; ".join(slow) or None

    def clock_trouble(self) -> str | None:
        """Return how far our clock is off by what most hosts say, if it is."""
        said = [c.clock_ahead_s for c in self._every() if c.clock_ahead_s is not None]
        ahead_s = median(said) if said else 0.0
        if abs(ahead_s) <= _CLOCK_S:
            return None
        way = "ahead of" if ahead_s > 0 else "behind"
        return (
            f"this clock is {abs(ahead_s):.0f} s {way} those of the upstreams: "
            "set it (NTP)"
        )

    def prices(self, source: str) -> UpstreamClient:
        """Return the client of a price source."""
        return {
            "kraxel": self.kraxel,
            "stxtools": self.stxtools,
            "internal": self.invest,
        }[source]

    def _every(self) -> tuple[UpstreamClient, ...]:
        return (self.hiro, self.kraxel, self.stxtools, self.invest, self.tokens)


@asynccontextmanager
async def clients(config: IngestConfig, tools: Tools) -> AsyncIterator[Clients]:
    """Open the clients of all upstreams; the key goes to Hiro alone."""
    async with AsyncExitStack() as stack:

        async def opened(
            name: str, upstream: Upstream, key: str | None = None
        ) -> UpstreamClient:
            client = UpstreamClient(
                name,
                upstream,
                http=await stack.enter_async_context(http_client(key)),
                clock=tools.clock,
                moments=tools.moments,
                draw=tools.draw,
            )
            client.report_to(tools.watch)
            return client

        yield Clients(
            hiro=await opened("hiro", config.hiro, config.api_key),
            kraxel=await opened("kraxel", config.kraxel),
            stxtools=await opened("stxtools", config.stxtools),
            invest=await opened("invest", config.invest),
            tokens=await opened("tokens", config.tokens),
        )
