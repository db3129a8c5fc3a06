"""The schedule: who is read next, and never twice at once."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.core.schedule import Pace, Reading, Reason, Schedule
from schemas.ids import ContractId, UserId

ANN, BOB, CYD = UserId("ann"), UserId("bob"), UserId("cyd")
ONE, TWO = ContractId("one"), ContractId("two")


def a_schedule(*users: UserId, **pace: float) -> Schedule:
    schedule = Schedule(Pace(interval_s=300.0, **pace))  # type: ignore[arg-type]
    schedule.watch(users, now_s=0.0)
    return schedule


def take(schedule: Schedule, now_s: float) -> Reading:
    reading = schedule.take(now_s=now_s)
    assert reading is not None
    return reading


def read(schedule: Schedule, now_s: float, *, failed: bool = False) -> Reading:
    """Do the next reading from beginning to end."""
    reading = take(schedule, now_s)
    schedule.done(reading, failed=failed, draw=0.5, now_s=now_s)
    return reading


def test_a_new_user_is_due_at_once_and_then_once_an_interval() -> None:
    schedule = a_schedule(ANN)
    assert read(schedule, 0.0) == Reading(ANN, Reason.FIRST, full=True, subnets=())
    assert schedule.take(now_s=299.9) is None
    assert schedule.wait_s(now_s=100.0) == 200.0
    assert read(schedule, 300.0).reason is Reason.POLL


def test_however_often_a_user_is_leased_there_is_one_first_reading() -> None:
    schedule = a_schedule(ANN)
    schedule.watch([ANN], now_s=0.0)
    read(schedule, 0.0)
    schedule.watch([ANN], now_s=1.0)
    assert schedule.take(now_s=1.0) is None


def test_a_user_in_flight_is_not_handed_out_again_whatever_comes() -> None:
    schedule = a_schedule(ANN)
    reading = take(schedule, 0.0)
    schedule.hint(ANN, now_s=1.0)
    schedule.refresh(now_s=1.0)
    schedule.watch([], now_s=1.0)
    schedule.watch([ANN], now_s=1.0)
    assert schedule.take(now_s=9.0) is None
    assert schedule.wait_s(now_s=9.0) is None
    schedule.done(reading, failed=False, draw=0.5, now_s=10.0)
    assert take(schedule, 10.0).reason is Reason.FIRST


def test_a_hint_during_a_reading_means_one_more_after_it() -> None:
    schedule = a_schedule(ANN)
    reading = take(schedule, 0.0)
    schedule.hint(ANN, now_s=1.0)
    schedule.hint(ANN, now_s=2.0)
    schedule.done(reading, failed=False, draw=0.5, now_s=3.0)
    assert read(schedule, 3.0).reason is Reason.HINT
    assert schedule.take(now_s=4.0) is None


def test_hints_are_coalesced_and_keep_a_gap() -> None:
    schedule = a_schedule(ANN, hint_gap_s=0.5)
    read(schedule, 10.0)
    schedule.hint(ANN, now_s=10.1)
    schedule.hint(ANN, now_s=10.2)
    assert schedule.take(now_s=10.4) is None
    assert read(schedule, 10.5).reason is Reason.HINT
    assert schedule.take(now_s=200.0) is None


def test_a_hint_for_nobody_is_nothing() -> None:
    schedule = a_schedule()
    schedule.hint(ANN, now_s=0.0)
    assert schedule.wait_s(now_s=0.0) is None


def test_the_urgent_go_before_the_polls() -> None:
    schedule = a_schedule(ANN, BOB, CYD)
    for _ in range(3):
        read(schedule, 0.0)
    schedule.refresh(now_s=300.0)
    schedule.hint(BOB, now_s=300.0)
    schedule.watch([ANN, BOB, CYD, UserId("dan")], now_s=300.0)
    order = [read(schedule, 300.0).reason for _ in range(4)]
    assert order == [Reason.FIRST, Reason.HINT, Reason.REFRESH, Reason.REFRESH]


def test_every_twelfth_poll_is_in_full() -> None:
    schedule = a_schedule(ANN)
    full = [read(schedule, 300.0 * at).full for at in range(25)]
    assert [at for at, is_full in enumerate(full) if is_full] == [0, 12, 24]


def test_a_failed_reading_is_repeated_soon_and_then_less_often() -> None:
    schedule, waits, now_s = a_schedule(ANN), [], 0.0
    for _ in range(9):
        read(schedule, now_s, failed=True)
        wait_s = schedule.wait_s(now_s=now_s)
        assert wait_s is not None
        waits.append(wait_s)
        now_s += wait_s
    assert waits[:3] == [2.0, 3.0, 5.0]
    assert max(waits) == 31.0
    read(schedule, now_s)
    assert schedule.wait_s(now_s=now_s) == 300.0


def test_who_is_no_longer_watched_is_dropped() -> None:
    schedule = a_schedule(ANN, BOB)
    schedule.hold(ANN, ONE)
    reading = take(schedule, 0.0)
    schedule.watch([BOB], now_s=0.0)
    schedule.done(reading, failed=False, draw=0.5, now_s=0.0)
    schedule.hold(ANN, ONE)
    schedule.asked(ANN, ONE, balance="5", now_s=0.0)
    assert read(schedule, 0.0).user == BOB
    assert schedule.users == 1
    assert schedule.take(now_s=0.0) is None


def test_a_subnet_where_nothing_was_ever_held_is_asked_hourly() -> None:
    schedule = a_schedule(ANN)
    schedule.offer_subnets([TWO, ONE], now_s=0.0)
    assert read(schedule, 0.0).subnets == (ONE, TWO)
    schedule.asked(ANN, ONE, balance="0", now_s=0.0)
    schedule.asked(ANN, TWO, balance="5", now_s=0.0)
    assert read(schedule, 300.0).subnets == (TWO,)
    # Spent again: it was held once, so it is asked every time.
    schedule.asked(ANN, TWO, balance="0", now_s=300.0)
    assert read(schedule, 600.0).subnets == (TWO,)
    assert read(schedule, 3_600.0).subnets == (ONE, TWO)


def test_a_first_reading_that_failed_still_goes_before_the_polls() -> None:
    schedule = a_schedule(ANN, BOB)
    read(schedule, 0.0)
    assert read(schedule, 0.0, failed=True).user == BOB
    schedule.refresh(now_s=9.0)
    again = read(schedule, 9.0)
    assert (again.user, again.reason) == (BOB, Reason.FIRST)
    assert read(schedule, 9.0).user == ANN


def test_a_probe_is_the_reading_that_failed_least_and_of_those_the_most_urgent() -> (
    None
):
    schedule = a_schedule(ANN, BOB, CYD)
    assert schedule.take_probe(now_s=-1.0) is None
    assert read(schedule, 0.0, failed=True).user == ANN
    for _ in range(2):
        read(schedule, 0.0)
    schedule.hint(CYD, now_s=300.0)
    reading = schedule.take_probe(now_s=300.0)
    assert reading is not None
    assert (reading.user, reading.reason) == (CYD, Reason.HINT)
    order = [schedule.take_probe(now_s=300.0), schedule.take_probe(now_s=300.0)]
    assert [found.user for found in order if found] == [BOB, ANN]
    assert schedule.take_probe(now_s=300.0) is None
    assert schedule.take(now_s=300.0) is None


def test_a_hint_is_not_lost_with_the_reading_that_failed() -> None:
    schedule = a_schedule(ANN)
    schedule.offer_subnets([ONE], now_s=0.0)
    read(schedule, 0.0)
    schedule.asked(ANN, ONE, balance="0", now_s=0.0)
    schedule.hint(ANN, now_s=10.0)
    read(schedule, 10.0, failed=True)
    again = read(schedule, 20.0)
    assert (again.reason, again.subnets) == (Reason.HINT, (ONE,))
    assert read(schedule, 320.0).reason is Reason.POLL


def test_a_subnet_that_failed_is_asked_with_the_next_poll() -> None:
    schedule = a_schedule(ANN)
    schedule.offer_subnets([ONE], now_s=0.0)
    read(schedule, 0.0)
    assert read(schedule, 300.0).subnets == (ONE,)


def test_a_hint_asks_every_subnet_because_a_deposit_is_a_transaction() -> None:
    schedule = a_schedule(ANN)
    schedule.offer_subnets([ONE], now_s=0.0)
    read(schedule, 0.0)
    schedule.asked(ANN, ONE, balance="0", now_s=0.0)
    schedule.hint(ANN, now_s=10.0)
    assert read(schedule, 10.0).subnets == (ONE,)


def test_a_new_subnet_makes_everybody_due() -> None:
    schedule = a_schedule(ANN)
    read(schedule, 0.0)
    schedule.offer_subnets([ONE], now_s=50.0)
    assert read(schedule, 50.0).subnets == (ONE,)
    schedule.offer_subnets([ONE], now_s=60.0)
    assert schedule.take(now_s=60.0) is None


def test_the_interval_is_a_floor_that_the_budget_stretches() -> None:
    users = [UserId(f"u{at}") for at in range(600)]
    schedule = a_schedule(*users)
    assert schedule.interval_s == 300.0
    # Six tenths of two requests a second are for polls: 600 users take 500 s.
    schedule.allow(2.0)
    assert schedule.interval_s == 500.0
    schedule.allow(schedule.needed_rate_s)
    assert schedule.interval_s == 300.0
    schedule.allow(2.0)
    schedule.hold(users[0], ONE)
    schedule.hold(users[0], ONE)
    assert schedule.interval_s > 500.0


def test_the_hour_of_the_other_subnets_is_stretched_too() -> None:
    users = [UserId(f"u{at}") for at in range(600)]
    schedule = a_schedule(*users)
    schedule.offer_subnets([ONE, TWO], now_s=0.0)
    assert schedule.cold_s == 3_600.0
    schedule.allow(0.5)
    assert schedule.cold_s == 12_000.0


def test_refreshes_are_coalesced_into_one_more_run() -> None:
    schedule = a_schedule(ANN, BOB)
    read(schedule, 0.0)
    read(schedule, 0.0)
    schedule.refresh(now_s=10.0)
    first = take(schedule, 10.0)
    for _ in range(3):
        schedule.refresh(now_s=11.0)
    schedule.done(first, failed=False, draw=0.5, now_s=12.0)
    assert read(schedule, 12.0).user != first.user
    again = [read(schedule, 12.0) for _ in range(2)]
    assert {reading.reason for reading in again} == {Reason.REFRESH}
    assert schedule.take(now_s=13.0) is None


def test_a_refresh_during_a_reading_reads_the_user_again() -> None:
    schedule = a_schedule(ANN)
    reading = take(schedule, 0.0)
    schedule.refresh(now_s=1.0)
    schedule.done(reading, failed=False, draw=0.5, now_s=2.0)
    schedule.refresh(now_s=2.0)
    assert read(schedule, 2.0).reason is Reason.REFRESH
    assert read(schedule, 2.0).reason is Reason.REFRESH
    assert schedule.take(now_s=3.0) is None


def test_a_refresh_run_ends_although_its_users_leave() -> None:
    schedule = a_schedule(ANN, BOB)
    schedule.refresh(now_s=0.0)
    schedule.watch([BOB], now_s=0.0)
    read(schedule, 0.0)
    schedule.refresh(now_s=1.0)
    assert read(schedule, 1.0).reason is Reason.REFRESH


events = st.lists(
    st.tuples(
        st.sampled_from(["take", "done", "fail", "hint", "refresh", "watch"]),
        st.sampled_from([ANN, BOB, CYD]),
        st.floats(0, 400),
    ),
    max_size=60,
)


class Play:
    """Plays events against a schedule and watches over what it hands out."""

    def __init__(self) -> None:
        self.schedule, self.now_s = a_schedule(ANN), 0.0
        self.watched = {ANN}
        self.flying: dict[UserId, Reading] = {}

    def step(self, what: str, user: UserId) -> None:
        match what:
            case "take":
                self.take()
            case "done" | "fail":
                self.done(user, failed=what == "fail")
            case "hint":
                self.schedule.hint(user, now_s=self.now_s)
            case "refresh":
                self.schedule.refresh(now_s=self.now_s)
            case _:
                self.watched = self.watched ^ {user}
                self.schedule.watch(sorted(self.watched), now_s=self.now_s)

    def take(self) -> bool:
        reading = self.schedule.take(now_s=self.now_s)
        if reading is None:
            return False
        assert reading.user not in self.flying
        assert reading.user in self.watched
        self.flying[reading.user] = reading
        return True

    def done(self, user: UserId, *, failed: bool = False) -> None:
        if user in self.flying:
            reading = self.flying.pop(user)
            self.schedule.done(reading, failed=failed, draw=0.5, now_s=self.now_s)


@given(events)
def test_no_user_is_ever_in_flight_twice_and_none_is_lost(
    steps: list[tuple[str, UserId, float]],
) -> None:
    play = Play()
    for what, user, step_s in steps:
        play.now_s += step_s
        play.step(what, user)
    for user in list(play.flying):
        play.done(user)
    play.now_s += 10**6
    while play.take():
        pass
    assert set(play.flying) == play.watched


def test_hints_without_end_do_not_keep_polls_waiting() -> None:
    hinted = [UserId(f"hinted-{at}") for at in range(10)]
    schedule = a_schedule(*hinted, ANN)
    for user in (*hinted, ANN):
        assert read(schedule, 0.0).user == user
    handed_out: list[UserId] = []
    for _ in range(10):
        for user in hinted:
            schedule.hint(user, now_s=1_000.0)
        handed_out.append(read(schedule, 1_000.0).user)
    assert handed_out.count(ANN) == 1
    assert handed_out.index(ANN) == 4
