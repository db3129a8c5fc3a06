"""One observation, one decision, one value: each as words of a sentence."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.balances import (
    AccountConfirmed,
    AccountRead,
    Balance,
    SubnetRead,
    UserForgotten,
)
from schemas.base import Malformed
from schemas.journal import Commit, Decision, FoldSettings
from schemas.latest import decode_latest
from schemas.prices import Price, PriceObserved
from schemas.rejects import Reason, Reject
from schemas.tokens import TokenFields, TokenObserved
from schemas.topics import BALANCES_RAW, PRICES_RAW

from .alone import Observation, Step
from .subjects import Key

_MS = 1_000


def time_text(time_ms: int) -> str:
    """Return a moment in UTC, to the millisecond."""
    try:
        at = datetime.fromtimestamp(time_ms // _MS, UTC)
    except (OverflowError, ValueError):  # in no year that a calendar has
        return f"{time_ms} ms after 1970"
    return f"{at:%Y-%m-%d %H:%M:%S}.{time_ms % _MS:03}Z"


def place_text(seen: Observation) -> str:
    """Return where an observation stands."""
    return f"{seen.topic}[{seen.shard}] at offset {seen.record.offset}"


# ---- what was said


def said_text(seen: Observation, key: Key | None) -> str:
    """Return who said what and when, as far as it is about a key."""
    said = seen.said
    match said:
        case None:
            taken = time_text(seen.record.time_ms)
            return f"what the log took at {taken} cannot be read"
        case UserForgotten():
            return f"the user was forgotten at {time_text(said.observed_at)}"
        case _:
            at = time_text(said.observed_at)
            return f"{said.source} {_said(said, key)} at {at}"


def _said(said: Any, key: Key | None) -> str:
    match said:
        case PriceObserved():
            return f"said {said.usd}"
        case AccountRead():
            return _read(said, key)
        case AccountConfirmed():
            return "found the account as its last reading says"
        case SubnetRead():
            return f"read {said.balance} in the subnet {said.subnet_id}"
        case TokenObserved():
            return f"said {_fields(said.fields)}"
        case _:
            return "said something"


def _read(said: AccountRead, key: Key | None) -> str:
    if key is None:
        return f"read an account with {len(said.holdings)} tokens"
    for holding in said.holdings:
        if holding.contract_id == key.contract_id:
            return f"read a balance of {holding.balance}"
    return "read the account without this token, which is 0 of it,"


def _fields(fields: TokenFields) -> str:
    known = fields.model_dump(by_alias=True, exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in known.items()) or "nothing"


# ---- what is published


def value_text(key: bytes, value: bytes | None) -> str:
    """Return a value as published in words."""
    if value is None:
        return "withdrawn"
    said = decode_latest(key, value)
    match said:
        case Price():
            return f"{said.usd} USD, version {said.version}"
        case Balance():
            return f"{_parts(said)}, version {said.version}"
        case Malformed():
            return "unreadable"
        case _:
            fields = getattr(said, "fields", TokenFields())
            return f"{_fields(fields)}, version {getattr(said, 'version', '?')}"


def _parts(said: Balance) -> str:
    mainnet = [said.mainnet.balance] if said.mainnet else []
    subnets = [
        f"{part.balance} in the subnet {name}" for name, part in said.subnets.items()
    ]
    return " and ".join([*mainnet, *subnets])


def observed_at(key: bytes, value: bytes | None) -> int | None:
    """Return the moment of the newest observation of a value."""
    said = decode_latest(key, value) if value is not None else None
    found = getattr(said, "observed_at", None)
    return None if found is None else int(found)


# ---- why


def reason_text(step: Step, commit: Commit, *, before: bytes | None, key: Key) -> str:
    """Return why an observation did not change a key; ``before`` is what stood there."""
    match step.decision:
        case Decision.UNCHANGED:
            return _unchanged(step, commit.settings, before, key)
        case Decision.DUPLICATE:
            return "the same of the same moment and source is already held"
        case Decision.STALE:
            return _stale(step)
        case Decision.SUSPECT:
            return (
                "an amount that no balance can have (below 0 or above 2^128-1): "
                "what was held stays"
            )
        case _:
            return refusal_text(step.reject, commit.settings)


def _stale(step: Step) -> str:
    said = step.observation.said
    if step.observation.topic == BALANCES_RAW:
        return "not later than what is held"
    return f"{said.source} has already said something later"


def _unchanged(
    step: Step, settings: FoldSettings, before: bytes | None, key: Key
) -> str:
    if step.observation.topic == BALANCES_RAW:
        return "the balance is what it was"
    if step.observation.topic != PRICES_RAW:
        return "what is known of the token, taken together, is what it was"
    price = decode_latest(key.key, before or b"")
    usd = price.usd if isinstance(price, Price) else "nothing"
    words = median_of(step.words, settings)
    if settings.price_deviation == "0":
        return f"{words} is still {usd}"
    return (
        f"{words} is within {settings.price_deviation} (a share, the setting "
        f"priceDeviation) of the {usd} published before"
    )


def median_of(words: Mapping[str, tuple[str, int]], settings: FoldSettings) -> str:
    """Return which words the median is of, those that are fresh."""
    newest = max((at for _, at in words.values()), default=0)
    fresh = {
        source: usd
        for source, (usd, at) in words.items()
        if at >= newest - settings.price_max_age_ms
    }
    if len(fresh) == 1:
        ((source, usd),) = fresh.items()
        return f"{source}'s {usd}, the only fresh word,"
    said = [f"{source}'s {usd}" for source, usd in fresh.items()]
    return f"the median of {', '.join(said[:-1])} and {said[-1]}"


def refusal_text(reject: Reject | None, settings: FoldSettings) -> str:
    """Return why an observation was refused."""
    if reject is None:
        return "refused"
    if reject.reason is Reason.SCHEMA:
        where = f" at `{reject.field}`" if reject.field else ""
        return f"refused: it does not fit its schema{where}"
    return f"refused: {_REFUSALS[reject.reason].format(settings)}"


_REFUSALS = {
    Reason.FUTURE: (
        "observed more than {0.future_tolerance_ms} ms after the log took it "
        "(the setting futureToleranceMs)"
    ),
    Reason.CONFLICT: "the same source said something else of the same moment",
    Reason.UNKNOWN_READING: "it confirms a reading that is not the one held",
    Reason.FULL: "no more sources or subnets are taken for it",
}
