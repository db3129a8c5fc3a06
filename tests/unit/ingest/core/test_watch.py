"""Who is watched: leases, their ends, and the room there is."""

import pytest

from ingest.core.watch import Watch, Withdrawn, is_fresh, read_demand
from schemas.base import Malformed, encode
from schemas.demand import Lease, Refresh, RefreshKind
from schemas.ids import UserId

ANN = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
BOB = UserId("SP3NE50GEXFG9SZGTT51P40X2CKYSZ5CC4ZTZ7A2G")


def lease(user: UserId, *, edge: str = "e1", until: int = 100) -> Lease:
    return Lease(user_id=user, edge=edge, renewed_at=0, expires_at=until)


def test_a_user_is_watched_until_the_last_edge_withdraws() -> None:
    watch = Watch(limit=9)
    watch.lease(lease(ANN), now_ms=0)
    watch.lease(lease(ANN, edge="e2"), now_ms=0)
    watch.withdraw(Withdrawn(ANN, "e1"), now_ms=1)
    assert watch.watched() == [ANN]
    watch.withdraw(Withdrawn(ANN, "e1"), now_ms=2)
    watch.withdraw(Withdrawn(ANN, "e2"), now_ms=3)
    assert watch.watched() == []
    assert watch.left_ms(ANN) == 3


def test_a_lease_that_nobody_renews_ends() -> None:
    watch = Watch(limit=9)
    watch.lease(lease(ANN, until=100), now_ms=0)
    watch.lease(lease(ANN, until=200), now_ms=50)
    watch.lease(lease(BOB, until=150), now_ms=50)
    watch.expire(now_ms=150)
    assert watch.watched() == [ANN]
    watch.expire(now_ms=200)
    assert not watch.wanted(ANN)


def test_a_lease_that_is_over_when_it_is_read_changes_nothing() -> None:
    watch = Watch(limit=9)
    watch.lease(lease(ANN, until=100), now_ms=100)
    assert (watch.watched(), watch.changes) == ([], 0)


def test_beyond_the_limit_the_first_come_are_watched_and_others_move_up() -> None:
    watch = Watch(limit=1)
    watch.lease(lease(ANN), now_ms=0)
    watch.lease(lease(BOB), now_ms=0)
    assert watch.watched() == [ANN]
    assert watch.unserved() == 1
    assert watch.wanted(BOB)
    watch.withdraw(Withdrawn(ANN, "e1"), now_ms=0)
    assert watch.watched() == [BOB]


def test_only_coming_and_leaving_count_as_changes() -> None:
    watch = Watch(limit=9)
    for _ in range(3):
        watch.lease(lease(ANN), now_ms=0)
    assert watch.changes == 1
    watch.expire(now_ms=100)
    assert watch.changes == 2


def test_when_a_user_left_is_forgotten_in_the_end() -> None:
    watch = Watch(limit=9)
    watch.lease(lease(ANN), now_ms=0)
    watch.expire(now_ms=100)
    watch.drop_left(before_ms=100)
    assert watch.left_ms(ANN) == 100
    watch.drop_left(before_ms=101)
    assert watch.left_ms(ANN) == -1


def test_demand_is_read_by_its_key() -> None:
    key = f"{ANN}|e1".encode()
    refresh = Refresh(kind=RefreshKind.PRICES, requested_at=5)
    assert read_demand(key, encode(lease(ANN))) == lease(ANN)
    assert read_demand(key, None) == Withdrawn(ANN, "e1")
    assert read_demand(b"refresh:prices", encode(refresh)) == refresh


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(f"{BOB}|e1".encode(), encode(lease(ANN)), id="another user"),
        pytest.param(f"{ANN}|e2".encode(), encode(lease(ANN)), id="another edge"),
        pytest.param(f"{ANN}|e1".encode(), b"{}", id="no lease"),
        pytest.param(b"nobody|e1", None, id="nobody withdrawn"),
        pytest.param(None, None, id="nothing"),
        pytest.param(b"refresh:prices", None, id="refresh without a value"),
        pytest.param(b"\xff|e1", b"{}", id="not UTF-8"),
    ],
)
def test_what_is_no_demand_is_malformed(key: bytes | None, value: bytes | None) -> None:
    assert isinstance(read_demand(key, value), Malformed)


@pytest.mark.parametrize(
    ("age_ms", "fresh"), [(0, True), (60_000, True), (60_001, False), (-60_001, False)]
)
def test_a_refresh_request_is_good_for_a_minute(age_ms: int, fresh: bool) -> None:
    asked = Refresh(kind=RefreshKind.PRICES, requested_at=10**6)
    assert is_fresh(asked, now_ms=10**6 + age_ms) is fresh
