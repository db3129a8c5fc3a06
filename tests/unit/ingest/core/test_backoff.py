"""Statuses, waits and what a 429 asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.backoff import (
    Verdict,
    cause_of,
    delay_s,
    is_about_subject,
    refusal,
    retry_after_s,
    verdict,
)
from ingest.core.silence import Cause

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (200, Verdict.READ),
        (204, Verdict.REFUSED),
        (301, Verdict.REFUSED),
        (304, Verdict.UNCHANGED),
        (400, Verdict.REFUSED),
        (401, Verdict.KEY),
        (403, Verdict.KEY),
        (404, Verdict.REFUSED),
        (408, Verdict.AGAIN),
        (410, Verdict.GONE),
        (422, Verdict.REFUSED),
        (429, Verdict.LIMITED),
        (500, Verdict.AGAIN),
        (502, Verdict.AGAIN),
        (503, Verdict.AGAIN),
        (599, Verdict.AGAIN),
        (299, Verdict.REFUSED),
    ],
)
def test_only_a_200_is_a_reading(status: int, meant: Verdict) -> None:
    assert verdict(status) is meant


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_wait_is_jittered_in_full_and_capped(attempt: int, draw: float) -> None:
    assert 0 <= delay_s(attempt, draw=draw) <= 30
    assert delay_s(attempt, draw=0.0) == 0


def test_the_wait_doubles() -> None:
    assert [delay_s(attempt, draw=0.5) for attempt in range(3)] == [0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        pytest.param({"retry-after": "7"}, 7, id="seconds"),
        pytest.param(
            {"retry-after": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10, id="HTTP date"
        ),
        pytest.param({"retry-after": "99999"}, 3_600, id="an hour at most"),
        pytest.param(
            {"retry-after": "Mon, 13 Nov 2023 22:13:30 GMT"}, 0, id="a past date"
        ),
        pytest.param(
            {"retry-after": "soon", "ratelimit-reset": "5"}, 5, id="reset, seconds left"
        ),
        pytest.param({"ratelimit-reset": "1700000012"}, 12, id="reset, unix time"),
        pytest.param({"retry-after": "soon"}, 60, id="not readable"),
        pytest.param({}, 60, id="nothing said"),
        pytest.param({"retry-after": "٣"}, 60, id="digits of another script"),
    ],
)
def test_what_a_429_asks_to_wait(headers: dict[str, str], wait_s: float) -> None:
    assert retry_after_s(headers, now_ms=NOW_MS) == wait_s


@pytest.mark.parametrize(
    ("status", "about_subject", "cause"),
    [
        (204, False, Cause.MISSING),
        (301, False, Cause.MOVED),
        (308, False, Cause.MOVED),
        (304, False, Cause.UNUSABLE),
        (400, True, Cause.DECLINED),
        (422, True, Cause.DECLINED),
        (401, False, Cause.KEY),
        (403, False, Cause.KEY),
        (404, False, Cause.MISSING),
        (405, False, Cause.MISSING),
        (410, False, Cause.MISSING),
        (429, False, Cause.LIMITED),
        (500, False, Cause.TROUBLED),
        (299, False, Cause.MISSING),
    ],
)
def test_a_refusal_is_about_the_source_unless_it_is_about_what_was_asked(
    status: int, about_subject: bool, cause: Cause
) -> None:
    assert is_about_subject(status) is about_subject
    assert cause_of(status) is cause


def test_a_redirect_is_told_with_where_it_leads_cut_and_printable() -> None:
    moved = {"location": "https://hiro.example/\x1b[31mé" + "x" * 500}
    told = refusal(301, moved)
    assert told.startswith("status 301, moved to https://hiro.example/?[31m?xxx")
    assert len(told) < 250
    assert refusal(302, {}) == "status 302"
    assert refusal(404, {"location": "https://elsewhere"}) == "status 404"
