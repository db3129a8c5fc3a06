"""The lines of `tail`: aligned, and safe to look at."""

from decimal import Decimal

from app.commands.tail import text_of
from app.rows import Row


def a_row(name: str = "STX", change: Decimal | None = None) -> Row:
    return Row(0, "price", name, "1.5 USD", change, 3)


def test_columns_line_up_whatever_is_in_them() -> None:
    rows = [a_row(), a_row("x" * 200), a_row(change=Decimal("-1.25"))]
    lines = [text_of(row).plain for row in rows]
    assert len({line.index("1.5 USD") for line in lines}) == 1
    assert len({line.index("v3") for line in lines}) == 1


def test_a_long_id_stands_whole_at_the_end_to_be_copied() -> None:
    name = f"SP{'0' * 90}.token-x"
    assert text_of(a_row(name)).plain.endswith(f" {name}")


def test_a_change_has_its_sign() -> None:
    assert "-1.250%" in text_of(a_row(change=Decimal("-1.25"))).plain
    assert "+1.250%" in text_of(a_row(change=Decimal("1.25"))).plain
