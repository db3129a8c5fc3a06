"""The settings of the fold in the form in which the folds ask for them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, final

from schemas.amounts import PRICE_PLACES
from schemas.journal import Decision, FoldSettings, FoldSettingsV1
from schemas.rejects import Reason


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that decide, and the shard; ``price_deviation`` counts units of 1e-18.

    ``zero_is_news`` tells whether a first reading of 0 in a subnet is published.
    """

    shard: int
    price_max_age_ms: int
    price_deviation: int
    future_tolerance_ms: int
    token_sources: tuple[str, ...]
    price_frozen_ms: int
    price_jump_factor: int
    zero_is_news: bool

    @classmethod
    def of(cls, settings: FoldSettingsV1, *, shard: int) -> "Rules":
        """Return the rules that ``settings`` mean for a shard, by their generation."""
        newer = settings if isinstance(settings, FoldSettings) else None
        whole, _, fraction = settings.price_deviation.partition(".")
        return cls(
            shard=shard,
            price_max_age_ms=settings.price_max_age_ms,
            price_deviation=int(whole + fraction.ljust(PRICE_PLACES, "0")),
            future_tolerance_ms=settings.future_tolerance_ms,
            token_sources=settings.token_sources,
            price_frozen_ms=newer.price_frozen_ms if newer else 0,
            price_jump_factor=newer.price_jump_factor if newer else 0,
            zero_is_news=newer is None,
        )

    def ranked(self, sources: Iterable[str]) -> list[str]:
        """Return sources of token metadata, the one whose word goes first first."""
        present = set(sources)
        named = [source for source in self.token_sources if source in present]
        return [*dict.fromkeys(named), *sorted(present - set(named))]


@final
class Refused(NamedTuple):
    """An observation goes to ``rejects``; ``field`` is where a record does not fit."""

    reason: Reason
    field: str = ""


# A key of ``latest`` and its new value; ``None`` withdraws it.
Published = tuple[bytes, bytes | None]


class Outcome(NamedTuple):
    """What a fold did: a decision a part, and values in the order they go out."""

    decisions: tuple[Decision, ...]
    published: tuple[Published, ...] = ()


CONFLICT = Refused(Reason.CONFLICT)
FULL = Refused(Reason.FULL)
FUTURE = Refused(Reason.FUTURE)
UNKNOWN_READING = Refused(Reason.UNKNOWN_READING)
WRONG_KEY = Refused(Reason.SCHEMA, "key")
TOMBSTONE = Refused(Reason.SCHEMA, "")
