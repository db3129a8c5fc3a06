"""What a client would rather have, by its headers."""

import pytest

from edge.core.negotiation import prefers_events, prefers_gzip

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "events"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        (BROWSER, False),
        ("application/json, text/event-stream", False),
        ("text/event-stream", True),
        ("TEXT/Event-Stream ; charset=utf-8", True),
        ("text/event-stream, */*", False),
        ("text/event-stream, */*;q=0.9", True),
        ("text/event-stream;q=0.5, application/json;q=0.4", True),
        ("text/event-stream;q=0.4, application/json;q=0.5", False),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=0, text/*", False),
        ("text/*, application/*;q=0.1", True),
        ("text/event-stream;q=2", False),
        ("text/event-stream;q=0.1234", False),
        ("text/event-stream;Q=1.000", True),
        (",;q=1,", False),
    ],
)
def test_events_go_to_those_who_like_them_better_than_json(
    accept: str | None, events: bool
) -> None:
    assert prefers_events(accept) is events


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip", True),
        ("x-gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("*", True),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.5, gzip;q=0.5", True),
        ("gzip;q=nonsense", False),
    ],
)
def test_gzip_goes_to_those_who_take_it_as_gladly(
    accept_encoding: str | None, gzip: bool
) -> None:
    assert prefers_gzip(accept_encoding) is gzip
