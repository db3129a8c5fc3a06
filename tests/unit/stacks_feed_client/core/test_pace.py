"""A client never speaks so fast that an edge with default limits would refuse it."""

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.edge_limits import EdgeLimits
from edge.core.limits import Bucket, Rate
from stacks_feed_client.core.ids import ALL
from stacks_feed_client.core.machine import Lost
from stacks_feed_client.core.pace import Pace
from tests.support.client_talk import Talk

TOKENS = [f"SPA.token-{number}" for number in range(2_000)]


class Edge:
    """Counts what a client says, as an edge does, and answers it."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self.messages = talk, 0
        limits = EdgeLimits()
        rate = Rate(limits.messages_per_s, limits.messages_burst)
        self._bucket = Bucket(rate, now_s=talk.now_s)

    def hears_all(self) -> None:
        """Hear what was sent up to now; fail when it is more than is allowed."""
        while self.talk.sent:
            said = self.talk.sent.pop(0)
            self.messages += 1
            assert self._bucket.take(now_s=self.talk.now_s), "too many messages"
            # As much again for pongs would be far too many; some there are.
            if said["type"] == "PING":
                pong = {"type": "PONG", "timestamp": said["timestamp"]}
                self.talk.hears(pong)
            if said["type"] == "SUBSCRIBE":
                self.talk.hears({"type": "SUBSCRIBED"})

    def passes(self, seconds: float) -> None:
        self.talk.now_s += seconds
        self.talk.drain()
        self.hears_all()


def connected() -> Edge:
    talk = Talk(pace=Pace())
    talk.open()
    edge = Edge(talk)
    edge.hears_all()
    return edge


@given(dice=st.integers(0, 2**32).map(Random))
def test_whatever_a_program_asks_for_it_is_sent_slowly_enough(dice: Random) -> None:
    edge = connected()
    talk = edge.talk
    for _ in range(dice.randint(1, 100)):
        match dice.randrange(4):
            case 0:
                talk.machine.refresh()
            case 1:
                talk.machine.want(frozenset({ALL}))
            case _:
                talk.machine.want(
                    frozenset(dice.sample(TOKENS, dice.choice([0, 1, 2, 450])))
                )
        edge.passes(dice.choice([0.0, 0.0, 0.005, 0.1, 3.0]))
    for _ in range(20):
        edge.passes(3.0)
    # In the end it is asked for what is wanted, and nothing waits.
    wanted = talk.machine.books.standing.wanted
    assert talk.machine.complete == wanted
    assert not talk.machine.has_text(now_s=talk.now_s)


def test_rounds_of_subscribing_and_closing_are_all_answered() -> None:
    edge = connected()
    for number in range(200):
        edge.talk.machine.want(frozenset({TOKENS[number]}))
        waited = 0
        while TOKENS[number] not in edge.talk.machine.complete:
            edge.passes(0.05)
            waited += 1
            assert waited < 20
        edge.talk.machine.want(frozenset())


def test_refreshes_in_a_row_become_one_and_one_more_a_while_later() -> None:
    talk = connected().talk
    for _ in range(150):
        talk.machine.refresh()
        talk.now_s += 0.005
        talk.drain()
    assert len(talk.take("MANUAL_UPDATE")) == 1
    assert not talk.machine.has_text(now_s=talk.now_s)
    talk.now_s += 5.0
    assert talk.machine.has_text(now_s=talk.now_s)
    talk.drain()
    assert len(talk.take("MANUAL_UPDATE")) == 1


def test_subscriptions_that_cancel_out_while_it_waits_are_never_sent() -> None:
    talk = connected().talk
    talk.machine.want(frozenset({".stx"}))
    talk.drain()
    talk.pong()
    while talk.machine.wait_s(now_s=talk.now_s) == 0:
        talk.machine.want(frozenset({".stx", "SPA.cha"}))
        talk.drain()
        talk.machine.want(frozenset({".stx"}))
        talk.drain()
    talk.sent = []
    for each in TOKENS:
        talk.machine.want(frozenset({".stx", each}))
    talk.machine.want(frozenset({".stx"}))
    talk.now_s += 60
    talk.drain()
    talk.pong()
    assert json.dumps(talk.sent).count("SUBSCRIBE") <= 2
    assert "token" not in json.dumps(talk.sent)


def test_a_server_that_allows_less_is_spoken_to_more_slowly_each_time() -> None:
    pace = Pace(per_s=8.0, burst=8.0)
    talk = Talk(pace=pace)
    waits_s = []
    for _ in range(6):
        talk.do(talk.machine.opened(now_s=talk.now_s))
        while pace.wait_s(now_s=talk.now_s) == 0:
            pace.spend(now_s=talk.now_s)
        waits_s.append(round(pace.wait_s(now_s=talk.now_s), 6))
        too_fast = Lost("closed with 1008", code=1008, reason="too many messages")
        assert talk.machine.lost(too_fast, now_s=talk.now_s, draw=0.0) is not None
    assert waits_s == [0.125, 0.25, 0.5, 1.0, 2.0, 2.0]


def test_an_address_that_had_its_share_of_bytes_is_no_reason_to_speak_more_slowly() -> (
    None
):
    pace = Pace(per_s=8.0, burst=8.0)
    talk = Talk(pace=pace)
    talk.do(talk.machine.opened(now_s=talk.now_s))
    while pace.wait_s(now_s=talk.now_s) == 0:
        pace.spend(now_s=talk.now_s)
    before_s = pace.wait_s(now_s=talk.now_s)
    too_much = Lost("closed", code=1008, reason="too many bytes asked for")
    assert talk.machine.lost(too_much, now_s=talk.now_s, draw=0.0) is not None
    assert pace.wait_s(now_s=talk.now_s) == before_s


@pytest.mark.parametrize("burst", [1.0, 7.0, 60.0])
def test_a_pace_never_exceeds_its_burst_and_its_rate(burst: float) -> None:
    pace = Pace(per_s=10.0, burst=burst)
    sent, now_s = 0, 1_000.0
    while now_s < 1_010.0:
        wait_s = pace.wait_s(now_s=now_s)
        now_s += wait_s
        pace.spend(now_s=now_s)
        sent += 1
    assert burst + 98 <= sent <= burst + 102
