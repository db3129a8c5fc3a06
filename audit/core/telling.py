"""One observation, one decision, one value: each as words of a sentence."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from processor.core.prices import Confirmation, Ignored, Judgement, Quote
from schemas.balances import (
    AccountConfirmed,
    AccountRead,
    Balance,
    SubnetRead,
    UserForgotten,
)
from schemas.base import Malformed
from schemas.journal import Commit, Decision, FoldSettings, FoldSettingsV1
from schemas.latest import decode_latest
from schemas.prices import Price, PriceObserved
from schemas.rejects import Reason, Reject
from schemas.tokens import TokenFields, TokenObserved
from schemas.topics import BALANCES_RAW, PRICES_RAW

from .alone import Observation, Step
from .subjects import Key

_MS = 1_000
_SEVERAL = 2


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
        case Decision.SUSPECT if step.judgement is None:
            return (
                "an amount that no balance can have (below 0 or above 2^128-1): "
                "what was held stays"
            )
        case Decision.SUSPECT:
            return price_text(step, commit.settings)
        case _:
            return refusal_text(step.reject, commit.settings)


def _stale(step: Step) -> str:
    said = step.observation.said
    if step.observation.topic == BALANCES_RAW:
        return "not later than what is held"
    return f"{said.source} has already said something later"


def _unchanged(
    step: Step, settings: FoldSettingsV1, before: bytes | None, key: Key
) -> str:
    if step.observation.topic == BALANCES_RAW:
        return _same_balance(step.observation.said, before, key)
    if step.observation.topic != PRICES_RAW:
        return "what is known of the token, taken together, is what it was"
    if step.judgement is not None:
        return price_text(step, settings)
    price = decode_latest(key.key, before or b"")
    usd = price.usd if isinstance(price, Price) else "nothing"
    words = median_of(step.words, settings)
    if settings.price_deviation == "0":
        return f"{words} is still {usd}"
    return (
        f"{words} is within {settings.price_deviation} (a share, the setting "
        f"priceDeviation) of the {usd} published before"
    )


def _same_balance(said: Any, before: bytes | None, key: Key) -> str:
    published = decode_latest(key.key, before) if before is not None else None
    known = published.subnets if isinstance(published, Balance) else {}
    if isinstance(said, SubnetRead) and said.subnet_id not in known:
        return "nothing was ever held in this subnet, so it is no part of the balance"
    return "the balance is what it was"


def median_of(words: Mapping[str, tuple[str, int]], settings: FoldSettingsV1) -> str:
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
    return f"the median of {_listed(said)}"


def _listed(texts: Sequence[str]) -> str:
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last


# ---- why a price is what it is, from generation 2 of the fold on


def price_text(step: Step, settings: FoldSettingsV1) -> str:
    """Return how the quotes were judged and what came of it."""
    judged = step.judgement
    if judged is None or not isinstance(settings, FoldSettings):
        return median_of(step.words, settings)
    told = [
        _counting(judged),
        *_ignored(judged, settings),
        *_choice(judged),
        *_apart(judged, settings),
        *_jump(judged, settings),
    ]
    if step.decision is not Decision.SUSPECT:
        told.append(_verdict(judged, settings))
    return "; ".join(told)


def _counting(judged: Judgement) -> str:
    counting = [_quoted(quote) for quote, ignored in judged.quotes if ignored is None]
    if not counting:
        return "no quote counts"
    return f"{_listed(counting)} {'counts' if len(counting) == 1 else 'count'}"


def _quoted(quote: Quote) -> str:
    return f"{quote.source}'s {quote.usd}"


def _ignored(judged: Judgement, settings: FoldSettings) -> list[str]:
    return [
        f"{_quoted(quote)} does not: {_why_ignored(quote, ignored, settings)}"
        for quote, ignored in judged.quotes
        if ignored is not None
    ]


def _why_ignored(quote: Quote, ignored: Ignored, settings: FoldSettings) -> str:
    if ignored is Ignored.OLD:
        return (
            f"it is of {time_text(quote.time)}, more than {settings.price_max_age_ms} ms "
            "before the newest (the setting priceMaxAgeMs)"
        )
    return (
        f"the source is frozen, it repeats this since {time_text(quote.since)}, more than "
        f"{settings.price_frozen_ms} ms (the setting priceFrozenMs), while another one moves"
    )


def _choice(judged: Judgement) -> list[str]:
    counting = [quote for quote, ignored in judged.quotes if ignored is None]
    if len(counting) < _SEVERAL or judged.chosen is None:
        return []
    if len(counting) % 2:
        return [f"the middle one is {judged.chosen.usd}"]
    both = "of the two" if len(counting) == _SEVERAL else "of the middle two"
    if judged.reference is None and judged.before is None:
        return [f"{both} the lower one is {judged.chosen.usd}"]
    reference = f"{judged.reference}, the price last found while two sources counted"
    if judged.reference is None:
        reference = f"{judged.before}, the price published before"
    return [f"{both} {judged.chosen.usd} is nearer to {reference}"]


def _apart(judged: Judgement, settings: FoldSettings) -> list[str]:
    if judged.apart is None:
        return []
    low, high = judged.apart
    told = (
        f"{_quoted(low)} and {_quoted(high)} disagree: they are more than "
        f"{settings.price_jump_factor} times apart (the setting priceJumpFactor)"
    )
    if judged.agreed:
        return [told]
    return [
        f"{told}, and no two sources have ever agreed, so nothing tells who is right"
    ]


def _jump(judged: Judgement, settings: FoldSettings) -> list[str]:
    chosen = judged.chosen
    if chosen is None or not judged.is_jump:
        return []
    told = (
        f"{judged.usd} is more than {settings.price_jump_factor} times above or below the "
        f"{judged.before} published before (the setting priceJumpFactor)"
    )
    match judged.confirmation:
        case Confirmation.BY_ANOTHER:
            return [f"{told}, and confirmed by another source"]
        case Confirmation.BY_ITSELF:
            return [
                f"{told}, and confirmed by {chosen.source} itself, at a later moment"
            ]
        case _:
            return [
                f"{told}, so it waits until another source confirms it, or {chosen.source} "
                "itself at a later moment"
            ]


def _verdict(judged: Judgement, settings: FoldSettings) -> str:
    if judged.usd is None:
        return f"so {judged.before or 'nothing'} stays published"
    if judged.before is None:
        return "nothing was published before"
    if judged.usd == judged.before:
        return f"that is the {judged.before} published before"
    if settings.price_deviation == "0":
        return f"that differs from the {judged.before} published before"
    return (
        f"against the {judged.before} published before, a difference of up to "
        f"{settings.price_deviation} of it is left out (the setting priceDeviation)"
    )


def refusal_text(reject: Reject | None, settings: FoldSettingsV1) -> str:
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
