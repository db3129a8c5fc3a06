"""The fold of balances, as docs/fold.md says it.

Every mainnet part carries what it needs itself: a part that follows the account is
rewritten whenever the account moves. That is slow, and has no second way to go wrong.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.support.oracle.outcome import MAX_SUBNETS, Moment, Outcome, moment_of
from tests.support.oracle.text import sha256

MAX_AMOUNT = 2**128 - 1
LONG_AGO: Moment = (-1, -1)


@dataclass
class Part:
    """One layer of one balance, with the moment that it is held at."""

    amounts: dict[str, Any]
    moment: Moment
    observed_at: int
    source: str
    origin: list[Any]
    follows: bool = False
    base: str = ""
    # A subnet part that is not held is in no published value.
    held: bool = True


@dataclass
class Reading:
    """The newest whole reading of an account."""

    source: str
    moment: Moment
    sha256: str


@dataclass
class User:
    """What is known of one user."""

    account: Moment = LONG_AGO
    reading: Reading | None = None
    forgotten: Moment = LONG_AGO
    mainnet: dict[str, Part] = field(default_factory=dict)
    subnets: dict[str, Part] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)


class Balances:
    """What is known of every user; ``generation`` is that of the fold."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.users: dict[str, User] = {}

    def fold(self, seen: dict[str, Any], origin: list[Any], value: bytes) -> Outcome:
        name = seen["userId"]
        user = self.users.setdefault(name, User())
        match seen["schema"]:
            case "account.read/1":
                outcome, tokens = account_read(user, seen, origin, sha256(value))
            case "account.confirmed/1":
                outcome, tokens = account_confirmed(user, seen), []
            case "subnet.read/1":
                outcome, tokens = subnet_read(
                    user, seen, origin, zero_counts=self.generation == 1
                )
            case _:
                outcome, tokens = user_forgotten(user, seen)
        for token in sorted(tokens):
            key = f"balance:{name}:{token}"
            outcome.published.append((key, published(user, name, token)))
        return outcome


def account_read(
    user: User, seen: dict[str, Any], origin: list[Any], digest: str
) -> tuple[Outcome, list[str]]:
    now, known = moment_of(seen), user.reading
    if known and (known.source, known.moment) == (seen["source"], now):
        equal = known.sha256 == digest
        return Outcome.one("duplicate") if equal else Outcome.refused("conflict"), []
    newer = now > user.account
    said = {held["contractId"]: held for held in seen["holdings"]}
    outcome, changed = Outcome(), []
    for token in sorted(set(said) | set(user.mainnet)):
        decision = read_one(user, token, said.get(token), seen, origin)
        outcome.decisions.append(decision)
        if decision == "published":
            changed.append(token)
    if not outcome.decisions:
        outcome.decisions.append("unchanged" if newer else "stale")
    if newer:
        user.account = now
        user.reading = Reading(seen["source"], now, digest)
    return outcome, changed


def read_one(
    user: User,
    token: str,
    holding: dict[str, Any] | None,
    seen: dict[str, Any],
    origin: list[Any],
) -> str:
    """Decide on one token of a whole reading; set its part."""
    part = user.mainnet.get(token)
    if moment_of(seen) <= (part.moment if part else user.account):
        return "stale"
    if holding and not is_sound(holding):
        if part:
            part.follows = False
        return "suspect"
    before = part.amounts if part else None
    if holding:
        amounts = {name: holding[name] for name in AMOUNTS}
    else:
        # In neither: then the token would not be asked about.
        assert before is not None
        amounts = before | {"balance": "0"}
    user.mainnet[token] = Part(
        amounts,
        moment_of(seen),
        seen["observedAt"],
        seen["source"],
        origin,
        follows=moment_of(seen) > user.account,
    )
    return "unchanged" if amounts == before else "published"


AMOUNTS = ("balance", "totalSent", "totalReceived")


def is_sound(holding: dict[str, Any]) -> bool:
    said = [holding.get(name) for name in AMOUNTS]
    return all(0 <= int(amount) <= MAX_AMOUNT for amount in said if amount is not None)


def account_confirmed(user: User, seen: dict[str, Any]) -> Outcome:
    if moment_of(seen) <= user.account:
        return Outcome.one("stale")
    if user.reading is None or user.reading.sha256 != seen["reading"]:
        return Outcome.refused("unknown-reading")
    user.account = moment_of(seen)
    for part in user.mainnet.values():
        if part.follows:
            part.moment = user.account
    return Outcome.one("unchanged")


def subnet_read(
    user: User, seen: dict[str, Any], origin: list[Any], *, zero_counts: bool
) -> tuple[Outcome, list[str]]:
    now, part = moment_of(seen), user.subnets.get(seen["subnetId"])
    passed_over = subnet_passed_over(user, part, seen)
    if passed_over is not None:
        return passed_over, []
    moved = part is None or part.base != seen["baseId"]
    under_base = [p for p in user.subnets.values() if p.base == seen["baseId"]]
    if moved and len(under_base) == MAX_SUBNETS:
        return Outcome.refused("full"), []
    was_held = part is not None and part.held
    user.subnets[seen["subnetId"]] = Part(
        said(seen),
        now,
        seen["observedAt"],
        seen["source"],
        origin,
        base=seen["baseId"],
        held=was_held or zero_counts or int(seen["balance"]) > 0,
    )
    is_same = part is not None and was_held and part.amounts == said(seen)
    if not user.subnets[seen["subnetId"]].held or (is_same and not moved):
        return Outcome.one("unchanged"), []
    left = {part.base} if part is not None and was_held else set()
    return Outcome.one("published"), list({seen["baseId"]} | left)


def subnet_passed_over(
    user: User, part: Part | None, seen: dict[str, Any]
) -> Outcome | None:
    """Return why a reading of a subnet is not applied."""
    now = moment_of(seen)
    if part and (part.source, part.moment) == (seen["source"], now):
        equal = part.amounts == said(seen) and part.base == seen["baseId"]
        return Outcome.one("duplicate") if equal else Outcome.refused("conflict")
    if now <= (part.moment if part else user.forgotten):
        return Outcome.one("stale")
    return None if is_sound(seen) else Outcome.one("suspect")


def said(seen: dict[str, Any]) -> dict[str, Any]:
    return {"balance": seen["balance"]}


def subnets_of(user: User, base: str) -> list[tuple[str, Part]]:
    """Return the parts of a base that are published."""
    parts = sorted(user.subnets.items())
    return [(name, part) for name, part in parts if part.held and part.base == base]


def user_forgotten(user: User, seen: dict[str, Any]) -> tuple[Outcome, list[str]]:
    now = moment_of(seen)
    known = [user.account, user.forgotten, *(p.moment for p in user.subnets.values())]
    if now <= max(known):
        return Outcome.one("stale"), []
    held = [part for part in user.subnets.values() if part.held]
    tokens = set(user.mainnet) | {part.base for part in held}
    user.account = user.forgotten = now
    user.reading, user.mainnet, user.subnets = None, {}, {}
    return Outcome(["published"] * len(tokens) or ["unchanged"]), list(tokens)


def published(user: User, name: str, token: str) -> dict[str, Any] | None:
    """Return what is published of one token now; nothing without any part."""
    mainnet, subnets = user.mainnet.get(token), subnets_of(user, token)
    parts = [part for _, part in subnets]
    if mainnet:
        parts.insert(0, mainnet)
    if not parts:
        return None
    user.versions[token] = user.versions.get(token, 0) + 1
    return {
        "schema": "balance/1",
        "userId": name,
        "contractId": token,
        "mainnet": layer(mainnet) if mainnet else None,
        "subnets": {subnet: layer(part) for subnet, part in subnets},
        "version": user.versions[token],
        "observedAt": max(part.observed_at for part in parts),
        "origins": [part.origin for part in parts],
    }


def layer(part: Part) -> dict[str, Any]:
    return part.amounts | {"observedAt": part.observed_at}
