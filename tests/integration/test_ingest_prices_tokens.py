"""Prices and token metadata over real sockets."""

import json
from pathlib import Path

import pytest

from eventlog.port import EventLog
from ingest.sources.client import SourceDown, UpstreamClient, http_client
from ingest.sources.moments import MomentSource
from ingest.sources.prices import PriceSource
from ingest.sources.tokens import Said, known, read_charisma, read_decimals, read_hiro
from runtime.clock import SystemClock
from schemas.base import encode
from schemas.ids import STX, ContractId, Network
from schemas.tokens import TokenObserved
from schemas.topics import TOKENS_RAW
from simulator.server import Simulator
from tests.support.ingesting import (
    Ingesting,
    admin_of,
    client_of,
    ingesting,
    no_jitter,
    put,
    simulated,
    upstream,
)
from tests.support.replaying import Asked, Reply, replaying

MAIN = Network.MAINNET
ANNE = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
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
        with pytest.raises(SourceDown):
            await PriceSource(name, client, network=MAIN).read()


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


async def test_a_record_that_was_only_dated_anew_is_no_news() -> None:
    async with simulated() as simulator, client_of(simulator, "tokens") as client:
        said, seen = Said(), await read_charisma(client, MAIN)
        assert {one.fields.last_updated for one in seen} == {
            simulator.stage.moved_at_ms
        }
        for one in seen:
            said.note(one)
        simulator.stage.moved_at_ms += 60_000
        later = await read_charisma(client, MAIN)
        assert later[0].fields != seen[0].fields
        assert said.news(later) == []


async def test_a_reading_without_news_is_confirmed_by_one_row_each_in_turn() -> None:
    async with simulated() as simulator, client_of(simulator, "tokens") as client:
        said, seen = Said(), await read_charisma(client, MAIN)
        assert said.confirmation(seen) is None  # the log has nothing to confirm
        for one in seen:
            said.note(one)
        turns = []
        for _ in seen:
            again = said.confirmation(await read_charisma(client, MAIN))
            assert again is not None
            said.note(again)
            turns.append(again.contract_id)
        assert turns == [one.contract_id for one in seen]
        # A word that changed is news, and confirms nothing.
        changed = seen[0].fields.model_copy(update={"name": "new"})
        news = seen[0].model_copy(update={"fields": changed})
        other = said.confirmation([news, seen[1]])
        assert other is not None
        assert other.contract_id == seen[1].contract_id


async def test_a_row_that_confirms_a_reading_keeps_the_date_that_was_published() -> (
    None
):
    async with simulated() as simulator, client_of(simulator, "tokens") as client:
        said, seen = Said(), await read_charisma(client, MAIN)
        for one in seen:
            said.note(one)
        simulator.stage.moved_at_ms += 60_000
        again = said.confirmation(await read_charisma(client, MAIN))
        assert again is not None
        assert again.fields == seen[0].fields
        assert again.observed_at > seen[0].observed_at


@pytest.mark.parametrize("source", ["charisma", "hiro"])
async def test_the_log_tells_when_a_registry_that_says_nothing_new_was_last_read(
    tmp_path: Path, source: str
) -> None:
    async with ingesting(
        tmp_path, token_interval_s=0.05, metadata_interval_s=0.05
    ) as ingest:

        def rows() -> dict[int, list[TokenObserved]]:
            by_reading: dict[int, list[TokenObserved]] = {}
            for one in ingest.seen.of(TokenObserved):
                if one.source == source:
                    by_reading.setdefault(one.observed_at, []).append(one)
            return by_reading

        await ingest.seen.until(lambda _: len(rows()) > 3)
        first, *later = sorted(rows().items())
        words = {one.contract_id: one.fields for one in first[1]}
        assert len(words) > 10
        for _, confirming in later[:3]:
            assert [words[one.contract_id] for one in confirming] == [
                one.fields for one in confirming
            ]
            assert len(confirming) == 1


async def test_after_a_doubt_all_is_said_again_but_what_contracts_said() -> None:
    async with (
        simulated() as simulator,
        client_of(simulator, "tokens") as tokens,
        client_of(simulator, "hiro") as hiro,
    ):
        said, listed = Said(), await read_charisma(tokens, MAIN)
        asked = ContractId(simulator.stage.world.tokens[0].contract_id)
        for one in (*listed, await read_decimals(hiro, asked)):
            said.note(one)
        said.doubt()
        assert said.news(listed) == listed
        assert said.asked(asked)


async def test_words_that_the_fold_refused_as_future_are_said_again(
    tmp_path: Path,
) -> None:
    clock = SystemClock()
    async with ingesting(tmp_path) as ingest:
        await ingest.seen.until(lambda _: len(ingest.seen.of(TokenObserved)) > 10)
        words = {(o.source, o.contract_id): o for o in ingest.seen.of(TokenObserved)}
    charisma = [o for o in words.values() if o.source == "charisma"]

    async def prepare(log: EventLog, simulator: Simulator) -> None:
        """Say the same of two tokens; of the second as if it were an hour later."""
        for one, later_ms in zip(charisma[:2], (0, 3_600_000), strict=True):
            told = one.model_copy(update={"observed_at": clock.now_ms() + later_ms})
            await put(log, TOKENS_RAW, one.contract_id.encode(), encode(told))

    (tmp_path / "again").mkdir()
    async with ingesting(tmp_path / "again", prepare=prepare) as ingest:
        await ingest.seen.until(
            lambda _: len(_of(ingest, charisma[-1].contract_id)) == 1
        )
        await ingest.seen.until(
            lambda _: len(_of(ingest, charisma[1].contract_id)) == 2
        )
        assert len(_of(ingest, charisma[0].contract_id)) == 1


def _of(ingest: Ingesting, contract: ContractId) -> list[TokenObserved]:
    return [
        one
        for one in ingest.seen.of(TokenObserved)
        if one.source == "charisma" and one.contract_id == contract
    ]


async def test_tokens_without_end_are_not_taken_without_end() -> None:
    async with simulated() as simulator, client_of(simulator, "tokens") as client:
        seen = await read_charisma(client, MAIN)
        said = Said(limit=len(seen) - 3)
        news = said.news(seen)
        assert (news, said.beyond) == (seen[:-3], 3)
        for one in news:
            said.note(one)
        assert (said.news(seen), said.beyond) == ([], 3)
        # What is known may still say something new.
        changed = seen[0].model_copy(
            update={"fields": seen[0].fields.model_copy(update={"name": "new"})}
        )
        assert (said.news([changed]), said.beyond) == ([changed], 0)


@pytest.mark.parametrize("size", [0, 8_000])
async def test_a_list_of_pages_without_end_is_given_up(size: int) -> None:
    users = iter(range(10**6))

    def answer(_: Asked) -> Reply:
        rows = [
            {
                "contract_principal": f"{ANNE}.token-{next(users)}",
                "description": "x" * size,
            }
            for _ in range(200 if size else 10_000)
        ]
        return Reply(body=json.dumps({"total": 10**9, "results": rows}).encode())

    clock = SystemClock()
    async with replaying(answer) as server, http_client() as http:
        client = UpstreamClient(
            "hiro",
            upstream(server.url),
            http=http,
            clock=clock,
            moments=MomentSource(clock),
            draw=no_jitter,
        )
        with pytest.raises(SourceDown, match="longer than any of ours"):
            await read_hiro(client, MAIN)
        assert len(server.asked) < (20 if size else 5)
