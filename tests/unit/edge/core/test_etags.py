"""Entity tags: made of records, compared weakly."""

import re

import pytest

from edge.core.etags import etag, matches

TAG = etag("0" * 12, ["a", "b"])


def test_a_tag_is_weak_and_short() -> None:
    assert re.fullmatch(r'W/"1\.0{12}\.[0-9a-f]{24}"', TAG)


@pytest.mark.parametrize(
    ("log", "made_of"),
    [
        ("0" * 12, ["b", "a"]),
        ("0" * 12, ["a"]),
        ("0" * 12, ["ab"]),
        ("0" * 12, []),
        ("1" * 12, ["a", "b"]),
    ],
)
def test_other_records_or_another_log_make_another_tag(
    log: str, made_of: list[str]
) -> None:
    assert etag(log, made_of) != TAG
    assert etag(log, made_of) == etag(log, made_of)


@pytest.mark.parametrize(
    ("header", "matching"),
    [
        (None, False),
        ("", False),
        ("*", True),
        (" * ", True),
        (TAG, True),
        (TAG.removeprefix("W/"), True),
        (f'"x", {TAG} ,W/"y"', True),
        (f'W/"a,b",{TAG}', True),
        ('"x"', False),
        (TAG.strip('W/"'), False),
        (TAG[:-2] + '"', False),
    ],
)
def test_a_client_has_what_its_list_names(header: str | None, matching: bool) -> None:
    assert matches(header, TAG) is matching
