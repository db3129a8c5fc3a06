"""What a text asks about."""

import pytest

from audit.core.subjects import Key, Subject, subject_in
from schemas.journal import Origin
from tests.support.folding import ALPHA, USER


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        (f"price:{ALPHA}", ("prices.raw", ALPHA)),
        (f"token:{ALPHA}", ("tokens.raw", ALPHA)),
        (f"balance:{USER}:{ALPHA}", ("balances.raw", USER)),
    ],
)
def test_a_key_names_its_topic_and_its_owner(
    text: str, subject: tuple[str, str]
) -> None:
    topic, owner = subject
    assert subject_in(text) == Key(text.encode(), topic, owner.encode(), ALPHA)


@pytest.mark.parametrize("text", ["reject:prices.raw:1:52", "prices.raw:1:52"])
def test_an_observation_is_named_by_its_place(text: str) -> None:
    found: Subject | None = subject_in(text)
    assert found == Origin("prices.raw", 1, 52)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "price",
        "price:",
        "price:stx",
        "price:nonsense",
        f"balance:{USER}",
        f"balance:{USER}:nonsense",
        f"balance:nonsense:{ALPHA}",
        "watermark:1",
        "reject:prices.raw",
        "reject:prices.raw:1",
        "reject:prices.raw:1:x",
        "reject:changes:1:1",
        "prices.rawer:1:1",
        "price:\udcff",
        "\udcff",
        f"balance:{USER}:\udcff",
        "prices.raw:0:\u0663",
        f"prices.raw:0:{'9' * 20}",
        f"prices.raw:{'9' * 5_000}:0",
    ],
)
def test_all_else_names_nothing(text: str) -> None:
    assert subject_in(text) is None
