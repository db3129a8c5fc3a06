"""Upstreams that lie: what is written, what is published, and what is read again."""

from pathlib import Path
from typing import Any

import pytest

from eventlog.port import Partition
from ingest.config import PRICE_SOURCES
from runtime.metrics import DOUBTED
from schemas.balances import AccountConfirmed, AccountRead, SubnetRead
from schemas.demand import RefreshKind
from schemas.ids import STX, UserId
from schemas.latest import balance_key, price_key
from schemas.prices import PriceObserved
from tests.support.ingesting import LONG_S, PARTITIONS, Ingesting, Seen, ingesting
from tests.support.ingesting import publish_subnets as subnets
from tests.support.processor_process import serve
from tests.support.published import published
from tests.support.tasks import beside


async def hold(ingest: Ingesting, user: UserId, *amounts: str) -> None:
    """Let a user hold an amount of STX after the other, a block each."""
    for amount in amounts:
        await ingest.admin.post("balance", user=user, contractId="stx", amount=amount)


def stx(ingest: Ingesting) -> list[str]:
    return [
        held.balance
        for one in ingest.seen.of(AccountRead)
        for held in one.holdings
        if held.contract_id == STX
    ]


@pytest.mark.parametrize(("kind", "doubt"), [("lagging", "back"), ("emptied", "empty")])
async def test_an_account_that_went_back_is_read_again_at_once_and_not_believed(
    tmp_path: Path, kind: str, doubt: str
) -> None:
    async with (
        ingesting(tmp_path, generation=1) as ingest,
        beside(serve(ingest.log, "p")),
    ):
        user = await ingest.admin.user()
        await hold(ingest, user, "5", "7")
        await ingest.lease(user)
        await ingest.seen.until(lambda _: stx(ingest) == ["7"])
        counted = DOUBTED.labels(doubt)._value.get()
        await ingest.admin.fault("hiro", kind, path="*/balances", count=1)
        await ingest.refresh(RefreshKind.BALANCES)
        # Nothing asks for the next reading but the doubt about this one.
        await ingest.seen.next(AccountConfirmed)
        assert DOUBTED.labels(doubt)._value.get() == counted + 1
        assert stx(ingest) == ["7"]
        await hold(ingest, user, "9")
        await ingest.refresh(RefreshKind.BALANCES)
        amounts: list[str] = []
        while amounts[-1:] != ["9"]:
            found = await published(ingest.log, balance_key(user, STX))
            amounts = [balance["mainnet"]["balance"] for balance in found]
        assert amounts == ["7", "9"]


async def test_what_two_readings_say_is_believed_and_not_read_for_ever(
    tmp_path: Path,
) -> None:
    async with ingesting(tmp_path) as ingest:
        user = await ingest.admin.user()
        await hold(ingest, user, "7")
        await ingest.lease(user)
        await ingest.seen.until(lambda _: stx(ingest) == ["7"])
        counted = DOUBTED.labels("empty")._value.get()
        await ingest.admin.fault("hiro", "emptied", path="*/balances")
        await ingest.refresh(RefreshKind.BALANCES)
        await ingest.seen.until(lambda _: stx(ingest) == ["7", "0"])
        assert DOUBTED.labels("empty")._value.get() == counted + 1
        await ingest.refresh(RefreshKind.PRICES)
        asked = await ingest.admin.requests("hiro")
        await ingest.seen.next(PriceObserved)
        assert await ingest.admin.requests("hiro") == asked
        assert stx(ingest) == ["7", "0"]


@pytest.mark.parametrize(
    "kind", ["malformed", "html", "wrong-type", "truncate", "500", "okay-false"]
)
async def test_what_cannot_be_read_writes_nothing(tmp_path: Path, kind: str) -> None:
    async with ingesting(tmp_path, prepare=subnets) as ingest:
        ann, bob = (UserId(u) for u in (await ingest.admin.world())["accounts"][:2])
        # Calls too are of the user: `okay: false` strikes them alone.
        await ingest.admin.fault("hiro", kind, path="*")
        await ingest.lease(ann, bob)
        while (await ingest.admin.requests("hiro")) < 8:
            pass
        if kind != "okay-false":
            assert not await _readings(ingest)
        assert all(not isinstance(one, SubnetRead) for one in await _readings(ingest))
        await ingest.admin.heal()
        await ingest.seen.until(
            lambda _: {one.user_id for one in ingest.seen.of(AccountRead)} == {ann, bob}
        )


async def _readings(ingest: Ingesting) -> list[object]:
    """Return the readings in the log by now."""
    seen = Seen(ingest.log)
    parts = [Partition("balances.raw", n) for n in range(PARTITIONS)]
    ends = sum((await ingest.log.ends(parts)).values())
    kinds = AccountRead | AccountConfirmed | SubnetRead
    await seen.until(lambda all_: sum(isinstance(o, kinds) for o in all_) >= ends)
    return [one for one in seen.all if isinstance(one, kinds)]


@pytest.mark.parametrize(
    ("sources", "held"), [(PRICE_SOURCES, True), (("kraxel",), False)]
)
async def test_a_price_times_a_million_is_held_by_two_other_sources_and_by_none(
    tmp_path: Path, sources: tuple[str, ...], held: bool
) -> None:
    async with ingesting(tmp_path, price_sources=sources) as ingest:
        await ingest.seen.until(lambda _: _words(ingest) == len(sources))
        honest = [o.usd for o in ingest.seen.of(PriceObserved) if o.contract_id == STX]
        await ingest.admin.fault("kraxel", "inflated")
        await ingest.refresh(RefreshKind.PRICES)
        await ingest.seen.until(lambda _: _words(ingest) == 2 * len(sources))
        if not held:
            # Nobody else can tell: a jump is believed once its source says it again.
            await ingest.refresh(RefreshKind.PRICES)
            await ingest.seen.until(lambda _: _words(ingest) == 3)
        async with beside(serve(ingest.log, "p")):
            found: list[dict[str, Any]] = []
            while not found or len(found[-1]["origins"]) < len(sources):
                found = await published(ingest.log, price_key(STX))
            lie = 1_000_000 * float(honest[0])
            while not held and float(found[-1]["usd"]) < lie / 2:
                found = await published(ingest.log, price_key(STX))
        assert (
            all(float(price["usd"]) < 2 * float(honest[0]) for price in found) is held
        )


def _words(ingest: Ingesting) -> int:
    return sum(one.contract_id == STX for one in ingest.seen.of(PriceObserved))


async def test_a_source_that_speaks_of_the_future_does_not_date_our_observations(
    tmp_path: Path,
) -> None:
    async with ingesting(tmp_path, price_sources=("internal",)) as ingest:
        year_2100_ms = 4_102_444_800_000
        ingest.simulator.stage.moved_at_ms = year_2100_ms
        await ingest.seen.next(PriceObserved)
        await ingest.refresh(RefreshKind.PRICES)
        await ingest.seen.until(
            lambda _: any(
                one.source_time == year_2100_ms for one in ingest.seen.of(PriceObserved)
            )
        )
        limit_ms = ingest.clock.now_ms() + LONG_S * 1_000
        assert all(one.observed_at < limit_ms for one in ingest.seen.all)
