"""Every sixteenth commit is kept, with where its inputs begin."""

from audit.core.commits import read_commit
from audit.core.waypoints import SPARSE, Way
from schemas.topics import JOURNAL
from tests.support.audited import SHARD, Writing, _said
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
    first, second, third = Way().follow(commits)
    assert (first.commit, second.commit, third.commit) == (1, 17, 33)
    assert first.starts == {"prices.raw": 0}
    # Commit 16 read tokens, commit 17 prices.
    assert second.starts == {"prices.raw": 8, "tokens.raw": 8}
    assert second.offset == commits[16][0]


def test_a_way_can_be_taken_up_again() -> None:
    journal = a_long_journal().of(JOURNAL, SHARD)
    commits = [(r.offset, read_commit(r, shard=SHARD)) for r in journal]
    whole = list(Way().follow(commits))
    first = Way()
    head = list(first.follow(commits[:10]))
    assert head + list(Way(first.ends).follow(commits[10:])) == whole
