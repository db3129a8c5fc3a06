"""How a SQLite log shares out shards: a law, and leases that end."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.port import SHARDS_TOPIC, Cleanup, LogUnavailable, TopicSpec
from eventlog.sqlite.membership import Lease, Renewed, _renew_on, share_of
from eventlog.sqlite.pace import Pace
from eventlog.sqlite.session import Session
from runtime.trouble import Trouble
from tests.support.sqlite_logs import Insides, insides_of

SHARDS = TopicSpec(SHARDS_TOPIC, 4, Cleanup(compact=False, retention_ms=None))
LEASE_NS = 800_000_000


@given(
    st.lists(st.text(max_size=3), min_size=1, max_size=8, unique=True),
    st.integers(0, 20),
)
def test_each_shard_has_one_owner_and_shares_are_even(
    members: list[str], shards: int
) -> None:
    shares = [share_of(m, members=members, shards=shards) for m in members]
    assert sorted(shard for share in shares for shard in share) == list(range(shards))
    sizes = {len(share) for share in shares}
    assert max(sizes) - min(sizes) <= 1


def test_one_who_is_no_member_has_no_share() -> None:
    assert share_of("other", members=["one"], shards=4) == frozenset()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Insides]:
    log = insides_of(tmp_path / "log", SHARDS)
    yield log
    log.session.close()


def a_lease(log: Insides, instance: str, group: str = "group") -> Lease:
    return Lease(group, instance=instance, config=log.session.config)


def test_a_renewal_tells_the_share_and_when_to_look_again(log: Insides) -> None:
    one, two = a_lease(log, "one"), a_lease(log, "two")
    assert one.renew(log.session) == (frozenset({0, 1, 2, 3}), True, 0.2)
    assert two.renew(log.session) == (frozenset({2, 3}), True, 0.2)
    assert one.renew(log.session) == (frozenset({0, 1}), False, 0.2)


def test_a_member_that_falls_silent_loses_its_share_when_its_time_is_over(
    log: Insides,
) -> None:
    one, two = a_lease(log, "one"), a_lease(log, "two")
    two.renew(log.session)
    log.clock.ns += LEASE_NS - 100_000_000
    share, _, look_again_s = one.renew(log.session)
    assert (share, look_again_s) == (frozenset({0, 1}), 0.1)
    log.clock.ns += 100_000_000
    assert one.renew(log.session) == (frozenset({0, 1, 2, 3}), True, 0.2)
    assert two.renew(log.session)[:2] == (frozenset({2, 3}), True)


def test_leases_from_before_the_machine_started_anew_are_dropped(log: Insides) -> None:
    a_lease(log, "one").renew(log.session)
    log.clock.ns = 0
    share, *_ = a_lease(log, "two").renew(log.session)
    assert share == frozenset({0, 1, 2, 3})


def test_two_processes_of_one_name_are_two_members(log: Insides) -> None:
    one, again = a_lease(log, "one"), a_lease(log, "one")
    one.renew(log.session)
    first = again.renew(log.session).share
    assert first | one.renew(log.session).share == frozenset({0, 1, 2, 3})
    assert len(first) == 2


def test_giving_up_frees_the_share_at_once(log: Insides) -> None:
    one, two = a_lease(log, "one"), a_lease(log, "two")
    one.renew(log.session)
    two.renew(log.session)
    one.give_up(log.session)
    assert two.renew(log.session).share == frozenset({0, 1, 2, 3})


def test_a_renewal_that_fails_leaves_the_share_and_is_tried_again(
    log: Insides, caplog: pytest.LogCaptureFixture
) -> None:
    pace, told = Pace(), list[frozenset[int]]()
    troubles = [LogUnavailable("here", why="busy")]

    def renew(_: Session) -> Renewed:
        if troubles:
            pace.wake()
            raise troubles.pop()
        pace.stop()
        return Renewed(frozenset({1}), news=False, look_again_s=0)

    _renew_on(log.session, renew, tell=told.append, pace=pace)
    assert told == [frozenset({1})]
    assert [record.message for record in caplog.records] == ["lease not renewed"]


def test_a_lease_that_is_not_renewed_for_long_does_not_fill_the_log(
    log: Insides, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pace, tries = Pace(), iter(range(355))

    def renew(_: Session) -> Renewed:
        pace.wake()
        if next(tries, None) is not None:
            log.clock.ns += 200_000_000
            raise LogUnavailable("here", why="no room")
        pace.stop()
        return Renewed(frozenset({1}), news=False, look_again_s=0)

    config = log.session.config
    new_trouble = partial(Trouble, monotonic_s=lambda: log.clock.ns / 1e9)
    log.session.config = replace(config, new_trouble=new_trouble)
    _renew_on(log.session, renew, tell=lambda _: None, pace=pace)
    said = [record.message for record in caplog.records]
    assert said == [*["lease not renewed"] * 3, "lease renewed again"]


def test_groups_know_nothing_of_one_another(log: Insides) -> None:
    a_lease(log, "one", group="a").renew(log.session)
    assert len(a_lease(log, "one", group="b").renew(log.session).share) == 4


def test_one_who_cannot_give_up_leaves_all_the_same(log: Insides) -> None:
    one, two = a_lease(log, "one"), a_lease(log, "two")
    one.renew(log.session)
    path = log.session.config.path
    path.rename(path.with_name("away"))
    one.give_up(log.session)
    path.with_name("away").rename(path)
    log.clock.ns += LEASE_NS
    assert two.renew(log.session).share == frozenset({0, 1, 2, 3})
