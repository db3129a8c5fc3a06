"""Ingest as a whole, from a lease in the log to observations in the log."""

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from eventlog.port import EventLog
from ingest.config import IngestConfig, PushConfig
from ingest.core.schedule import Pace
from schemas.balances import (
    AccountConfirmed,
    AccountRead,
    SubnetRead,
    UserForgotten,
)
from schemas.demand import RefreshKind
from schemas.ids import Network, UserId
from schemas.latest import balance_key, token_key
from schemas.prices import PriceObserved
from schemas.tokens import TokenObserved
from schemas.topics import DEMAND, LATEST
from simulator.server import Simulator
from tests.support.ingesting import (
    LONG_S,
    Ingesting,
    ingesting,
    publish_balance,
    publish_subnets,
    publish_token,
    put,
    started,
)


def sources(ingest: Ingesting, kind: type[PriceObserved | TokenObserved]) -> set[str]:
    return {one.source for one in ingest.seen.of(kind)}


def stx(reading: AccountRead) -> str:
    return next(h.balance for h in reading.holdings if h.contract_id == ".stx")


# ---- prices and tokens


async def test_every_price_source_is_read_into_the_log(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        everything = {"kraxel", "stxtools", "internal"}
        await ingest.seen.until(lambda _: sources(ingest, PriceObserved) == everything)


async def test_a_price_source_that_fails_costs_the_others_nothing(
    tmp_path: Path,
) -> None:
    async with ingesting(tmp_path, price_interval_s=0.01) as ingest:
        await ingest.admin.fault("kraxel", "500")
        await ingest.admin.fault("stxtools", "wrong-type")
        await ingest.seen.next(PriceObserved)
        had = len([o for o in ingest.seen.of(PriceObserved) if o.source == "internal"])
        await ingest.seen.until(
            lambda seen: (
                sum(
                    isinstance(o, PriceObserved) and o.source == "internal"
                    for o in seen
                )
                > had
            )
        )


async def test_a_refresh_reads_prices_now_and_an_old_request_does_not(
    tmp_path: Path,
) -> None:
    async with ingesting(tmp_path, price_sources=("kraxel",)) as ingest:
        await ingest.seen.next(PriceObserved)
        assert await ingest.admin.requests("kraxel") == 1
        await ingest.refresh(RefreshKind.PRICES, age_ms=61_000)
        await ingest.refresh(RefreshKind.PRICES)
        first = ingest.seen.of(PriceObserved)[0].contract_id
        await ingest.seen.until(
            lambda seen: (
                sum(
                    isinstance(o, PriceObserved) and o.contract_id == first
                    for o in seen
                )
                == 2
            )
        )
        assert await ingest.admin.requests("kraxel") == 2


async def test_tokens_of_every_source_are_read_into_the_log(tmp_path: Path) -> None:
    async with ingesting(tmp_path, prepare=publish_subnets) as ingest:
        everything = {"charisma", "hiro", "contract", "known"}
        await ingest.seen.until(lambda _: sources(ingest, TokenObserved) == everything)


async def test_after_a_restart_one_row_confirms_a_reading_of_what_is_known(
    tmp_path: Path,
) -> None:
    def asked(ingest: Ingesting) -> int:
        return sum(o.source == "contract" for o in ingest.seen.of(TokenObserved))

    async with ingesting(tmp_path, prepare=publish_subnets) as ingest:
        subnets = len(ingest.simulator.stage.world.subnets)
        await ingest.seen.until(lambda _: asked(ingest) == subnets)
        await ingest.seen.until(lambda _: len(sources(ingest, TokenObserved)) == 4)
        before = {(o.source, o.contract_id): o for o in ingest.seen.of(TokenObserved)}
    world = {"seed": 1}
    async with ingesting(tmp_path, world=world, token_interval_s=0.01) as ingest:
        async with asyncio.timeout(LONG_S):
            while await ingest.admin.requests("tokens") < 3:
                pass
        user = await ingest.admin.user()
        await ingest.lease(user)
        await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountRead)))
        words = ingest.seen.of(TokenObserved)
        later = words[len(before) :]
        readings = [(o.source, o.observed_at) for o in later]
        assert {source for source, _ in readings} >= {"charisma", "hiro"}
        assert len(readings) == len(set(readings))
        assert all(o.fields == before[o.source, o.contract_id].fields for o in later)


# ---- readings


async def test_a_leased_user_is_read_whole_and_in_every_subnet(tmp_path: Path) -> None:
    async with ingesting(tmp_path, prepare=publish_subnets) as ingest:
        user = await ingest.admin.user()
        await ingest.lease(user)
        subnets = {token.contract_id for token in ingest.simulator.stage.world.subnets}
        await ingest.seen.until(
            lambda _: {one.subnet_id for one in ingest.seen.of(SubnetRead)} == subnets
        )
        await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountRead)))
        assert {one.user_id for one in ingest.seen.of(AccountRead)} == {user}


async def test_a_lease_of_a_second_edge_is_not_a_second_reading(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        user = await ingest.admin.user()
        other = UserId((await ingest.admin.world())["accounts"][1])
        for edge in ("a", "b", "c"):
            await ingest.lease(user, edge=edge)
        await ingest.lease(other)
        await ingest.seen.until(lambda _: len(ingest.seen.of(AccountRead)) == 2)
        assert {one.user_id for one in ingest.seen.of(AccountRead)} == {user, other}


async def test_a_subnet_that_fails_costs_that_part_alone(tmp_path: Path) -> None:
    async with ingesting(tmp_path, prepare=publish_subnets) as ingest:
        world = ingest.simulator.stage.world.subnets
        broken = world[0].contract_id
        path = f"/v2/contracts/call-read/{broken.replace('.', '/')}/*"
        await ingest.admin.fault("hiro", "okay-false", path=path)
        await ingest.lease(await ingest.admin.user())
        others = {token.contract_id for token in world} - {broken}
        await ingest.seen.until(
            lambda _: {one.subnet_id for one in ingest.seen.of(SubnetRead)} == others
        )
        await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountRead)))


async def test_one_users_failure_never_costs_anothers_reading(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        ann, bob = ((await ingest.admin.world())["accounts"])[:2]
        await ingest.admin.fault("hiro", "500", path=f"*{ann}*")
        await ingest.lease(UserId(ann), UserId(bob))
        await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountRead)))
        assert ingest.seen.of(AccountRead)[0].user_id == bob


async def test_a_refresh_of_balances_confirms_what_is_unchanged(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        await ingest.lease(await ingest.admin.user())
        await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountRead)))
        at = next(
            i for i, o in enumerate(ingest.seen.all) if isinstance(o, AccountRead)
        )
        await ingest.refresh(RefreshKind.BALANCES)
        [confirmed] = await ingest.seen.next(AccountConfirmed)
        assert confirmed.reading == sha256(ingest.seen.values[at]).hexdigest()


async def test_who_is_watched_again_is_read_whole(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        ann, bob = (UserId(u) for u in (await ingest.admin.world())["accounts"][:2])
        readings: list[UserId] = []
        for user, leaving in ((ann, None), (bob, ann), (ann, bob)):
            if leaving is not None:
                await ingest.withdraw(leaving)
            await ingest.lease(user)
            readings += [one.user_id for one in await ingest.seen.next(AccountRead)]
        assert readings == [ann, bob, ann]
        assert ingest.seen.of(AccountConfirmed) == []


async def test_a_user_is_polled_again_and_again(tmp_path: Path) -> None:
    async with ingesting(tmp_path, pace=Pace(interval_s=0.01)) as ingest:
        await ingest.lease(await ingest.admin.user())
        await ingest.seen.until(lambda _: len(ingest.seen.of(AccountConfirmed)) >= 13)


async def test_beyond_the_limit_nobody_is_polled(tmp_path: Path) -> None:
    async with ingesting(tmp_path, watch_max=1) as ingest:
        ann, bob = ((await ingest.admin.world())["accounts"])[:2]
        await ingest.lease(UserId(ann))
        await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountRead)))
        await ingest.lease(UserId(bob))
        await ingest.refresh(RefreshKind.BALANCES)
        await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountConfirmed)))
        await ingest.withdraw(UserId(ann))
        await ingest.seen.until(lambda _: len(ingest.seen.of(AccountRead)) == 2)
        assert [o.user_id for o in ingest.seen.of(AccountRead)] == [ann, bob]


async def test_a_hint_of_the_push_is_a_reading_of_account_and_subnets(
    tmp_path: Path,
) -> None:
    push = PushConfig(url="ws://the-simulator")
    async with ingesting(tmp_path, push=push, prepare=publish_subnets) as ingest:
        user = await ingest.admin.user()
        subnets = ingest.simulator.stage.world.subnets
        await ingest.lease(user)
        await ingest.seen.until(
            lambda _: len(ingest.seen.of(SubnetRead)) == len(subnets)
        )
        async with asyncio.timeout(LONG_S):
            while not any(  # noqa: ASYNC110 - the simulator has no event for it
                topic.subject == user
                for one in ingest.simulator.stage.listeners
                for topic in one.topics
            ):
                await asyncio.sleep(0)
        for contract in ("stx", subnets[0].contract_id):
            await ingest.admin.post(
                "balance", user=user, contractId=contract, amount="77"
            )
        await ingest.seen.until(
            lambda _: any(stx(one) == "77" for one in ingest.seen.of(AccountRead))
        )
        await ingest.seen.until(
            lambda _: any(one.balance == "77" for one in ingest.seen.of(SubnetRead))
        )


async def test_a_poll_asks_a_subnet_where_something_is_held_and_no_other(
    tmp_path: Path,
) -> None:
    held: list[str] = []

    async def prepare(log: EventLog, simulator: Simulator) -> None:
        await publish_subnets(log, simulator)
        subnet = simulator.stage.world.subnets[0]
        held.append(subnet.contract_id)
        base, _, name = subnet.contract_id.rpartition("-")
        user = UserId(simulator.stage.world.accounts[0])
        await publish_balance(log, user, base, **{name: "5"})

    pace = Pace(interval_s=0.2, hint_gap_s=0.0)
    async with ingesting(tmp_path, prepare=prepare, pace=pace) as ingest:
        user, subnets = await ingest.admin.user(), ingest.simulator.stage.world.subnets
        for token in subnets:
            await ingest.admin.post(
                "balance", user=user, contractId=token.contract_id, amount="0"
            )
        await ingest.lease(user)
        await ingest.seen.until(
            lambda _: len(ingest.seen.of(SubnetRead)) >= len(subnets) + 2
        )
        polled = ingest.seen.of(SubnetRead)[len(subnets) :]
        assert {one.subnet_id for one in polled} == set(held)


async def test_a_refresh_asks_every_subnet_so_a_first_deposit_is_seen_at_once(
    tmp_path: Path,
) -> None:
    async with ingesting(tmp_path, prepare=publish_subnets) as ingest:
        user, subnets = await ingest.admin.user(), ingest.simulator.stage.world.subnets
        first = subnets[0].contract_id
        for token in subnets:
            await ingest.admin.post(
                "balance", user=user, contractId=token.contract_id, amount="0"
            )
        await ingest.lease(user)
        await ingest.seen.next(SubnetRead, len(subnets))
        await ingest.admin.post("balance", user=user, contractId=first, amount="500000")
        await ingest.refresh(RefreshKind.BALANCES)
        read = await ingest.seen.next(SubnetRead, len(subnets))
        assert {one.subnet_id: one.balance for one in read}[first] == "500000"
        assert len({one.subnet_id for one in read}) == len(subnets)


# ---- forgetting, sharing, oddities


async def test_who_was_not_watched_for_long_is_forgotten_and_who_is_watched_is_not(
    tmp_path: Path,
) -> None:
    users: list[UserId] = []

    async def prepare(log: EventLog, simulator: Simulator) -> None:
        users.extend(UserId(one) for one in simulator.stage.world.accounts[:3])
        ann, _, cyd = users
        for user in users:
            await publish_balance(log, user, f"{ann}.a")
            await publish_balance(log, user, f"{ann}.b")
        for name in ("a", "b"):
            await put(log, LATEST, balance_key(cyd, f"{ann}.{name}"), None)  # type: ignore[arg-type]
        edge = f"{ann}|e".encode()
        await put(log, DEMAND, edge, None)

    async with ingesting(
        tmp_path, prepare=prepare, forget_after_s=60.0, forget_grace_s=0.2
    ) as ingest:
        await ingest.lease(users[0])
        [forgotten] = await ingest.seen.next(UserForgotten)
        assert forgotten.user_id == users[1]
        await ingest.refresh(RefreshKind.BALANCES)
        await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountConfirmed)))
        assert {one.user_id for one in ingest.seen.of(UserForgotten)} == {users[1]}


async def test_when_an_instance_ends_another_does_its_work(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest, asyncio.TaskGroup() as group:
        user = await ingest.admin.user()
        await ingest.lease(user)
        await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountRead)))
        config = other_instance(ingest.config)
        second = group.create_task(started(ingest.log, config, ingest.clock))
        ingest.task.cancel()
        read = len(ingest.seen.of(AccountRead))
        priced = len(ingest.seen.of(PriceObserved))
        await ingest.seen.until(lambda _: len(ingest.seen.of(AccountRead)) > read)
        await ingest.seen.until(lambda _: len(ingest.seen.of(PriceObserved)) > priced)
        second.cancel()


def other_instance(config: IngestConfig) -> IngestConfig:
    changed = {name: getattr(config, name) for name in config.__dataclass_fields__}
    return IngestConfig(**{**changed, "instance": "other"})


async def test_records_that_make_no_sense_stop_nothing(tmp_path: Path) -> None:
    async def prepare(log: EventLog, simulator: Simulator) -> None:
        await publish_subnets(log, simulator)
        user = simulator.stage.world.accounts[0]
        await publish_token(log, f"{user}.gone")
        await put(log, LATEST, token_key(f"{user}.gone"), None)  # type: ignore[arg-type]
        await put(log, LATEST, token_key(f"{user}.odd"), b"{")  # type: ignore[arg-type]
        await put(log, LATEST, b"balance:odd", b"{")
        await put(log, LATEST, f"balance:{user}:{user}.odd".encode(), b"{")
        await put(log, DEMAND, b"odd", b"{")

    async with ingesting(tmp_path, prepare=prepare) as ingest:
        await ingest.lease(await ingest.admin.user())
        await ingest.seen.until(lambda _: bool(ingest.seen.of(SubnetRead)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"price_sources": ("x",)}, "no such price source"),
        ({"generation": 4}, "no such"),
    ],
)
def test_settings_nothing_could_work_with_are_refused(
    changes: dict[str, object], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        IngestConfig(instance="a", **changes)  # type: ignore[arg-type]


def test_the_key_is_not_shown() -> None:
    config = IngestConfig(instance="a", network=Network.MAINNET, api_key="s3cret")
    assert "s3cret" not in repr(config)
