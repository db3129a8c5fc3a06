"""Reads compose files as Docker Compose does, as far as ours go."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from tests.support.shared_data import ROOT

Services = dict[str, dict[str, Any]]

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


class _Instead(NamedTuple):
    """What replaces the value of the file before: it was tagged `!override`."""

    value: object


def _instead(constructor: Any, node: Any) -> _Instead:
    return _Instead(constructor.construct_mapping(node, deep=True))


def document(name: str, variables: Mapping[str, str] = {}) -> dict[str, Any]:
    """Return a file of the project, its variables filled in."""
    yaml = YAML(typ="safe", pure=True)
    yaml.constructor.add_constructor("!override", _instead)
    text = (ROOT / name).read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(_filled_in(text, variables))
    return found


def _filled_in(text: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        given = variables.get(match["name"])
        if given is None and match["kind"] != "-":
            raise KeyError(f"{match['name']}: {match['text']}")
        return match["text"] if given is None else given

    return _VARIABLE.sub(value, text)


def services(*names: str, variables: Mapping[str, str] = {}) -> Services:
    """Return what one or several files, each laid over those before, run."""
    merged: dict[str, Any] = {}
    for name in names:
        merged = _merged(merged, document(name, variables))
    found: Services = merged["services"]
    return found


def _merged(before: Any, after: Any) -> Any:
    match before, after:
        case _, _Instead(value):
            return value
        case dict(), dict():
            return before | {k: _merged(before.get(k), v) for k, v in after.items()}
        case list(), list():
            return [*before, *after]
        case _:
            return after
