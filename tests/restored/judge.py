"""Whether clients keep to the table: pure, no socket and no clock."""

from dataclasses import dataclass, field
from typing import NamedTuple

from tests.restored.table import Key, Table, Value

_MOST_SHOWN = 5


class _Differing(NamedTuple):
    value: Value | None
    since_s: float


@dataclass
class Judge:
    """Finds values that a client keeps although the table has others, for ``limit_s``.

    A client may lag: a value that changes while it differs is on its way. One that stays as
    it is, while the table never agrees with it, is old, and nobody told the client.
    """

    limit_s: float
    flaws: list[str] = field(default_factory=list)
    _differing: dict[str, dict[Key, _Differing]] = field(default_factory=dict)

    def look(self, now_s: float, name: str, table: Table, held: Table) -> None:
        """Compare what a client holds with the table of the same moment."""
        before = self._differing.get(name, {})
        now: dict[Key, _Differing] = {}
        for key in differences(table, held):
            value, known = held.get(key), before.get(key)
            if known is None or known.value != value:
                known = _Differing(value, now_s)
            elif now_s - known.since_s > self.limit_s:
                self.flaws.append(
                    f"{name} keeps {_shown(value)} for {_named(key)}, "
                    f"the table has {_shown(table.get(key))}"
                )
                known = _Differing(value, now_s)
            now[key] = known
        self._differing[name] = now

    def pause(self, name: str) -> None:
        """Forget what differed for a client: it is cut off, so nobody can tell it more."""
        self._differing.pop(name, None)


def differences(table: Table, held: Table) -> list[Key]:
    """Return the keys that are not the same in both."""
    keys = table.keys() | held.keys()
    return sorted(key for key in keys if table.get(key) != held.get(key))


def in_words(name: str, table: Table, held: Table) -> str:
    """Say where a client's values are not those of the table; empty if they are."""
    found = differences(table, held)
    if not found:
        return ""
    shown = "; ".join(
        f"{_named(key)} is {_shown(held.get(key))}, not {_shown(table.get(key))}"
        for key in found[:_MOST_SHOWN]
    )
    return f"{name} differs in {len(found)} of {len(table)} keys: {shown}"


def _named(key: Key) -> str:
    return f"{key.user_id} {key.contract_id}" if key.user_id else key.contract_id


def _shown(value: Value | None) -> str:
    if value is None:
        return "nothing"
    return " ".join((f"{value.amount} at {value.at_ms}", *value.parts))
