"""Prices from kraxel, stxtools and Charisma's own service, each on its own."""

import logging
from functools import partial

from ingest.core.normalize.body import Unusable
from ingest.core.normalize.prices import SOURCES, PriceList, observed
from ingest.sources.client import Ask, UpstreamClient
from runtime.metrics import UPSTREAM_REJECTS
from schemas.ids import Network
from schemas.prices import PriceObserved

_logger = logging.getLogger("ingest.prices")
_STXTOOLS_ROWS = 10_000
# All tokens of the chain fit into one; more than these are not a list of ours.
_STXTOOLS_PAGES = 3


class PriceSource:
    """One source of prices; ``name`` stands in its observations."""

    def __init__(
        self,
        name: str,
        client: UpstreamClient,
        *,
        network: Network,
        internal_limit: int = 100,
    ) -> None:
        self.name = name
        self._client, self._network = client, network
        self._limit = internal_limit

    def need(self, interval_s: float | None) -> None:
        """Take how often the source is to be read; ``None``: not at all."""
        self._client.need(self.name, 1 / interval_s if interval_s else 0.0)

    async def read(self) -> list[PriceObserved]:
        """Read all prices of the source now; raises ``SourceDown``.

        An answer without any price is a failure of the source: the last values stay.
        """
        found: list[PriceObserved] = []
        for page in range(_STXTOOLS_PAGES):
            ask = self._ask(page)
            answer = await self._client.ask(ask, self._parse)
            listed = answer.said
            if listed is None:
                break
            self._note(listed)
            found += self._client.derived(
                ask,
                partial(
                    observed,
                    listed.prices,
                    source=self.name,
                    observed_at=answer.observed_at,
                ),
            )
            if self.name != "stxtools" or listed.rows < _STXTOOLS_ROWS:
                break
        if not found:
            raise self._client.reject(self.name, "there is no price in the answer")
        self._client.confirm(self.name)
        return found

    def _parse(self, body: bytes) -> PriceList | Unusable:
        return SOURCES[self.name](body, self._network)

    def _ask(self, page: int) -> Ask:
        match self.name:
            case "kraxel":
                return Ask(self.name, "/api/prices", is_part=True)
            case "stxtools":
                params = {"page": str(page), "size": str(_STXTOOLS_ROWS)}
                return Ask(self.name, "/tokens", params, is_part=True)
            case _:
                params = {"limit": str(self._limit)}
                return Ask(self.name, "/api/v1/prices", params, is_part=True)

    def _note(self, listed: PriceList) -> None:
        if listed.refused:
            UPSTREAM_REJECTS.labels(self.name).inc(listed.refused)
            _logger.debug(
                "rows refused", extra={"source": self.name, "rows": listed.refused}
            )
