"""The judge itself: what counts as an old value, and what as one that is on its way."""

from decimal import Decimal

import pytest

from tests.restored.judge import Judge, in_words
from tests.restored.table import Key, Table, Value, of_library, read_json, rows_in

A, B = Key("a"), Key("b", "user")


def table(amount: int, key: Key = A) -> Table:
    return {key: Value(Decimal(amount), amount)}


@pytest.mark.parametrize(
    "held", [table(1), {}, table(2, B)], ids=["old", "nothing", "another key"]
)
def test_a_value_that_stays_while_the_table_has_others_is_old(held: Table) -> None:
    judge = Judge(limit_s=10)
    for second in range(12):
        judge.look(second, "client", table(100 + second), held)
    assert judge.flaws
    assert all(flaw.startswith("client keeps ") for flaw in judge.flaws)


def test_a_client_that_lags_is_not_at_fault() -> None:
    judge = Judge(limit_s=10)
    for second in range(100):
        judge.look(second, "client", table(second), table(second - 1))
    assert judge.flaws == []


def test_agreeing_once_or_being_cut_off_begins_anew() -> None:
    judge = Judge(limit_s=10)
    for second in range(100):
        if second % 10 == 0:
            judge.look(second, "agrees", table(1), table(1))
            judge.pause("is cut off")
        else:
            judge.look(second, "agrees", table(2), table(1))
            judge.look(second, "is cut off", table(2), table(1))
    assert judge.flaws == []


def test_differences_are_told_and_nothing_else() -> None:
    assert in_words("client", table(1), table(1)) == ""
    words = in_words("client", table(1), {B: Value(Decimal(7), 0, ("x",))})
    assert words.startswith("client differs in 2 of 1 keys: a is nothing, not 1 at 1; ")
    assert words.endswith("user b is 7 at 0 x, not nothing")


def test_a_price_is_the_same_under_both_names_of_stx_and_with_all_its_digits() -> None:
    row = '{"type":"PRICE_UPDATE","contractId":"%s","price":0.1234567891,"timestamp":5}'
    said = [list(rows_in(read_json(row % name))) for name in ("stx", ".stx")]
    assert said[0] == said[1] == [(Key(".stx"), Value(Decimal("0.1234567891"), 5), 0)]
    assert of_library({}) == {}
