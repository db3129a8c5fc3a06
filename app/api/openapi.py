"""What the edge answers over HTTP, as an OpenAPI document."""

from typing import Any

from app.api.answers import ANSWERS, HEADERS, MODELS, PARAMETERS
from app.api.models import schemas
from app.api.resources import party_paths, told_paths
from app.api.texts import HTTP, VERSION


def openapi() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stacks-feed over HTTP",
            "version": VERSION,
            "description": HTTP,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The edge that serves this"}],
        "tags": [
            {"name": "prices", "description": "Prices in US dollars"},
            {"name": "balances", "description": "Balances of users"},
            {"name": "about", "description": "Health, metrics and documents"},
        ],
        # Nobody needs a token unless an operation says so.
        "security": [],
        "paths": {**party_paths(), **told_paths()},
        "components": {
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "responses": ANSWERS,
            "schemas": schemas(MODELS),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A setting of the edge; without it nobody needs one.",
                }
            },
        },
    }
