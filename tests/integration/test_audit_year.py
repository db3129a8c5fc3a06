"""Some days of the simulated year: as derived, explained and cut wherever one asks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from audit.as_of import table_at
from audit.core.subjects import Key, subject_in
from audit.explain import explain
from audit.index import open_index
from audit.indexing import extend_index
from audit.journal import last_commit
from audit.refolding import Asked
from audit.snapshots import snapshots
from audit.verify import VerifyConfig, verify_shard
from benchmarks import asking
from benchmarks.year import A_DAY
from eventlog.port import EventLog, Partition, Record
from schemas.journal import Decision
from schemas.topics import CHANGES
from tests.support.logs import Place, open_at, read_one
from tests.support.places import KINDS, fresh_place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LOG_ID = "0" * 32
DAYS, TOKENS, ACCOUNTS = 2, 4, 24
# On a broker each question opens consumers.
_ASKED = {"sqlite": 50, "kafka": 5}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


@pytest.fixture
async def log(place: Place) -> AsyncIterator[EventLog]:
    args = {"days": DAYS, "tokens": TOKENS, "accounts": ACCOUNTS}
    where = (
        {"kafka": place.address, "prefix": place.prefix}
        if place.kind == "kafka"
        else {"sqlite": place.address}
    )
    heard = await asking.fill({**args, **where})
    assert heard == DAYS * (A_DAY * 3 * TOKENS + 24 * ACCOUNTS)
    async with open_at(place) as opened:
        yield opened


def number_in(change: Record) -> int:
    return int(dict(change.headers)["commit"])


def as_it_stood(changes: Sequence[Record], commit: int) -> Mapping[bytes, bytes]:
    return {
        change.key or b"": change.value or b""
        for change in changes
        if number_in(change) <= commit
    }


async def test_a_year_in_small_is_as_derived_and_answers_questions_at_any_time(
    log: EventLog, place: Place
) -> None:
    newest = await last_commit(log, 0)
    assert newest is not None
    last = newest.said.commit
    assert last == DAYS * A_DAY
    assert len(await snapshots(log, 0)) == DAYS
    for first in (1, last - 1):
        report = await verify_shard(log, 0, config=VerifyConfig(first=first))
        assert (report.difference, report.last) == (None, last)
        assert report.start == (0 if first == 1 else last - A_DAY)
    changes = await read_one(log, Partition(CHANGES, 0))
    draw, count = Random(7), _ASKED[place.kind]
    for _ in range(count):
        commit = draw.randint(0, last)
        table = await table_at(log, 0, commit)
        held = {key: row.value for key, row in table.items()}
        assert held == as_it_stood(changes, commit)
    await check_explained(log, changes, [draw.choice(changes) for _ in range(count)])


async def check_explained(
    log: EventLog, changes: Sequence[Record], some: Sequence[Record]
) -> None:
    """Explain values after the commit that published them, or several of their key."""
    with open_index(None, log_id=LOG_ID) as index:
        await extend_index(log, index, 0)
        for change in some:
            key = subject_in((change.key or b"").decode())
            assert isinstance(key, Key)
            commit = number_in(change)
            found = await explain(Asked(log, index, 0), key, commit=commit)
            stood = as_it_stood(changes, commit)[key.key]
            assert found.value is not None
            assert found.value.value == stood
            led = found.led.steps[-1]
            assert led.decision is Decision.PUBLISHED
            assert led.published[key.key] == stood
