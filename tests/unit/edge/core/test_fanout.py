"""One batch on its way: who shares bytes, who waits, what is cut."""

from edge.core.fanout import Write
from edge.core.outbox import Offer
from edge.core.rules import Rules
from schemas.extras import FEATURES
from schemas.ids import STX, ContractId
from tests.support.edge_clients import Desk, Message, Speaker
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    WELSH,
    balance,
    heard,
    price,
    token,
)

KNOWN = (token(CHA, decimals=6), token(WELSH, decimals=6))
MANY = [ContractId(f"{BOB}.token-{number}") for number in range(20)]


def subscribed(desk: Desk, *ids: str, party: str = "prices") -> Speaker:
    speaker = desk.speaker("prices" if party == "prices" else "balances")
    speaker.asks("SUBSCRIBE", contractIds=ids, userIds=ids)
    return speaker


def shown(writes: list[Write]) -> dict[tuple[int, ...], list[str]]:
    return {
        write.clients: [each["contractId"] for each in heard([write.frames])]
        for write in writes
    }


def test_clients_that_want_the_same_share_their_bytes() -> None:
    desk = Desk()
    one, two = subscribed(desk, CHA), subscribed(desk, CHA)
    three, every = subscribed(desk, WELSH), subscribed(desk)
    assert shown(desk.put(price(WELSH, "1"), price(CHA, "2"))) == {
        (one.id, two.id): [CHA],
        (three.id,): [WELSH],
        (every.id,): [WELSH, CHA],
    }


def test_all_has_both_spellings_of_stx_once_though_named_as_well() -> None:
    desk = Desk()
    named, every = subscribed(desk, "stx"), subscribed(desk, "stx")
    every.asks("SUBSCRIBE")
    assert shown(desk.put(price(STX, "0.5"))) == {
        (named.id,): ["stx"],
        (every.id,): [STX, "stx"],
    }


def test_nothing_is_written_where_nothing_changed_or_nobody_asked() -> None:
    desk = Desk()
    assert desk.put(price(CHA, "1")) == []
    subscribed(desk)
    assert desk.put() == desk.put(token(WELSH, name="Welsh")) == []
    counting = desk.speaker("prices", "seq")
    counting.asks("SUBSCRIBE", contractIds=[MANY[0]])
    subnet = token(MANY[0], type="SUBNET", base=WELSH)
    assert desk.put(subnet) == []


def test_one_balance_is_an_update_and_several_are_a_batch() -> None:
    desk = Desk(*KNOWN)
    one, two = subscribed(desk, ANNE, party="b"), subscribed(desk, BOB, party="b")
    every = subscribed(desk, party="b")
    writes = desk.put(
        balance(ANNE, CHA, 1), balance(BOB, CHA, 2), balance(ANNE, WELSH, 3)
    )
    found = [each.hears(writes) for each in (one, two, every)]
    assert [[m["type"] for m in messages] for messages in found] == [
        ["BALANCE_BATCH"],
        ["BALANCE_UPDATE"],
        ["BALANCE_BATCH"],
    ]
    assert [each["balance"] for each in found[2][0]["balances"]] == [1, 2, 3]


def test_what_changes_for_who_is_behind_waits_and_is_counted() -> None:
    desk = Desk()
    slow, quick = subscribed(desk, CHA), subscribed(desk, CHA)
    desk.hub.hold(slow.id)
    assert shown(desk.put(price(CHA, "1"))) == {(quick.id,): [CHA]}
    desk.put(price(CHA, "2"), price(WELSH, "1"))
    desk.put(price(CHA, "3"))
    assert desk.hub.take_offers() == {Offer.QUEUED: 1, Offer.CONFLATED: 2}
    assert desk.hub.take_offers() == {}
    assert [each["price"] for each in slow.pull()] == [3]
    assert shown(desk.put(price(CHA, "4"))) == {(quick.id, slow.id): [CHA]}


def test_what_one_write_has_no_room_for_waits_for_each() -> None:
    desk = Desk(rules=Rules(features=FEATURES, piece_bytes=1_500))
    one, two = subscribed(desk), subscribed(desk)
    counting = desk.speaker("prices", "seq", "resume")
    counting.asks("SUBSCRIBE")
    writes = desk.put(*(price(each, "1") for each in MANY))
    assert [write.more for write in writes] == [True, True]
    assert [write.clients for write in writes] == [(one.id, two.id), (counting.id,)]
    assert all(len(write.frames) <= 1_500 for write in writes)
    said: list[Message] = []
    for client in (one, two, counting):
        said = client.hears(writes)
        assert "cursor" not in said[-1]
        while desk.hub.is_behind(client.id):
            said += client.pull()
        assert [each["contractId"] for each in said] == MANY
    assert [each["seq"] for each in said] == list(range(1, 21))
    assert ["cursor" in each for each in said] == [False] * 19 + [True]
