"""What waits for a client: keys, each once, answers first."""

from hypothesis import given
from hypothesis import strategies as st

from edge.core.outbox import RESET, ZEROS, Due, Offer, Outbox, Sweep

Box = Outbox[str]


def offered(box: Box, *keys: str, flags: int = 0) -> list[Offer]:
    """Offer keys, whose owners are their first letters."""
    return [box.offer(key, key[0], flags) for key in keys]


def taken(box: Box) -> list[tuple[str, int]]:
    found = []
    while (popped := box.pop()) is not None:
        found.append(popped[:2])
    return found


def test_a_key_that_changes_again_goes_out_once() -> None:
    box: Box = Outbox()
    assert offered(box, "a", "b", "a") == [
        Offer.QUEUED,
        Offer.QUEUED,
        Offer.CONFLATED,
    ]
    assert taken(box) == [("a", 0), ("b", 0)]
    assert box.is_empty


def test_what_is_void_stays_so_when_the_key_changes_again() -> None:
    box: Box = Outbox()
    offered(box, "a", flags=RESET)
    offered(box, "a")
    assert taken(box) == [("a", RESET)]


def test_an_answer_goes_before_changes_and_takes_them_in() -> None:
    box: Box = Outbox()
    offered(box, "c", "a")
    offered(box, "b", flags=RESET)
    box.ask([("b", ZEROS), ("a", 0)])
    assert box.is_answering
    assert offered(box, "b") == [Offer.CONFLATED]
    assert box.pop() == ("b", ZEROS | RESET, True)
    box.put_back("b", 0, answer=True)
    assert taken(box) == [("b", 0), ("a", 0), ("c", 0)]
    offered(box, "d", "e")
    box.put_back("c", 0, answer=False)
    assert (box.pop(), box.is_answering) == (("c", 0, False), False)


def test_what_is_still_to_be_looked_up_needs_no_telling() -> None:
    box: Box = Outbox()
    box.ask_owners("ab")
    assert offered(box, "a1", "c1") == [Offer.CONFLATED, Offer.QUEUED]
    assert offered(box, "a1", flags=RESET) == [Offer.QUEUED]
    assert box.next_owner() == Due("a", ZEROS)
    assert offered(box, "a2", "b1") == [Offer.QUEUED, Offer.CONFLATED]
    assert (box.next_owner(), box.next_owner()) == (Due("b", ZEROS), None)


def test_a_sweep_takes_in_changes_but_for_those_that_are_void() -> None:
    box: Box = Outbox()
    offered(box, "a1")
    offered(box, "b1", flags=RESET)
    box.ask_all("ac")
    assert offered(box, "a1", "b2", "c1") == [
        Offer.CONFLATED,
        Offer.QUEUED,
        Offer.CONFLATED,
    ]
    assert box.next_owner() == Due("a", 0)
    assert offered(box, "a1", "c1") == [Offer.QUEUED, Offer.CONFLATED]
    assert (box.next_owner(), box.next_owner()) == (Due("c", 0), None)
    assert taken(box) == [("b1", RESET), ("b2", 0), ("a1", 0)]


def test_a_sweep_over_nobody_is_none() -> None:
    box: Box = Outbox()
    box.ask_all("")
    assert box.is_empty


def test_an_answer_in_batches_ends_with_one_even_if_it_is_empty() -> None:
    box: Box = Outbox()
    assert not box.settle_batch(sent=False)
    box.owe_batch()
    assert box.is_answering
    assert box.settle_batch(sent=False)
    assert box.is_empty
    box.owe_batch()
    box.ask_owners("a")
    assert not box.settle_batch(sent=True)
    assert box.owes_batch
    box.next_owner()
    assert not box.settle_batch(sent=False)
    assert not box.owes_batch


def test_what_is_not_wanted_any_more_is_dropped() -> None:
    box: Box = Outbox()
    offered(box, "a", "b")
    box.keep(lambda key: key == "b")
    assert taken(box) == [("b", 0)]


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.integers(0, 6))
def test_a_sweep_covers_who_is_still_to_come(owners: list[str], at: int) -> None:
    sweep = Sweep(sorted(owners), at)
    left = sorted(owners)[at:]
    assert {each for each in "abcdef" if sweep.covers(each)} == set(left)
    assert sweep.is_done == (not left)


def test_zeros_that_are_owed_come_after_what_was_asked_for() -> None:
    box: Box = Outbox()
    box.owe_zeros("ba", frozenset("x"))
    assert not box.is_empty
    assert not box.is_answering
    box.ask_owners("c")
    # Whoever is still to be looked up is found with all there is then.
    box.owe_zeros("c", frozenset("y"))
    assert box.next_owner() == Due("c", ZEROS)
    assert box.next_owner() == Due("a", ZEROS, frozenset("x"))
    box.owe_zeros("abc", frozenset("y"))
    assert box.next_owner() == Due("b", ZEROS, frozenset("x"))
    assert box.next_owner() == Due("a", ZEROS, frozenset("y"))
    box.ask_owners("b")
    assert box.next_owner() == Due("b", ZEROS)
    box.keep_zeros("ab")
    assert box.next_owner() is None
    assert box.is_empty


def test_lists_of_zeros_do_not_pile_up() -> None:
    box: Box = Outbox()
    for key in "uvwxyz":
        box.owe_zeros("ab", frozenset(key))
    due = []
    while (each := box.next_owner()) is not None:
        due.append(each)
    assert len(due) == 4
    told = {(each.owner, key) for each in due for key in each.only or ""}
    assert told == {(owner, key) for owner in "ab" for key in "uvwxyz"}
