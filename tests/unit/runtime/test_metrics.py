"""Metrics: all of ours carry the prefix, a help text, and no id as a label."""

from prometheus_client import REGISTRY

from runtime import metrics


def _ours() -> list[tuple[str, str]]:
    return [
        (family.name, family.documentation)
        for family in REGISTRY.collect()
        if family.name.startswith("stacks_feed_")
    ]


def test_every_metric_has_a_help_text() -> None:
    assert len(_ours()) > 20
    assert [name for name, text in _ours() if not text.strip()] == []


def test_no_label_names_a_user_or_a_contract() -> None:
    labels = {
        name
        for metric in vars(metrics).values()
        for name in getattr(metric, "_labelnames", ())
    }
    assert labels
    assert not {name for name in labels if "user" in name or "contract" in name}


def test_what_was_counted_is_rendered_as_text() -> None:
    metrics.DECISIONS.labels("prices", "published").inc()
    text, content_type = metrics.render()
    assert b'stacks_feed_decisions_total{decision="published",kind="prices"}' in text
    assert content_type.startswith("text/plain")
