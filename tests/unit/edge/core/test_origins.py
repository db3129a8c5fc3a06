"""Which pages may use an edge: the origins that are listed, and its own."""

import pytest

from edge.core.origins import Origins, normal_origin, preflight, vary

LISTED, OTHER = "https://a.example", "https://b.example"
HOST = "feed.example:1999"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://a.example", "https://a.example"),
        (" HTTPS://A.Example/ ", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", "null"),
        ("a.example", None),
        ("https://", None),
        ("https://a.example/path", None),
        ("https://*.example", None),
        ("https://a.example, https://b.example", None),
        ("", None),
    ],
)
def test_an_origin_is_read_as_browsers_write_it(text: str, origin: str | None) -> None:
    assert normal_origin(text) == origin


@pytest.mark.parametrize(
    ("origin", "is_admitted"),
    [
        (LISTED, True),
        (OTHER, False),
        (f"http://{HOST}", True),
        (f"https://{HOST}", True),
        ("ftp://feed.example:1999", False),
        ("http://feed.example", False),
        ("null", False),
        ("", False),
        (None, True),
    ],
)
def test_listed_origins_and_our_own_may_use_the_edge(
    origin: str | None, is_admitted: bool
) -> None:
    origins = Origins([f"{LISTED}/"])
    assert origins.admits(origin, HOST) is is_admitted
    allowed = origins.headers(origin, HOST).get("Access-Control-Allow-Origin")
    # A program sends no origin and reads answers without being told that it may.
    assert allowed == (origin if is_admitted else None)
    assert origins.depends_on_origin


def test_the_default_port_is_no_part_of_our_own_origin() -> None:
    assert Origins().admits("https://feed.example", "feed.example:443")
    assert Origins().admits("http://feed.example", "FEED.example")


def test_all_origins_share_one_answer() -> None:
    origins = Origins(["*"])
    for origin in (LISTED, "null", None):
        assert origins.admits(origin, HOST)
        assert origins.headers(origin, HOST)["Access-Control-Allow-Origin"] == "*"
    assert not origins.depends_on_origin


@pytest.mark.parametrize("listed", [(), ("*",), (OTHER,)])
def test_only_origins_named_for_it_may_send_credentials(
    listed: tuple[str, ...],
) -> None:
    origins = Origins(listed, with_credentials=[LISTED])
    found = origins.headers(LISTED, HOST)
    assert found["Access-Control-Allow-Origin"] == LISTED
    assert found["Access-Control-Allow-Credentials"] == "true"
    # A browser takes no wildcard of an answer to a request with credentials.
    assert "*" not in "".join(found.values())
    assert "Access-Control-Allow-Credentials" not in origins.headers(OTHER, HOST)
    assert "Access-Control-Allow-Credentials" not in origins.headers(None, HOST)
    assert origins.admits(LISTED, HOST)
    assert origins.depends_on_origin


def test_a_preflight_is_told_what_it_asks_for_and_what_we_know() -> None:
    found = preflight("GET, HEAD", "X-Trace, authorization,, bad name, sentry-trace")
    assert found["Access-Control-Allow-Methods"] == "GET, HEAD"
    names = found["Access-Control-Allow-Headers"].split(", ")
    assert names[-2:] == ["X-Trace", "sentry-trace"]
    assert {"If-None-Match", "Last-Event-ID", "Authorization"} < set(names)
    assert "bad name" not in names
    assert [name.lower() for name in names].count("authorization") == 1
    assert preflight("GET", None)["Access-Control-Max-Age"] == "86400"


@pytest.mark.parametrize(
    ("present", "after"),
    [
        (None, "Origin"),
        ("Accept", "Accept, Origin"),
        ("Accept, origin", "Accept, origin"),
    ],
)
def test_vary_names_the_origin_once(present: str | None, after: str) -> None:
    assert vary(present, on="Origin") == after
