"""The second implementation's reading of the journal: what it accepts and refuses."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest

from tests.support.oracle.derive import DEFAULTS, RawRecord
from tests.support.oracle.journal import (
    GENESIS,
    JournalWrong,
    inputs_hash,
    outputs_hash,
    verify_journal,
)
from tests.support.oracle.text import canonical as oracle_canonical

RAW = {
    ("prices.raw", 1): [
        RawRecord(0, 10, b"a", b"1"),
        RawRecord(1, 30, None, None),
        RawRecord(5, 20, b"a", b"3"),
    ]
}
CHANGES = [(b"k", b"v"), (b"k", None)]
REJECTS = [(None, b"r")]


def journal(*changed: tuple[int, str, Any]) -> list[bytes]:
    """Two commits over ``RAW``; ``changed`` puts in other values (commit, field, value)."""
    records: list[bytes] = []
    ranges = [
        (0, 2, RAW["prices.raw", 1][:2], 30),
        (2, 7, RAW["prices.raw", 1][2:], 30),
    ]
    for number, (start, end, read_, log_time) in enumerate(ranges, start=1):
        outputs: list[Any] = [CHANGES, []] if number == 1 else [[], REJECTS]
        stretch = {"start": start, "end": end, "count": len(read_)}
        record = {
            "schema": "commit/1",
            "shard": 1,
            "commit": number,
            "logTime": log_time,
            "inputs": {"prices.raw": stretch | {"sha256": inputs_hash(read_)}},
            "decisions": {"prices.published": 1},
            "published": digest(outputs[0]),
            "rejects": digest(outputs[1]),
            "settings": DEFAULTS,
            "generation": 1,
            "previous": sha256(records[-1]).hexdigest() if records else GENESIS,
        }
        record |= {field: value for at, field, value in changed if at == number}
        records.append(oracle_canonical(record))
    return records


def digest(records: Sequence[tuple[bytes | None, bytes | None]]) -> dict[str, Any]:
    return {"count": len(records), "sha256": outputs_hash(records)}


def test_the_hashes_are_over_these_bytes() -> None:
    framed = bytes(7) + b"\x05" + bytes(7) + b"\x14" + b"\0\0\0\x01a" + b"\xff" * 4
    found = inputs_hash([RawRecord(5, 20, b"a", None)])
    assert found == sha256(framed).hexdigest()


def test_a_journal_that_tells_everything_holds() -> None:
    told = verify_journal(
        journal(), RAW, CHANGES, REJECTS, partition=1, settings=DEFAULTS
    )
    assert told == {"prices.published": 2}


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ((2, "previous", GENESIS), "commit 2: chain"),
        ((2, "commit", 3), "commit 2: number 3"),
        ((2, "logTime", 20), "commit 2: log time"),
        ((1, "shard", 0), "commit 1: shard 0"),
        ((1, "published", digest(CHANGES[:1])), "commit 2: written by no commit"),
        ((1, "published", digest(CHANGES[1:])), "commit 1: published hash"),
        ((2, "rejects", digest(REJECTS * 2)), "commit 2: rejects count"),
        ((2, "inputs", {}), "commit 2: read nothing"),
        ((1, "settings", {}), "commit 1: settings"),
    ],
)
def test_a_journal_that_says_something_else_is_wrong(
    changed: tuple[int, str, Any], wrong: str
) -> None:
    with pytest.raises(JournalWrong) as found:
        verify_journal(
            journal(changed), RAW, CHANGES, REJECTS, partition=1, settings=DEFAULTS
        )
    assert str(found.value).startswith(wrong)


def test_a_record_that_no_commit_read_is_told() -> None:
    more = {("prices.raw", 1): [*RAW["prices.raw", 1], RawRecord(7, 40, b"a", b"4")]}
    with pytest.raises(JournalWrong, match="read by no commit"):
        verify_journal(journal(), more, CHANGES, REJECTS, partition=1)
