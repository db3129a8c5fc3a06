"""Whose request it is, also behind proxies, and whatever a client writes into headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.addresses import address_of, client_of, household, networks

PROXIES = networks(["10.0.0.0/8", "fd00::/8", "192.0.2.1"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ('"[2001:db8::1]"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_an_address_is_read_however_it_is_written(text: str, address: str) -> None:
    assert f"{address_of(text)}" == address


@pytest.mark.parametrize("text", ["", "unknown", "_hidden", "1.2.3", "x" * 9_000])
def test_what_is_no_address_is_none(text: str) -> None:
    assert address_of(text) is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1,"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1:99"], "198.51.100.1"),
        ("fd00::5", ["2001:db8::9"], "2001:db8::9"),
        ("192.0.2.1", ["198.51.100.1"], "198.51.100.1"),
    ],
)
def test_the_client_is_the_right_most_address_that_is_no_proxy(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert f"{client_of(address_of(peer), forwarded, PROXIES)}" == client


def test_a_peer_without_an_address_is_nobody() -> None:
    assert client_of(None, ["198.51.100.1"], PROXIES) is None
    assert household(None) == ""


@given(st.lists(st.text(max_size=40), max_size=5))
def test_nothing_that_is_written_left_of_the_client_counts(lies: list[str]) -> None:
    proxy = address_of("10.0.0.1")
    found = client_of(proxy, [*lies, "198.51.100.1"], PROXIES)
    assert f"{found}" == "198.51.100.1"


def test_a_household_is_an_address_or_a_64() -> None:
    assert household(address_of("203.0.113.7")) == "203.0.113.7"
    first, second = address_of("2001:db8::1"), address_of("2001:db8:0:0:ffff::2")
    assert household(first) == household(second) == "2001:db8::/64"


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        networks(["10.0.0.0/8", "nonsense"])
