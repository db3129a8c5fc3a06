"""docs/topics.md is true: topics, keys, schemas, retention, partitions, examples."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from app.topics import specs
from eventlog.kafka.topics import settings_of
from eventlog.partition import murmur2, partition_of
from schemas import latest
from schemas.base import Malformed, canonical
from schemas.latest import decode_latest
from schemas.topics import TOPICS
from tests.support.shared_data import ROOT
from tests.support.topics_doc import PAGE, with_examples

TEXT = PAGE.read_text(encoding="utf-8")
HORIZON = "audit horizon"


def rows(heading: str) -> list[list[str]]:
    """Return the cells of all tables of a section, head lines left out."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"(?m)^\| (.*) \|$", section)
    return [line.split(" | ") for line in lines if not line.startswith("topic |")]


def table(heading: str, cells: int) -> dict[str, list[str]]:
    """Return the rows of so many cells by what stands in backquotes in the first."""
    found = [row for row in rows(heading) if len(row) == cells]
    return {match[1]: row for row in found if (match := re.match(r"`(.*?)`", row[0]))}


def test_every_topic_is_there_with_what_it_is_created_with() -> None:
    assert {*table("Topics", 5)} == {topic.name for topic in TOPICS}
    created = table("Topics", 3)
    for spec in specs(partitions=6, audit_days=7):
        settings = settings_of(spec.cleanup, replication=1)
        _, policy, retention = created[spec.name]
        assert policy.strip("*") == settings["cleanup.policy"]
        kept = settings["retention.ms"]
        horizon = f"{7 * 86_400_000}"
        assert retention.split(" (")[0] == (HORIZON if kept == horizon else kept)


def test_the_other_settings_of_topics_are_those_that_are_set() -> None:
    (table_of_values,) = (
        s for s in specs(partitions=1, audit_days=0) if s.name == "latest"
    )
    settings = settings_of(table_of_values.cleanup, replication=1)
    for name in ("delete.retention.ms", "message.timestamp.type"):
        assert f"{name}={settings[name]}" in TEXT
    assert settings["max.message.bytes"] == f"{2**20}"


def test_every_kind_of_key_in_the_table_is_there() -> None:
    kinds = {kind.decode() for kind in latest._decoders}
    own = {key.partition(":")[0] for key in table("Keys of the feed itself", 3)}
    assert own | {"price", "token", "balance"} == kinds


def test_each_schema_that_is_named_is_the_one_that_is_linked() -> None:
    links = re.findall(r"\[`([a-z.]+)/(\d+)`\]\(\.\./schemas/json/(.*?)\)", TEXT)
    assert len(links) > 15
    for kind, version, name in links:
        assert name == f"{kind}.v{version}.json"
        fields = schema(f"{kind}/{version}")["properties"]
        assert fields["schema"]["const"] == f"{kind}/{version}"
    told = {name for _, _, name in links}
    records = {
        path.name for path in (ROOT / "schemas" / "json").glob("*.v*.json")
    } - PRIVATE_SCHEMAS
    assert told == records


# What stands in `state` and `demand`.
PRIVATE_SCHEMAS = {
    "account.state.v1.json",
    "balance.state.v1.json",
    "balance.state.v2.json",
    "barrier.v1.json",
    "latest.bounds.v1.json",
    "lease.v1.json",
    "position.v1.json",
    "price.state.v1.json",
    "price.state.v2.json",
    "refresh.v1.json",
    "token.state.v1.json",
    "token.word.v1.json",
}


def schema(name: str) -> dict[str, Any]:
    kind, _, version = name.partition("/")
    path = ROOT / "schemas" / "json" / f"{kind}.v{version}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


VALUES = re.findall(r"```json\n(.*?)\n```", TEXT, re.DOTALL)


@pytest.mark.parametrize("text", VALUES, ids=["price", "balance", "token"])
def test_each_value_that_is_shown_is_one(text: str) -> None:
    value = json.loads(text)
    assert canonical(value) == text.encode()
    kind = value["schema"].partition("/")[0]
    assert not isinstance(decode_latest(kind.encode(), text.encode()), Malformed)
    Draft202012Validator(schema(value["schema"])).validate(value)
    for topic, partition, _ in value["origins"]:
        owner = value["userId" if topic == "balances.raw" else "contractId"]
        assert partition == partition_of(owner.encode(), 6)


def test_a_reader_that_takes_additional_properties_out_reads_a_newer_record() -> None:
    value = {**json.loads(VALUES[0]), "added": "later"}
    with pytest.raises(ValidationError):
        Draft202012Validator(schema("price/1")).validate(value)
    Draft202012Validator(_open(schema("price/1"))).validate(value)


def _open(part: Any) -> Any:
    match part:
        case dict():
            return {
                name: _open(value)
                for name, value in part.items()
                if (name, value) != ("additionalProperties", False)
            }
        case list():
            return [_open(each) for each in part]
        case _:
            return part


def test_the_partitions_that_are_shown_are_those() -> None:
    shown = [row for row in rows("Partitions") if len(row) == 3 and row[1].isdigit()]
    assert len(shown) == 3
    for name, hashed, partition in shown:
        key = name.strip("`").encode()
        assert (murmur2(key), partition_of(key, 6)) == (int(hashed), int(partition))


def test_the_examples_stand_in_the_page_as_they_are_tested() -> None:
    """If not: `python -m tests.support.topics_doc`."""
    assert with_examples(TEXT) == TEXT
    for path in (ROOT / "docs" / "examples").iterdir():
        assert f"<!-- examples/{path.name} -->" in TEXT
        assert path.read_text(encoding="utf-8") in TEXT
