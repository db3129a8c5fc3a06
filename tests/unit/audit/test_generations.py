"""A log that changes its generation of the fold half-way, and one that is relabelled."""

from collections.abc import Mapping
from functools import partial

import orjson
import pytest

from audit.core.difference import Check
from audit.core.differing import How, WrongSetting
from audit.diff import DiffConfig, diff_shard
from processor.core.generations import GENERATIONS
from schemas.journal import FoldSettings, FoldSettingsV1
from schemas.topics import CHANGES, JOURNAL, STATE
from tests.support.audited import (
    SHARD,
    Writing,
    _said,
    difference_in,
    observations,
    snapshot_at,
    verified,
)
from tests.support.explained import why
from tests.support.folding import ALPHA, BETA, forgotten, price, reading, subnet
from tests.support.identities import AN_IDENTITY
from tests.support.list_log import ListLog

PRICE = f"price:{ALPHA}"
HALF = 20


def a_log_of_both() -> ListLog:
    """Return the small history, its first half folded by generation 1."""
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    seen = list(observations())
    writing.observe(seen[:HALF])
    writing.fold(settings=FoldSettingsV1(), fold=GENERATIONS[1])
    writing.observe(seen[HALF:])
    writing.fold()
    return log


def journal(log: ListLog) -> list[Mapping[str, object]]:
    return [orjson.loads(record.value or b"") for record in log.of(JOURNAL, SHARD)]


def switch_of(log: ListLog) -> int:
    """Return the first commit of generation 2."""
    return 1 + [said["generation"] for said in journal(log)].index(2)


async def test_a_log_that_changes_its_generation_is_as_derived() -> None:
    log = a_log_of_both()
    schemas = {said["generation"]: said["schema"] for said in journal(log)}
    assert schemas == {1: "commit/1", 2: "commit/2"}
    report = await verified(log)
    assert (report.difference, report.last) == (None, len(journal(log)))


@pytest.mark.parametrize("away", [-1, 0], ids=["before the switch", "after it"])
async def test_it_is_verified_from_a_snapshot(away: int) -> None:
    log = a_log_of_both()
    commit = switch_of(log) + away
    await snapshot_at(log, commit)
    report = await verified(log, first=commit + 1)
    assert (report.difference, report.start) == (None, commit)


async def test_a_state_is_written_in_the_version_of_the_fold_that_changes_it() -> None:
    log = a_log_of_both()
    kinds = [
        orjson.loads(record.value or b"{}").get("schema", "")
        for record in log.of(STATE, SHARD)
    ]
    for name in ("price.state", "balance.state"):
        versions = [kind for kind in kinds if kind.startswith(name)]
        assert versions == sorted(versions)
        assert set(versions) == {f"{name}/1", f"{name}/2"}


async def test_its_prices_are_explained_on_both_sides() -> None:
    log = a_log_of_both()
    switch = switch_of(log)
    for commit in range(1, len(journal(log)) + 1):
        found = await why(log, PRICE, commit=commit)
        steps = [*found.led.steps, *found.since.steps]
        assert steps
        for step in steps:
            is_applied = step.decision is not None and step.decision.value in {
                "published",
                "unchanged",
                "suspect",
            }
            is_judged = step.commit >= switch and is_applied
            assert (step.judgement is not None) == is_judged


async def test_diff_shows_what_the_other_generation_would_have_published() -> None:
    quotes = [
        price(usd, source, at=n)
        for n, (usd, source) in enumerate(
            [("0.5", "a"), ("0.5", "b"), ("0.75", "a"), ("0.75", "b")]
        )
    ]
    by_both = {}
    for generation in (1, 2):
        log = ListLog(SHARD + 1)
        writing = Writing(log)
        writing.observe([_said(event) for event in quotes])
        writing.fold(fold=GENERATIONS[generation])
        other = DiffConfig(generation=3 - generation)
        same = DiffConfig(generation=generation)
        found = await diff_shard(log.as_log(), SHARD, config=other)
        by_both[generation] = found.counts
        assert not (await diff_shard(log.as_log(), SHARD, config=same)).is_different
    # Generation 1 published 0.625, the mean of the old and the new price.
    assert by_both[1]["price", How.MISSING] == 1
    assert by_both[2]["price", How.ADDED] == 1


@pytest.mark.parametrize("generation", [1, 2])
async def test_diff_begins_at_a_snapshot_of_the_other_generation(
    generation: int,
) -> None:
    log = a_log_of_both()
    commit = switch_of(log) + (0 if generation == 1 else -1)
    await snapshot_at(log, commit)
    config = DiffConfig(first=commit + 1, generation=generation)
    found = await diff_shard(log.as_log(), SHARD, config=config)
    assert found.counts


async def test_a_setting_of_generation_2_is_refused_for_commits_of_generation_1() -> (
    None
):
    log = a_log_of_both()
    changed = {"price_jump_factor": 0}
    with pytest.raises(WrongSetting, match="priceJumpFactor"):
        await diff_shard(log.as_log(), SHARD, config=DiffConfig(changed=changed))
    both = DiffConfig(changed=changed, generation=2)
    assert (await diff_shard(log.as_log(), SHARD, config=both)).counts


async def test_a_zero_that_generation_1_published_is_withdrawn_as_a_value() -> None:
    """What generation 1 published stays published, until the user is forgotten."""
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(subnet(1, 0)), _said(subnet(1, 0, base=BETA))])
    writing.fold(fold=GENERATIONS[1])
    writing.observe([_said(subnet(3, 0)), _said(forgotten(9)), _said(reading(10))])
    writing.fold()
    values = [record.value for record in log.of(CHANGES, SHARD)]
    assert [value is None for value in values][-1:] == [True]
    assert (await verified(log)).difference is None


# ---- the identity


def a_log_of(identity: str, *, generation: int = 2) -> ListLog:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe(list(observations()))
    writing.fold(fold=partial(GENERATIONS[generation], log=identity))
    return log


async def test_a_log_with_its_own_identity_is_as_derived() -> None:
    log = a_log_of(AN_IDENTITY.digest)
    assert journal(log)[0]["log"] == AN_IDENTITY.digest
    report = await verified(log, identity=AN_IDENTITY.digest)
    assert report.difference is None


@pytest.mark.parametrize(
    "relabelled",
    [
        pytest.param({"world": "live"}, id="world"),
        pytest.param({"network": "testnet"}, id="network"),
        pytest.param({"created_at": 1}, id="moment of creation"),
        pytest.param({"id": "f" * 32}, id="id"),
        pytest.param({"partitions": 3}, id="partitions"),
    ],
)
async def test_a_relabelled_log_is_found(relabelled: dict[str, object]) -> None:
    log = a_log_of(AN_IDENTITY.digest)
    plain = {**AN_IDENTITY.model_dump(mode="json"), **relabelled}
    other = type(AN_IDENTITY).model_validate_json(orjson.dumps(plain))
    found = await difference_in(log, identity=other.digest)
    assert (found.check, found.commit, found.topic) == (Check.IDENTITY, 1, JOURNAL)
    assert found.expected == other.digest


async def test_generation_1_does_not_say_of_which_log_it_is() -> None:
    log = a_log_of("", generation=1)
    report = await verified(log, identity=AN_IDENTITY.digest)
    assert report.difference is None


def test_a_jump_factor_of_1_would_hold_back_every_change() -> None:
    with pytest.raises(ValueError, match="every change a jump"):
        FoldSettings(price_jump_factor=1)
