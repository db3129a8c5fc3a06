"""The exported schemas: every record and message, described as written or read."""

import json
from pathlib import Path
from typing import Any

from app import schemas_export


def _document(name: str) -> Any:
    return json.loads(schemas_export.documents()[name])


def test_records_have_a_file_named_after_their_schema_and_version() -> None:
    names = set(schemas_export.documents())
    assert {
        "price.observed.v1.json",
        "balance.v1.json",
        "log.identity.v1.json",
    } <= names
    assert "Holding.json" not in names


def test_a_record_is_described_with_all_its_fields_present() -> None:
    schema = _document("price.observed.v1.json")
    assert set(schema["required"]) == set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_a_message_to_clients_may_leave_out_only_what_is_optional() -> None:
    schema = _document("wire.BalanceUpdate.json")
    left_out = set(schema["properties"]) - set(schema["required"])
    assert left_out == {
        "subnetBalance",
        "formattedSubnetBalance",
        "subnetContractId",
    }


def test_a_message_of_clients_needs_its_type_alone() -> None:
    assert _document("wire.Subscribe.json")["required"] == ["type"]


def test_writing_removes_the_files_of_models_that_are_gone() -> None:
    folder = Path("schemas/json")
    folder.mkdir(parents=True)
    (folder / "gone.v1.json").write_text("{}")
    schemas_export.main()
    assert {path.name for path in folder.iterdir()} == set(schemas_export.documents())
