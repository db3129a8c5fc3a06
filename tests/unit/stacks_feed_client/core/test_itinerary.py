"""Where to connect next, after how long, and what a server may ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks_feed_client.core.itinerary import (
    CAP_S,
    STABLE_S,
    Itinerary,
    address,
    delay_s,
    retry_after_s,
    shown,
)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("wss://feed.example", "wss://feed.example/parties/balances/main"),
        ("https://feed.example:8443/", "wss://feed.example:8443/parties/balances/main"),
        ("http://feed.example/balances", "ws://feed.example/balances"),
        ("ws://feed.example/x?token=1#y", "ws://feed.example/x?token=1"),
    ],
)
def test_an_address_without_a_path_gets_that_of_the_party(url: str, found: str) -> None:
    assert address(url, "balances") == found


@pytest.mark.parametrize(
    "url",
    [
        "wss://me:hunter2@feed.example:8443/prices?token=hunter2",
        "wss://me:hunter2@hunter2@feed.example:8443/prices",
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str) -> None:
    assert shown(url) == "wss://feed.example:8443/prices"


@pytest.mark.parametrize(
    "url", ["feed.example", "ftp://a", "ws://", "ws://a:b", "ws://a..b"]
)
def test_what_is_no_address_is_said_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        address(url, "prices")


def test_an_itinerary_leads_somewhere() -> None:
    with pytest.raises(ValueError, match="no address"):
        Itinerary([])


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_within_its_bounds(attempt: int, draw: float) -> None:
    assert 0 <= delay_s(attempt, draw=draw) <= min(CAP_S, 0.5 * 2 ** min(attempt, 9))


def test_waits_grow_until_a_connection_was_stable() -> None:
    itinerary = Itinerary(["a"])

    def waited(lived_s: float) -> float:
        return itinerary.lost(now_s=0.0, lived_s=lived_s, draw=1.0)

    assert [waited(0.0) for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0]
    assert waited(STABLE_S - 1) == 20.0
    assert [waited(STABLE_S), waited(0.0)] == [0.5, 1.0]


def test_addresses_are_tried_in_turn() -> None:
    itinerary = Itinerary(["a", "b", "c"])
    tried = []
    for _ in range(4):
        tried.append(itinerary.url)
        itinerary.lost(now_s=0.0, lived_s=0.0, draw=0.0)
    assert tried == ["a", "b", "c", "a"]


def test_an_address_that_asks_for_time_is_left_alone_for_it() -> None:
    itinerary = Itinerary(["a", "b"])
    assert itinerary.lost(now_s=0.0, lived_s=0.0, draw=0.0, retry_after_s=60.0) == 0.0
    assert itinerary.url == "b"
    assert itinerary.lost(now_s=1.0, lived_s=0.0, draw=0.0) == 0.0
    assert itinerary.url == "b"
    assert itinerary.lost(now_s=61.0, lived_s=0.0, draw=0.0) == 0.0
    assert itinerary.url == "a"


def test_where_all_ask_for_time_the_first_that_is_over_is_waited_for() -> None:
    itinerary = Itinerary(["a", "b"])
    itinerary.lost(now_s=0.0, lived_s=0.0, draw=0.0, retry_after_s=60.0)
    wait_s = itinerary.lost(now_s=0.0, lived_s=0.0, draw=0.5, retry_after_s=90.0)
    assert (itinerary.url, wait_s) == ("a", 60.0 + 0.5)


def test_a_notice_says_when_to_come_back_elsewhere() -> None:
    itinerary = Itinerary(["a", "b"])
    assert itinerary.dismissed(now_s=2.0, back_at_s=5.0) == 3.0
    assert itinerary.url == "b"
    assert itinerary.dismissed(now_s=9.0, back_at_s=5.0) == 0.0


NOW = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("said", "date", "seconds"),
    [
        pytest.param("7", None, 7.0, id="seconds"),
        pytest.param("99999999", None, 3_600.0, id="at most an hour"),
        pytest.param("Wed, 21 Oct 2015 07:28:30 GMT", NOW, 30.0, id="a moment"),
        pytest.param("Wed, 21 Oct 2015 07:27:30 GMT", NOW, 0.0, id="in the past"),
        pytest.param("Wed, 21 Oct 2015 07:28:30 GMT", None, None, id="no date"),
        pytest.param("Wed, 21 Oct 2015 07:28:30", NOW, None, id="no time zone"),
        pytest.param("soon", NOW, None, id="no moment"),
        pytest.param(None, NOW, None, id="nothing"),
    ],
)
def test_a_retry_after_is_read(
    said: str | None, date: str | None, seconds: float | None
) -> None:
    assert retry_after_s(said, date=date) == seconds
