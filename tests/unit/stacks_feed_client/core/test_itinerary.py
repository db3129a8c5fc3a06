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
    redirected_to,
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

    def waited(lived_s: float) -> float | None:
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
    assert itinerary.dismissed(now_s=2.0, back_at_s=5.0, draw=0.5) == 0.25
    assert itinerary.url == "b"
    assert itinerary.dismissed(now_s=3.0, back_at_s=9.0, draw=0.0) == 2.0
    assert itinerary.url == "a"


def test_a_notice_of_the_only_address_is_kept_to_without_jitter() -> None:
    itinerary = Itinerary(["a"])
    assert itinerary.dismissed(now_s=2.0, back_at_s=5.0, draw=0.5) == 3.0
    assert itinerary.dismissed(now_s=9.0, back_at_s=5.0, draw=0.5) == 0.0


def refuses(itinerary: Itinerary, *, lived_s: float = 0.0, now_s: float = 0.0) -> bool:
    """Let the address in use refuse for good; tell whether there is another."""
    wait_s = itinerary.lost(now_s=now_s, lived_s=lived_s, draw=0.0, is_refused=True)
    return wait_s is not None


def test_an_address_that_refuses_for_good_is_left_out_while_there_are_others() -> None:
    itinerary = Itinerary(["a", "b", "c"])
    assert refuses(itinerary)
    tried = []
    for _ in range(3):
        tried.append(itinerary.url)
        itinerary.lost(now_s=0.0, lived_s=0.0, draw=0.0)
    assert tried == ["b", "c", "b"]
    assert itinerary.url == "c"
    itinerary.lost(now_s=3_600.0, lived_s=0.0, draw=0.0)
    assert itinerary.url == "a"


def test_it_is_over_when_every_address_refused_for_good() -> None:
    itinerary = Itinerary(["a", "b"])
    assert refuses(itinerary)
    assert not refuses(itinerary)
    assert not refuses(Itinerary(["a"]))


def test_an_address_that_refused_is_asked_again_after_another_was_in_use() -> None:
    itinerary = Itinerary(["a", "b"])
    assert refuses(itinerary)
    assert refuses(itinerary, lived_s=STABLE_S)
    assert itinerary.url == "a"
    assert not refuses(itinerary)


@pytest.mark.parametrize(
    ("location", "shown_as"),
    [
        ("wss://me:hunter2@other.example/x?token=hunter2#y", "wss://other.example/x"),
        ("/login?token=hunter2", "/login"),
        ("//[", "an address that cannot be read"),
        ("ws://a/\nb\x1b31m", "ws://a/b 31m"),
    ],
)
def test_where_a_redirect_leads_is_shown_without_secrets(
    location: str, shown_as: str
) -> None:
    assert redirected_to(location) == shown_as


@given(st.text(max_size=300))
def test_whatever_a_redirect_leads_to_can_be_shown(location: str) -> None:
    assert redirected_to(location).isprintable()


NOW = "Wed, 21 Oct 2015 07:28:00 GMT"


SOON = "Wed, 21 Oct 2015 07:28:30 GMT"
FAR_ZONE = "Thu, 01 Jan 2026 00:00:00 +9999999999999"


@pytest.mark.parametrize(
    ("said", "dates", "seconds"),
    [
        pytest.param(["7"], [], 7.0, id="seconds"),
        pytest.param(["99999999"], [], 3_600.0, id="at most an hour"),
        pytest.param([SOON], [NOW], 30.0, id="a moment"),
        pytest.param(["Wed, 21 Oct 2015 07:27:30 GMT"], [NOW], 0.0, id="in the past"),
        pytest.param([SOON], [], None, id="no date"),
        pytest.param(["Wed, 21 Oct 2015 07:28:30"], [NOW], None, id="no time zone"),
        pytest.param(["soon"], [NOW], None, id="no moment"),
        pytest.param([], [NOW], None, id="nothing"),
        pytest.param(["1", "soon", "2"], [], 2.0, id="several"),
        pytest.param([SOON], ["x", NOW, NOW], 30.0, id="several dates"),
        pytest.param([FAR_ZONE], [NOW], None, id="a zone that is none"),
        pytest.param([SOON], [FAR_ZONE], None, id="a date of such a zone"),
    ],
)
def test_a_retry_after_is_read(
    said: list[str], dates: list[str], seconds: float | None
) -> None:
    assert retry_after_s(said, dates=dates) == seconds


numbers = st.integers(-(10**20), 10**20).map(str)
moments = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Wed", "", "x"]),
    st.integers(0, 99) | numbers,
    st.sampled_from(["Oct", "Feb", "13", ""]),
    st.integers(0, 99_999) | numbers,
    st.integers(0, 99) | numbers,
    st.integers(0, 99) | numbers,
    st.integers(0, 99) | numbers,
    st.sampled_from(["GMT", "EST", "-2359", "-0000", "x"]) | numbers.map("+{}".format),
)


@given(
    st.lists(st.text() | moments, max_size=3), st.lists(st.text() | moments, max_size=3)
)
def test_no_retry_after_raises(said: list[str], dates: list[str]) -> None:
    wait_s = retry_after_s([*said, SOON], dates=[*dates, NOW])
    assert wait_s is not None
    assert 0 <= wait_s <= 3_600
