"""Prices and token metadata over real sockets."""

import pytest

from ingest.sources.client import SourceDown
from ingest.sources.prices import PriceSource
from ingest.sources.tokens import Said, known, read_charisma, read_decimals, read_hiro
from schemas.ids import STX, ContractId, Network
from tests.support.ingesting import admin_of, client_of, simulated

MAIN = Network.MAINNET
HOSTS = {"kraxel": "kraxel", "stxtools": "stxtools", "internal": "invest"}


@pytest.mark.parametrize("name", HOSTS)
async def test_a_source_is_read(name: str) -> None:
    async with simulated() as simulator, client_of(simulator, HOSTS[name]) as client:
        seen = await PriceSource(name, client, network=MAIN).read()
        assert len(seen) > 10
        assert {one.source for one in seen} == {name}
        assert len({one.contract_id for one in seen}) == len(seen)
        assert STX in {one.contract_id for one in seen}
        assert all(
            (one.source_time is not None) == (name == "internal") for one in seen
        )


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize(
    "kind", ["500", "html", "wrong-type", "truncate", "disconnect"]
)
async def test_a_source_in_trouble_gives_no_price(name: str, kind: str) -> None:
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, HOSTS[name]) as client,
    ):
        await admin.fault(HOSTS[name], kind)
        source = PriceSource(name, client, network=MAIN)
        try:
            assert await source.read() == []
        except SourceDown:
            assert kind != "wrong-type" or name != "kraxel"


async def test_the_registry_is_read_with_its_subnets() -> None:
    async with simulated() as simulator, client_of(simulator, "tokens") as client:
        seen = await read_charisma(client, MAIN)
        subnets = {t.contract_id for t in simulator.stage.world.subnets}
        assert {o.contract_id for o in seen if o.fields.type == "SUBNET"} == subnets


async def test_all_pages_of_hiros_metadata_are_read_once() -> None:
    async with (
        simulated(tokens=150) as simulator,
        client_of(simulator, "hiro") as client,
    ):
        seen = await read_hiro(client, MAIN)
        assert len(seen) > 120
        assert len({one.contract_id for one in seen}) == len(seen)


async def test_a_page_of_metadata_that_fails_costs_the_round() -> None:
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "hiro") as client,
    ):
        await admin.fault("hiro", "503", path="/metadata/*")
        with pytest.raises(SourceDown):
            await read_hiro(client, MAIN)


async def test_the_contract_has_the_last_word_on_decimals_zero_included() -> None:
    async with simulated() as simulator, client_of(simulator, "hiro") as client:
        tokens = [t for t in simulator.stage.world.tokens if t.contract_id != STX]
        places = {t.decimals for t in tokens}
        assert 0 in places
        for token in tokens:
            seen = await read_decimals(client, ContractId(token.contract_id))
            assert seen.fields.decimals == token.decimals


async def test_a_base_that_a_record_lacks_comes_from_the_table_of_known_pairs() -> None:
    async with simulated() as simulator, client_of(simulator, "tokens") as client:
        listed = await read_charisma(client, MAIN)
        bare = [
            one.model_copy(
                update={"fields": one.fields.model_copy(update={"base": None})}
            )
            for one in listed
        ]
        added = {
            one.contract_id: one.fields
            for one in known(bare, network=MAIN, observed_at=1)
        }
        assert added[STX].decimals == 6
        welsh = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.welsh-token-subnet-v1"
        assert added[ContractId(welsh)].base is not None
        elsewhere = known(bare, network=Network.TESTNET, observed_at=1)
        assert [one.contract_id for one in elsewhere] == [STX]


async def test_what_was_said_before_is_no_news() -> None:
    async with simulated() as simulator, client_of(simulator, "tokens") as client:
        said, seen = Said(), await read_charisma(client, MAIN)
        assert said.news(seen) == seen
        for one in seen:
            said.note(one)
        assert said.news(await read_charisma(client, MAIN)) == []
        assert not said.asked(seen[0].contract_id)
