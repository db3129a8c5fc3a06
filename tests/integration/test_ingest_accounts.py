"""Accounts and subnets over real sockets, in every generation of the API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256

import pytest

from ingest.sources.accounts import AccountDoubtful, Accounts, AccountSeen
from ingest.sources.client import SourceDown, UpstreamClient
from ingest.sources.subnets import read_subnet
from schemas.balances import AccountConfirmed, AccountRead
from schemas.ids import STX, ContractId, Network, UserId
from simulator.core.world import World
from tests.support.ingesting import Admin, admin_of, client_of, simulated

NOWHERE = ContractId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.nowhere")


@dataclass
class Reading:
    """Accounts of one simulator, and somebody to read."""

    accounts: Accounts
    client: UpstreamClient
    admin: Admin
    user: UserId
    world: World

    def choose(self, generation: int) -> None:
        """Read by another generation from now on."""
        self.accounts = accounts_of(self.client, generation=generation)

    async def whole(self, *, full: bool = True) -> AccountRead:
        seen = await self.read(full=full)
        assert isinstance(seen.observation, AccountRead)
        return seen.observation

    async def read(self, *, full: bool = True) -> AccountSeen:
        """Read, as often as it is doubtful, and let the log have it."""
        seen = await self.accounts.read(self.user, full=full)
        while isinstance(seen, AccountDoubtful):
            seen = await self.accounts.read(self.user, full=full)
        self.accounts.remember(seen)
        return seen

    async def set(self, contract: str, amount: int) -> None:
        await self.admin.post(
            "balance", user=self.user, contractId=contract, amount=str(amount)
        )


def accounts_of(
    client: UpstreamClient,
    *,
    generation: int = 1,
    rewrite_after_s: float = 1e9,
    max_kept_rows: int = 1_000,
) -> Accounts:
    return Accounts(
        client,
        network=Network.MAINNET,
        chosen=lambda _: None,
        generation=generation,
        rewrite_after_s=rewrite_after_s,
        max_kept_rows=max_kept_rows,
    )


@asynccontextmanager
async def reading(
    *,
    generation: int = 1,
    rewrite_after_s: float = 1e9,
    tokens: int = 40,
    max_kept_rows: int = 1_000,
) -> AsyncIterator[Reading]:
    async with (
        simulated(tokens=tokens) as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "hiro") as client,
    ):
        accounts = accounts_of(
            client,
            generation=generation,
            rewrite_after_s=rewrite_after_s,
            max_kept_rows=max_kept_rows,
        )
        user = await admin.user()
        yield Reading(accounts, client, admin, user, simulator.stage.world)


def held(seen: AccountRead) -> dict[str, str]:
    return {one.contract_id: one.balance for one in seen.holdings}


def spendable(seen: AccountRead) -> dict[str, str]:
    return {
        contract: amount for contract, amount in held(seen).items() if amount != "0"
    }


async def test_all_generations_read_the_same_account() -> None:
    async with reading() as one:
        await one.set("stx", 2**60 + 1)
        read = {}
        for generation in (1, 2, 3):
            one.choose(generation)
            read[generation] = await one.whole()
        assert spendable(read[1]) == spendable(read[2]) == spendable(read[3])
        assert held(read[1])[".stx"] == str(2**60 + 1)
        assert read[1].holdings[0].total_sent is not None
        assert {h.total_sent for h in (*read[2].holdings, *read[3].holdings)} == {None}


@pytest.mark.parametrize("generation", [2, 3])
async def test_an_account_of_many_pages_is_read_whole(generation: int) -> None:
    async with reading(generation=generation, tokens=230) as one:
        contracts = [t.contract_id for t in one.world.tokens if t.contract_id != STX]
        for contract in contracts:
            await one.set(contract, 7)
        before = await one.admin.requests("hiro")
        seen = await one.whole()
        assert {c: held(seen)[c] for c in contracts} == dict.fromkeys(contracts, "7")
        # STX, and two pages of 200.
        assert await one.admin.requests("hiro") == before + 3


async def test_accounts_beyond_what_is_remembered_are_written_whole_each_time() -> None:
    async with reading(max_kept_rows=0) as one:
        first = await one.whole()
        rows = len(first.holdings)
        one.accounts._max_kept_rows = rows
        await one.whole()
        assert isinstance((await one.read()).observation, AccountConfirmed)
        # There is room for one: that of another user is not remembered beside it.
        other = UserId((await one.admin.world())["accounts"][1])
        one.user, user = other, one.user
        for _ in range(2):
            assert (await one.whole()).user_id == other
        one.accounts.forget(user)
        one.accounts._max_kept_rows = 1_000
        await one.whole()
        assert isinstance((await one.read()).observation, AccountConfirmed)


async def test_nothing_new_is_a_confirmation_of_the_reading_in_the_log() -> None:
    async with reading() as one:
        first = await one.read()
        for full in (False, True):
            seen = await one.read(full=full)
            assert isinstance(seen.observation, AccountConfirmed)
            assert seen.observation.reading == sha256(first.value).hexdigest()
            assert seen.observation.observed_at > first.observation.observed_at


async def test_a_304_costs_no_body_and_a_full_reading_asks_for_one() -> None:
    async with reading() as one:
        first = await one.read()
        assert first.kept.etag is not None
        await one.read(full=False)
        ask = one.accounts._ask(one.user, 1, is_trial=False)
        unchanged = await one.accounts._v1(ask, first.kept.etag)
        assert unchanged.said is None


async def test_a_change_is_a_whole_reading_again() -> None:
    async with reading() as one:
        await one.read()
        await one.set("stx", 12_345)
        assert held(await one.whole(full=False))[".stx"] == "12345"


async def test_a_reading_the_log_never_got_is_not_confirmed() -> None:
    async with reading() as one:
        await one.accounts.read(one.user, full=True)
        assert isinstance((await one.read()).observation, AccountRead)
        one.accounts.forget(one.user)
        assert isinstance((await one.read()).observation, AccountRead)


async def test_an_equal_reading_is_written_again_after_a_day() -> None:
    async with reading(rewrite_after_s=0.0) as one:
        await one.read()
        assert isinstance((await one.read()).observation, AccountRead)


async def test_a_410_moves_on_to_the_next_generation_and_is_no_account() -> None:
    async with reading() as one:
        await one.read()
        await one.admin.fault("hiro", "410", path="/extended/v1/*")
        seen = await one.whole()
        assert one.accounts.generation == 2
        # Another generation counts differently: never a confirmation of the old one.
        assert {holding.total_sent for holding in seen.holdings} == {None}
        await one.admin.fault("hiro", "410", path="/extended/v2/*")
        await one.whole()
        assert one.accounts.generation == 3


async def test_a_single_410_is_a_slip_and_moves_nothing() -> None:
    async with reading() as one:
        await one.admin.fault("hiro", "410", count=1)
        await one.whole()
        assert one.accounts.generation == 1


async def test_when_all_generations_are_gone_there_is_no_reading() -> None:
    async with reading() as one:
        await one.admin.fault("hiro", "410")
        with pytest.raises(SourceDown, match="410"):
            await one.read()


@pytest.mark.parametrize("generation", [1, 2, 3])
@pytest.mark.parametrize("kind", ["wrong-type", "500", "truncate", "html"])
async def test_trouble_is_never_an_account(generation: int, kind: str) -> None:
    async with reading(generation=generation) as one:
        await one.admin.fault("hiro", kind)
        with pytest.raises(SourceDown):
            await one.read()


@pytest.mark.parametrize("generation", [2, 3])
async def test_one_page_that_fails_costs_the_whole_reading(generation: int) -> None:
    async with reading(generation=generation) as one:
        await one.admin.fault("hiro", "500", path="*/balances/ft*")
        with pytest.raises(SourceDown):
            await one.read()


async def test_a_reorg_is_read_as_it_is_seen_newer_by_read_order() -> None:
    async with reading() as one:
        before = await one.whole()
        await one.set("stx", 77)
        changed = await one.whole(full=False)
        await one.admin.post("reorg", depth=1)
        back = await one.whole(full=False)
        assert held(changed)[".stx"] == "77"
        assert held(back)[".stx"] == held(before)[".stx"]
        assert back.observed_at > changed.observed_at > before.observed_at


async def test_subnets_answer_with_and_without_ok() -> None:
    async with reading() as one:
        world = await one.admin.world()
        for at, token in enumerate(world["subnets"]):
            subnet = ContractId(token["contractId"])
            await one.set(subnet, at)
            seen = await read_subnet(one.client, one.user, subnet, subnet)
            assert seen.balance == str(at)


async def test_a_failed_call_is_no_balance() -> None:
    async with reading() as one:
        subnet = ContractId((await one.admin.world())["subnets"][0]["contractId"])
        await one.admin.fault("hiro", "okay-false")
        with pytest.raises(SourceDown, match="the call failed") as caught:
            await read_subnet(one.client, one.user, subnet, subnet)
        assert caught.value.declined


async def test_a_subnet_that_does_not_exist_has_no_balance() -> None:
    async with reading() as one:
        with pytest.raises(SourceDown, match="NoSuchContract"):
            await read_subnet(one.client, one.user, NOWHERE, NOWHERE)
