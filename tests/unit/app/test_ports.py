"""A port that is taken is said in one line, with the setting to change."""

import socket

import pytest

from app import ports
from app.errors import OperatorError


def test_a_free_port_can_be_listened_on() -> None:
    port = ports.free_port("127.0.0.1")
    ports.check_free("127.0.0.1", port, what="edge", setting="STACKS_FEED_PORT")


def test_free_ports_are_all_different() -> None:
    assert len(set(ports.free_ports("127.0.0.1", 200))) == 200


def test_a_port_in_use_is_refused_with_the_setting_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            OperatorError, match=rf"port {port} .* in use.*STACKS_FEED_PORT"
        ):
            ports.check_free("127.0.0.1", port, what="edge", setting="STACKS_FEED_PORT")


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(OperatorError, match="cannot be listened on"):
        ports.check_free("192.0.2.1", 0, what="edge", setting="STACKS_FEED_PORT")


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_ipv6_is_asked_as_ipv6() -> None:
    with pytest.raises(OperatorError, match="port 0 on ::2"):
        ports.check_free("::2", 0, what="edge", setting="STACKS_FEED_PORT")


def test_a_port_is_held_for_who_shares_it_and_from_all_others() -> None:
    with ports.held_port("127.0.0.1", 0, what="edge", setting="PORT") as port:
        with pytest.raises(OperatorError, match="in use"):
            ports.check_free("127.0.0.1", port, what="edge", setting="PORT")
        with ports.held_port("127.0.0.1", port, what="edge", setting="PORT") as same:
            assert same == port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    ("host", "written", "reached"),
    [
        ("127.0.0.1", "127.0.0.1:80", "127.0.0.1:80"),
        ("feed.example", "feed.example:80", "feed.example:80"),
        ("0.0.0.0", "0.0.0.0:80", "127.0.0.1:80"),
        ("::1", "[::1]:80", "[::1]:80"),
        ("::", "[::]:80", "[::1]:80"),
        ("fe80::1", "[fe80::1]:80", "[fe80::1]:80"),
    ],
)
def test_an_address_stands_in_a_url_with_its_brackets(
    host: str, written: str, reached: str
) -> None:
    assert ports.address(host, 80) == written
    assert ports.local_address(host, 80) == reached
