"""Each value of a history is explained by what it came from, folded again alone."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.commits import origin_of
from audit.core.difference import Check, DifferenceFound
from audit.errors import HistoryGone, IndexWrong, WrongMoment
from audit.explain import explain, fate_of
from eventlog.port import Partition, Record
from schemas.base import encode
from schemas.journal import Decision, FoldSettings, Origin
from schemas.latest import decode_latest
from schemas.rejects import Reason
from schemas.topics import BALANCES_RAW, CHANGES, JOURNAL, PRICES_RAW, RAW, REJECTS
from tests.support.audited import (
    MORE_GENERATIONS,
    SHARD,
    Writing,
    _said,
    a_history,
    fold_rounding_down,
    observations,
)
from tests.support.explained import a_key, asking, why
from tests.support.folding import (
    ALPHA,
    ALPHA_SUBNET,
    BETA,
    STX,
    USER,
    confirmed,
    forgotten,
    holding,
    price,
    reading,
    subnet,
)
from tests.support.list_log import ListLog
from tests.unit.audit.test_as_of import written


def commit_in(change: Record) -> int:
    return int(dict(change.headers)["commit"])


def last_of_each_commit(log: ListLog) -> dict[tuple[bytes, int], Record]:
    return {(r.key or b"", commit_in(r)): r for r in log.of(CHANGES, SHARD)}


async def check_all(log: ListLog) -> None:
    """Explain every value after the commit that wrote it, against the log's own bytes."""
    all_changes = log.of(CHANGES, SHARD)
    for (key, commit), change in last_of_each_commit(log).items():
        found = await why(log, key, commit=commit)
        earlier = [r for r in all_changes if r.key == key and r.offset < change.offset]
        assert found.value is not None
        assert (found.value.offset, found.value.value) == (change.offset, change.value)
        assert (found.previous and found.previous.offset) == (
            earlier[-1].offset if earlier else None
        )
        led = found.led.steps[-1]
        assert led.decision is Decision.PUBLISHED
        assert led.published[key] == change.value
        assert not any(s.decision is Decision.PUBLISHED for s in found.since.steps)
        assert _origins(key, change.value) == [o.record.offset for o in found.stands_on]


def _origins(key: bytes, value: bytes | None) -> list[int]:
    said = decode_latest(key, value) if value else None
    return [origin.offset for origin in getattr(said, "origins", ())]


@pytest.mark.parametrize("snapshots", [(), (3, 7)], ids=["from the start", "snapshots"])
async def test_each_value_is_explained_by_what_led_to_it(
    snapshots: Sequence[int],
) -> None:
    log = a_history(holes=1)
    await written(log, *snapshots)
    await check_all(log)


seen = st.one_of(
    st.builds(
        price,
        st.sampled_from(["1", "2", "5"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 6),
    ),
    st.builds(
        reading,
        st.integers(1, 6),
        st.builds(holding, st.sampled_from([ALPHA, BETA]), st.integers(-1, 2)),
    ),
    st.builds(subnet, st.integers(1, 6), st.integers(-1, 2)),
    st.builds(forgotten, st.integers(1, 6)),
    st.builds(confirmed, st.integers(1, 6), st.just("a" * 64)),
)


@given(st.lists(seen, min_size=1, max_size=25), st.integers(1, 7))
async def test_what_led_to_any_value_gives_it_when_folded_alone(
    events: list[object], per_commit: int
) -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(event) for event in events])
    writing.fold(per_commit=per_commit)
    await check_all(log)


async def test_why_a_value_is_still_what_it_is() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(price("1", "a", 5)), _said(price("1", "b", 5))])
    writing.observe([_said(price("9", "a", 4)), _said(price("1", "a", 5))])
    writing.observe([_said(price("2", "a", 5)), ("prices.raw", ALPHA.encode(), b"?")])
    writing.fold(per_commit=2)
    found = await why(log, f"price:{ALPHA}")
    assert [step.decision for step in found.since.steps] == [
        Decision.UNCHANGED,
        Decision.STALE,
        Decision.DUPLICATE,
        Decision.REJECTED,
        Decision.REJECTED,
    ]
    reasons = [step.reject and step.reject.reason for step in found.since.steps]
    assert reasons == [None, None, None, Reason.CONFLICT, Reason.SCHEMA]
    assert found.commits.keys() == {1, 2, 3}
    assert found.since.steps[0].words == {"a": ("1", 5), "b": ("1", 5)}


async def test_a_key_that_was_never_published_has_no_value() -> None:
    log = a_history()
    found = await why(log, f"price:{STX}")
    assert (found.value, found.previous, len(found.since.steps)) == (None, None, 0)
    balance = await why(log, f"balance:{USER}:{ALPHA_SUBNET}")
    assert balance.value is None
    # Readings of the account that say nothing of this token.
    assert balance.since.silent > 0


async def test_a_forgotten_user_has_a_withdrawn_balance() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(reading(1, holding(ALPHA, 5))), _said(forgotten(9))])
    writing.observe([_said(reading(8, holding(ALPHA, 6)))])
    writing.fold()
    found = await why(log, f"balance:{USER}:{ALPHA}")
    assert found.value is not None
    assert found.value.value is None
    assert found.stands_on == ()
    assert [step.decision for step in found.since.steps] == [Decision.STALE]


async def test_the_settings_and_the_fold_are_those_of_the_commit() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    seen = list(observations())
    writing.observe(seen[:20])
    writing.fold(settings=FoldSettings(price_deviation="0.1"))
    writing.observe(seen[20:])
    writing.fold(fold=fold_rounding_down)
    for change in log.of(CHANGES, SHARD):
        found = await why(
            log,
            change.key or b"",
            commit=commit_in(change),
            generations=MORE_GENERATIONS,
        )
        assert found.value is not None


async def test_before_the_first_commit_there_is_nothing() -> None:
    found = await why(a_history(), f"price:{ALPHA}", commit=0)
    assert (found.value, found.since.steps) == (None, found.led.steps)


# ---- what is not as it should be


async def test_a_value_that_does_not_follow_is_found() -> None:
    log = a_history()
    changes = log.of(CHANGES, SHARD)
    at = next(n for n, r in enumerate(changes) if r.key == f"price:{ALPHA}".encode())
    changes[at] = changes[at]._replace(value=b"{}")
    with pytest.raises(DifferenceFound) as caught:
        await why(log, f"price:{ALPHA}", commit=commit_in(changes[at]))
    assert caught.value.difference.check is Check.CHANGES
    assert caught.value.difference.found == "{}"


async def test_a_value_before_that_does_not_follow_is_found() -> None:
    log = a_history()
    changes, key = log.of(CHANGES, SHARD), f"price:{ALPHA}"
    first, second = [n for n, r in enumerate(changes) if r.key == key.encode()][:2]
    changes[first] = changes[first]._replace(value=b"{}")
    with pytest.raises(DifferenceFound) as caught:
        await why(log, key, commit=commit_in(changes[second]))
    assert caught.value.difference.found == "{}"


async def test_a_value_that_nothing_led_to_is_found() -> None:
    log = a_history()
    value, headers = b"{}", (("commit", b"2"),)
    key = f"price:{STX}".encode()
    log.put(CHANGES, SHARD, [(key, value, headers)])
    with pytest.raises(DifferenceFound, match="no such change"):
        await why(log, key)


async def test_a_value_that_is_missing_is_found() -> None:
    log = a_history()
    changes = log.of(CHANGES, SHARD)
    key = f"price:{BETA}".encode()
    log.records[Partition(CHANGES, SHARD)] = [r for r in changes if r.key != key]
    with pytest.raises(DifferenceFound, match="found nothing"):
        await why(log, key)


async def test_a_change_of_a_commit_that_is_not_there_is_found() -> None:
    log = a_history()
    key = f"price:{ALPHA}".encode()
    log.put(CHANGES, SHARD, [(key, b"{}", (("commit", b"900"),))])
    with pytest.raises(DifferenceFound, match="of a commit in the journal"):
        await why(log, key, commit=900)


async def test_an_index_that_is_wrong_is_not_believed() -> None:
    log = a_history()
    async with asking(log) as asked:
        changes, raw = log.of(CHANGES, SHARD), log.of(PRICES_RAW, SHARD)
        key = a_key(f"price:{ALPHA}")
        kept = [record for record in raw if record.key == key.owner]
        log.records[Partition(PRICES_RAW, SHARD)] = kept[1:]
        with pytest.raises(IndexWrong):
            await explain(asked, key, commit=3)
        log.records[Partition(PRICES_RAW, SHARD)] = [
            r._replace(key=b"another") for r in raw
        ]
        with pytest.raises(IndexWrong):
            await explain(asked, key, commit=3)
        log.records[Partition(CHANGES, SHARD)] = changes[-1:]
        with pytest.raises(IndexWrong):
            await explain(asked, key, commit=3)


async def test_what_retention_took_is_not_made_up() -> None:
    log = a_history()
    log.dropped = {Partition(topic, SHARD): 2 for topic in RAW}
    for topic in RAW:
        del log.of(topic, SHARD)[:2]
    with pytest.raises(HistoryGone):
        await why(log, f"price:{ALPHA}")


async def test_a_damaged_snapshot_is_passed_over() -> None:
    log = a_history()
    await written(log, 3, 7)
    chunks = log.of("snapshots", SHARD)
    chunks[2] = chunks[2]._replace(value=b"{}")
    await check_all(log)


# ---- observations


@pytest.mark.parametrize("snapshots", [(), (3, 7)], ids=["from the start", "snapshots"])
async def test_each_reject_is_explained(snapshots: Sequence[int]) -> None:
    log = a_history()
    await written(log, *snapshots)
    rejects = log.of(REJECTS, SHARD)
    assert rejects
    explained = 0
    async with asking(log) as asked:
        for topic, record in [(t, r) for t in RAW for r in log.of(t, SHARD)]:
            found = await fate_of(asked, Origin(topic, SHARD, record.offset))
            assert found.step is not None
            assert (found.step.reject is None) == (found.reject is None)
            if found.reject is not None and found.step.reject is not None:
                held = next(r for r in rejects if r.offset == found.reject)
                assert held.value == encode(found.step.reject)
                explained += 1
    assert explained == len(rejects)


async def test_an_observation_without_a_key_is_explained_too() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([(BALANCES_RAW, None, b"nonsense")] * 2)
    writing.fold(commits=1)
    async with asking(log) as asked:
        found = await fate_of(asked, Origin(BALANCES_RAW, SHARD, 1))
    assert found.step is not None
    assert found.step.decision is Decision.REJECTED
    assert found.reject == 1


async def test_an_observation_that_is_not_yet_folded_has_no_fate() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(price("1"))])
    async with asking(log) as asked:
        found = await fate_of(asked, Origin(PRICES_RAW, SHARD, 0))
        assert (found.step, found.commit, found.reject) == (None, None, None)
        with pytest.raises(WrongMoment, match="holds no record 1"):
            await fate_of(asked, Origin(PRICES_RAW, SHARD, 1))


async def test_a_reject_that_says_something_else_is_found() -> None:
    log = a_history()
    rejects = log.of(REJECTS, SHARD)
    value = (rejects[0].value or b"").replace(b'"field":"', b'"field":"x')
    rejects[0] = rejects[0]._replace(value=value)
    origin = origin_of(rejects[0])
    assert origin is not None
    async with asking(log) as asked:
        with pytest.raises(DifferenceFound, match="rejects differs"):
            await fate_of(asked, origin)


async def test_rejects_that_retention_took_are_explained_without_them() -> None:
    log = a_history()
    refused = len(log.of(REJECTS, SHARD))
    log.records[Partition(REJECTS, SHARD)] = []
    log.dropped[Partition(REJECTS, SHARD)] = refused
    async with asking(log) as asked:
        fates = [
            await fate_of(asked, Origin(PRICES_RAW, SHARD, record.offset))
            for record in log.of(PRICES_RAW, SHARD)
        ]
    assert any(f.step and f.step.reject for f in fates)
    assert all(f.reject is None for f in fates)


async def test_the_journal_that_an_index_begins_with_may_be_long() -> None:
    """More commits than lie between two waypoints, and some after the last of them."""
    log = ListLog(SHARD + 1)
    writing = Writing(log, holes=1)
    for at in range(1, 61):
        writing.observe([_said(price(f"{at}", "a", at))])
        writing.fold(per_commit=1)
    assert len(log.of(JOURNAL, SHARD)) == 60
    await check_all(log)
