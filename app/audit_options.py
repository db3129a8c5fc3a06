"""The options of the audit commands."""

import argparse
from collections.abc import Callable

from app.keys import SPELLINGS
from app.moments import WORDS, moment

_LOG_HELP = "path, sqlite:///path or kafka://host:port (STACKS_FEED_LOG)"
_MOMENT = f"a time (2026-11-24T14:03:00Z, UTC without a zone), {WORDS}, or a cut"


def add_audit(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``audit``, each with its own options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text, options in _ACTIONS:
        action = actions.add_parser(
            name,
            help=text,
            description=f"{text.capitalize()}.",
            epilog="Exit codes: 0 as it should be, 1 a difference was found or a key names "
            "nothing, 2 a wrong request, 3 something kept it from an answer.",
        )
        action.add_argument("--log", metavar="WHERE", help=_LOG_HELP)
        options(action)
        module = f"app.commands.audit_{name.replace('-', '_')}"
        action.set_defaults(module=module)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    bound = f"{_MOMENT}, or the number of a commit"
    parser.add_argument(
        "--from",
        dest="first",
        type=moment,
        metavar="T",
        help=f"begin at {bound}; from a snapshot then, where there is one before it",
    )
    parser.add_argument(
        "--to", dest="last", type=moment, metavar="T", help=f"end at {bound}"
    )
    parser.add_argument(
        "--shard", type=int, action="append", metavar="N", help="this shard alone"
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes at a time; default the cores"
    )
    parser.add_argument(
        "--against",
        metavar="FILE",
        help="also 1 if the log does not contain the heads in FILE, lines that "
        "`audit head` printed earlier",
    )
    _add_json(parser)


def _add_head(parser: argparse.ArgumentParser) -> None:
    _add_json(parser)


def _add_as_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("moment", type=moment, metavar="TIME|CUT", help=_MOMENT)
    parser.add_argument(
        "keys",
        nargs="*",
        metavar="KEY",
        help=SPELLINGS,
    )
    _add_json(parser)


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "key",
        metavar="KEY",
        help="price:ID, token:ID, balance:USER:ID; ID alone is price:ID, a USER alone lists "
        "its balances; or an observation as reject:TOPIC:SHARD:OFFSET",
    )
    parser.add_argument(
        "--at",
        type=moment,
        metavar="T",
        help=f"{_MOMENT}, or the number of a commit; default now",
    )
    parser.add_argument(
        "--bytes", action="store_true", help="show each observation as it was written"
    )
    parser.add_argument(
        "--no-index", action="store_true", help="read the whole shard, trust no index"
    )
    _add_json(parser)


def _add_index(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--anew", action="store_true", help="delete what there is, and begin again"
    )
    _add_json(parser)


def _add_diff(parser: argparse.ArgumentParser) -> None:
    bound = f"{_MOMENT}, or the number of a commit"
    parser.add_argument(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        help="a setting of the fold as the journal names it, as priceDeviation=0.01",
    )
    parser.add_argument(
        "--generation", type=int, metavar="N", help="fold by this generation instead"
    )
    parser.add_argument(
        "--from",
        dest="first",
        type=moment,
        metavar="T",
        help=f"otherwise from {bound} on",
    )
    parser.add_argument(
        "--to", dest="last", type=moment, metavar="T", help=f"end at {bound}"
    )
    parser.add_argument(
        "--shard", type=int, action="append", metavar="N", help="this shard alone"
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes at a time; default the cores"
    )
    parser.add_argument(
        "--fail", action="store_true", help="exit code 1 if anything is different"
    )
    _add_json(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "first",
        type=moment,
        metavar="FROM",
        help=f"the first time, as 2026-11-24, {WORDS}",
    )
    parser.add_argument(
        "last", type=moment, metavar="TO", help="the time after the last, likewise"
    )
    parser.add_argument(
        "--what", choices=("observations", "changes", "journal"), default="changes"
    )
    parser.add_argument(
        "--format", choices=("parquet", "csv", "jsonl"), default="parquet"
    )
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="where to; goes on where it ended"
    )
    _add_json(parser)


def _add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--live",
        action="store_true",
        default=None,
        help="the log of the real upstreams (STACKS_FEED_LIVE)",
    )
    parser.add_argument(
        "--from",
        dest="audit_from",
        metavar="TIME|now",
        help="where history is gone that the log took before that time, accept that it can "
        "never be verified: begin at a point that is declared now (STACKS_FEED_AUDIT_FROM)",
    )
    # `up` sets it: a child whose parent was killed must not live on.
    parser.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for a program to read")


_Options = Callable[[argparse.ArgumentParser], None]
_ACTIONS: tuple[tuple[str, str, _Options], ...] = (
    ("verify", "derive everything again and compare", _add_verify),
    (
        "head",
        "how far the log goes and what that hashes to, in one line to keep elsewhere",
        _add_head,
    ),
    ("as-of", "the public table as it stood at a moment", _add_as_of),
    ("explain", "why a key has its value, what came of an observation", _add_explain),
    (
        "index",
        "note where everything stands, so that explain need not look",
        _add_index,
    ),
    ("diff", "what would have been published with other settings", _add_diff),
    ("export", "history as files, by day: Parquet, CSV or JSON Lines", _add_export),
    ("watch", "verify as the log grows, write snapshots", _add_watch),
)
