"""What would have been published, beside what was: counted, and some of it shown."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from processor.core.batch import Output
from schemas.amounts import EXACT
from schemas.base import camel
from schemas.journal import FoldSettings, FoldSettingsV1

# Of each kind of difference so many are kept.
EXAMPLES = 5


class How(Enum):
    """How a value that would be published compares with what the log holds."""

    SAME = "same"
    ADDED = "added"
    MISSING = "missing"
    DIFFERENT = "different"


class Example(NamedTuple):
    """One difference; a value that only one side has is ``None`` on the other."""

    how: How
    shard: int
    commit: int
    key: bytes
    written: bytes | None
    other: bytes | None


class Largest(NamedTuple):
    """The largest relative difference of two numbers, and where it is."""

    share: Decimal
    example: Example


@dataclass(slots=True)
class Comparison:
    """Counts by kind of key and by how, and per key what is not the same.

    Memory grows with the keys that differ, not with history. ``begins`` names, by shard, the
    last commit that could not be compared, because history before it is gone.
    """

    counts: Counter[tuple[str, How]] = field(default_factory=Counter)
    keys: Counter[bytes] = field(default_factory=Counter)
    largest: dict[str, Largest] = field(default_factory=dict)
    examples: dict[tuple[str, How], list[Example]] = field(default_factory=dict)
    begins: dict[int, int] = field(default_factory=dict)

    @property
    def is_different(self) -> bool:
        """Whether anything is not the same."""
        return bool(self.keys)

    def commit(
        self,
        written: Iterable[tuple[bytes | None, bytes | None]],
        other: Iterable[Output],
        *,
        shard: int,
        commit: int,
    ) -> None:
        """Compare what one commit published with what it would have.

        Of a key, values that stand on the same newest observation are a pair; versions
        are not compared, for those that follow count on.
        """
        ours, theirs = _by_key(written), _by_key((k, v) for k, v, _ in other)
        for key in {**ours, **theirs}:
            pairs = _pairs(ours.get(key, ()), theirs.get(key, ()))
            for how, one, another in pairs:
                self._count(Example(how, shard, commit, key, one, another))

    def add(self, more: "Comparison") -> None:
        """Take in what was found in another shard."""
        self.counts += more.counts
        self.keys += more.keys
        for kind, largest in more.largest.items():
            self._look_at(kind, largest)
        self.begins |= more.begins
        for at, examples in more.examples.items():
            held = self.examples.setdefault(at, [])
            held += examples[: EXAMPLES - len(held)]

    def _count(self, example: Example) -> None:
        kind = example.key.partition(b":")[0].decode(errors="replace")
        self.counts[kind, example.how] += 1
        if example.how is How.SAME:
            return
        self.keys[example.key] += 1
        held = self.examples.setdefault((kind, example.how), [])
        if len(held) < EXAMPLES:
            held.append(example)
        share = _share(example)
        if share is not None:
            self._look_at(kind, Largest(share, example))

    def _look_at(self, kind: str, found: Largest) -> None:
        held = self.largest.get(kind)
        if held is None or found.share > held.share:
            self.largest[kind] = found


class _Value(NamedTuple):
    """A value with what it is paired by, and what of it is compared."""

    value: bytes | None
    newest: int
    content: Mapping[str, Any]


def _by_key(
    outputs: Iterable[tuple[bytes | None, bytes | None]],
) -> dict[bytes, list[_Value]]:
    found: dict[bytes, list[_Value]] = {}
    for key, value in outputs:
        found.setdefault(key or b"", []).append(_read(value))
    return found


def _read(value: bytes | None) -> _Value:
    if value is None:
        return _Value(None, -1, {})
    said = _parsed(value)
    newest = max((origin[2] for origin in said.get("origins", ())), default=-1)
    said.pop("version", None)
    return _Value(value, newest, said)


def _parsed(value: bytes) -> dict[str, Any]:
    """Return a value of the log; one that is not as we write it is just another."""
    try:
        said = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {"unreadable": value}
    return said if isinstance(said, dict) else {"unreadable": value}


def _pairs(
    ours: Sequence[_Value], theirs: Sequence[_Value]
) -> Iterator[tuple[How, bytes | None, bytes | None]]:
    """Pair values that stand on the same newest observation, in their order."""
    waiting: dict[int, list[_Value]] = {}
    for value in theirs:
        waiting.setdefault(value.newest, []).append(value)
    for value in ours:
        others = waiting.get(value.newest)
        if not others:
            yield How.MISSING, value.value, None
            continue
        other = others.pop(0)
        how = How.SAME if other.content == value.content else How.DIFFERENT
        yield how, value.value, other.value
    for others in waiting.values():
        yield from ((How.ADDED, None, other.value) for other in others)


def _share(example: Example) -> Decimal | None:
    """Return by which share of the first the two numbers differ, if there are two."""
    before, after = _number(example.written), _number(example.other)
    if before is None or after is None or not before:
        return None
    return EXACT.divide(abs(EXACT.subtract(after, before)), abs(before))


def _number(value: bytes | None) -> Decimal | None:
    said = _parsed(value) if value is not None else {}
    if said.get("schema") == "price/1":
        return Decimal(said["usd"])
    if said.get("schema") == "balance/1":
        parts = [*said["subnets"].values(), said["mainnet"] or {"balance": "0"}]
        return sum((Decimal(part["balance"]) for part in parts), Decimal(0))
    return None


# ---- other settings


class WrongSetting(ValueError):
    """What was given is no setting of the fold, or not a value of it."""


def settings_in(given: Iterable[str]) -> dict[str, object]:
    """Read ``NAME=VALUE`` pairs of settings of the fold; raise ``WrongSetting``.

    Names are those of a journal record (``priceDeviation``), a list has commas.
    """
    fields = {camel(name): name for name in FoldSettings.model_fields}
    changed: dict[str, object] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or name not in fields:
            names = ", ".join(fields)
            raise WrongSetting(f"{text!r} is no NAME=VALUE; names are {names}")
        changed[fields[name]] = _typed(fields[name], value)
    try:
        FoldSettings.model_validate({**changed})
    except ValidationError as error:
        name = camel(f"{error.errors()[0]['loc'][0]}")
        raise WrongSetting(f"{name} cannot be that") from None
    return changed


def _typed(name: str, value: str) -> object:
    default = FoldSettings.model_fields[name].default
    if isinstance(default, tuple):
        return tuple(value.split(","))
    if isinstance(default, int):
        return int(value) if value.isdecimal() else value
    return value


def changed_settings(
    settings: FoldSettingsV1, changed: Mapping[str, object], *, generation: int
) -> FoldSettingsV1:
    """Return settings of a generation with some of them changed; raise ``WrongSetting``.

    It is raised for a setting that this generation of the fold does not have.
    """
    for name in changed:
        if name not in type(settings).model_fields:
            raise WrongSetting(
                f"generation {generation} of the fold has no setting {camel(name)}; "
                "--generation chooses one that has"
            )
    return settings.model_copy(update=dict(changed))
