"""What another instance wrote of our user: harmless in value, and soon mended."""

from pathlib import Path
from typing import Any

from eventlog.port import Partition, Record
from ingest.refusals import Refusals
from runtime.metrics import REFUSED_READINGS
from schemas.balances import AccountConfirmed, AccountRead
from schemas.base import encode
from schemas.demand import RefreshKind
from schemas.ids import STX, UserId
from schemas.journal import Origin
from schemas.latest import balance_key
from schemas.rejects import Reason, Reject
from schemas.topics import BALANCES_RAW, PRICES_RAW, REJECTS
from tests.support.ingesting import Ingesting, ingesting, put
from tests.support.processor_process import serve
from tests.support.published import published
from tests.support.tasks import beside


async def read_once(ingest: Ingesting) -> AccountRead:
    """Have a user with 7 STX read; return the reading."""
    user = await ingest.admin.user()
    await ingest.admin.post("balance", user=user, contractId="stx", amount="7")
    await ingest.lease(user)
    await ingest.seen.until(lambda _: bool(ingest.seen.of(AccountRead)))
    return ingest.seen.of(AccountRead)[-1]  # type: ignore[no-any-return]


async def of_the_other(
    ingest: Ingesting, reading: AccountRead, *, later_ms: int, stx: str
) -> None:
    """Append a reading of the old owner, in flight while the shard moved."""
    holdings = tuple(
        held.model_copy(update={"balance": stx}) if held.contract_id == STX else held
        for held in reading.holdings
    )
    other = reading.model_copy(
        update={
            "observed_at": reading.observed_at + later_ms,
            "holdings": holdings,
        }
    )
    await put(ingest.log, BALANCES_RAW, reading.user_id.encode(), encode(other))


async def amounts(ingest: Ingesting, user: UserId, *, count: int) -> list[str]:
    """Return the first amounts of STX that were published."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found = await published(ingest.log, balance_key(user, STX))
    return [balance["mainnet"]["balance"] for balance in found]


async def test_an_older_reading_in_flight_changes_nothing(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as ingest, beside(serve(ingest.log, "p")):
        reading = await read_once(ingest)
        await of_the_other(ingest, reading, later_ms=-1, stx="5")
        await ingest.admin.post(
            "balance", user=reading.user_id, contractId="stx", amount="9"
        )
        await ingest.refresh(RefreshKind.BALANCES)
        assert await amounts(ingest, reading.user_id, count=2) == ["7", "9"]


async def test_a_later_reading_in_flight_is_published_and_then_ours_again(
    tmp_path: Path,
) -> None:
    async with ingesting(tmp_path) as ingest, beside(serve(ingest.log, "p")):
        reading = await read_once(ingest)
        counted = REFUSED_READINGS.labels("unknown-reading")._value.get()
        # Of another content than ours: a node that lagged answered the old owner.
        await of_the_other(ingest, reading, later_ms=1, stx="5")
        await amounts(ingest, reading.user_id, count=2)
        # What we confirm now the processor does not hold: it refuses that, and we
        # write the whole reading the next time.
        await ingest.refresh(RefreshKind.BALANCES)
        await ingest.seen.next(AccountConfirmed)
        while REFUSED_READINGS.labels("unknown-reading")._value.get() == counted:
            await ingest.admin.world()
        await ingest.refresh(RefreshKind.BALANCES)
        assert await amounts(ingest, reading.user_id, count=3) == ["7", "5", "7"]


def reject(topic: str, reason: Reason) -> bytes:
    refused = Reject(
        origin=Origin(topic, 0, 0), reason=reason, field="", original="", size=0
    )
    return encode(refused)


def test_only_refusals_of_readings_that_we_write_are_a_doubt() -> None:
    doubted: list[UserId] = []
    ann = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
    said = [
        (ann.encode(), reject(BALANCES_RAW, Reason.SCHEMA)),
        (ann.encode(), reject(PRICES_RAW, Reason.CONFLICT)),
        (b"nobody", reject(BALANCES_RAW, Reason.CONFLICT)),
        (None, reject(BALANCES_RAW, Reason.CONFLICT)),
        (ann.encode(), b"no reject"),
        (ann.encode(), None),
        (ann.encode(), reject(BALANCES_RAW, Reason.FUTURE)),
    ]
    records = [Record(at, 0, key, value) for at, (key, value) in enumerate(said)]
    refusals = Refusals(doubted.append)
    refusals.take({Partition(REJECTS, 0): records})
    assert doubted == [ann]
