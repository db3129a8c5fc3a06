"""Models as schemas: as sent or as read, and without what says nothing."""

import json

from app.api.models import reference, schemas, summary
from schemas import extras, granted, wire


def test_a_model_comes_with_everything_inside_it() -> None:
    assert list(schemas([wire.PriceBatch])) == ["PriceBatch", "PriceUpdate"]


def test_references_lead_to_the_components() -> None:
    found = schemas([wire.PriceBatch])["PriceBatch"]["properties"]["prices"]
    assert found["items"] == reference(wire.PriceUpdate)


def test_what_is_left_out_when_there_is_nothing_to_say_is_never_null() -> None:
    found = schemas([wire.BalanceUpdate])["BalanceUpdate"]
    assert found["properties"]["subnetBalance"] == {"type": "integer"}
    assert "subnetBalance" not in found["required"]


def test_what_is_always_there_may_be_null() -> None:
    found = schemas([extras.Subscribed])["Subscribed"]
    assert {"type": "null"} in found["properties"]["accepted"]["anyOf"]
    assert "accepted" in found["required"]


def test_a_message_of_clients_may_have_null_where_it_says_nothing() -> None:
    found = schemas([wire.Subscribe])["Subscribe"]
    assert {"type": "null"} in found["properties"]["userIds"]["anyOf"]
    assert "additionalProperties" not in found


def test_titles_made_from_names_are_left_out_and_marks_become_those_of_markdown() -> (
    None
):
    text = json.dumps(schemas([granted.GrantedError, wire.TokenMetadata]))
    assert '"title"' not in text
    assert "``" not in text


def test_a_field_may_be_called_as_what_is_left_out() -> None:
    class Named(wire.Outbound):
        title: str
        description: str | None

    assert list(schemas([Named])["Named"]["properties"]) == ["title", "description"]


def test_the_summary_is_the_first_sentence() -> None:
    assert summary(wire.PriceUpdate) == (
        "One price; `timestamp` is when it was observed"
    )
