"""The hub's answers, message by message."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from edge.core.hub import ClientId, Hub
from edge.core.messages import BAD_FORMAT
from schemas.base import encode
from schemas.demand import RefreshKind
from schemas.ids import STX
from schemas.latest import watermark_key
from schemas.log import Watermark
from schemas.wire import Party
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    NOW_MS,
    WELSH,
    Record,
    balance,
    gone,
    heard,
    identity,
    price,
    token,
)

ME, OTHER = ClientId(1), ClientId(2)
LONG = {"description": "d" * 8_000, "image": "i" * 8_000, "identifier": "t" * 8_000}
KNOWN = (token(CHA, decimals=6), token(WELSH, decimals=6))


def a_hub(*records: Record) -> Hub:
    hub = Hub()
    hub.apply(records, now_ms=NOW_MS)
    return hub


def connected(hub: Hub, party: Party, client: ClientId = ME) -> list[Any]:
    return heard(hub.connect(client, party, now_ms=NOW_MS).frames)


def said(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


def asks(hub: Hub, kind: str, client: ClientId = ME, **fields: Any) -> list[Any]:
    return heard(hub.receive(client, said(kind, **fields), now_ms=NOW_MS).frames)


def written(hub: Hub, *records: Record) -> list[Any]:
    return heard(write.frames for write in hub.apply(records, now_ms=NOW_MS))


def values(messages: Iterable[Any]) -> list[tuple[str, str, int]]:
    return [
        (each["userId"], each["contractId"], each["balance"])
        for message in messages
        for each in message.get("balances", [message])
    ]


def test_a_hub_says_what_it_holds() -> None:
    hub = a_hub(identity(), price(CHA, "1"), balance(ANNE, CHA, 1), (b"x", b""))
    assert hub.identity is not None
    assert (hub.keys, hub.held_back, hub.unreadable, hub.clients) == (2, 1, 1, 0)
    connected(hub, "prices")
    assert hub.clients == 1
    hub.disconnect(ME)
    assert hub.clients == 0


def test_a_greeting_comes_with_all_prices_if_there_are_any() -> None:
    kinds = [each["type"] for each in connected(a_hub(), "prices")]
    assert kinds == ["SERVER_INFO"]
    kinds = [each["type"] for each in connected(a_hub(price(CHA, "1")), "prices")]
    assert kinds == ["SERVER_INFO", "PRICE_BATCH"]
    kinds = [each["type"] for each in connected(a_hub(price(CHA, "1")), "balances")]
    assert kinds == ["SERVER_INFO"]


def test_prices_answer_in_the_order_and_spelling_asked() -> None:
    hub = a_hub(price(STX, "1"), price(CHA, "2"))
    connected(hub, "prices")
    answer = asks(hub, "SUBSCRIBE", contractIds=["stx", "?", WELSH, CHA])
    assert [each["contractId"] for each in answer] == ["stx", CHA]
    assert [each["contractId"] for each in written(hub, price(WELSH, "3"))] == [WELSH]
    assert [each["contractId"] for each in written(hub, price(STX, "3"))] == ["stx"]


def test_only_invalid_ids_are_nothing_and_never_all() -> None:
    hub = a_hub(price(CHA, "2"), balance(ANNE, CHA, 1), *KNOWN)
    connected(hub, "prices")
    connected(hub, "balances", OTHER)
    assert asks(hub, "SUBSCRIBE", contractIds=["?"]) == []
    assert values(asks(hub, "SUBSCRIBE", OTHER, userIds=["?"])) == []
    assert written(hub, price(CHA, "3"), balance(ANNE, CHA, 2, version=2)) == []


def test_a_token_is_given_up_under_either_spelling() -> None:
    hub = a_hub(price(STX, "1"), price(CHA, "2"))
    connected(hub, "prices")
    asks(hub, "SUBSCRIBE", contractIds=["stx", CHA])
    assert asks(hub, "UNSUBSCRIBE", contractIds=[STX]) == []
    assert [each["contractId"] for each in written(hub, price(STX, "3"))] == []
    assert asks(hub, "SUBSCRIBE")[0]["type"] == "PRICE_BATCH"
    asks(hub, "UNSUBSCRIBE", contractIds=[CHA])
    assert [each["contractId"] for each in written(hub, price(CHA, "4"))] == [CHA]
    asks(hub, "UNSUBSCRIBE")
    assert written(hub, price(STX, "5"), price(CHA, "5")) == []


def test_prices_are_those_of_the_moment_of_the_pull() -> None:
    hub = a_hub(price(CHA, "1"))
    connected(hub, "prices")
    effects = hub.receive(ME, said("SUBSCRIBE", contractIds=[CHA]), now_ms=NOW_MS)
    assert written(hub, price(CHA, "2")) == []
    assert [each["price"] for each in heard(effects.frames)] == [2]


def test_users_are_watched_from_the_first_who_names_them_to_the_last() -> None:
    hub = a_hub()
    for client in (ME, OTHER):
        connected(hub, "balances", client)
    subscribe = said("SUBSCRIBE", userIds=[ANNE, BOB])
    assert hub.receive(ME, subscribe, now_ms=0).watch == {ANNE, BOB}
    assert hub.receive(OTHER, subscribe, now_ms=0).watch == {ANNE, BOB}
    leave = said("UNSUBSCRIBE", userIds=[ANNE])
    assert hub.receive(ME, leave, now_ms=0).unwatch == frozenset()
    assert hub.receive(OTHER, leave, now_ms=0).unwatch == {ANNE}
    assert hub.receive(ME, said("UNSUBSCRIBE"), now_ms=0).unwatch == frozenset()
    assert hub.disconnect(OTHER).unwatch == {BOB}


def test_a_named_user_has_zeros_and_all_has_none() -> None:
    hub = a_hub(*KNOWN, balance(ANNE, CHA, 5), token(CHA_SUBNET, type="SUBNET"))
    connected(hub, "balances")
    named = asks(hub, "SUBSCRIBE", userIds=[BOB, ANNE])
    assert values(named) == [
        (BOB, CHA, 0),
        (BOB, WELSH, 0),
        (ANNE, CHA, 5),
        (ANNE, WELSH, 0),
    ]
    assert values(asks(hub, "SUBSCRIBE")) == [(ANNE, CHA, 5)]


def test_an_answer_on_balances_comes_even_when_empty() -> None:
    hub = a_hub()
    connected(hub, "balances")
    empty = [{"type": "BALANCE_BATCH", "balances": [], "timestamp": NOW_MS}]
    assert asks(hub, "SUBSCRIBE") == asks(hub, "SUBSCRIBE", userIds=[ANNE]) == empty


@pytest.mark.parametrize("ids", [{}, {"userIds": [ANNE]}], ids=["all", "named"])
def test_what_changes_between_two_pulls_comes_once_and_newest(
    ids: dict[str, Any],
) -> None:
    tokens = [token(each, decimals=6, **LONG) for each in (CHA, WELSH, STX)]
    hub = a_hub(*tokens, *(balance(ANNE, each, 1) for each in (CHA, WELSH, STX)))
    connected(hub, "balances")
    frames = hub.receive(ME, said("SUBSCRIBE", **ids), now_ms=NOW_MS).frames
    assert values(heard([next(frames)])) == [(ANNE, STX, 1), (ANNE, CHA, 1)]
    assert written(hub, balance(ANNE, CHA, 2, version=2)) == []
    assert values(heard(frames)) == [(ANNE, WELSH, 1), (ANNE, CHA, 2)]
    assert values(written(hub, balance(ANNE, CHA, 3, version=3))) == [(ANNE, CHA, 3)]


@pytest.mark.parametrize("ids", [{}, {"userIds": [ANNE]}], ids=["all", "named"])
def test_what_is_withdrawn_between_two_pulls_is_left_out(ids: dict[str, Any]) -> None:
    tokens = [token(each, decimals=6, **LONG) for each in (CHA, WELSH, STX)]
    last = balance(ANNE, WELSH, 1)
    hub = a_hub(*tokens, last, *(balance(ANNE, each, 1) for each in (CHA, STX)))
    connected(hub, "balances")
    frames = hub.receive(ME, said("SUBSCRIBE", **ids), now_ms=NOW_MS).frames
    next(frames)
    assert written(hub, gone(last), gone(tokens[1])) == []
    assert values(heard(frames)) == []


def test_a_long_answer_of_several_users_is_not_followed_by_an_empty_one() -> None:
    tokens = [token(each, decimals=6, **LONG) for each in (CHA, WELSH)]
    hub = a_hub(*tokens)
    connected(hub, "balances")
    answer = asks(hub, "SUBSCRIBE", userIds=[ANNE, BOB])
    assert [len(each["balances"]) for each in answer] == [1, 1, 1, 1]


def test_other_messages_are_answered_or_done() -> None:
    hub = a_hub()
    connected(hub, "prices")
    connected(hub, "balances", OTHER)
    assert asks(hub, "PING", timestamp=7) == [{"type": "PONG", "timestamp": 7}]
    assert heard(hub.receive(ME, b"{}", now_ms=0).frames) == [
        {"type": "ERROR", "message": BAD_FORMAT}
    ]
    update = said("MANUAL_UPDATE")
    assert hub.receive(ME, update, now_ms=0).refresh is RefreshKind.PRICES
    assert hub.receive(OTHER, update, now_ms=0).refresh is RefreshKind.BALANCES


def test_a_get_of_prices_has_those_asked_or_all() -> None:
    hub = a_hub(price(STX, "1"), price(CHA, "2"))

    def ids(asked: str | None) -> list[str]:
        what = hub.bodies.asked("prices", None if asked is None else asked.split(","))
        assert what.users == frozenset()
        body = hub.bodies.body(what, now_ms=NOW_MS)
        return [each["contractId"] for each in json.loads(body.json)["prices"]]

    assert ids(None) == [STX, "stx", CHA]
    assert ids(f"{CHA},?,stx") == [CHA, "stx"]
    assert ids("") == []


def test_a_get_of_balances_names_users_to_watch() -> None:
    hub = a_hub(*KNOWN, balance(ANNE, CHA, 5), balance(ANNE, STX, 5))
    every = hub.bodies.asked("balances", None)
    body = hub.bodies.body(every, now_ms=NOW_MS)
    assert values([json.loads(body.json)]) == [(ANNE, CHA, 5)]
    assert every.users == frozenset()
    named = hub.bodies.asked("balances", [BOB, "?"])
    body = hub.bodies.body(named, now_ms=NOW_MS)
    assert values([json.loads(body.json)]) == [(BOB, CHA, 0), (BOB, WELSH, 0)]
    assert named.users == {BOB}


def test_what_changed_of_entries_that_went_out_comes_with_the_rest() -> None:
    tokens = [token(each, decimals=6, **LONG) for each in (CHA, WELSH)]
    hub = a_hub(*tokens)
    connected(hub, "balances")
    subscribe = said("SUBSCRIBE", userIds=[ANNE, BOB])
    frames = hub.receive(ME, subscribe, now_ms=NOW_MS).frames
    assert values(heard([next(frames)])) == [(ANNE, CHA, 0), (ANNE, WELSH, 0)]
    assert written(hub, balance(ANNE, CHA, 1), balance(BOB, CHA, 2)) == []
    assert values(heard(frames)) == [(BOB, CHA, 2), (BOB, WELSH, 0)]
    assert values(heard([hub.pull(ME, now_ms=NOW_MS)])) == [(ANNE, CHA, 1)]
    assert not hub.is_behind(ME)


def test_it_says_how_far_shards_are_and_what_left_the_log() -> None:
    mark = (watermark_key(1), encode(Watermark(shard=1, log_time=7)))
    hub = a_hub(*KNOWN, price(CHA, "2"), mark)
    assert hub.watermarks_ms == {1: 7}
    gone_now = hub.vanished({KNOWN[0][0], mark[0]})
    assert gone_now == {KNOWN[1][0]: 0, price(CHA, "2")[0]: 0}
