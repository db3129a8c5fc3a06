"""The AsyncAPI document: channels, messages, who sends what."""

from app.api.asyncapi import asyncapi
from tests.support.described import messages_of


def test_both_parties_are_channels() -> None:
    channels = asyncapi()["channels"]
    assert [channels[party]["address"] for party in ("prices", "balances")] == [
        "/parties/prices/{room}",
        "/parties/balances/{room}",
    ]


def test_a_message_is_named_as_its_type_says() -> None:
    messages = asyncapi()["components"]["messages"]
    assert messages["GrantedExactPriceUpdate"]["name"] == "PRICE_UPDATE"
    assert messages["Hello"]["name"] == "HELLO"


def test_an_example_stands_beside_its_message() -> None:
    messages = asyncapi()["components"]["messages"]
    assert messages["Ping"]["examples"][0]["payload"]["type"] == "PING"
    assert "examples" not in messages["GrantedPong"]


def test_what_is_asked_names_what_answers_it() -> None:
    operations = asyncapi()["operations"]
    assert operations["pingPrices"]["action"] == "receive"
    answers = operations["pingPrices"]["reply"]["messages"]
    assert answers[0] == {"$ref": "#/channels/prices/messages/Pong"}
    assert "reply" not in operations["refreshPrices"]


def test_a_party_sends_its_own_values_alone() -> None:
    assert "PriceUpdate" in messages_of("prices", sent=True)
    assert "PriceUpdate" not in messages_of("balances", sent=True)
    assert "Hello" in messages_of("balances", sent=False)
