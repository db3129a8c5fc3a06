"""What a hub says unasked: heartbeats and farewells, to those who want them alone."""

from typing import Any

from edge.core.hub import Write
from schemas import extras
from schemas.base import encode
from schemas.latest import observed_key, watermark_key
from schemas.log import Observed, Watermark
from tests.support.edge_clients import Desk
from tests.support.edge_table import CHA, NOW_MS, price


def beats(desk: Desk, *, at_once: int = 10) -> list[list[Write]]:
    return list(desk.hub.heartbeats(stale=True, now_ms=NOW_MS, at_once=at_once))


def test_a_heartbeat_tells_how_far_the_shards_are() -> None:
    desk = Desk()
    speaker, base = desk.speaker("balances", "heartbeat"), desk.speaker()
    (writes,) = beats(desk)
    assert base.hears(writes) == []
    (said,) = speaker.hears(writes)
    extras.Heartbeat.model_validate(said)
    assert (said["watermarks"], said["stale"]) == ([None], True)
    desk.put((watermark_key(0), encode(Watermark(shard=0, log_time=7))))
    assert speaker.hears(beats(desk)[0])[0]["watermarks"] == [7]


def test_a_heartbeat_tells_when_the_newest_of_each_kind_was_observed() -> None:
    desk = Desk()
    speaker = desk.speaker("prices", "heartbeat")
    (said,) = speaker.hears(beats(desk)[0])
    assert said["observed"] == {"prices": None, "balances": None, "tokens": None}
    for shard, prices, tokens in ((0, 9, None), (1, 7, 3)):
        seen = Observed(shard=shard, prices=prices, balances=None, tokens=tokens)
        desk.put((observed_key(shard), encode(seen)))
    (said,) = speaker.hears(beats(desk)[0])
    extras.Heartbeat.model_validate(said)
    assert said["observed"] == {"prices": 9, "balances": None, "tokens": 3}


def test_equal_heartbeats_are_shared_and_counted_ones_are_not() -> None:
    desk = Desk()
    plain = [desk.speaker("prices", "heartbeat") for _ in range(2)]
    counting = [desk.speaker("prices", "heartbeat", "seq", "resume") for _ in range(2)]
    (writes,) = beats(desk)
    assert [write.clients for write in writes] == [
        tuple(each.id for each in plain),
        *((each.id,) for each in counting),
    ]
    for each in counting:
        (said,) = each.hears(writes)
        assert said["seq"] == 1
        assert said["cursor"].startswith("2.")
    assert [len(writes) for writes in beats(desk, at_once=3)] == [2, 1]


def test_who_is_behind_is_not_told_that_it_has_everything() -> None:
    desk = Desk()
    gone, held = (desk.speaker("prices", "heartbeat") for _ in range(2))
    rounds = desk.hub.heartbeats(stale=False, now_ms=NOW_MS, at_once=1)
    desk.hub.hold(held.id)
    first: list[Any] = next(rounds)
    desk.hub.disconnect(held.id)
    assert ([w.clients for w in first], list(rounds)) == ([(gone.id,)], [[]])
    assert beats(Desk()) == []


def test_who_asked_for_it_is_told_of_a_shutdown() -> None:
    desk = Desk()
    speaker, base = desk.speaker("prices", "shutdown", "seq"), desk.speaker()
    farewell = desk.hub.farewell
    assert farewell(base.id, reconnect_in_ms=1, now_ms=NOW_MS) == b""
    write = Write((speaker.id,), farewell(speaker.id, reconnect_in_ms=8, now_ms=NOW_MS))
    assert speaker.hears([write]) == [
        {"seq": 1, "type": "SHUTDOWN", "reconnectInMs": 8, "timestamp": NOW_MS}
    ]
    desk.hub.disconnect(speaker.id)
    assert farewell(speaker.id, reconnect_in_ms=1, now_ms=NOW_MS) == b""


def test_who_is_gone_is_neither_held_nor_behind() -> None:
    desk = Desk(price(CHA, "1"))
    speaker = desk.speaker()
    desk.hub.hold(speaker.id)
    desk.hub.hold(speaker.id)
    assert (desk.hub.behind, desk.hub.is_behind(speaker.id)) == (1, True)
    assert desk.hub.disconnect(speaker.id).unwatch == frozenset()
    assert desk.hub.disconnect(speaker.id).unwatch == frozenset()
    desk.hub.hold(speaker.id)
    assert (desk.hub.behind, desk.hub.is_behind(speaker.id)) == (0, False)
