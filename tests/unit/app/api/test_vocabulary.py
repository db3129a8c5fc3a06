"""Every message there is stands in the documents, on the party where it is said."""

import inspect
from types import ModuleType

from pydantic import BaseModel

from app.api.vocabulary import PARTIES
from schemas import extras, granted, wire

# Parts of messages, and what adds fields to them.
PARTS = {
    "ExactBalanceUpdate",
    "ExactPriceUpdate",
    "VersionedBalanceUpdate",
    "VersionedExactBalanceUpdate",
    "VersionedExactPriceUpdate",
    "VersionedPriceUpdate",
}


def messages(module: ModuleType) -> set[str]:
    return {
        name
        for name, model in inspect.getmembers(module, inspect.isclass)
        if issubclass(model, BaseModel) and "type" in model.model_fields
    }


def test_every_message_has_its_place() -> None:
    # A token's metadata has a type too, that of the token.
    every = messages(wire) | messages(extras) | messages(granted)
    said = {each.model.__name__ for party in PARTIES.values() for each in party.every}
    assert every - said == PARTS | {"TokenMetadata"}


def test_every_message_is_named_once_on_its_party() -> None:
    for party in PARTIES.values():
        names = [each.model.__name__ for each in party.every]
        assert len(names) == len(set(names))


def test_a_message_comes_with_its_example() -> None:
    (ping,) = (s for s in PARTIES["prices"].every if s.model is wire.Ping)
    assert ping.example is not None
