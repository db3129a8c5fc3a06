"""Answers that no upstream should give: ingest reads on, and the other rows count."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eventlog.port import EventLog
from ingest.config import IngestConfig, PushConfig
from ingest.core.schedule import Pace
from runtime.clock import SystemClock
from runtime.health import Health
from runtime.metrics import UPSTREAM_REJECTS
from schemas.balances import AccountConfirmed, AccountRead
from schemas.base import encode
from schemas.demand import Refresh, RefreshKind
from schemas.ids import UserId
from schemas.prices import PriceObserved
from schemas.tokens import TokenFields, TokenObserved
from schemas.topics import DEMAND
from tests.support.ingesting import Seen, a_log, lease, put, started, upstream
from tests.support.replaying import (
    Answer,
    Asked,
    Replaying,
    Reply,
    replaying,
    scripted,
)

DEPLOYER = "SPQ0C021RA5G5WXSKT7K7F1EBBR4HJ7S25MY0XGB"
ALFA, BETA = f"{DEPLOYER}.alfa-token", f"{DEPLOYER}.beta-token"
USER = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
SOURCES = ("kraxel", "stxtools", "internal")


@dataclass
class Fed:
    """Ingest, fed by one upstream that is all of them."""

    log: EventLog
    upstream: Replaying
    seen: Seen
    health: Health

    async def prices(self, source: str) -> dict[str, PriceObserved]:
        """Wait for prices of a source; return the first of each token."""
        await self.seen.until(lambda _: bool(self._of(source)))
        return {one.contract_id: one for one in reversed(self._of(source))}

    async def token(self, contract: str, source: str) -> TokenFields:
        """Wait for what a source says of a token."""

        def found() -> list[TokenFields]:
            seen: list[TokenObserved] = self.seen.of(TokenObserved)
            return [
                one.fields
                for one in seen
                if (one.contract_id, one.source) == (contract, source)
            ]

        await self.seen.until(lambda _: bool(found()))
        return found()[0]

    async def next_prices(self, *sources: str) -> None:
        """Ask for prices once more, and wait for those of each source."""
        had = {source: len(self._of(source)) for source in sources}
        asked = Refresh(kind=RefreshKind.PRICES, requested_at=SystemClock().now_ms())
        await put(self.log, DEMAND, b"refresh:prices", encode(asked))
        await self.seen.until(
            lambda _: all(len(self._of(source)) > had[source] for source in sources)
        )

    def _of(self, source: str) -> list[PriceObserved]:
        seen: list[PriceObserved] = self.seen.of(PriceObserved)
        return [one for one in seen if one.source == source]


@asynccontextmanager
async def fed(
    folder: Path, *files: str, answer: Answer | None = None, **changes: Any
) -> AsyncIterator[Fed]:
    """Run ingest against the answers of some files; ``base`` answers the rest."""
    answer = answer or scripted([*files, "base"])
    async with replaying(answer) as server, a_log(folder) as log:
        at = upstream(server.url)
        settings: dict[str, Any] = {
            "instance": "test",
            **dict.fromkeys(("hiro", "kraxel", "stxtools", "invest", "tokens"), at),
            "push": PushConfig(url=None),
            "price_sources": SOURCES,
            "first_price_s": 0.0,
            "price_interval_s": 3_600.0,
            "pace": Pace(interval_s=3_600.0),
            **changes,
        }
        health = Health()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(
                started(log, IngestConfig(**settings), SystemClock(), health)
            )
            yield Fed(log, server, Seen(log), health)
            task.cancel()


def supply_of_31_digits(fields: TokenFields) -> bool:
    return fields.total_supply == "1" + "0" * 30 and fields.decimals == 18


def no_decimals(fields: TokenFields) -> bool:
    return fields.decimals is None


def no_rebate(fields: TokenFields) -> bool:
    return fields.lp_rebate_percent is None and fields.decimals == 6


def supply_of_29_digits(fields: TokenFields) -> bool:
    return fields.total_supply == "1" + "0" * 28


@pytest.mark.parametrize(
    ("file", "token", "source", "right"),
    [
        ("supply-of-31-digits", "moon", "charisma", supply_of_31_digits),
        ("decimals-1e30", "moon", "charisma", no_decimals),
        ("rebate-out-of-range", "pool", "charisma", no_rebate),
        ("hiro-supply-1e28", "moon", "hiro", supply_of_29_digits),
    ],
)
async def test_a_field_that_cannot_be_used_is_left_out_and_every_row_is_kept(
    tmp_path: Path,
    file: str,
    token: str,
    source: str,
    right: Callable[[TokenFields], bool],
) -> None:
    async with fed(tmp_path, file) as ingest:
        assert right(await ingest.token(f"{DEPLOYER}.{token}", source))
        for other in (ALFA, BETA):
            assert (await ingest.token(other, "charisma")).decimals == 6
        await ingest.next_prices(*SOURCES)


async def test_a_source_time_beyond_all_time_is_left_out(tmp_path: Path) -> None:
    async with fed(tmp_path, "last-updated-1e30") as ingest:
        prices = await ingest.prices("internal")
        assert prices[".stx"].source_time is None
        assert prices[ALFA].source_time == 1_796_000_000_000
        await ingest.next_prices(*SOURCES)


async def test_a_market_beyond_arithmetic_leaves_the_price(tmp_path: Path) -> None:
    async with fed(tmp_path, "market-cap-out-of-range") as ingest:
        prices = await ingest.prices("stxtools")
        assert (prices[ALFA].usd, prices[ALFA].market) == ("0.25", None)
        await ingest.next_prices(*SOURCES)


async def test_a_date_beyond_all_time_is_no_reading_of_the_clock(
    tmp_path: Path,
) -> None:
    async with fed(tmp_path, "date-overflows") as ingest:
        assert len(await ingest.prices("stxtools")) == 3
        await ingest.next_prices(*SOURCES)
        assert not any("clock" in said for said in ingest.health.report().warnings)


async def test_a_retry_after_beyond_all_time_stops_nobody_else(tmp_path: Path) -> None:
    async with fed(tmp_path, "retry-after-overflows") as ingest:
        await ingest.prices("kraxel")
        await ingest.upstream.until(
            lambda asked: any(one.path.startswith("/tokens") for one in asked)
        )
        await ingest.next_prices("kraxel", "internal")


async def test_a_nan_costs_its_row_alone(tmp_path: Path) -> None:
    refused = UPSTREAM_REJECTS.labels("internal")
    before = refused._value.get()
    async with fed(tmp_path, "nan") as ingest:
        assert set(await ingest.prices("internal")) == {".stx"}
        assert refused._value.get() == before + 1
        await ingest.next_prices(*SOURCES)


async def test_two_layers_of_gzip_are_refused_and_counted(tmp_path: Path) -> None:
    refused = UPSTREAM_REJECTS.labels("stxtools")
    before = refused._value.get()
    async with fed(tmp_path, "two-layers-of-gzip") as ingest:
        await ingest.prices("kraxel")
        await ingest.next_prices("kraxel", "internal")
        await ingest.upstream.until(
            lambda asked: sum(one.path.startswith("/tokens") for one in asked) > 1
        )
        assert refused._value.get() > before
        assert not ingest.seen.of(AccountRead)


async def test_no_request_carries_a_cookie(tmp_path: Path) -> None:
    async with fed(tmp_path, "cookies") as ingest:
        await ingest.prices("stxtools")
        await ingest.next_prices(*SOURCES)
        await ingest.next_prices(*SOURCES)
        assert not any("cookie" in one.headers for one in ingest.upstream.asked)


async def test_a_limit_below_what_the_interval_needs_is_a_warning(
    tmp_path: Path,
) -> None:
    narrow = Reply(200, [("RateLimit-Limit", "1")], b'{".stx": 0.5}')
    good = scripted(["base"])

    def answer(asked: Asked) -> Reply:
        return narrow if asked.path.startswith("/api/prices") else good(asked)

    async with fed(tmp_path, answer=answer, price_interval_s=30.0) as ingest:
        await ingest.prices("kraxel")
        warnings = ingest.health.report().warnings
        assert "kraxel: it allows 1 requests a minute, 2 are" in warnings["limits"]
        assert "internal" not in warnings["limits"]


async def test_a_limit_of_a_month_that_is_said_once_puts_off_no_reading(
    tmp_path: Path,
) -> None:
    pace = Pace(interval_s=0.1)
    async with fed(tmp_path, "month-of-a-thousand-once", pace=pace) as ingest:
        now_ms = SystemClock().now_ms()
        await lease(ingest.log, [USER], edge="e", until_ms=now_ms + 300_000)
        await ingest.seen.next(AccountRead)
        await ingest.seen.next(AccountConfirmed, 3)


async def test_an_account_is_read_beside_them(tmp_path: Path) -> None:
    async with fed(tmp_path, "nan", "date-overflows", "cookies") as ingest:
        now_ms = SystemClock().now_ms()
        await lease(ingest.log, [USER], edge="e", until_ms=now_ms + 300_000)
        [seen] = await ingest.seen.next(AccountRead)
        assert {held.contract_id for held in seen.holdings} == {".stx", ALFA, BETA}
