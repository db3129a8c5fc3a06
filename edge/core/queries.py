"""Parses the query of a request; nothing that a client sends raises.

A list may be written in every way that generated clients write one: ``tokens=a,b``,
``tokens=a&tokens=b`` or both; on the resources that came after the base protocol also
``tokens[]=a`` and ``tokens[0]=a``. Those resources refuse a parameter that they do not have:
ignored, a misspelt ``token=`` would be answered with everything. The addresses of the base
protocol ignore such parameters, because its clients send what they like.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from schemas.wire import Party

LIST_NAMES: dict[Party, str] = {"prices": "tokens", "balances": "users"}
SINCE = "since"
# Sent by polyfills of EventSource that cannot set the header ``Last-Event-ID``.
LAST_EVENT_ID = "lastEventId"
_INDEX = re.compile(r"\[[0-9]{0,4}\]")
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Query:
    """Ids as written, ``None`` without a list, and the cursor that the client has."""

    ids: tuple[str, ...] | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True)
class BadQuery:
    """Why a query is refused: a word for programs, a sentence for people."""

    error: Literal["unknown-parameter", "repeated-parameter", "too-many-ids"]
    message: str


def read_query(
    pairs: Iterable[tuple[str, str]],
    party: Party,
    *,
    strict: bool,
    events: bool = False,
    most_ids: int = 0,
) -> Query | BadQuery:
    """Read the parameters of a query in their order.

    ``strict`` refuses unknown ones. A stream of ``events`` also takes ``lastEventId``,
    which wins over ``since``. With ``most_ids`` above 0 longer lists are refused.
    """
    list_name = LIST_NAMES[party]
    known = (list_name, SINCE, *((LAST_EVENT_ID,) if events else ()))
    values: dict[str, list[str]] = {}
    for written, value in pairs:
        name = _plain(written, list_name) if strict else written
        if name in known:
            values.setdefault(name, []).append(value)
        elif strict:
            return BadQuery("unknown-parameter", _unknown(written, known))
    for name in (SINCE, LAST_EVENT_ID):
        if len(values.get(name, ())) > 1:
            return BadQuery("repeated-parameter", f"`{name}` stands there twice")
    ids = _joined(values.get(list_name))
    if most_ids and len(ids or ()) > most_ids:
        return BadQuery("too-many-ids", f"at most {most_ids} ids in a list")
    cursors = values.get(LAST_EVENT_ID, []) + values.get(SINCE, [])
    return Query(ids, cursors[0] if cursors else None)


def _plain(written: str, list_name: str) -> str:
    """Return the name of a parameter without the brackets of a list."""
    is_indexed = written.startswith(list_name) and _INDEX.fullmatch(
        written[len(list_name) :]
    )
    return list_name if is_indexed else written


def _joined(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the ids of all lists together; what is empty names none."""
    if values is None:
        return None
    return tuple(each.strip() for value in values if value for each in value.split(","))


def _unknown(written: str, known: Sequence[str]) -> str:
    shown = written[:_SHOWN_CHARACTERS].encode(errors="replace").decode()
    near = get_close_matches(written.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean `{near[0]}`?" if near else "."
    every = ", ".join(f"`{name}`" for name in known)
    return f"there is no parameter `{shown}`{hint} There are {every}."
