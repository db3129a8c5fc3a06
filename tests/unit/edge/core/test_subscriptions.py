"""The index of who gets what, beside a plain set of pairs."""

from hypothesis import given
from hypothesis import strategies as st

from edge.core.subscriptions import ClientId, Subscriptions

ONE, TWO = ClientId(1), ClientId(2)


def test_who_wants_all_is_not_named_a_second_time() -> None:
    index: Subscriptions[str] = Subscriptions()
    index.add(ONE, "a")
    index.add(TWO, "a")
    index.add_all(TWO)
    assert (index.of_all(), list(index.of("a"))) == ((TWO,), [ONE])


def test_an_id_is_given_up_when_the_last_leaves_it() -> None:
    index: Subscriptions[str] = Subscriptions()
    index.add(ONE, "a")
    index.add(TWO, "a")
    assert index.remove(ONE, ["a", "a", "b"]) == []
    assert index.is_named("a")
    assert index.remove_all(TWO) == ["a"]
    assert not index.is_named("a")


clients, ids = st.sampled_from([ONE, TWO]), st.sampled_from("abc")
steps = st.lists(
    st.tuples(st.just("add"), clients, ids)
    | st.tuples(st.just("remove"), clients, ids)
    | st.tuples(st.sampled_from(["all", "leave"]), clients, st.just(""))
)


@given(steps)
def test_the_index_agrees_with_a_set_of_pairs(
    taken: list[tuple[str, ClientId, str]],
) -> None:
    index: Subscriptions[str] = Subscriptions()
    pairs: set[tuple[ClientId, str]] = set()
    every: set[ClientId] = set()
    for step, client, each in taken:
        match step:
            case "add":
                index.add(client, each)
                pairs.add((client, each))
            case "all":
                index.add_all(client)
                every.add(client)
            case "remove":
                index.remove(client, [each])
                pairs.discard((client, each))
            case _:
                index.remove_all(client)
                pairs = {pair for pair in pairs if pair[0] != client}
                every.discard(client)
        assert set(index.of_all()) == every
        for name in "abc":
            named = {c for c, n in pairs if n == name}
            assert index.is_named(name) == bool(named)
            assert set(index.of(name)) == named - every
