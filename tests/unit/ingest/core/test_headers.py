"""Headers of any content: what can be read is, and nothing raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.backoff import MAX_RETRY_AFTER_S, retry_after_s
from ingest.core.budget import Limits, full, learn, wait_s
from ingest.core.headers import entity_tag, headers_of, http_date_s, number, shown
from ingest.core.moments import clock_ahead_s

AT_S = 1_700_000_000.0
NOW_MS = 1_700_000_000_000
NAMES = (
    "date",
    "age",
    "etag",
    "retry-after",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-cost-stacks",
    "x-ratelimit-limit-stacks-second",
    "x-ratelimit-limit-stacks-minute",
    "x-ratelimit-limit-stacks-month",
    "x-ratelimit-remaining-stacks-minute",
    "x-ratelimit-remaining-stacks-month",
    "warning",
)
odd = st.sampled_from(
    [
        "Mon, 1 Jan 99999999999999999999 00:00:00 GMT",
        "Thu, 01 Jan 2026 00:00:00 +9999999999999",
        "Tue, 14 Nov 2023 22:13:20 GMT",
        "999999999999",
        "0",
        "1",
        "-1",
        "1e9",
        "٣",
        "1, 900",
        "100;w=1",
    ]
)
values = st.text(max_size=60) | st.integers(-(10**30), 10**30).map(str) | odd


@pytest.mark.parametrize(
    ("text", "moment_s"),
    [
        pytest.param("Tue, 14 Nov 2023 22:13:20 GMT", AT_S, id="IMF-fixdate"),
        pytest.param("tue, 14 nov 2023 22:13:20 gmt", AT_S, id="in lower case"),
        pytest.param("Tue, 14 Nov 2023 22:13:20 +0000", AT_S, id="a zone of zero"),
        pytest.param("Tuesday, 14-Nov-23 22:13:20 GMT", AT_S, id="RFC 850"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", 784111777.0, id="last century"),
        pytest.param("Tue Nov 14 22:13:20 2023", AT_S, id="asctime"),
        pytest.param("Sun Nov  6 08:49:37 1994", 784111777.0, id="asctime, one digit"),
        pytest.param("Sat, 31 Dec 2016 23:59:60 GMT", 1483228799.0, id="leap second"),
    ],
)
def test_every_form_of_an_http_date_is_read(text: str, moment_s: float) -> None:
    assert http_date_s(text) == moment_s


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "Mon, 1 Jan 99999999999999999999 00:00:00 GMT",
        "Thu, 01 Jan 2026 00:00:00 +9999999999999",
        "Tue, 14 Nov 2023 22:13:20 EST",
        "Tue, 31 Feb 2023 22:13:20 GMT",
        "Tue, 14 Now 2023 22:13:20 GMT",
        "Tue, 14 Nov 2023 25:13:20 GMT",
        "Tue, 14 Nov 0000 22:13:20 GMT",
        "Tue, ١٤ Nov 2023 22:13:20 GMT",
        "Tue, 14 Nov 2023 22:13:20 GMT" + " " * 20,
    ],
)
def test_what_is_no_http_date_is_none(text: str) -> None:
    assert http_date_s(text) is None


def test_of_a_repeated_header_the_first_counts() -> None:
    raw = [(b"Retry-After", b"5"), (b"retry-after", b"900"), (b"X-Odd", b"\xff\x00")]
    assert headers_of(raw) == {"retry-after": "5", "x-odd": "\xff\x00"}


def test_headers_without_end_are_not_all_kept() -> None:
    raw = [(b"x-%d" % at, b"a" * 10_000) for at in range(1_000)]
    assert len(headers_of(raw)) == 200
    assert max(map(len, headers_of(raw).values())) == 8_192


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12", 12),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1" * 13, None),
        ("٣", None),
    ],
)
def test_a_number_is_up_to_twelve_digits(text: str, found: int | None) -> None:
    assert number({"b": text}, "a", "b") == found


@pytest.mark.parametrize(
    ("tag", "kept"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ("abc", False),
        ('"a b"', False),
        ('"ä"', False),
        ('"a"\r\nx: y', False),
        ('"' + "a" * 300 + '"', False),
        ("", False),
    ],
)
def test_an_entity_tag_is_kept_if_it_may_be_sent_back(tag: str, kept: bool) -> None:
    assert entity_tag({"etag": tag}) == (tag if kept else None)


def test_what_a_stranger_said_is_shown_as_one_short_line() -> None:
    assert shown("a\n\x1b[31mb\ud800") == "a?[31mb?"
    assert len(shown("a" * 1_000)) == 200


@given(st.dictionaries(st.sampled_from(NAMES), values))
def test_no_header_raises_or_holds_back_for_longer_than_an_hour(
    headers: dict[str, str],
) -> None:
    assert 0 <= retry_after_s(headers, now_ms=NOW_MS) <= MAX_RETRY_AFTER_S
    clock_ahead_s(headers, now_ms=NOW_MS)
    entity_tag(headers)
    budget = learn(full(Limits(60), now_s=0.0), headers, now_s=0.0)
    assert wait_s(budget, now_s=0.0) < float("inf")
