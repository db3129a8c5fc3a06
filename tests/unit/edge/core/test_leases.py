from hypothesis import given
from hypothesis import strategies as st

from edge.core.leases import MAX_GLANCES, Lease, Leases
from schemas.ids import UserId

ANNE, BOB = UserId("ANNE"), UserId("BOB")
LEASE_S, RENEW_S = 300.0, 60.0


def held(*users: UserId) -> list[Lease]:
    return [Lease(user_id, held=True) for user_id in users]


def withdrawn(*users: UserId) -> list[Lease]:
    return [Lease(user_id, held=False) for user_id in users]


def due(leases: Leases, *, now_s: float) -> list[Lease]:
    return leases.due(now_s=now_s, limit=1_000)


def write(leases: Leases, *, now_s: float) -> list[Lease]:
    """Write what is due, as the shell does."""
    found = due(leases, now_s=now_s)
    leases.written(found, now_s=now_s)
    return found


def test_nothing_is_due_until_somebody_comes() -> None:
    leases = Leases(lease_s=LEASE_S)
    assert due(leases, now_s=0) == []
    assert leases.wait_s(now_s=0) is None


def test_a_watched_user_is_leased_at_once_and_renewed_in_time() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([ANNE])
    assert len(leases) == 1
    assert leases.wait_s(now_s=0) == 0
    assert write(leases, now_s=0) == held(ANNE)
    assert leases.wait_s(now_s=10) == RENEW_S - 10
    assert write(leases, now_s=RENEW_S - 1) == []
    assert write(leases, now_s=RENEW_S) == held(ANNE)
    assert write(leases, now_s=RENEW_S + 1) == []


def test_a_lease_is_withdrawn_when_the_last_subscriber_is_gone() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([ANNE])
    write(leases, now_s=0)
    leases.unwatch([ANNE])
    assert len(leases) == 0
    assert write(leases, now_s=1) == withdrawn(ANNE)
    assert leases.wait_s(now_s=1) is None


def test_who_leaves_before_the_lease_was_written_leaves_no_trace() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([ANNE])
    leases.unwatch([ANNE, BOB])
    assert due(leases, now_s=0) == []


def test_who_leaves_while_the_lease_is_being_written_is_withdrawn_after() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([ANNE])
    under_way = due(leases, now_s=0)
    leases.unwatch([ANNE])
    leases.written(under_way, now_s=0)
    assert write(leases, now_s=0) == withdrawn(ANNE)


def test_who_comes_back_while_the_withdrawal_is_being_written_is_leased_again() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([ANNE])
    write(leases, now_s=0)
    leases.unwatch([ANNE])
    under_way = due(leases, now_s=1)
    leases.watch([ANNE])
    leases.written(under_way, now_s=1)
    assert write(leases, now_s=1) == held(ANNE)


def test_what_could_not_be_written_is_due_again_as_it_is_then() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([ANNE, BOB])
    assert due(leases, now_s=0) == held(ANNE, BOB)
    leases.unwatch([ANNE])
    assert due(leases, now_s=1) == held(BOB)


def test_no_more_than_the_limit_is_due_at_a_time() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([ANNE, BOB])
    first = leases.due(now_s=0, limit=1)
    leases.written(first, now_s=0)
    assert (first, write(leases, now_s=0)) == (held(ANNE), held(BOB))


def test_a_glance_is_one_lease_that_is_not_renewed() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.glance([ANNE], now_s=0)
    leases.glance([ANNE], now_s=0)
    assert write(leases, now_s=0) == held(ANNE)
    assert write(leases, now_s=RENEW_S) == []
    assert leases.wait_s(now_s=RENEW_S) is None
    assert len(leases) == 0


def test_a_glance_at_a_fresh_lease_writes_nothing() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([BOB])
    leases.glance([ANNE, BOB], now_s=0)
    write(leases, now_s=0)
    leases.glance([ANNE, BOB], now_s=RENEW_S - 1)
    assert due(leases, now_s=RENEW_S - 1) == []
    leases.glance([ANNE], now_s=RENEW_S)
    assert set(due(leases, now_s=RENEW_S)) == set(held(ANNE, BOB))


def test_a_glance_outlives_a_subscriber_who_leaves_before_it_is_written() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.glance([ANNE], now_s=0)
    leases.watch([ANNE])
    leases.unwatch([ANNE])
    assert write(leases, now_s=0) == held(ANNE)


def test_a_user_watched_already_is_not_written_again() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([ANNE])
    write(leases, now_s=0)
    leases.watch([ANNE])
    assert (leases.waiting, leases.known, leases.watched) == (0, 1, (ANNE,))
    assert due(leases, now_s=1) == []


def test_a_user_is_known_while_watched_and_while_a_lease_of_his_is_fresh() -> None:
    leases = Leases(lease_s=LEASE_S)
    assert not leases.is_known(ANNE)
    leases.watch([ANNE])
    leases.glance([BOB], now_s=0)
    assert leases.is_known(ANNE)
    assert leases.is_known(BOB)
    assert (leases.waiting, leases.known) == (2, 2)
    write(leases, now_s=0)
    assert leases.is_known(BOB)
    assert leases.known == 2
    leases.unwatch([ANNE])
    write(leases, now_s=1)
    assert not leases.is_known(ANNE)
    assert leases.known == 1
    due(leases, now_s=RENEW_S)
    assert leases.known == 0
    leases.watch([ANNE])
    leases.unwatch([ANNE])
    assert leases.known == 0


def test_a_lease_written_for_who_has_just_left_counts_until_it_is_withdrawn() -> None:
    leases = Leases(lease_s=LEASE_S)
    leases.watch([ANNE])
    on_its_way = leases.due(now_s=0, limit=1)
    leases.unwatch([ANNE])
    leases.written(on_its_way, now_s=0)
    assert (leases.known, leases.is_known(ANNE)) == (1, True)
    write(leases, now_s=1)
    assert (leases.known, leases.is_known(ANNE)) == (0, False)


def test_glances_beyond_the_bound_are_turned_away_and_counted() -> None:
    leases = Leases(lease_s=LEASE_S)
    many = [UserId(f"{number}") for number in range(MAX_GLANCES + 2)]
    assert leases.glance(many, now_s=0) == 2
    assert leases.glance(many[:1], now_s=0) == 0


steps = st.lists(
    st.tuples(st.sampled_from(["watch", "unwatch", "write", "fail"]), st.integers(0, 3))
)


@given(steps)
def test_in_the_end_the_log_holds_the_leases_of_the_watched(
    done: list[tuple[str, int]],
) -> None:
    leases, log, watched = Leases(lease_s=LEASE_S), dict[UserId, bool](), set[UserId]()
    for now_s, (step, number) in enumerate(done):
        user_id = UserId(f"{number}")
        match step:
            case "watch":
                leases.watch([user_id])
                watched.add(user_id)
            case "unwatch":
                leases.unwatch([user_id])
                watched.discard(user_id)
            case "write":
                log |= write(leases, now_s=now_s)
            case _:
                due(leases, now_s=now_s)
    log |= write(leases, now_s=len(done))
    assert {user_id for user_id, is_held in log.items() if is_held} == watched
