"""What all records have in common: strict, frozen, closed, canonical in JSON.

Canonical means RFC 8785 (JCS): keys sorted, no white space, UTF-8, shortest escapes. Our
records hold strings, booleans, null and integers below 2**53 only, for which sorted keys
and minimal escapes are all that the RFC asks. So anyone can derive the same bytes in any
language.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

# The largest integer that every JSON reader holds exactly.
MAX_INT = 2**53 - 1
# No record is larger; the topics of a broker are configured to the same limit.
MAX_RECORD_BYTES = 1_048_576

Count = Annotated[int, Field(ge=0, le=MAX_INT)]
Millis = Annotated[
    int, Field(ge=0, le=MAX_INT, description="Milliseconds since 1970, UTC")
]
Text = Annotated[str, Field(max_length=8_192)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
SourceName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]

_Model = TypeVar("_Model")


def camel(name: str) -> str:
    """Return the JSON name of a field: ``total_sent`` is ``totalSent``.

    pydantic's own would write ``change24H``.
    """
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


class Event(BaseModel):
    """A record of the log; its ``schema`` field names its kind and version.

    Every field is always present in JSON, ``null`` where there is nothing; one that was added
    to a version later is left out instead (``exclude_if``). A field that is
    not declared, or of another type, is refused.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=camel,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are not what they should be; ``field`` is where, ``""`` for the whole.

    Nothing else is kept: the wording of a library's message must not get into a record.
    """

    field: str


def encode(event: BaseModel) -> bytes:
    """Return the canonical bytes of a record."""
    return canonical(event.model_dump(mode="json", by_alias=True))


def canonical(value: Any) -> bytes:
    """Return canonical JSON of plain values (no float, no integer above 2**53)."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def decoder(kind: Any) -> Callable[[bytes], Any]:
    """Return a function that reads bytes as ``kind`` (a model or a union of models).

    It never raises for what the bytes hold: what is not ``kind`` comes back as
    ``Malformed``.
    """
    read = TypeAdapter(kind).validate_json

    def decode(value: bytes) -> Any:
        try:
            # The camelCase names only: a record has one spelling.
            return read(value, by_alias=True, by_name=False)
        except ValidationError as error:
            return Malformed(field=first_field(error))

    return decode


def first_field(error: ValidationError) -> str:
    """Return the dotted path of the first field that a validation refused."""
    problem = error.errors(
        include_url=False, include_input=False, include_context=False
    )
    return ".".join(str(part) for part in problem[0]["loc"])[:200]
