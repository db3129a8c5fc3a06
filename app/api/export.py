"""Both documents as the bytes that are checked in and served."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from app.api.asyncapi import asyncapi
from app.api.openapi import openapi

FOLDER = Path("edge/static")


def documents() -> Mapping[str, bytes]:
    """Return the text of each file by its name."""
    return {"asyncapi.json": _text(asyncapi()), "openapi.json": _text(openapi())}


def _text(document: dict[str, Any]) -> bytes:
    # In the order in which it is told: that is the one to read it in.
    return orjson.dumps(
        document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )
