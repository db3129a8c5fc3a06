"""The real history: its files are what backfill reads, and its sums are sound."""

from collections import Counter
from pathlib import Path

import pytest

from ingest.core.history_rows import HistoryRow, RowReader, RowRules
from ingest.history_files import read_rows
from ingest.spool import Spool
from schemas.ids import Network
from tests.support import history
from tests.support.history_noise import noise
from tests.support.logs import now_ms
from tests.support.oracle.derive import DEFAULTS, RawRecord, derive


@pytest.mark.slow
def test_backfill_reads_from_the_files_what_the_observations_are(
    tmp_path: Path,
) -> None:
    rules = RowRules(Network.MAINNET, now_ms())
    with Spool() as spool:
        for file, path in enumerate(history.write(tmp_path)):
            for number, row in read_rows(path, RowReader(rules), lambda _: None):
                assert isinstance(row, HistoryRow), (path, number, row)
                spool.add(row, file=file, number=number)
        found = [(row.topic, row.key, row.value) for row in spool.sorted()]
    assert found == [(o.topic, o.key, o.value) for o in history.observations()]


def test_no_reading_is_negative_unless_it_is_meant_to_be() -> None:
    negative = [
        seen
        for seen in history.observations()
        for held in seen.fields.get("holdings", ())
        if held["balance"].startswith("-")
    ]
    # Those that are told to be impossible, each with one negative holding.
    assert {seen.sequence % 10 for seen in negative} == {4}
    assert len(negative) == len([s for s in negative if b'"-1"' in s.value])


def test_what_the_recording_repeats_is_the_same_observation_again() -> None:
    seen = [o for o in history.observations() if b"account.read/1" in o.value]
    told = Counter(one.value for one in seen)
    assert sum(times - 1 for times in told.values()) > 545
    moments = {(one.key, one.observed_at, one.sequence) for one in seen}
    # Of one account and moment there is one content a source, and two sources.
    assert len(moments) <= len(told) <= 2 * len(moments)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_history_and_its_noise_meet_every_decision_and_every_reason() -> None:
    seen = list(history.observations())
    everything = [(o.topic, o.key, o.value) for o in seen] + list(noise(seen))
    raw: dict[tuple[str, int], list[RawRecord]] = {}
    for topic, key, value in everything:
        records = raw.setdefault((topic, 0), [])
        records.append(RawRecord(len(records), 1_800_000_000_000, key, value))
    found = derive(raw, DEFAULTS)[0]
    always = ("published", "unchanged", "duplicate", "stale", "rejected")
    assert set(found.decisions) == {
        *(f"{k}.{word}" for k in ("prices", "balances", "tokens") for word in always),
        "balances.suspect",
    }
    reasons = Counter(
        value.partition(b'"reason":"')[2][:6] for _, value in found.rejects
    )
    assert set(reasons) == {b"schema", b"future", b"confli", b"unknow", b'full",'}
