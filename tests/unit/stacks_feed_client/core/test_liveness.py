"""When a connection that is open is alive."""

from stacks_feed_client.core.liveness import DEFAULT_HEARTBEAT_S, TICK_S, Liveness


def silent_for(liveness: Liveness, seconds: int, *, start_s: int = 0) -> bool:
    """Let seconds pass; tell whether it was dead at the end."""
    dead = False
    for now_s in range(start_s, start_s + seconds + 1):
        dead = liveness.is_dead(now_s=now_s * TICK_S)
    return dead


def test_three_heartbeats_of_silence_are_too_long() -> None:
    liveness = Liveness(now_s=0.0)
    liveness.promised(5.0)
    assert not silent_for(liveness, 15)
    assert silent_for(liveness, 1, start_s=15)


def test_any_message_is_a_sign_of_life() -> None:
    liveness = Liveness(now_s=0.0)
    liveness.promised(5.0)
    silent_for(liveness, 14)
    liveness.heard(now_s=14.0)
    assert not silent_for(liveness, 10, start_s=15)


def test_when_we_stood_still_nobody_is_judged() -> None:
    liveness = Liveness(now_s=0.0)
    assert not liveness.is_dead(now_s=1_000.0)
    assert not silent_for(liveness, 30, start_s=1_000)
    assert silent_for(liveness, 1, start_s=1_031)


def test_a_server_without_heartbeats_is_asked_for_a_sign_of_life() -> None:
    liveness = Liveness(now_s=0.0)
    assert not liveness.is_due(now_s=DEFAULT_HEARTBEAT_S - 1)
    assert liveness.is_due(now_s=DEFAULT_HEARTBEAT_S)
    assert not liveness.is_due(now_s=DEFAULT_HEARTBEAT_S + 1)


def test_one_with_heartbeats_is_not_asked() -> None:
    liveness = Liveness(now_s=0.0)
    liveness.promised(5.0)
    assert not liveness.is_due(now_s=1_000.0)
