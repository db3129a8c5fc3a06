"""The request limit of a minute."""

from simulator.core.limits import Spent, headers, retry_after_s, spend


def test_requests_of_a_minute_add_up_and_the_next_minute_begins_anew() -> None:
    spent = Spent()
    for now_s in (120.0, 150.5, 179.9):
        spent = spend(spent, now_s=now_s)
    assert spent == Spent(2, 3)
    assert spend(spent, now_s=180.0) == Spent(3, 1)


def test_the_headers_tell_what_is_left_and_until_when() -> None:
    told = headers(Spent(2, 3), per_minute=10)
    assert told["ratelimit-remaining"] == "7"
    assert told["ratelimit-reset"] == "180"
    assert headers(Spent(2, 30), per_minute=10)["ratelimit-remaining"] == "0"


def test_who_asked_too_much_waits_for_the_next_minute() -> None:
    assert retry_after_s(Spent(2, 3), now_s=150.0) == 30
    assert retry_after_s(Spent(2, 3), now_s=179.9) == 1
