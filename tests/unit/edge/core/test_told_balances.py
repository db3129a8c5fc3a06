"""What clients are told of balances that are not, or not wholly, known."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from edge.core.cursor import parse_cursor
from edge.core.forms import EVENTS
from edge.core.hub import ClientId, Hub, Rules, Write
from edge.core.places import Place
from edge.core.session import Subscribe
from schemas.extras import FEATURES
from schemas.ids import ContractId
from tests.support.edge_clients import Desk, Speaker
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    NOW_MS,
    WELSH,
    balance,
    gone,
    token,
)

Message = dict[str, Any]
BOTH = (token(CHA, decimals=6), token(WELSH, decimals=6))
SUBNET_FIELDS = {"subnetBalance", "formattedSubnetBalance", "subnetContractId"}
UNREAD = balance(ANNE, CHA, None, subnets={CHA_SUBNET: 500_000})


def entries(said: Iterable[Message]) -> list[Message]:
    """Return the updates in messages, one by one."""
    return [
        each
        for message in said
        for each in message.get("balances", [message])
        if each["type"] == "BALANCE_UPDATE"
    ]


def of(said: Iterable[Message]) -> list[tuple[str, str, int]]:
    return [(e["userId"], e["contractId"], e["balance"]) for e in entries(said)]


def all_that(speaker: Speaker, writes: Iterable[Write]) -> list[Message]:
    """Return what a client hears of writes, and of what it is behind with after them."""
    heard = speaker.hears(writes)
    while speaker.hub.is_behind(speaker.id):
        heard += speaker.pull()
    return heard


def said_in_every_way(desk: Desk) -> dict[str, Message]:
    """Return the update of ANNE's CHA as each way of asking tells it."""
    hub = desk.hub
    got = json.loads(
        hub.bodies.body(hub.bodies.asked("balances", [ANNE]), now_ms=NOW_MS).json
    )
    every = json.loads(
        hub.bodies.body(hub.bodies.asked("balances", None), now_ms=NOW_MS).json
    )
    me = ClientId(-1)
    hub.connect(me, "balances", form=EVENTS, now_ms=NOW_MS)
    streamed = b"".join(hub.handle(me, Subscribe((ANNE,)), now_ms=NOW_MS).frames)
    events = [
        json.loads(line.removeprefix(b"data: "))
        for line in streamed.splitlines()
        if line.startswith(b"data: ")
    ]
    ways: dict[str, Iterable[Message]] = {
        "named": desk.speaker("balances").asks("SUBSCRIBE", userIds=[ANNE]),
        "all": desk.speaker("balances").asks("SUBSCRIBE"),
        "exact": desk.speaker("balances", "exact").asks("SUBSCRIBE", userIds=[ANNE]),
        "GET of one": [got],
        "GET of all": [every],
        "events": events,
    }
    return {
        way: next(each for each in entries(said) if each["contractId"] == CHA)
        for way, said in ways.items()
    }


def test_a_mainnet_balance_that_was_never_read_is_a_zero_by_default() -> None:
    desk = Desk(*BOTH, UNREAD)
    told = said_in_every_way(desk)
    assert {way: each["source"] for way, each in told.items()} == dict.fromkeys(
        told, "default-zero"
    )
    assert told.pop("exact")["balance"] is None
    for each in told.values():
        assert (each["balance"], each["subnetBalance"]) == (0, 500_000)
    listener = desk.speaker("balances")
    listener.asks("SUBSCRIBE")
    read = balance(ANNE, CHA, 3, version=2, subnets={CHA_SUBNET: 500_000})
    (update,) = listener.hears(desk.put(read))
    assert (update["balance"], update["source"]) == (3, "hiro-api")
    assert {each["source"] for each in said_in_every_way(desk).values()} == {"hiro-api"}


@pytest.mark.parametrize(
    ("subnets", "fields"),
    [({}, set()), ({CHA_SUBNET: 7}, SUBNET_FIELDS), ({CHA_SUBNET: 0}, SUBNET_FIELDS)],
    ids=["never", "now", "once"],
)
def test_subnet_fields_are_told_of_who_holds_or_once_held_something(
    subnets: dict[ContractId, int], fields: set[str]
) -> None:
    desk = Desk(*BOTH, balance(ANNE, CHA, 5, version=3, subnets=subnets))
    told = said_in_every_way(desk)
    assert len(told.pop("exact")["subnets"]) == len(subnets)
    for each in told.values():
        assert SUBNET_FIELDS & each.keys() == fields
        assert None not in [each.get(field, 0) for field in SUBNET_FIELDS]


def test_who_named_a_user_before_the_registry_was_known_gets_the_rows() -> None:
    desk = Desk()
    named, every = desk.speaker("balances"), desk.speaker("balances")
    prices = desk.speaker("prices")
    assert named.asks("SUBSCRIBE", userIds=[ANNE, BOB])[0]["balances"] == []
    every.asks("SUBSCRIBE")
    prices.asks("SUBSCRIBE")
    writes = desk.put(*BOTH, balance(BOB, CHA, 5))
    assert of(all_that(named, writes)) == [
        (BOB, CHA, 5),
        (ANNE, CHA, 0),
        (ANNE, WELSH, 0),
        (BOB, WELSH, 0),
    ]
    assert of(all_that(every, writes)) == [(BOB, CHA, 5)]
    assert all_that(prices, writes) == []
    assert of(all_that(named, desk.put(balance(ANNE, CHA, 1)))) == [(ANNE, CHA, 1)]


def test_zeros_are_told_once_and_of_new_mainnet_tokens_alone() -> None:
    desk = Desk(token(CHA, decimals=6), token(WELSH))
    named = desk.speaker("balances")
    assert of(named.asks("SUBSCRIBE", userIds=[ANNE])) == [(ANNE, CHA, 0)]
    subnet = token(CHA_SUBNET, decimals=6, type="SUBNET", base=CHA)
    again = token(CHA, decimals=6, name="Charisma")
    assert all_that(named, desk.put(subnet, again)) == []
    first, *_ = all_that(named, desk.put(token(WELSH, decimals=2)))
    assert (first["type"], first["source"]) == ("BALANCE_UPDATE", "default-zero")
    assert all_that(named, desk.put(token(WELSH, decimals=2, name="Welsh"))) == []
    # One that is gone and comes again is new.
    assert all_that(named, desk.put(gone(token(WELSH)))) == []
    assert of(all_that(named, desk.put(BOTH[1]))) == [(ANNE, WELSH, 0)]


def test_a_crowd_of_zeros_waits_as_names_and_not_as_messages() -> None:
    tokens = [ContractId(f"{BOB}.token-{number:03}") for number in range(300)]
    desk = Desk(rules=Rules(features=FEATURES, piece_bytes=8_192))
    named = desk.speaker("balances")
    named.asks("SUBSCRIBE", userIds=[ANNE, BOB])
    assert desk.put(*(token(each, decimals=6) for each in tokens)) == []
    assert named.hub.take_fallen_behind() == [named.id]
    assert named.hub.take_fallen_behind() == []
    heard = []
    while named.hub.is_behind(named.id):
        piece = named.hub.pull(named.id, now_ms=NOW_MS)
        assert len(piece) < 10_000
        heard.append(piece)
    assert len(heard) > 10
    assert sum(piece.count(b'"default-zero"') for piece in heard) == 600


def test_nothing_follows_for_a_user_that_is_not_named_any_more() -> None:
    desk = Desk(rules=Rules(features=FEATURES, piece_bytes=1_500))
    named = desk.speaker("balances")
    named.asks("SUBSCRIBE", userIds=[ANNE, BOB])
    writes = desk.put(*BOTH)
    (first,) = of(named.hears(writes) + named.pull())
    assert first == (ANNE, CHA, 0)
    named.asks("UNSUBSCRIBE", userIds=[ANNE])
    assert of(all_that(named, [])) == [(BOB, CHA, 0), (BOB, WELSH, 0)]


def test_who_is_subscribed_to_all_besides_gets_the_zeros_of_who_it_named() -> None:
    desk = Desk()
    both = desk.speaker("balances")
    both.asks("SUBSCRIBE")
    both.asks("SUBSCRIBE", userIds=[ANNE])
    assert of(all_that(both, desk.put(BOTH[0]))) == [(ANNE, CHA, 0)]
    writes = desk.put(BOTH[1])
    both.asks("UNSUBSCRIBE", userIds=[ANNE])
    assert all_that(both, writes) == []


def test_a_cursor_comes_only_after_the_zeros_that_are_owed() -> None:
    desk = Desk(rules=Rules(features=FEATURES, piece_bytes=1_500))
    named = desk.speaker("balances", "resume")
    named.asks("SUBSCRIBE", userIds=[ANNE])
    heard = all_that(named, desk.put(*BOTH, balance(ANNE, CHA, 5)))
    assert of(heard) == [(ANNE, WELSH, 0), (ANNE, CHA, 5)]
    assert ["cursor" in each for each in heard] == [False, True]


def test_who_resumes_gets_the_zeros_of_tokens_that_became_known_meanwhile() -> None:
    desk = Desk(BOTH[0])
    named = desk.speaker("balances", "resume")
    since = named.asks("SUBSCRIBE", userIds=[ANNE])[-1]["cursor"]
    desk.put(BOTH[1])
    again = desk.speaker("balances", "resume")
    heard = again.asks("SUBSCRIBE", userIds=[ANNE], since=since)
    assert of(heard[1:]) == [(ANNE, WELSH, 0)]
    cursor, hub = parse_cursor(since), desk.hub
    assert cursor is not None
    for ids, rows in (([ANNE], [(ANNE, WELSH, 0)]), (None, [])):
        asked = hub.bodies.asked("balances", ids)
        body = hub.bodies.since(asked, cursor, None, now_ms=NOW_MS)
        assert of([json.loads(body.json)]) == rows


def test_tokens_known_from_the_start_are_no_news() -> None:
    hub = Hub()
    hub.apply(BOTH, places=[Place(0, n, NOW_MS) for n in range(2)], now_ms=NOW_MS)
    speaker = Speaker(hub, ClientId(1), "balances")
    speaker.connect()
    speaker.asks("SUBSCRIBE", userIds=[ANNE])
    assert hub.apply([token(CHA, decimals=6, name="x")], now_ms=NOW_MS) == []
