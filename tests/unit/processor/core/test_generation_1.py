"""Generation 1 of the fold derives what it has always derived, byte for byte."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from eventlog.port import Record
from processor.core.batch import GENERATION_1, Batch, fold_batch
from processor.core.shard_state import ShardState
from schemas.journal import FoldSettingsV1
from schemas.topics import CHANGES, RAW
from tests.support.shared_data import ROOT

SHARD = 2
# Written by the program when this was its only generation.
RECORDED = ROOT / "tests" / "data" / "generation_1.jsonl"


class Recorded(NamedTuple):
    settings: FoldSettingsV1
    inputs: list[tuple[str, list[Record]]]
    outputs: list[tuple[str, bytes | None, bytes | None]]


def recorded() -> Iterator[Recorded]:
    for line in RECORDED.read_text().splitlines():
        said = json.loads(line)
        inputs: dict[str, list[Record]] = {}
        for topic, offset, time_ms, key, value in said["inputs"]:
            record = Record(offset, time_ms, _bytes(key), _bytes(value))
            inputs.setdefault(topic, []).append(record)
        yield Recorded(
            FoldSettingsV1.model_validate_json(json.dumps(said["settings"])),
            list(inputs.items()),
            [
                (topic, _bytes(key), _bytes(value))
                for topic, key, value in said["outputs"]
            ],
        )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def outputs(batch: Batch) -> list[tuple[str, bytes | None, bytes | None]]:
    return [
        (topic, key, value)
        for topic, entries in batch.entries.items()
        if topic != CHANGES
        for key, value, _ in entries
    ]


def new_state() -> ShardState:
    state = ShardState(SHARD)
    state.start_at(dict.fromkeys(RAW, 0))
    return state


@pytest.mark.parametrize("restored", [False, True], ids=["held", "restored each time"])
def test_every_recorded_commit_is_derived_again(restored: bool) -> None:
    state = new_state()
    for commit in recorded():
        batch = fold_batch(
            state, commit.inputs, settings=commit.settings, generation=GENERATION_1
        )
        assert outputs(batch) == commit.outputs
        batch.apply()
        if restored:
            state = ShardState.restore(SHARD, list(state.records()))


def test_the_record_has_every_decision() -> None:
    decisions: set[Any] = set()
    for commit in recorded():
        batch = commit.outputs
        for topic, _, value in batch:
            if topic == "journal":
                decisions |= json.loads(value or b"")["decisions"].keys()
    kinds = {name.partition(".")[2] for name in decisions}
    assert kinds == {
        "published",
        "unchanged",
        "duplicate",
        "stale",
        "suspect",
        "rejected",
    }
