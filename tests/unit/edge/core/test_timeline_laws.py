"""Copies of a log are put in place, records are lost: no client is left with the lost ones.

A client is told only what changed since its cursor if that leads from what it has to the
table, and a tag stands for one answer only, in whatever history it was given.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.core.bodies import Asked
from edge.core.cursor import parse_cursor
from edge.core.hub import Hub
from schemas.wire import Party
from tests.support.edge_table import ANNE, CHA, WELSH, balance, price
from tests.support.edge_worlds import HOUR_MS, PARTITIONS, TOKENS, USERS, Edge, Log

Step: TypeAlias = tuple[Any, ...]
Key: TypeAlias = tuple[str, ...]
Values: TypeAlias = dict[Key, Any]

ASKED = [
    Asked("prices", None),
    Asked("prices", (CHA, WELSH)),
    Asked("balances", None),
    Asked("balances", (ANNE,)),
]


class Seen(NamedTuple):
    """What a client got of an edge, by what it had asked for, and the cursor then."""

    cursor: str
    answers: dict[Asked, Values]
    tags: dict[Asked, str]


@dataclass
class World:
    """A log of which copies are made and put in place, and all that clients ever got."""

    log: Log
    copies: list[Log]
    seen: list[Seen]
    values: int = 0

    def do(self, step: Step) -> None:
        self.values += 1
        match step:
            case "owner", part:
                self.log.begin_term(part)
            case "copy", _:
                self.copies.append(self.log.copied())
            case "restore", number:
                self._restore(number)
            case "wait", hours:
                self.log.now_ms += hours * HOUR_MS
                self.log.tick()
            case _:
                self._publish(step)
        self.look()

    def _restore(self, number: int) -> None:
        if self.copies:
            copy = self.copies[number % len(self.copies)].copied()
            # Time goes on, whatever is put back.
            copy.now_ms = self.log.now_ms
            self.log = copy

    def _publish(self, step: Step) -> None:
        number = self.values
        match step:
            case "price", contract:
                self.log.put(price(contract, f"{number}", version=number))
            case "no price", contract:
                self.log.withdraw(price(contract, "1"))
            case "balance", user, contract:
                self.log.put(balance(user, contract, number, version=number))
            case _, user, contract:
                self.log.withdraw(balance(user, contract, 0))
            case _:
                raise ValueError(step)

    def look(self) -> None:
        """Have a client get everything there is, from an edge that begins now."""
        hub = Edge(self.log).hub
        cursor = hub.cursor()
        assert cursor is not None
        tags = {asked: hub.bodies.tag(asked) or "" for asked in ASKED}
        assert all(tags.values())
        answers = {asked: everything(hub, asked) for asked in ASKED}
        self.seen.append(Seen(cursor, answers, tags))


def everything(hub: Hub, asked: Asked) -> Values:
    # An answer that was kept for its tag would prove nothing.
    hub.bodies._kept.clear()
    body = json.loads(hub.bodies.body(asked, now_ms=0).json)
    return by_key(asked.party, body[asked.party])


def by_key(party: Party, updates: Sequence[Any]) -> Values:
    """Return values by their keys, without the time of zeros that nobody observed."""
    found: Values = {}
    for each in updates:
        if each.get("source") == "default-zero":
            continue
        key = key_of(party, each)
        # Other values than the amounts follow from tokens and prices.
        shown = ("price", "balance", "subnetBalance")
        found[key] = {name: each.get(name) for name in shown}
    return found


def key_of(party: Party, said: Any) -> Key:
    names = ["userId", "contractId"] if party == "balances" else ["contractId"]
    return tuple(said[name] for name in names)


def resumed(hub: Hub, asked: Asked, seen: Seen, *, now_ms: int) -> Values | None:
    """Return what a client has that asks since its cursor; ``None`` if told everything."""
    cursor = parse_cursor(seen.cursor)
    assert cursor is not None
    why = hub.refusal(cursor, now_ms=now_ms)
    body = json.loads(hub.bodies.since(asked, cursor, why, now_ms=now_ms).json)
    assert body["recovered"] is (why is None)
    if why is not None:
        return None
    view = dict(seen.answers[asked])
    for removed in body["removed"]:
        view.pop(key_of(asked.party, removed), None)
    return view | by_key(asked.party, body[asked.party])


contracts, users = st.sampled_from(TOKENS), st.sampled_from(USERS)
parts = st.integers(0, PARTITIONS - 1)
steps = st.one_of(
    st.tuples(st.sampled_from(["price", "no price"]), contracts),
    st.tuples(st.sampled_from(["balance", "forgotten"]), users, contracts),
    st.tuples(st.just("owner"), parts),
    st.tuples(st.just("copy"), st.just(0)),
    st.tuples(st.sampled_from(["restore", "restore"]), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.sampled_from([1, 12, 30])),
)


# What is rarely drawn: records at the same offsets in a lost history and in this one …
LOST_AND_FOUND: list[list[Step]] = [
    [("copy", 0), step, step, ("restore", 0), step]
    for step in (("price", CHA), ("balance", ANNE, CHA))
]
# … the same with all terms of then dropped for their age, and a forgotten tombstone.
LONG_LATER: list[Step] = 2 * [
    step for part in range(PARTITIONS) for step in (("owner", part), ("wait", 30))
]
DROPPED: list[list[Step]] = [
    [("copy", 0), step, step, *LONG_LATER, ("restore", 0), step, *LONG_LATER]
    for step in (("price", CHA), ("balance", ANNE, CHA))
]
FORGOTTEN: list[Step] = [("price", CHA), ("no price", CHA), ("wait", 30)]


@settings(max_examples=150)
@given(st.lists(steps, max_size=30))
@example(FORGOTTEN)
@example(LOST_AND_FOUND[0])
@example(LOST_AND_FOUND[1])
def test_who_is_told_only_what_changed_has_the_table_then(taken: list[Step]) -> None:
    world = World(Log(), [], [])
    for step in taken:
        world.do(step)
    # One edge that begins now, and one that has read all of this log.
    hub = Edge(world.log).hub
    for seen in world.seen:
        for asked in ASKED:
            view = resumed(hub, asked, seen, now_ms=world.log.now_ms)
            assert view is None or view == everything(hub, asked)


@settings(max_examples=150)
@given(st.lists(steps, max_size=30))
@example(LOST_AND_FOUND[0])
@example(LOST_AND_FOUND[1])
@example(DROPPED[0])
@example(DROPPED[1])
def test_a_tag_stands_for_one_answer_in_whatever_history(taken: list[Step]) -> None:
    world = World(Log(), [], [])
    for step in taken:
        world.do(step)
    answers: dict[tuple[Asked, str], Values] = {}
    for seen in world.seen:
        for asked in ASKED:
            answer = seen.answers[asked]
            assert answers.setdefault((asked, seen.tags[asked]), answer) == answer


def test_who_was_never_in_a_lost_history_goes_on_from_a_cursor() -> None:
    world = World(Log(), [], [])
    world.log.tick()
    steps: list[Step] = [
        ("price", CHA),
        ("copy", 0),
        ("price", CHA),
        ("restore", 0),
        ("price", WELSH),
        ("price", CHA),
    ]
    for step in steps:
        world.do(step)
    hub = Edge(world.log).hub
    asked = ASKED[0]
    told = [
        resumed(hub, asked, seen, now_ms=world.log.now_ms) is not None
        for seen in world.seen
    ]
    # The client of the second price has read what the copy lacks.
    assert told == [True, True, False, True, True, True]
