"""The served documents are valid, and the ones that the models give today."""

import json
from typing import Any

from jsonschema import Draft7Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api.export import FOLDER, documents
from tests.support.described import document
from tests.support.shared_data import ROOT

_SPECIFIED = ROOT / "tests" / "contract" / "asyncapi" / "3.0.0.json"


def test_the_checked_in_documents_are_those_of_the_models() -> None:
    """If not: `make schemas`."""
    for name, text in documents().items():
        assert (ROOT / FOLDER / name).read_bytes() == text


def test_the_openapi_document_is_valid() -> None:
    OpenAPIV31SpecValidator(document("openapi")).validate()


def test_the_asyncapi_document_is_valid() -> None:
    Draft7Validator(json.loads(_SPECIFIED.read_bytes())).validate(document("asyncapi"))


def test_nothing_is_referred_to_that_is_not_there() -> None:
    for name in ("openapi", "asyncapi"):
        whole = document(name)
        for reference in _references(whole):
            at: Any = whole
            for step in reference.removeprefix("#/").split("/"):
                at = at[step]


def test_nothing_is_declared_that_nobody_refers_to() -> None:
    for name in ("openapi", "asyncapi"):
        whole = document(name)
        used = set(_references(whole))
        declared = {
            f"#/components/{kind}/{each}"
            for kind, every in whole["components"].items()
            for each in every
            if kind != "securitySchemes"  # they are named, not referred to
        }
        assert declared - used == set()


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for each in node for found in _references(each)]
    if not isinstance(node, dict):
        return []
    here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return here + [found for each in node.values() for found in _references(each)]
