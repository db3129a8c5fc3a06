"""The WebSocket as an AsyncAPI document: what may be said on it, and what is answered."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from app.api.models import reference, schemas, summary
from app.api.texts import VERSION, WEBSOCKET, Said
from app.api.vocabulary import PARTIES, Vocabulary
from schemas.wire import Party

_SERVERS = {
    name: {
        "host": "{host}",
        "protocol": name,
        "description": description,
        "variables": {
            "host": {
                "default": "localhost:1999",
                "description": "Where an edge listens",
            }
        },
    }
    for name, description in (
        ("ws", "An edge without TLS"),
        ("wss", "An edge with TLS, or behind a proxy that has it"),
    )
}


def asyncapi() -> dict[str, Any]:
    """Return the document."""
    every = [said.model for each in PARTIES.values() for said in each.every]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "stacks-feed over WebSocket",
            "version": VERSION,
            "description": WEBSOCKET,
        },
        "defaultContentType": "application/json",
        "servers": _SERVERS,
        "channels": {party: _channel(party, said) for party, said in PARTIES.items()},
        "operations": {
            name: operation
            for party, said in PARTIES.items()
            for name, operation in _operations(party, said)
        },
        "components": {
            "messages": {
                said.model.__name__: _message(said)
                for each in PARTIES.values()
                for said in each.every
            },
            "schemas": schemas(every),
        },
    }


def _channel(party: Party, said: Vocabulary) -> dict[str, Any]:
    return {
        "address": f"/parties/{party}/{{room}}",
        "title": party.capitalize(),
        "description": f"{said.what}\n\nAlso at {said.aliases}. {_ROOMS}",
        "parameters": {"room": {"description": _ROOMS, "default": "main"}},
        "messages": {
            each.model.__name__: {
                "$ref": f"#/components/messages/{each.model.__name__}"
            }
            for each in said.every
        },
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }


_ROOMS = "Every room is the same feed."


def _message(said: Said) -> dict[str, Any]:
    """Return a message; its name is that of its ``type`` field."""
    model = said.model
    kind = f"{model.model_fields['type'].annotation}".split("'")[1]
    message: dict[str, Any] = {
        "name": kind,
        "title": model.__name__,
        "summary": summary(model),
        "contentType": "application/json",
        "payload": reference(model),
    }
    if said.example is not None:
        message["examples"] = [{"name": "example", "payload": said.example}]
    return message


def _operations(party: Party, said: Vocabulary) -> list[tuple[str, dict[str, Any]]]:
    title = party.capitalize()
    return [
        (f"greet{title}", _send(party, "On connecting, unasked", said.greeting)),
        (f"tell{title}", _send(party, "When something changes", said.told)),
        (
            f"tell{title}AfterWelcome",
            _send(party, "To clients with the features for it", said.granted_told),
        ),
        *(
            (f"{verb}{title}", _receive(party, asked, answers))
            for verb, asked, answers in said.exchanges
        ),
    ]


def _send(
    party: Party, about: str, models: Sequence[type[BaseModel]]
) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{party}"},
        "summary": about,
        "messages": _on(party, models),
    }


def _receive(
    party: Party, asked: type[BaseModel], answers: Sequence[type[BaseModel]]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{party}"},
        "summary": summary(asked),
        "messages": _on(party, [asked]),
    }
    if answers:
        operation["reply"] = {
            "channel": {"$ref": f"#/channels/{party}"},
            "messages": _on(party, answers),
        }
    return operation


def _on(party: Party, models: Sequence[type[BaseModel]]) -> list[dict[str, str]]:
    return [
        {"$ref": f"#/channels/{party}/messages/{model.__name__}"} for model in models
    ]
