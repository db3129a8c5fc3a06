"""An explanation as plain values, for a program to read."""

from base64 import b64encode
from typing import Any

from processor.core.prices import Judgement
from schemas.base import Malformed
from schemas.journal import Commit
from schemas.latest import decode_latest
from schemas.rejects import Reject

from .alone import Observation, Step
from .difference import shown
from .explained import Change, Explanation, Stretch

Plain = dict[str, Any]


def plainly(found: Explanation) -> Plain:
    """Return all that an explanation holds, in values of JSON."""
    key = found.key.key
    return {
        "key": key.decode(),
        "shard": found.shard,
        "commit": found.commit,
        "value": found.value and _change(key, found.value),
        "previous": found.previous and _change(key, found.previous),
        "standsOn": [observation(seen) for seen in found.stands_on],
        "led": _stretch(found.led),
        "since": _stretch(found.since),
        "commits": {f"{n}": commit_facts(said) for n, said in found.commits.items()},
        "notDerived": found.begins,
        "declared": found.declared,
    }


def _change(key: bytes, change: Change) -> Plain:
    said = decode_latest(key, change.value) if change.value is not None else None
    is_read = said is not None and not isinstance(said, Malformed)
    return {
        "value": None if change.value is None else shown(change.value),
        "version": getattr(said, "version", None) if is_read else None,
        "observedAt": getattr(said, "observed_at", None) if is_read else None,
        "offset": change.offset,
        "commit": change.commit,
        "logTime": change.log_time,
        "journalOffset": change.journal,
    }


def observation(seen: Observation) -> Plain:
    """Return an observation with its place and its bytes, these as base64."""
    record, said = seen.record, seen.said
    return {
        "topic": seen.topic,
        "partition": seen.shard,
        "offset": record.offset,
        "appendTime": record.time_ms,
        "source": getattr(said, "source", None),
        "observedAt": getattr(said, "observed_at", None),
        "sequence": getattr(said, "sequence", None),
        "said": said and said.model_dump(mode="json", by_alias=True),
        "bytes": None if record.value is None else b64encode(record.value).decode(),
    }


def _stretch(stretch: Stretch) -> Plain:
    return {
        "decided": {what.value: count for what, count in stretch.decided.items()},
        "silent": stretch.silent,
        "passed": stretch.passed,
        "steps": [step_facts(step) for step in stretch.steps],
    }


def step_facts(step: Step) -> Plain:
    """Return what became of one observation."""
    return {
        "observation": observation(step.observation),
        "commit": step.commit,
        "decision": step.decision and step.decision.value,
        "reject": step.reject and _reject(step.reject),
        "published": {
            shown(key): None if value is None else shown(value)
            for key, value in step.published.items()
        },
        "words": {name: list(word) for name, word in step.words.items()},
        "judgement": step.judgement and _judgement(step.judgement),
    }


def _judgement(judged: Judgement) -> Plain:
    """Return how a quote was judged together with those of the other sources."""
    chosen, suspect, apart = judged.chosen, judged.suspect, judged.apart
    return {
        "quotes": {
            quote.source: {
                "usd": quote.usd,
                "observedAt": quote.observed_at,
                "time": quote.time,
                "since": quote.since,
                "offset": quote.offset,
                "counts": ignored is None,
                "ignored": ignored and ignored.value,
            }
            for quote, ignored in judged.quotes
        },
        "before": judged.before,
        "reference": judged.reference,
        "value": judged.usd,
        "source": chosen and chosen.source,
        "isJump": judged.is_jump,
        "confirmedBy": judged.confirmation and judged.confirmation.value,
        "suspectBefore": suspect
        and {
            "source": suspect.source,
            "usd": suspect.usd,
            "moment": list(suspect.moment),
        },
        "disagreement": apart and [quote.source for quote in apart],
        "agreed": judged.agreed,
    }


def _reject(reject: Reject) -> Plain:
    return reject.model_dump(mode="json", by_alias=True)


def commit_facts(said: Commit) -> Plain:
    """Return by what a commit folded."""
    return {
        "logTime": said.log_time,
        "generation": said.generation,
        "settings": said.settings.model_dump(mode="json", by_alias=True),
    }
