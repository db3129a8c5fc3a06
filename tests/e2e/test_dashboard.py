"""The dashboard in a browser: what it shows, and that it goes on after a cut."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from eventlog.port import Entry, EventLog
from schemas.base import encode
from schemas.latest import observed_key, unquoted_key
from schemas.log import Observed, Unquoted, World
from schemas.topics import LATEST
from tests.support.browser import Page, page_at
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    MARKERS,
    NOW_MS,
    WELSH,
    a_log,
    balance,
    identity,
    price,
    serving_from,
    the_tokens,
    two_prices,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@asynccontextmanager
async def a_market(folder: Path) -> AsyncIterator[EventLog]:
    async with a_log(folder) as log:
        await identity(log, World.SIMULATED)
        await the_tokens(log)
        await two_prices(log)
        for marker in MARKERS:
            await price(log, marker, "1")
        await balance(log, ANNE, CHA, 1_500_000_000, charisma_token_subnet_v1=2_250_000)
        yield log


async def watch(page: Page, user: str) -> None:
    await page.evaluate(
        f"document.getElementById('user').value = '{user}';"
        "document.getElementById('watch').requestSubmit()"
    )


def complaints(page: Page) -> list[str]:
    """Return what the browser refused; that nobody answered for a while is none."""
    return [each for each in page.said if "ERR_CONNECTION" not in each]


async def test_it_shows_prices_and_balances_as_they_change(tmp_path: Path) -> None:
    async with (
        a_market(tmp_path) as log,
        serving_from(log) as edge,
        page_at(f"http://{edge.host}/", tmp_path / "browser") as page,
    ):
        await page.until("state-prices", "^prices: connected$")
        shown = await page.until("price-rows", r"charisma-token\s")
        assert "$0.4684" in shown
        assert "STX\t$0.63" in shown
        await page.until("world", "simulated")
        await page.until("cursor", r"^2\.0{12}\.")
        await watch(page, ANNE)
        held = await page.until("balance-rows", "CHA")
        assert "1,500" in held
        assert "2.25 in charisma-token-subnet-v1" in held
        await price(log, CHA, "0.5", version=2)
        await page.until("price-rows", r"\$0\.5\t▲ \+6\.75 %")
        await page.until("total", r"\$751\.13")
        await edge.clock.advance(5)
        await page.until("stale", "stale|fresh")
        assert complaints(page) == []


async def test_it_tells_apart_whether_the_feed_is_there_and_how_old_prices_are(
    tmp_path: Path,
) -> None:
    async with (
        a_market(tmp_path) as log,
        serving_from(log) as edge,
        page_at(f"http://{edge.host}/", tmp_path / "browser") as page,
    ):
        await page.until("feed", "^connected$")
        await edge.clock.until_asleep(1)
        await edge.clock.advance(5)
        await page.until("observed-prices", "^never observed$")
        said = Observed(shard=0, prices=NOW_MS - 43_000, balances=None, tokens=None)
        await log.append(LATEST, [(0, Entry(observed_key(0), encode(said)))])
        await edge.taken_in()
        await edge.clock.until_asleep(1)
        await edge.clock.advance(5)
        await page.until("observed-prices", r"^observed \d+ s ago$")
        await page.until("observed-balances", "^never observed$")
        assert complaints(page) == []


async def test_a_price_that_no_source_quotes_any_more_is_shown_with_its_age(
    tmp_path: Path,
) -> None:
    async with (
        a_market(tmp_path) as log,
        serving_from(log) as edge,
        page_at(f"http://{edge.host}/", tmp_path / "browser") as page,
    ):
        await page.until("price-rows", r"charisma-token\s")
        seen = Observed(shard=0, prices=NOW_MS, balances=None, tokens=None)
        dropped = Unquoted(shard=0, count=1, prices={CHA: NOW_MS - 7_200_000})
        told = ((observed_key(0), encode(seen)), (unquoted_key(0), encode(dropped)))
        await log.append(LATEST, [(0, Entry(*each)) for each in told])
        await edge.taken_in()
        await edge.clock.until_asleep(1)
        await edge.clock.advance(5)
        await page.until("price-rows", r"not quoted for 2 h")
        await page.until("old-prices", "^1: ")
        assert (await page.text("price-rows")).count("not quoted") == 1
        assert complaints(page) == []


async def test_it_offers_an_account_to_look_at(tmp_path: Path) -> None:
    async with (
        a_market(tmp_path) as log,
        serving_from(log, example_account=ANNE) as edge,
        page_at(f"http://{edge.host}/", tmp_path / "browser") as page,
    ):
        await page.until("example", f"^{ANNE}$")
        hidden = "document.getElementById('example-line').hidden"
        assert await page.evaluate(hidden) is False
        await page.evaluate("document.getElementById('example').click()")
        await page.until("balance-rows", "CHA")
        assert await page.evaluate(hidden) is True
        assert complaints(page) == []


async def test_it_goes_on_after_a_cut(tmp_path: Path) -> None:
    async with a_market(tmp_path) as log, AsyncExitStack() as stack:
        async with serving_from(log) as edge:
            port = edge.edge.port
            opened = page_at(f"http://{edge.host}/", tmp_path / "browser")
            page = await stack.enter_async_context(opened)
            await page.until("cursor", r"^2\.")
        # What was known stays, and the page says that it hears nothing.
        await page.until("state-prices", "cut off|connecting")
        await page.until("stale", "cut off: newer values may exist")
        await page.until("ready", "not ready")
        assert "$0.4684" in await page.text("price-rows")
        await price(log, CHA, "0.75", version=2)
        await price(log, WELSH, "0.001")
        async with serving_from(log, port=port):
            await page.until("price-rows", r"\$0\.75")
            await page.until("price-rows", "welshcorgicoin-token")
            await page.until("resumed", "only changes were sent")
            # What did not change was not sent, and is there all the same.
            assert "STX\t$0.63" in await page.text("price-rows")
            assert complaints(page) == []


async def test_another_account_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async with a_market(tmp_path) as log, serving_from(log) as edge:
        url = f"http://{edge.host}/#{ANNE}"
        async with page_at(url, tmp_path / "browser") as page:
            await page.until("balance-rows", "CHA")
            await watch(page, "nonsense")
            await page.until("watching", "no address")
            await page.until("balance-rows", "^$")
            await watch(page, ANNE.lower())
            await page.until("balance-rows", "CHA")
            await page.until("watching", ANNE)
            await page.evaluate("document.getElementById('unwatch').click()")
            await page.until("state-balances", "not asked")
            await page.until("balance-rows", "^$")


async def test_an_edge_without_extras_will_do(tmp_path: Path) -> None:
    async with (
        a_market(tmp_path) as log,
        serving_from(log, features=()) as edge,
        page_at(f"http://{edge.host}/#{ANNE}", tmp_path / "browser") as page,
    ):
        await page.until("state-balances", "base protocol")
        held = await page.until("balance-rows", "CHA")
        assert "2.25 in charisma-token-subnet-v1" in held
        await price(log, CHA, "0.75", version=2)
        await page.until("price-rows", r"\$0\.75")
        await page.until("total", r"\$1,126\.69")
        await watch(page, BOB)
        await page.until("balances-caption", "not held: 2")
        await page.until("balance-rows", "^$")
        assert complaints(page) == []
