"""What is told about tokens."""

import pytest

from simulator.core import market, registry
from simulator.core.accounts import Body
from simulator.core.world import STX, World
from tests.support.simulated import a_world


@pytest.fixture(scope="module")
def world() -> World:
    return a_world(tokens=200)


@pytest.fixture(scope="module")
def rows(world: World) -> list[Body]:
    return registry.records(world, market.opening(world), updated_at_ms=5)


def test_every_token_and_subnet_has_its_record(world: World, rows: list[Body]) -> None:
    assert {row["contractId"] for row in rows} == {STX, *world.contracts}
    subnets = [row for row in rows if row["type"] == "SUBNET"]
    assert len(subnets) == len(world.subnets)


def test_records_are_as_dirty_as_real_ones(rows: list[Body]) -> None:
    assert {type(row["decimals"]) for row in rows} == {int, str}
    assert {type(row["lastUpdated"]) for row in rows} == {int, str}
    assert any(row["image"] is None for row in rows)
    assert any("description" not in row for row in rows)
    assert any("identifier" not in row for row in rows)
    bases = [row.get("base") for row in rows if row["type"] == "SUBNET"]
    assert bases.count(None) == bases.count("undefined") == 1


def test_a_record_without_decimals_is_incomplete(rows: list[Body]) -> None:
    torn = {key: value for key, value in rows[0].items() if key != "decimals"}
    assert registry.complete([torn, *rows[1:]]) == rows[1:]


def test_pages_add_up(rows: list[Body]) -> None:
    first = registry.paginated(rows, page=1, limit=200, search=None)
    last = registry.paginated(rows, page=2, limit=200, search=None)
    assert first["tokens"] + last["tokens"] == rows
    assert first["pagination"]["hasMore"] is not last["pagination"]["hasMore"]
    assert last["pagination"]["hasPrevious"] is True


def test_a_search_finds_by_symbol(rows: list[Body]) -> None:
    found = registry.paginated(rows, page=1, limit=50, search="sbtc")
    assert {row["symbol"] for row in found["tokens"]} >= {"sBTC"}
    assert found["pagination"]["total"] < len(rows)


def test_hiro_leaves_out_zero_decimals_and_what_it_still_fetches(world: World) -> None:
    page = registry.hiro_list(world, limit=60, offset=150)
    assert page["total"] == 199
    assert len(page["results"]) == 49
    by_id = {
        token.contract_id: registry.hiro_token(world, token) for token in world.tokens
    }
    for token in world.tokens:
        told = by_id[token.contract_id]
        assert told.get("decimals") == (token.decimals or None)
        assert type(told["total_supply"]) is str
