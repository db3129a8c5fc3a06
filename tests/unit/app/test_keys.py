"""Keys as people write them, and the nearest of those that there are."""

import pytest

from app.errors import RequestError
from app.keys import NamesNothing, UnknownKind, matches, nearest, pattern

ANN = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
TOKEN = f"{ANN}.charisma-token"


@pytest.mark.parametrize(
    ("text", "glob"),
    [
        ("stx", "price:.stx"),
        (".stx", "price:.stx"),
        (TOKEN, f"price:{TOKEN}"),
        (TOKEN.lower(), f"price:{TOKEN}"),
        (f"{TOKEN}::charisma", f"price:{TOKEN}"),
        ("price:stx", "price:.stx"),
        ("token:stx", "token:.stx"),
        (f"price:{TOKEN}::charisma", f"price:{TOKEN}"),
        (ANN, f"balance:{ANN}:*"),
        (ANN.lower(), f"balance:{ANN}:*"),
        (f"balance:{ANN}", f"balance:{ANN}:*"),
        (f"balance:{ANN.lower()}:stx", f"balance:{ANN}:.stx"),
        (f"balance:{TOKEN}:*", f"balance:{TOKEN}:*"),
        (f"balance:*:{TOKEN}::x", f"balance:*:{TOKEN}"),
        ("price", "price:*"),
        ("balance", "balance:*"),
        ("terms", "terms:*"),
        ("log", "log:*"),
        ("price:", "price:*"),
        ("balance:", "balance:*:*"),
        ("*", "*:*"),
        ("pri*", "pri*:*"),
        ("*charisma*", "price:*charisma*"),
        ("price:*.charisma-?oken", "price:*.charisma-?oken"),
        ("*:.stx", "*:.stx"),
        ("watermark:0", "watermark:0"),
        ("price:nonsense", "price:nonsense"),
    ],
)
def test_a_key_is_read_in_each_spelling(text: str, glob: str) -> None:
    assert pattern(text) == glob


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "'nonsense': no id and no kind of key (price, token, balance"),
        ("prices", "did you mean price?"),
        ("prise:.stx", "'prise:.stx': no kind of key"),
        ("prise:.stx", "did you mean price?"),
        ("x:y", "no kind of key"),
        ("", "no id and no kind"),
    ],
    ids=range(6),
)
def test_an_unknown_kind_is_a_wrong_request(text: str, why: str) -> None:
    with pytest.raises(UnknownKind) as caught:
        pattern(text)
    assert isinstance(caught.value, RequestError)
    assert why in f"{caught.value}"


def test_an_unknown_kind_may_be_told_with_the_nearest_keys() -> None:
    error = UnknownKind("charisma", "charisma").with_nearest([f"price:{TOKEN}"])
    assert f"{error}".endswith(f"; did you mean price:{TOKEN}?")


KEYS = [
    key.encode()
    for key in (
        "price:.stx",
        f"price:{TOKEN}",
        f"token:{TOKEN}",
        f"price:{ANN}.welsh-token",
        f"balance:{ANN}:.stx",
        "watermark:0",
    )
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("charisma", [f"price:{TOKEN}"]),
        ("CHARISMA", [f"price:{TOKEN}"]),
        ("price:sxt", ["price:.stx"]),
        ("price:*.charisma-tokn", [f"price:{TOKEN}"]),
        ("token:charism", [f"token:{TOKEN}"]),
        (f"balance:{ANN}", [f"balance:{ANN}:.stx"]),
        ("qqqqqqqqqqqqqqqq", []),
        ("", []),
        ("prise:charisma", [f"price:{TOKEN}"]),
    ],
    ids=range(9),
)
def test_the_nearest_keys_hold_a_text_or_have_a_name_like_it(
    text: str, found: list[str]
) -> None:
    assert nearest(text, KEYS) == found


def test_a_key_of_nothing_is_told_in_one_line() -> None:
    assert f"{NamesNothing('x')}" == "'x' names nothing in this log"
    said = f"{NamesNothing('x', ['price:.stx', 'token:.stx'])}"
    assert said.endswith("; nearest: price:.stx, token:.stx")


@pytest.mark.parametrize(
    ("key", "patterns", "wanted"),
    [
        (b"price:.stx", [], True),
        (b"log:identity", [], True),
        (b"watermark:0", [], False),
        (b"observed:0", [], False),
        (b"terms:0", [], False),
        (b"terms:0", ["terms:*"], True),
        (b"price:.stx", ["token:*", "price:*"], True),
        (b"price:.stx", ["token:*"], False),
        (b"\xff", ["price:*"], False),
    ],
    ids=range(9),
)
def test_without_a_pattern_all_values_are_wanted(
    key: bytes, patterns: list[str], wanted: bool
) -> None:
    assert matches(key, patterns) is wanted
