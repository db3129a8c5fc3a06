"""``stacks-feed audit export``: history as files for a query engine."""

import argparse
import asyncio
from pathlib import Path

import orjson

from app.audits import answering, bar, opened_to_ask
from app.commands.service import overrides
from app.errors import AS_DERIVED, OperatorError, RequestError
from app.settings import Settings, read
from audit.core.cuts import Cut, parse_moment
from audit.errors import NoParquet, WrongFolder
from audit.export import ExportConfig, Exported, export


def run(arguments: argparse.Namespace) -> int:
    """Write what is not yet written; 0."""
    with answering():
        settings = read(overrides(arguments))
        config = ExportConfig(
            what=arguments.what,
            start_ms=_time(arguments.first),
            end_ms=_time(arguments.last),
            suffix=arguments.format,
            folder=Path(arguments.out),
        )
        found = asyncio.run(_export(settings, config))
    if arguments.json:
        print(orjson.dumps(found._asdict()).decode())
    else:
        print(
            f"parts written: {found.written}, with {found.rows:,} rows; "
            f"finished before: {found.finished}"
        )
    return AS_DERIVED


def _time(text: str) -> int:
    moment = parse_moment(text)
    if isinstance(moment, Cut):
        raise RequestError("an export has days, not cuts; give times")
    return moment


async def _export(settings: Settings, config: ExportConfig) -> Exported:
    async with opened_to_ask(settings) as (log, identity):
        with bar("exporting") as progress:
            try:
                return await export(log, identity, config, progress=progress)
            except WrongFolder as error:
                raise RequestError(f"{error}") from None
            except NoParquet as error:
                raise OperatorError(f"{error}") from None
