"""Every sixteenth commit is kept, with where its inputs begin."""

from audit.core.commits import read_commit
from audit.core.waypoints import SPARSE, Way, spans
from schemas.journal import Commit, FoldSettings
from schemas.topics import BALANCES_RAW, JOURNAL, PRICES_RAW
from tests.support.audited import SHARD, Writing, _said, fold_rounding_down
from tests.support.folding import price, token
from tests.support.list_log import ListLog


def a_long_journal() -> ListLog:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    for at in range(1, 2 * SPARSE + 3):
        writing.observe([_said(price(f"{at}", at=at) if at % 2 else token(at=at))])
        writing.fold()
    return log


def test_every_sixteenth_commit_says_where_all_its_inputs_begin() -> None:
    journal = a_long_journal().of(JOURNAL, SHARD)
    commits = [(r.offset, read_commit(r, shard=SHARD)) for r in journal]
    first, second, third = Way().follow(commits).waypoints
    assert (first.commit, second.commit, third.commit) == (1, 17, 33)
    assert first.starts == {"prices.raw": 0}
    # Commit 16 read tokens, commit 17 prices.
    assert second.starts == {"prices.raw": 8, "tokens.raw": 8}
    assert second.offset == commits[16][0]


def commits_of(log: ListLog) -> list[tuple[int, Commit]]:
    journal = log.of(JOURNAL, SHARD)
    return [(r.offset, read_commit(r, shard=SHARD)) for r in journal]


def test_a_way_can_be_taken_up_again() -> None:
    commits = commits_of(a_long_journal())
    whole = Way().follow(commits)
    first = Way()
    head = first.follow(commits[:10])
    rest = Way(first.ends, first.rules).follow(commits[10:])
    assert [*head.waypoints, *rest.waypoints] == whole.waypoints
    assert [*head.eras, *rest.eras] == whole.eras


def test_an_era_begins_with_other_settings_another_fold_and_after_a_gap() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    other = FoldSettings(price_deviation="0.1")
    for at in range(1, 8):
        writing.observe([_said(price(f"{at}", at=at))])
    writing.fold(commits=2, per_commit=1)
    writing.fold(commits=1, per_commit=1, settings=other)
    writing.fold(commits=1, per_commit=1, settings=other, fold=fold_rounding_down)
    writing.state.read_on({PRICES_RAW: 6})
    writing.fold(settings=other, fold=fold_rounding_down)
    eras = Way().follow(commits_of(log)).eras
    assert [era.commit for era in eras] == [1, 3, 4, 5]
    assert spans(eras, PRICES_RAW) == [(0, 2), (2, 3), (3, 4), (6, None)]
    assert spans(eras, BALANCES_RAW) == [(0, 0), (0, 0), (0, 0), (0, None)]
    assert spans([], PRICES_RAW) == []
