"""The models of messages as the schemas of a document, with everything they refer to."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    models_json_schema,
)

from app.schemas_export import AsSent
from schemas.wire import Inbound

_AT = "#/components/schemas/"


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Return the reference to a model's schema."""
    return {"$ref": f"{_AT}{model.__name__}"}


def schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """Return the schema of each model, and of those inside them, by name, sorted.

    What clients send is described as it is read, everything else as it is sent: what a
    message leaves out when there is nothing to say is absent, never ``null``.
    """
    wanted = list(dict.fromkeys(models))
    read = [model for model in wanted if issubclass(model, Inbound)]
    sent = [model for model in wanted if not issubclass(model, Inbound)]
    found = _definitions(sent, "serialization", AsSent)
    found = {name: _never_null(schema) for name, schema in found.items()}
    found |= _definitions(read, "validation", GenerateJsonSchema)
    return {name: _tidy(found[name]) for name in sorted(found)}


def summary(model: type[BaseModel]) -> str:
    """Return the first sentence of a model's docstring."""
    return _plain((model.__doc__ or "").split("\n\n")[0]).rstrip(".")


def _definitions(
    models: Iterable[type[BaseModel]],
    mode: JsonSchemaMode,
    generator: type[GenerateJsonSchema],
) -> dict[str, Any]:
    _, schema = models_json_schema(
        [(model, mode) for model in models],
        ref_template=f"{_AT}{{model}}",
        schema_generator=generator,
    )
    found: dict[str, Any] = schema.get("$defs", {})
    return found


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Take ``null`` out of the fields that are left out instead."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        if name not in required and "anyOf" in field:
            (value,) = (kind for kind in field["anyOf"] if kind != {"type": "null"})
            schema["properties"][name] = value
    return schema


def _tidy(schema: Any, *, naming: bool = False) -> Any:
    """Drop what says nothing: titles made from names, and the marks of our docstrings.

    ``naming``: the keys are names of fields.
    """
    match schema:
        case dict():
            return {
                key: _plain(value)
                if key == "description" and isinstance(value, str)
                else _tidy(value, naming=key in {"properties", "$defs"})
                for key, value in schema.items()
                if naming or key not in {"title", "default"}
            }
        case list():
            return [_tidy(each) for each in schema]
        case _:
            return schema


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
