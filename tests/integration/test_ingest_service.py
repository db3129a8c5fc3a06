"""Ingest as a whole, from a lease in the log to observations in the log."""

from pathlib import Path

from schemas.balances import AccountRead, SubnetRead
from schemas.prices import PriceObserved
from schemas.tokens import TokenObserved
from tests.support.ingesting import ingesting, publish_subnets


async def test_every_price_source_is_read_into_the_log(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest:
        await ingest.seen.until(
            lambda _: (
                {one.source for one in ingest.seen.of(PriceObserved)}
                == {"kraxel", "stxtools", "internal"}
            )
        )


async def test_tokens_of_every_source_are_read_into_the_log(tmp_path: Path) -> None:
    async with ingesting(tmp_path, prepare=publish_subnets) as ingest:
        await ingest.seen.until(
            lambda _: (
                {one.source for one in ingest.seen.of(TokenObserved)}
                == {"charisma", "hiro", "contract", "known"}
            )
        )


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
