"""The generated page names every metric, with what an operator needs to know of it."""

from pathlib import Path

from app import metrics_doc
from runtime.metrics import GROUPS


def test_the_page_lists_every_metric_once() -> None:
    page = metrics_doc.markdown()
    told = [each for group in GROUPS for each in group.declarations]
    assert len(told) > 50
    for each in told:
        assert page.count(f"| `{each.name}` | {each.kind} |") == 1


def test_a_row_tells_labels_meaning_and_when_to_look() -> None:
    assert (
        "| `stacks_feed_build_info` | gauge | `version`, `commit` | Always 1; the labels "
        "say which build runs | several versions for more than half an hour"
    ) in metrics_doc.markdown()


def test_the_page_is_written_where_it_belongs() -> None:
    Path("docs").mkdir()
    metrics_doc.main()
    assert metrics_doc.PAGE.read_text() == metrics_doc.markdown()
