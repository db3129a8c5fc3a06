"""Writes schemas/json/: a JSON Schema for each record of the log and each message."""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

import schemas
from schemas.base import Event
from schemas.wire import Inbound, Outbound

FOLDER = Path("schemas/json")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents() -> Mapping[str, bytes]:
    """Return the text of each file by its name, sorted.

    A record is described as it is written: every field present, but those that were added
    to its version later. A message of a client is
    described as it is read, all others as they are sent.
    """
    found = {_file_name(model): _document(model) for model in _models()}
    return dict(sorted(found.items()))


def _models() -> Iterator[type[BaseModel]]:
    for info in iter_modules(schemas.__path__):
        module = import_module(f"schemas.{info.name}")
        for model in vars(module).values():
            if _is_declared_in(module.__name__, model) and _is_whole(model):
                yield model


def _is_declared_in(module: str, value: object) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, BaseModel)
        and value.__module__ == module
    )


def _is_whole(model: type[BaseModel]) -> bool:
    """Tell records and messages from their parts and their base classes."""
    if issubclass(model, Event):
        return "schema_" in model.model_fields
    # A base class has nothing that is always there.
    always = any(field.default is not None for field in model.model_fields.values())
    is_public = not model.__name__.startswith("_")
    return issubclass(model, Inbound | Outbound) and always and is_public


def _file_name(model: type[BaseModel]) -> str:
    name = model.model_fields.get("schema_")
    if name is not None:
        kind, _, version = str(name.default).partition("/")
        return f"{kind}.v{version}.json"
    return f"wire.{model.__name__}.json"


class _AsWritten(GenerateJsonSchema):
    """A record has all its fields, whatever their defaults, but those added later."""

    def field_is_required(self, field: Any, *_: Any, **__: Any) -> bool:
        return "serialization_exclude_if" not in field


class AsSent(GenerateJsonSchema):
    """A message has all its fields but those left out when there is nothing to say."""

    def field_is_required(self, field: Any, *_: Any, **__: Any) -> bool:
        schema = field["schema"]
        return schema["type"] != "default" or schema.get("default") is not None


def _generator(model: type[BaseModel]) -> type[GenerateJsonSchema]:
    if issubclass(model, Event):
        return _AsWritten
    return AsSent if issubclass(model, Outbound) else GenerateJsonSchema


def _document(model: type[BaseModel]) -> bytes:
    schema: dict[str, Any] = {
        "$schema": _DIALECT,
        **model.model_json_schema(
            by_alias=True,
            mode="validation" if issubclass(model, Inbound) else "serialization",
            schema_generator=_generator(model),
        ),
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(schema, option=options)


def main() -> int:
    """Write all files; remove those of models that are gone."""
    FOLDER.mkdir(exist_ok=True)
    wanted = documents()
    for path in FOLDER.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_bytes(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
