"""Metrics: all of ours carry the prefix, a help text and no id, and each has one service."""

from typing import get_args

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from runtime import metrics
from runtime.health import Service

SERVICES: tuple[Service, ...] = get_args(Service)


def _told(service: Service | None) -> set[str]:
    text = metrics.render(service)[0].decode()
    return {family.name for family in text_string_to_metric_families(text)}


def test_every_metric_has_a_help_text() -> None:
    ours = [
        (family.name, family.documentation)
        for family in REGISTRY.collect()
        if family.name.startswith("stacks_feed_")
    ]
    assert len(ours) > 20
    assert [name for name, text in ours if not text.strip()] == []


def test_no_label_names_a_user_or_a_contract() -> None:
    labels = {
        label
        for group in metrics.GROUPS
        for each in group.declarations
        for label in each.labels
    }
    assert labels
    assert not {name for name in labels if "user" in name or "contract" in name}


def test_what_was_counted_is_rendered_as_text() -> None:
    metrics.DECISIONS.labels("prices", "published").inc()
    text, content_type = metrics.render()
    assert b'stacks_feed_decisions_total{decision="published",kind="prices"}' in text
    assert content_type.startswith("text/plain")


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_tells_nothing_of_another_service(service: Service) -> None:
    own = _told(service)
    for other in SERVICES:
        if other != service:
            assert own & _told(other) == _told("edge") & _told("audit") & own
    assert own < _told(None)


def test_a_gauge_of_a_service_is_not_0_at_all_others() -> None:
    owners = {s for s in SERVICES if "stacks_feed_shards_owned" in _told(s)}
    assert owners == {"processor"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_process_tells_its_build_and_how_it_is(service: Service) -> None:
    metrics.BUILD_INFO.labels("1.2.3", "abc").set(1)
    text = metrics.render(service)[0]
    assert b'stacks_feed_build_info{commit="abc",version="1.2.3"} 1.0' in text
    assert {"process_cpu_seconds", "python_gc_collections"} <= _told(service)
