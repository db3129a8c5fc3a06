"""What GET answers, and that its tag tells when that is another answer."""

import gzip
import json
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.bodies import Asked, Bodies, Everything
from edge.core.cursor import Cursor, Refusal, parse_cursor
from edge.core.hub import Hub
from edge.core.places import Place
from schemas.ids import STX, ContractId, UserId
from schemas.wire import Party
from tests.support.edge_clients import Desk
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
    identity,
    price,
    terms,
    token,
)
from tests.support.edge_worlds import TOKENS, USERS, Edge, Log, subnet

Step: TypeAlias = tuple[Any, ...]

PRICES: list[str | None] = [None, "", CHA, f"stx,{CHA_SUBNET}", f"{WELSH},{CHA}"]
BALANCES: list[str | None] = [None, "", ANNE, f"{BOB},{ANNE}"]


def shown(bodies: Bodies, asked: Asked, *, now_ms: int = NOW_MS) -> dict[str, Any]:
    """Return an answer without what it says about the time it is."""
    body: dict[str, Any] = json.loads(bodies.body(asked, now_ms=now_ms).json)
    assert body.pop("serverTime") == now_ms
    for each in body.get("balances", ()):
        if each["source"] == "default-zero":
            assert each.pop("timestamp") <= now_ms
    return body


def answers(hub: Hub, party: Party) -> dict[str | None, tuple[str, Any]]:
    queries = PRICES if party == "prices" else BALANCES
    found = {}
    for listed in queries:
        asked = hub.bodies.asked(party, None if listed is None else listed.split(","))
        tag = hub.bodies.tag(asked)
        assert tag is not None
        # An answer that was kept for its tag would prove nothing.
        hub.bodies._kept.clear()
        found[listed] = tag, shown(hub.bodies, asked)
    return found


class World:
    """A log of which no two values are the same, and an edge that reads it."""

    def __init__(self) -> None:
        self.log = Log()
        self._values = 0
        self.edge = Edge(self.log)

    def do(self, step: Step) -> None:
        self._values += 1
        match step:
            case "price", contract:
                self.log.put(price(contract, f"{self._values}"))
            case "no price", contract:
                self.log.withdraw(price(contract, "1"))
            case "balance", user, contract:
                self.log.balance(user, contract)
            case "forgotten", user, contract:
                self.log.withdraw(balance(user, contract, 0))
            case "subnet", base:
                self.log.put(subnet(base))
            case "token", contract:
                self.log.put(token(contract, decimals=0, name=f"{self._values}"))
            case _:
                self.log.tick()
        self.edge.read_all()


contracts = st.sampled_from(TOKENS)
steps = st.one_of(
    st.tuples(st.sampled_from(["price", "price", "no price", "token"]), contracts),
    st.tuples(st.just("subnet"), contracts),
    st.tuples(
        st.sampled_from(["balance", "balance", "forgotten"]),
        st.sampled_from(USERS),
        contracts,
    ),
    st.just(("tick",)),
)


@settings(max_examples=60)
@given(st.lists(steps, max_size=25))
def test_a_tag_of_prices_is_another_one_just_when_the_answer_is(
    taken: list[Step],
) -> None:
    world = World()
    before = answers(world.edge.hub, "prices")
    for step in taken:
        world.do(step)
        after = answers(world.edge.hub, "prices")
        for listed, (tag, body) in after.items():
            assert (tag == before[listed][0]) is (body == before[listed][1])
        before = after


@settings(max_examples=60)
@given(st.lists(steps, max_size=25))
def test_an_answer_with_balances_is_never_another_one_under_the_same_tag(
    taken: list[Step],
) -> None:
    world = World()
    before = answers(world.edge.hub, "balances")
    for step in taken:
        world.do(step)
        after = answers(world.edge.hub, "balances")
        for listed, (tag, body) in after.items():
            same = tag == before[listed][0]
            assert body == before[listed][1] or not same
            # Neither the progress of the log nor another user's balance is in a tag.
            other = step[0] in {"balance", "forgotten"} and listed in {ANNE, ""}
            if step[0] == "tick" or (other and step[1] == BOB):
                assert same
        before = after


@settings(max_examples=60)
@given(st.lists(steps, max_size=25))
def test_an_edge_that_began_later_gives_the_same_tags(taken: list[Step]) -> None:
    world = World()
    for step in taken:
        world.do(step)
    world.log.now_ms += 48 * 3_600_000
    later = Edge(world.log)
    for party in ("prices", "balances"):
        assert answers(later.hub, party) == answers(world.edge.hub, party)


def test_a_place_counts_with_its_partition() -> None:
    hub = Hub()

    def put(record: Record, partition: int, offset: int) -> str | None:
        place = Place(partition, offset, NOW_MS)
        hub.apply([record], places=[place], now_ms=NOW_MS)
        return hub.bodies.tag(hub.bodies.asked("prices", [CHA_SUBNET]))

    for part in (0, 1):
        put(terms(part), part, 0)
    put(identity(), 0, 1)
    put(price(CHA, "1"), 0, 5)
    put(price(WELSH, "2"), 1, 5)
    before = put(subnet(CHA), 0, 6)
    assert put(subnet(WELSH), 0, 7) != before
    assert before is not None


def a_desk() -> Desk:
    return Desk(
        token(CHA, decimals=6), price(STX, "1"), price(CHA, "2"), balance(ANNE, CHA, 5)
    )


def test_a_whole_resource_is_made_once_until_it_is_another() -> None:
    desk = a_desk()
    bodies = desk.hub.bodies
    for party in ("prices", "balances"):
        whole = bodies.asked(party, None)
        first = bodies.body(whole, now_ms=NOW_MS)
        assert bodies.body(whole, now_ms=NOW_MS + 5).head is first.head
        some = bodies.asked(party, [CHA, ANNE])
        head = bodies.body(some, now_ms=NOW_MS).head
        assert bodies.body(some, now_ms=NOW_MS).head is not head
    desk.put(price(CHA, "3"))
    assert b'"price":3' in bodies.body(bodies.asked("prices", None), now_ms=1).json


def test_a_log_without_a_name_gives_no_tags_and_keeps_no_answers() -> None:
    hub = Hub()
    whole = hub.bodies.asked("prices", None)
    assert hub.bodies.tag(whole) is None
    assert hub.cursor() is None
    hub.apply([price(CHA, "2")], now_ms=NOW_MS)
    assert len(shown(hub.bodies, whole)["prices"]) == 1
    hub.apply([price(WELSH, "2")], now_ms=NOW_MS)
    assert len(shown(hub.bodies, whole)["prices"]) == 2


def since(
    desk: Desk,
    party: Party,
    listed: str | None,
    cursor: str | None,
    why: Refusal | None = None,
) -> dict[str, Any]:
    bodies, found = desk.hub.bodies, parse_cursor(cursor or "")
    assert found is not None
    body = bodies.since(
        bodies.asked(party, None if listed is None else listed.split(",")),
        found,
        why,
        now_ms=NOW_MS,
    )
    answer: dict[str, Any] = json.loads(body.json)
    assert (answer["party"], answer["serverTime"]) == (party, NOW_MS)
    return answer


def ids(updates: list[dict[str, Any]]) -> list[ContractId]:
    return [each["contractId"] for each in updates]


def test_since_a_cursor_only_what_changed_is_told() -> None:
    desk = a_desk()
    before = desk.hub.cursor()
    desk.put(price(CHA, "3"), gone(price(STX, "1")), balance(BOB, CHA, 7))
    desk.put(balance(ANNE, CHA, 8, version=2), gone(balance(BOB, CHA, 7)))
    changed = since(desk, "prices", None, before)
    assert (ids(changed["prices"]), ids(changed["removed"])) == ([CHA], [STX, "stx"])
    assert (changed["recovered"], changed["cursor"]) == (True, desk.hub.cursor())
    assert "why" not in changed
    assert since(desk, "prices", "stx", before)["prices"] == []
    held = since(desk, "balances", None, before)
    assert [each["balance"] for each in held["balances"]] == [8]
    assert [each["userId"] for each in held["removed"]] == [BOB]
    nothing = since(desk, "balances", None, desk.hub.cursor())
    assert nothing["balances"] == nothing["removed"] == []


def test_what_cannot_be_told_is_everything() -> None:
    desk = a_desk()
    told = since(desk, "prices", None, desk.hub.cursor(), Refusal.TOO_OLD)
    assert ids(told["prices"]) == [STX, "stx", CHA]
    assert (told["recovered"], told["why"], told["removed"]) == (False, "too-old", [])


@pytest.mark.parametrize("party", ["prices", "balances"])
def test_an_answer_tells_how_long_it_is_before_it_is_compressed(party: Party) -> None:
    bodies = held_by_many().hub.bodies
    body = bodies.body(bodies.asked(party, None), now_ms=NOW_MS)
    assert body.size_bytes == len(body.json) > 100
    assert body.size_bytes != sum(map(len, body.pieces(gzip=True)))


def test_the_answer_compressed_is_the_answer() -> None:
    bodies = a_desk().hub.bodies
    body = bodies.body(bodies.asked("prices", None), now_ms=NOW_MS)
    assert gzip.decompress(b"".join(body.pieces(gzip=True))) == body.json


MANY = [UserId(f"{ANNE}.user-{number}") for number in range(400)]


def held_by_many() -> Desk:
    desk = a_desk()
    desk.put(*(balance(user, CHA, 1) for user in MANY))
    return desk


def at_position(text: str | None, position: int) -> Cursor:
    """Return a cursor at a position that nobody was given."""
    cursor = parse_cursor(text or "")
    assert cursor is not None
    return replace(cursor, positions=(position,))


def told(answer: dict[str, Any]) -> dict[str, int]:
    """Return what a client has that takes an answer: forgets what is void, then takes values."""
    return {each["userId"]: each["balance"] for each in answer["balances"]}


def test_when_most_balances_changed_all_are_told_from_what_is_made_already() -> None:
    desk = held_by_many()
    before = desk.hub.cursor()
    desk.put(*(balance(user, CHA, 2, version=2) for user in MANY[:300]))
    desk.put(gone(balance(MANY[399], CHA, 1)))
    answer = since(desk, "balances", None, before)
    assert answer["recovered"] is True
    assert "why" not in answer
    assert told(answer) == {
        ANNE: 5,
        **dict.fromkeys(MANY[:300], 2),
        **dict.fromkeys(MANY[300:399], 1),
    }
    assert [each["userId"] for each in answer["removed"]] == [MANY[399]]
    # Made once for all who ask, whatever positions they name.
    bodies = desk.hub.bodies
    whole = bodies.asked("balances", None)
    heads = set()
    cursor = parse_cursor(f"{before}")
    assert cursor is not None
    for position in range(3):
        cursor = replace(cursor, positions=(position,))
        heads.add(id(bodies.since(whole, cursor, None, now_ms=NOW_MS).head))
    heads.add(id(bodies.body(whole, now_ms=NOW_MS).head))
    assert len(heads) == 1


def test_when_few_balances_changed_they_alone_are_told() -> None:
    desk = held_by_many()
    before = desk.hub.cursor()
    desk.put(*(balance(user, CHA, 2, version=2) for user in MANY[:99]))
    answer = since(desk, "balances", None, before)
    assert told(answer) == dict.fromkeys(MANY[:99], 2)
    assert answer["removed"] == []


@pytest.mark.parametrize("named", [True, False])
def test_a_long_answer_made_in_shares_is_the_answer(named: bool) -> None:
    desk = held_by_many()
    # So many tokens that a turn has room for few users.
    desk.put(*(token(ContractId(f"{BOB}.token-{n}"), decimals=0) for n in range(30)))
    bodies = desk.hub.bodies
    asked = bodies.asked("balances", MANY if named else None)
    shares = bodies.shares(asked)
    assert len(shares) > 3
    rows = [r for share in shares for r in bodies.rows(asked, share, now_ms=NOW_MS)]
    tag = bodies.tag(asked)
    made = bodies.joined(asked, rows, tag, now_ms=NOW_MS)
    # An answer with everything is kept, so that nobody makes it again; another is not.
    assert (len(bodies.shares(asked)) == 1) is not named
    bodies._kept.clear()
    assert made.json == bodies.body(asked, now_ms=NOW_MS).json
    bodies._kept.clear()
    bodies.joined(asked, rows, None, now_ms=NOW_MS)
    assert len(bodies.shares(asked)) > 1


def test_a_short_answer_is_made_at_once() -> None:
    bodies = held_by_many().hub.bodies
    for asked in (
        bodies.asked("prices", None),
        bodies.asked("prices", MANY),
        bodies.asked("balances", [ANNE]),
        bodies.asked("balances", []),
    ):
        assert bodies.shares(asked) == [asked]


def test_what_took_several_turns_tells_the_cursor_from_before_the_first() -> None:
    desk = held_by_many()
    bodies, before = desk.hub.bodies, desk.hub.cursor()
    whole = bodies.asked("balances", None)
    everything = Everything(bodies.body(whole, now_ms=NOW_MS).head, before)
    desk.put(balance(ANNE, CHA, 6, version=2))
    cursor = at_position(before, 0)
    body = bodies.since(whole, cursor, None, now_ms=NOW_MS, everything=everything)
    answer = json.loads(body.json)
    assert (answer["cursor"], told(answer)[ANNE]) == (before, 5)
    assert answer["cursor"] != desk.hub.cursor()
