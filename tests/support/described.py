"""What the served documents say, for tests that hold the edge to it."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from schemas.wire import Party
from tests.support.shared_data import ROOT

_FOLDER = ROOT / "edge" / "static"


@cache
def document(name: str) -> Any:
    """Return ``openapi`` or ``asyncapi`` as it is checked in."""
    return json.loads((_FOLDER / f"{name}.json").read_bytes())


@cache
def _validator(name: str, model: str) -> Draft202012Validator:
    whole = document(name)
    schema = {
        "$ref": f"#/components/schemas/{model}",
        "components": {"schemas": whole["components"]["schemas"]},
    }
    return Draft202012Validator(schema)


def fits(name: str, model: str, message: object) -> bool:
    """Tell whether a message is what a schema of a document describes."""
    valid: bool = _validator(name, model).is_valid(message)
    return valid


def misfits(name: str, model: str, message: object) -> list[ValidationError]:
    """Return what is wrong with a message."""
    return list(_validator(name, model).iter_errors(message))


def payload(message: str) -> str:
    """Return the name of the schema of a message of the AsyncAPI document."""
    found = document("asyncapi")["components"]["messages"][message]["payload"]["$ref"]
    return str(found).rpartition("/")[2]


def messages_of(party: Party, *, sent: bool) -> set[str]:
    """Return the messages that the edge sends on a party, or that it takes."""
    return set(_messages_of(party, sent=sent))


def _messages_of(party: Party, *, sent: bool) -> Iterator[str]:
    on = {"$ref": f"#/channels/{party}"}
    for operation in document("asyncapi")["operations"].values():
        if operation["channel"] != on:
            continue
        if sent is (operation["action"] == "send"):
            yield from _named(operation["messages"])
        if sent:
            yield from _named(operation.get("reply", {}).get("messages", ()))


def _named(references: Iterable[dict[str, str]]) -> Iterator[str]:
    for each in references:
        yield each["$ref"].rpartition("/")[2]
