"""Of very many observations the last are told one by one, and what they give is the same."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.alone import Alone
from audit.core.explained import KEPT
from audit.core.sentences import in_sentences
from audit.errors import IndexWrong
from audit.explain import explain, fate_of
from audit.refolding import LIMIT
from eventlog.port import Partition
from schemas.journal import Decision, FoldSettings, Origin
from schemas.topics import JOURNAL, PRICES_RAW
from tests.support.audited import (
    MORE_GENERATIONS,
    SHARD,
    Writing,
    _said,
    fold_rounding_down,
    reads,
)
from tests.support.explained import a_key, asking, why
from tests.support.folding import ALPHA, BETA, USER, confirmed, holding, price, reading
from tests.support.list_log import ListLog
from tests.unit.audit.test_as_of import written

KEY = f"price:{ALPHA}"


def a_quiet_price(*, quiet: int, then: int) -> ListLog:
    """A price that moves once after so many words that did not move it."""
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    for at in range(1, quiet + then + 1):
        usd = "1" if at <= quiet else "2"
        writing.observe(
            [_said(price(usd, "a", at)), _said(price("7", at=at, token=BETA))]
        )
    writing.fold(per_commit=20)
    return log


@pytest.fixture(params=[False, True], ids=["from the first", "from snapshots"])
async def quiet(request: pytest.FixtureRequest) -> ListLog:
    log = a_quiet_price(quiet=LIMIT + 300, then=LIMIT + 100)
    if request.param:
        await written(log, *range(10, len(log.of(JOURNAL, SHARD)), 20))
    return log


async def test_of_very_many_the_last_are_told_and_all_are_counted(
    quiet: ListLog,
) -> None:
    found = await why(quiet, KEY)
    assert found.value is not None
    assert found.previous is not None
    for stretch, total in ((found.led, LIMIT + 300), (found.since, LIMIT + 99)):
        assert stretch.passed + stretch.decided.total() == total
        assert len(stretch.steps) == KEPT
    assert found.led.steps[-1].decision is Decision.PUBLISHED
    assert found.led.steps[-1].published[a_key(KEY).key] == found.value.value
    assert set(found.since.decided) == {Decision.UNCHANGED}


async def test_that_they_were_very_many_is_said(quiet: ListLog) -> None:
    found = await why(quiet, KEY)
    lines = list(in_sentences(found))
    assert (
        f"since then: {found.since.passed:,} observations of this token that did not "
        "change it, too many to tell why of each"
    ) in lines
    total = found.since.decided.total()
    kept = (
        f"after them: {total} observations that did not change it ({total} unchanged)"
    )
    assert kept in lines


async def test_many_but_not_very_many_are_all_decided() -> None:
    found = await why(a_quiet_price(quiet=LIMIT + 1, then=0), KEY)
    assert (found.since.passed, found.since.decided.total()) == (0, LIMIT)


async def test_a_balance_that_never_moved_is_told_of_its_user() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(reading(1, holding(ALPHA, 5)))])
    writing.observe([_said(confirmed(at, "a" * 64)) for at in range(2, LIMIT + 300)])
    writing.fold(per_commit=50)
    found = await why(log, f"balance:{USER}:{ALPHA}")
    assert found.since.passed > 0
    assert found.since.passed + found.since.decided.total() == LIMIT + 298
    assert any("of this user" in line for line in in_sentences(found))


async def test_a_key_without_a_value_may_have_very_many_too() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    nonsense = (PRICES_RAW, ALPHA.encode(), b"?")
    writing.observe([nonsense] * (LIMIT + 1))
    writing.fold(per_commit=100)
    found = await why(log, KEY)
    assert (found.value, found.since.passed) == (None, LIMIT + 1 - KEPT)
    assert found.since.decided == {Decision.REJECTED: KEPT}


# ---- many at once, as one by one

events = st.lists(
    st.builds(
        price,
        st.sampled_from(["1", "2", "5"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=30,
)
rules = st.sampled_from([FoldSettings(), FoldSettings(price_deviation="0.5")])


@given(events, st.lists(rules, min_size=3, max_size=3), st.integers(0, 2))
async def test_what_is_carried_leaves_what_steps_would(
    seen: Sequence[object], settings: Sequence[FoldSettings], gap: int
) -> None:
    """Through other settings, another fold and a gap."""
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    for third, each in enumerate(settings):
        writing.observe([_said(event) for event in seen[third::3]])
        writing.fold(per_commit=2, settings=each)
        writing.observe([_said(event) for event in seen[:gap]])
        start = writing.state.position.positions[PRICES_RAW]
        writing.state.read_on({PRICES_RAW: start + gap})
    writing.observe([_said(price("9", "a", 10)), _said(price("8", "b", 10))])
    writing.fold(per_commit=1, fold=fold_rounding_down)
    last = len(log.of(JOURNAL, SHARD))
    async with asking(log, generations=MORE_GENERATIONS) as asked:
        for commit in range(1, last + 1):
            found = await explain(asked, a_key(KEY), commit=commit)
            steps = [*found.led.steps, *found.since.steps]
            told = [(step.observation.record.offset, step.decision) for step in steps]
            assert told == stepped(log, commit)[-len(told) :]


def stepped(log: ListLog, commit: int) -> list[tuple[int, Decision | None]]:
    """What was decided on all observations up to a commit, each folded by its own."""
    key, alone = a_key(KEY), Alone(SHARD, MORE_GENERATIONS)
    return [
        (record.offset, alone.fold(topic, record, read.said, key=key).decision)
        for read in reads(log)
        if read.said.commit <= commit
        for topic, records in read.inputs
        for record in records
    ]


async def test_what_stands_in_a_gap_is_not_carried() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(price("1", "a", 1)), _said(price("5", "a", 5))])
    writing.fold(commits=1, per_commit=1)
    writing.state.read_on({PRICES_RAW: 2})
    writing.observe([_said(price("2", "a", 2)), _said(price("3", "a", 3))])
    writing.observe([_said(price("4", "a", 4))])
    writing.fold(per_commit=1)
    found = await why(log, KEY)
    assert found.value is not None
    async with asking(log) as asked:
        fate = await fate_of(asked, Origin(PRICES_RAW, SHARD, 3))
    assert fate.step is not None
    assert fate.step.decision is Decision.PUBLISHED


async def test_an_index_that_names_what_no_commit_read_is_wrong() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(price(f"{at}", "a", at)) for at in range(1, 5)])
    writing.fold(per_commit=1)
    async with asking(log) as asked:
        asked.index._db.execute("UPDATE eras SET places = '[{}, {}]'")
        journal = log.of(JOURNAL, SHARD)
        log.records[Partition(JOURNAL, SHARD)] = journal[2:]
        with pytest.raises(IndexWrong):
            await explain(asked, a_key(KEY), commit=4)
