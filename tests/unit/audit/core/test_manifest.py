"""Days, and what of them is finished."""

from audit.core.manifest import (
    Manifest,
    Part,
    Stretch,
    days,
    manifest_in,
    path_of,
)
from schemas.base import encode
from schemas.topics import DAY_MS

DAY = 20_000 * DAY_MS


def test_days_are_cut_to_what_is_wanted() -> None:
    first, second, third = days(DAY + 5, DAY + 2 * DAY_MS + 7)
    assert (first.name, first.start, first.end) == (
        "2024-10-04",
        DAY + 5,
        DAY + DAY_MS,
    )
    assert (second.start, second.end) == (first.end, first.end + DAY_MS)
    assert third.end == DAY + 2 * DAY_MS + 7
    assert list(days(DAY, DAY)) == []


def test_a_part_is_finished_for_its_offsets_and_as_long_as_it_is_whole() -> None:
    part = Part(topic="changes", shard=1, start=2, end=9, rows=7, size_bytes=70)
    manifest = Manifest(log="a" * 32, parts={}).with_part("x", part)
    assert manifest.has("x", Stretch("changes", 1, 2, 9), size_bytes=70)
    assert not manifest.has("x", Stretch("changes", 1, 2, 9), size_bytes=0)
    assert not manifest.has("x", Stretch("changes", 1, 2, 10), size_bytes=70)
    assert not manifest.has("y", Stretch("changes", 1, 2, 9), size_bytes=70)
    assert manifest_in(encode(manifest)) == manifest
    assert manifest_in(b"{}") is None


def test_a_path_names_the_day_as_query_engines_do() -> None:
    (day,) = days(DAY, DAY + 1)
    assert (
        path_of("changes", day, "changes", 3, suffix="csv")
        == "changes/day=2024-10-04/part-changes-3.csv"
    )
