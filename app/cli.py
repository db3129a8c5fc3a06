"""The command line: parses, loads the one command asked for, turns errors into a line."""

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from app.audit_options import add_audit
from app.errors import in_one_line
from app.keys import SPELLINGS
from app.moments import WORDS, is_ago, moment
from runtime import logs
from runtime.supervisor import leaves

PROGRAM = "stacks-feed"
_WRONG_REQUEST, _INTERRUPTED, _BROKEN_PIPE = 2, 130, 141
_NOT_OTHERS = 0o077


class Command(NamedTuple):
    """A sub-command: where its ``run(arguments) -> exit code`` is, and its options."""

    name: str
    help: str
    module: str
    options: Callable[[argparse.ArgumentParser], None]


def _add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log",
        metavar="WHERE",
        help="path, sqlite:///path or kafka://host:port (STACKS_FEED_LOG)",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        default=None,
        help="the real upstreams, not the simulator (STACKS_FEED_LIVE)",
    )


def _add_service(parser: argparse.ArgumentParser) -> None:
    _add_log(parser)
    # `up` sets it: a child whose parent was killed must not live on.
    parser.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)


def _add_edge(parser: argparse.ArgumentParser) -> None:
    _add_service(parser)
    _add_port(parser)
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that serve the port together (STACKS_FEED_WORKERS, 1)",
    )


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=int, help="port of the edge (STACKS_FEED_PORT, 1999)"
    )


def _add_up(parser: argparse.ArgumentParser) -> None:
    _add_log(parser)
    _add_port(parser)


def _add_topics(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (
        ("apply", "create what is missing, report what differs; never deletes"),
        ("show", "say what is there and how it differs"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        _add_log(action)
        _add_json(action)
    text = (
        "write a topic again that was deleted or has lost records; stop the processors "
        "before"
    )
    rebuild = actions.add_parser("rebuild", help=text, description=_REBUILD)
    rebuild.add_argument("topic", choices=["latest"], metavar="latest")
    _add_log(rebuild)
    _add_json(rebuild)


_REBUILD = (
    "Write the table (topic latest) again from the newest snapshot and the changes after "
    "it, where it was deleted or has lost records. Only what is missing is written, so it "
    "may be interrupted and run again. Stop the processors before. Every client is sent "
    "everything once when it comes back."
)


def _add_backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "copy", metavar="COPY", help="the file to write; must not exist"
    )
    _add_log(parser)


def _add_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("copy", metavar="COPY", help="the file to put in place")
    _add_log(parser)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for a program to read")


def _add_tail(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "keys",
        nargs="*",
        metavar="KEY",
        help=SPELLINGS,
    )
    parser.add_argument(
        "--no-snapshot", action="store_true", help="only what changes from now on"
    )
    parser.add_argument(
        "--from",
        dest="start",
        type=moment,
        metavar="WHERE",
        help="every published value since then, none left out: `beginning`, a time, "
        f"{WORDS}, or the `cursor` of the last line that --json printed",
    )
    parser.add_argument(
        "--until-end",
        action="store_true",
        help="with --from: stop at what there is now",
    )
    _add_log(parser)
    _add_json(parser)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    _add_log(parser)
    _add_json(parser)


_BACKFILL = """\
Read all FILEs, check them, print the plan, and then write it.

A FILE may be
  .jsonl, .ndjson   a record of a raw topic in each line, or an object of the columns
  .csv, .tsv        the columns, named in the first line; by , ; | or tab
  .parquet          the columns
  a folder          the observations that `audit export --what observations` wrote there
Text may be compressed (.gz); UTF-8, UTF-16 and UTF-32, with LF, CR LF and CR, are read.

Columns of prices, in any order, others are ignored:
  contractId   SP….token, or .stx
  source       who said it: lower-case letters, digits, . _ -
  usd          the price in USD, as 0.25 or 2.5e-7
  observedAt   when it was said: milliseconds since 1970 (see --unit), a time as
               2020-12-01T00:00:00Z (UTC without a zone), or a column of times in Parquet
  sequence     optional: the order within one millisecond, default 0

Lines may stand in any order. Nothing is written while any line is bad, unless --skip-bad
is given. A run that was interrupted goes on when it is started again. All that there is of
a token or a user goes into one run: a key that has anything newer in the log is refused.
docs/backfill.md tells more."""


def _add_backfill(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _BACKFILL
    parser.epilog = (
        "Exit codes: 0 all rows are in the log (or would be), 1 something was refused, "
        "2 a wrong request."
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="JSON Lines, CSV or Parquet, or the folder of an export",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the plan and write nothing"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out bad lines, write the others"
    )
    parser.add_argument(
        "--unit",
        choices=("auto", "s", "ms", "us", "ns"),
        default="ms",
        help="unit of the numbers in observedAt: seconds, milliseconds (the default), "
        "microseconds, nanoseconds, or auto: what the first row of each file looks like",
    )
    _add_log(parser)
    _add_json(parser)


def _add_health(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        help="where the service answers, as http://127.0.0.1:1999",
    )


def _add_nothing(parser: argparse.ArgumentParser) -> None:
    """The command has no options."""


_SERVICE = "app.commands.service"
COMMANDS = (
    Command("up", "run everything on this machine", "app.commands.up", _add_up),
    Command("ingest", "read upstreams into the log", _SERVICE, _add_service),
    Command("processor", "fold what was read into values", _SERVICE, _add_service),
    Command("edge", "serve the values to clients", _SERVICE, _add_edge),
    Command("simulator", "stand in for the upstreams", _SERVICE, _add_service),
    Command("topics", "create or show the topics", "app.commands.topics", _add_topics),
    Command(
        "backup",
        "copy a SQLite log while services use it",
        "app.commands.backup",
        _add_backup,
    ),
    Command(
        "restore",
        "put a copy of a SQLite log in its place",
        "app.commands.restore",
        _add_restore,
    ),
    Command(
        "backfill", "write history into the log", "app.commands.backfill", _add_backfill
    ),
    Command("tail", "follow the published values", "app.commands.tail", _add_tail),
    Command(
        "doctor", "check everything, say what to do", "app.commands.doctor", _add_doctor
    ),
    Command(
        "health", "ask a service if it is ready", "app.commands.health", _add_health
    ),
    Command(
        "audit",
        "ask the log whether it is right",
        "app.commands.audit_verify",
        add_audit,
    ),
    Command("settings", "list every setting", "app.commands.settings", _add_nothing),
)


class _Version(argparse.Action):
    """Says version and commit; they are looked for only when somebody asks."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **more)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        build = import_module("app.build")
        commit = build.commit()
        known = "" if commit == build.UNKNOWN else f" (commit {commit})"
        print(f"{PROGRAM} {build.version()}{known}")
        parser.exit()


_CHOICE = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)")


# Actions of a command that are taken for commands.
_ACTIONS = {
    action: [f"{command} {action}"]
    for command, actions in {
        "audit": ("verify", "explain", "as-of", "diff", "export", "watch"),
        "topics": ("apply",),
    }.items()
    for action in actions
}


class _Parser(argparse.ArgumentParser):
    """Says for a misspelt command or choice which one may have been meant."""

    def error(self, message: str) -> NoReturn:
        wrong = _CHOICE.search(message)
        if wrong is not None:
            choices = [choice.strip("'\" ") for choice in wrong[2].split(",")]
            close = _ACTIONS.get(wrong[1]) or get_close_matches(wrong[1], choices, n=1)
            message += f"; did you mean {close[0]}?" if close else ""
        super().error(message)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog=PROGRAM,
        description="Live prices and balances of the Stacks blockchain, from an event log.",
        epilog="Every setting is an environment variable STACKS_FEED_… or a line in .env: "
        f"`{PROGRAM} settings` lists them all, docs/settings.md too.",
    )
    parser.add_argument(
        "--version", action=_Version, help="say which version this is, of which commit"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        own = commands.add_parser(
            command.name, help=command.help, description=command.help.capitalize() + "."
        )
        own.set_defaults(module=command.module)
        # An action of a command may have a module of its own.
        command.options(own)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    Trouble that an operator can act upon is one line on stderr and 1, a wrong request or
    setting 2; anything else is a bug and shows its traceback.
    """
    _show_whatever_is_said()
    given = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    if not given:
        parser.exit(_WRONG_REQUEST, parser.format_help())
    # A parser of options takes `-5m` for one of them.
    arguments = parser.parse_args(
        [f"now{each}" if is_ago(each) else each for each in given]
    )
    # Services set up their own; the others say what is wrong by themselves.
    logs.configure(arguments.command, level="CRITICAL")
    _keep_files_private()
    run: Callable[[argparse.Namespace], int] = import_module(arguments.module).run
    try:
        # Also a command that needs no setting says that one is misspelt; `settings` does
        # after it has listed them.
        if arguments.command != "settings":
            import_module("app.settings").refuse_unknown()
        return run(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # `… | head` has read enough: at exit Python would complain that it cannot flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - raised again unless an operator can act
        return _explained(arguments.command, error)


def _show_whatever_is_said() -> None:
    """Let characters that the terminal does not know be written as escapes.

    Symbols of tokens are in any script, and names of files need not even be text.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _keep_files_private() -> None:
    """Let nobody but this user read what is written: a log tells who watches whom."""
    os.umask(os.umask(_NOT_OTHERS) | _NOT_OTHERS)


def _explained(command: str, error: Exception) -> int:
    """Print the lines of what an operator can act upon; raise all else again."""
    found = tuple(leaves(error))
    lines = [in_one_line(leaf) for leaf in found]
    if None in lines:
        raise error
    for line in dict.fromkeys(lines):
        print(f"{PROGRAM} {command}: {line}", file=sys.stderr)
    return max(getattr(leaf, "exit_code", 1) for leaf in found)
