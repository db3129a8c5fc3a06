"""The index of who gets what, beside a plain set of pairs."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from edge.core.forms import BASE, Form
from edge.core.groups import Groups
from edge.core.members import ClientId, Member
from edge.core.outbox import Outbox

EXACT = Form(exact=True)
IDS = "abc"


def a_member(number: int) -> Member:
    return Member(ClientId(number), "prices")


def told(groups: Groups, *changed: str) -> dict[tuple[int, ...], list[str]]:
    """Return what changes go to which clients at once."""
    flagged = [(each, 0) for each in changed]
    return {
        group.clients: [each for each, _ in keys]
        for group, keys in groups.concerned(flagged, lambda key: key)
    }


def test_equal_subscriptions_in_one_form_are_one_group() -> None:
    groups, members = Groups(), [a_member(number) for number in range(4)]
    for member in members[:3]:
        groups.subscribe(member, ["a", "b"])
    members[2].form = EXACT
    groups.place(members[2])
    groups.subscribe(members[3], None)
    assert told(groups, "a", "b", "c") == {
        (0, 1): ["a", "b"],
        (2,): ["a", "b"],
        (3,): ["a", "b", "c"],
    }
    assert len(groups) == 3
    assert {group.form for group in groups} == {BASE, EXACT}
    assert told(groups) == {}


def test_who_wants_all_is_not_told_twice_of_what_it_named() -> None:
    groups, one = Groups(), a_member(1)
    groups.subscribe(one, ["a"])
    groups.subscribe(one, None)
    assert told(groups, "a") == {(1,): ["a"]}
    assert groups.unsubscribe(one, ["a"]) == {"a"}
    assert told(groups, "a") == {(1,): ["a"]}


def test_who_is_behind_is_told_nothing_at_once() -> None:
    groups, one, two = Groups(), a_member(1), a_member(2)
    groups.subscribe(one, ["a"])
    groups.subscribe(two, ["a"])
    one.outbox = Outbox()
    groups.place(one)
    assert told(groups, "a") == {(2,): ["a"]}
    one.outbox = None
    groups.place(one)
    assert told(groups, "a") == {(2, 1): ["a"]}


def test_an_id_is_fresh_to_the_first_and_given_up_by_the_last() -> None:
    groups, one, two = Groups(), a_member(1), a_member(2)
    assert groups.subscribe(one, ["a", "b"]) == {"a", "b"}
    assert groups.subscribe(two, ["a"]) == frozenset()
    assert groups.unsubscribe(one, ["a", "a", "c"]) == frozenset()
    assert groups.unsubscribe(two, None) == {"a"}
    assert groups.unsubscribe(one, None) == {"b"}
    assert len(groups) == 0


clients, ids = st.integers(0, 3), st.lists(st.sampled_from(IDS), max_size=2)
steps = st.lists(
    st.tuples(st.sampled_from(["add", "remove"]), clients, ids)
    | st.tuples(st.sampled_from(["all", "leave", "behind"]), clients, st.just(()))
)


@given(steps)
def test_the_index_agrees_with_a_set_of_pairs(
    taken: list[tuple[str, int, Iterable[str]]],
) -> None:
    groups, members = Groups(), [a_member(number) for number in range(4)]
    pairs: set[tuple[int, str]] = set()
    every: set[int] = set()
    for step, number, each in taken:
        member = members[number]
        match step:
            case "add":
                groups.subscribe(member, each)
                pairs |= {(number, one) for one in each}
            case "remove":
                groups.unsubscribe(member, each)
                pairs -= {(number, one) for one in each}
            case "all":
                groups.subscribe(member, None)
                every.add(number)
            case "leave":
                groups.unsubscribe(member, None)
                pairs = {pair for pair in pairs if pair[0] != number}
                every.discard(number)
            case _:
                member.outbox = None if member.outbox else Outbox()
                groups.place(member)
        _agree(groups, members, pairs | {(n, one) for n in every for one in IDS})


def _agree(groups: Groups, members: list[Member], wanted: set[tuple[int, str]]) -> None:
    for one in IDS:
        live = [n for clients in told(groups, one) for n in clients]
        assert len(live) == len(set(live))
        assert set(live) == {
            n for n, each in wanted if each == one and members[n].outbox is None
        }
    held = [client for group in groups for client in group.behind]
    assert set(held) == {n for n, _ in wanted if members[n].outbox is not None}
    assert all(len(group) for group in groups), "a group without clients"
