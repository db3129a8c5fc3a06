"""``stacks-feed topics apply|show|rebuild``: create the topics, compare, write again."""

import argparse
import asyncio

import orjson

from app.audits import bar
from app.bootstrap import apply_topics, open_log
from app.commands.service import overrides
from app.configs import wanted_log
from app.rebuild import Rebuilt, rebuild_latest
from app.settings import Settings, read
from app.topics import Applied, Shown, check_identity, harmful, in_words, show
from processor.config import random_term_id
from runtime.clock import SystemClock
from schemas.log import LogIdentity


def run(arguments: argparse.Namespace) -> int:
    """Run the action.

    ``apply`` returns 1 if a topic is such that no service may run, ``show`` for any
    difference.
    """
    settings = read(overrides(arguments))
    action = {"apply": _apply, "show": _show, "rebuild": _rebuild}[arguments.action]
    return asyncio.run(action(settings, as_json=arguments.json))


async def _apply(settings: Settings, *, as_json: bool) -> int:
    applied = await apply_topics(settings, clock=SystemClock())
    print(_json_of_applied(applied) if as_json else _words_of_applied(applied))
    return 1 if harmful(applied.drift) else 0


async def _show(settings: Settings, *, as_json: bool) -> int:
    async with open_log(settings, clock=SystemClock()) as log:
        shown = await show(log, wanted_log(settings))
    print(_json_of_shown(shown) if as_json else _words_of_shown(shown))
    return 0 if shown.as_it_should_be else 1


async def _rebuild(settings: Settings, *, as_json: bool) -> int:
    wanted = wanted_log(settings)
    async with open_log(settings, clock=SystemClock()) as log:

        def check(identity: LogIdentity) -> None:
            network, world = wanted.network, wanted.world
            check_identity(identity, network=network, world=world, where=log.where)

        with bar("reading changes") as progress:
            rebuilt = await rebuild_latest(
                log, check=check, new_term_id=random_term_id, progress=progress
            )
    print(_json_of_rebuilt(rebuilt) if as_json else _words_of_rebuilt(rebuilt))
    return 0


def _words_of_rebuilt(rebuilt: Rebuilt) -> str:
    lines = ["created: latest"] if rebuilt.created else []
    lines += [
        f"shard {each.shard}: {each.written} of {each.keys} values written, "
        f"{each.withdrawn} withdrawn"
        for each in rebuilt.shards
    ]
    lines.append(
        "Start the processors again. Clients are sent everything when they come back."
        if rebuilt.created or any(each.began for each in rebuilt.shards)
        else "latest lacked nothing."
    )
    return "\n".join(lines)


def _json_of_rebuilt(rebuilt: Rebuilt) -> str:
    return _json(
        {
            "created": rebuilt.created,
            "identity": rebuilt.identity.model_dump(mode="json", by_alias=True),
            "shards": [
                {
                    "shard": each.shard,
                    "keys": each.keys,
                    "written": each.written,
                    "withdrawn": each.withdrawn,
                    "newTerm": each.began,
                }
                for each in rebuilt.shards
            ],
        }
    )


def _words_of_applied(applied: Applied) -> str:
    made = ", ".join(applied.created)
    lines = [
        f"created: {made}" if made else "nothing to create",
        f"log {applied.identity.id}, {applied.identity.world.value} world on "
        f"{applied.identity.network.value}, {applied.identity.partitions} partitions",
        *(f"differs: {in_words(drift)}" for drift in applied.drift),
    ]
    if applied.drift:
        lines.append(_HARM if harmful(applied.drift) else _NO_HARM)
        lines.append(_ADVICE)
    return "\n".join(lines)


_HARM = "No service runs with topics like these: records would go astray."
_NO_HARM = "Services run all the same: this only changes how long records are kept."
_ADVICE = (
    "Topics that exist are never altered: use the broker's own tool, or set the settings "
    "to what the topics are."
)


def _json_of_applied(applied: Applied) -> str:
    return _json(
        {
            "created": applied.created,
            "identity": applied.identity.model_dump(mode="json", by_alias=True),
            "drift": applied.drift,
        }
    )


def _words_of_shown(shown: Shown) -> str:
    identity = shown.identity
    head = (
        f"log {identity.id}, {identity.world.value} world on {identity.network.value}"
        if identity
        else "the log has no identity yet"
    )
    lines = [
        head,
        *(
            f"{each.name:14} {each.partitions} partitions, {each.records} offsets used"
            for each in shown.topics
        ),
        *(f"{name:14} missing" for name in shown.missing),
        *(f"differs: {in_words(drift)}" for drift in shown.drift),
    ]
    if shown.lost:
        lines.append(f"{shown.lost}.")
    elif shown.missing or not identity:
        lines.append("Create what is missing with `stacks-feed topics apply`.")
    if shown.drift:
        lines.append(_ADVICE)
    return "\n".join(lines)


def _json_of_shown(shown: Shown) -> str:
    identity = shown.identity
    return _json(
        {
            "identity": identity and identity.model_dump(mode="json", by_alias=True),
            "topics": shown.topics,
            "missing": shown.missing,
            "lost": shown.lost,
            "drift": shown.drift,
        }
    )


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
