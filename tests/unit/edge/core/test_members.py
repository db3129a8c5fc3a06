"""Clients and their groups."""

from edge.core.forms import BASE
from edge.core.members import ClientId, Group, Member
from edge.core.outbox import Outbox


def test_a_client_is_subscribed_to_what_it_named_or_to_all() -> None:
    member = Member(ClientId(1), "prices", named=frozenset("ab"))
    assert member.selection == frozenset("ab")
    member.has_all = True
    assert member.selection is None


def test_the_clients_of_a_write_stay_those_of_its_moment() -> None:
    group, one, two = (
        Group(BASE, None),
        *(Member(ClientId(n), "prices") for n in (1, 2)),
    )
    group.take(one)
    before = group.clients
    group.take(two)
    assert (before, group.clients, len(group)) == ((1,), (1, 2), 2)
    one.outbox = Outbox()
    group.take(one)
    assert (group.clients, list(group.behind), len(group)) == ((2,), [1], 2)
    group.drop(one)
    group.drop(one)
    assert (len(group), one.group, two.group) == (1, None, group)
