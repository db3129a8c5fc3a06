"""The price sources' answers."""

import json
from typing import Any

import pytest

from simulator.core import listings, market
from simulator.core.market import Market, Source
from simulator.core.world import STX, World
from tests.support.shared_data import shared_data
from tests.support.simulated import a_world


@pytest.fixture(scope="module")
def world() -> World:
    return a_world(tokens=200)


@pytest.fixture(scope="module")
def moved(world: World) -> Market:
    return market.advance(world, market.opening(world))


def reference(source: str) -> Any:
    text = shared_data("charisma/price_aggregation_cases.json").read_text()
    return json.loads(text)["cases"][0][source]["body"]


def test_kraxel_is_flat_and_says_stx_without_its_dot(
    world: World, moved: Market
) -> None:
    body = listings.kraxel(world, moved)
    assert "stx" in body
    assert STX not in body
    assert {type(usd) for usd in body.values()} == {float}
    assert {type(usd) for usd in reference("kraxel").values()} == {float}


def test_stxtools_has_the_fields_of_the_reference(world: World, moved: Market) -> None:
    body = listings.stxtools(world, moved, page=0, size=10_000)
    wanted = reference("stxtools")["data"][0]
    assert len(body["data"]) == 201
    for row in body["data"]:
        assert row.keys() == wanted.keys()
        assert row["metrics"].keys() == wanted["metrics"].keys()


def test_stxtools_has_null_for_what_it_does_not_know(
    world: World, moved: Market
) -> None:
    body = listings.stxtools(world, moved, page=0, size=10_000)
    priced = {
        row["contract_id"]
        for row in body["data"]
        if row["metrics"]["price_usd"] is not None
    }
    assert priced == set(market.quotes(world, moved, Source.STXTOOLS))
    assert 0 < len(priced) < 201


def test_stxtools_tells_how_each_priced_token_is_traded(
    world: World, moved: Market
) -> None:
    body = listings.stxtools(world, moved, page=0, size=10_000)
    for row in body["data"]:
        metrics = row["metrics"]
        usd, change = metrics["price_usd"], metrics["price_change_1d"]
        assert (usd is None) is (change is None)
        if usd is None:
            continue
        base = market.base_usd(world, row["contract_id"])
        assert change == pytest.approx((usd / base - 1) * 100, abs=1e-4)
        assert abs(metrics["price_change_7d"]) < 20
        assert abs(metrics["price_change_30d"]) < 40
        assert metrics["volume_1d_usd"] == 24 * metrics["volume_1h_usd"] > 0


def test_stxtools_comes_in_pages(world: World, moved: Market) -> None:
    pages = [listings.stxtools(world, moved, page=at, size=100) for at in range(3)]
    assert [len(page["data"]) for page in pages] == [100, 100, 1]


def test_invest_sends_the_surest_first_and_no_more_than_asked(
    world: World, moved: Market
) -> None:
    body = listings.invest_prices(world, moved, limit=100, moved_at_ms=5)
    every = listings.invest_prices(world, moved, limit=1_000, moved_at_ms=5)
    sure = [row["confidence"] for row in every["data"]]
    assert sure == sorted(sure, reverse=True)
    assert body["data"] == every["data"][:100]
    assert body["metadata"]["totalTokensAvailable"] == len(every["data"])
    assert sure[-1] < 0.1 < sure[0]
    assert {row["lastUpdated"] for row in every["data"]} == {5}


def test_invest_lists_every_mainnet_token_priced_if_asked(
    world: World, moved: Market
) -> None:
    plain = listings.invest_tokens(world, moved, pricing=False, moved_at_ms=5)
    priced = listings.invest_tokens(world, moved, pricing=True, moved_at_ms=5)
    assert len(plain["data"]) == len(priced["data"]) == 201
    assert not any("usdPrice" in row for row in plain["data"])
    assert 0 < sum("usdPrice" in row for row in priced["data"]) < 201


def test_the_same_moment_gives_the_same_bytes() -> None:
    def told() -> str:
        world = a_world(9)
        moved = market.advance(world, market.opening(world))
        return json.dumps(listings.invest_prices(world, moved, limit=9, moved_at_ms=1))

    assert told() == told()
