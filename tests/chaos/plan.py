"""Which faults come when: a value that follows from a seed and can be given back."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from random import Random
from typing import TypeVar

_Card = TypeVar("_Card")
# Longer than the transactions of the processors may last, with what the broker needs
# to notice.
STOPPED_S = 12.5
_QUIET_S = 4.0
_MEDDLED_S = 6.0


class Kind(Enum):
    """What is done to the system."""

    KILL_PROCESSOR = "kill -9 of a processor"
    STOP_PROCESSOR = "SIGSTOP of a processor, a successor, SIGCONT"
    SCALE = "one processor more, two more, back to one"
    KILL_WRITER = "kill -9 of the writer"
    KILL_BROKER = "kill -9 of the broker, restart"
    DELAY = "an answer of the broker comes late"
    CUT = "a connection is cut instead of an answer"
    LOSE = "an answer of the broker never comes"


class Request(Enum):
    """Whose answers are meddled with; the values are the protocol's numbers."""

    PRODUCE = 0
    FETCH = 1
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    INIT_PRODUCER_ID = 22
    END_TXN = 26


# Asked only by a processor that starts, so one is killed to have them asked.
OF_A_START = frozenset(
    {
        Request.OFFSET_FETCH,
        Request.FIND_COORDINATOR,
        Request.JOIN_GROUP,
        Request.INIT_PRODUCER_ID,
    }
)
ON_ANY_LOG = (
    Kind.KILL_PROCESSOR,
    Kind.STOP_PROCESSOR,
    Kind.SCALE,
    Kind.KILL_WRITER,
)
MEDDLING = (Kind.DELAY, Kind.CUT, Kind.LOSE)
DECKS = {
    "sqlite": ON_ANY_LOG,
    "kafka": (*ON_ANY_LOG, Kind.KILL_BROKER, *MEDDLING),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, counted from the first, and its particulars.

    ``lasts_s`` is how long the trouble stands, ``pick`` chooses among the processors,
    ``count`` answers to ``request`` are meddled with.
    """

    at_s: float
    kind: Kind
    lasts_s: float
    pick: int
    request: Request | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run: all that is left to chance in it but the scheduler's part."""

    seed: int
    minutes: float
    log: str
    faults: Sequence[Fault]


def plan(seed: int, minutes: float, log: str) -> Plan:
    """Return the plan of a seed: three faults a minute and two more.

    Kinds are dealt from a shuffled deck, so each comes once before any comes again, and
    so are the requests that are meddled with.
    """
    draw = Random(f"plan {seed} {log}")
    count = max(1, round(2 + 3 * minutes))
    slot_s = (60 * minutes - _QUIET_S) / count
    kinds = _dealt(DECKS[log], draw)
    requests = _dealt(tuple(Request), draw)
    faults = [
        _fault(
            round(at * slot_s + draw.uniform(0, slot_s / 4), 2), kinds, requests, draw
        )
        for at in range(count)
    ]
    return Plan(seed, minutes, log, faults)


def _dealt(deck: Sequence[_Card], draw: Random) -> Iterator[_Card]:
    while True:
        yield from draw.sample(deck, len(deck))


def _fault(
    at_s: float, kinds: Iterator[Kind], requests: Iterator[Request], draw: Random
) -> Fault:
    kind, pick = next(kinds), draw.randrange(6)
    if kind is Kind.STOP_PROCESSOR:
        return Fault(at_s, kind, STOPPED_S, pick)
    if kind not in MEDDLING:
        return Fault(at_s, kind, round(draw.uniform(0.2, 3.0), 2), pick)
    return Fault(
        at_s, kind, _MEDDLED_S, pick, request=next(requests), count=draw.randint(1, 3)
    )


def as_json(plan: Plan) -> str:
    """Return a plan as one line of JSON."""
    return json.dumps(asdict(plan), default=lambda member: member.name)


def from_json(text: str) -> Plan:
    """Return the plan that ``as_json`` wrote."""
    said = json.loads(text)
    faults = [
        Fault(
            **fault
            | {
                "kind": Kind[fault["kind"]],
                "request": fault["request"] and Request[fault["request"]],
            }
        )
        for fault in said.pop("faults")
    ]
    return Plan(**said, faults=faults)
