"""``stacks-feed settings``: list every setting with its default and help."""

import argparse

from app.settings import read
from app.settings_doc import markdown


def run(_: argparse.Namespace) -> int:
    """Print the page of docs/settings.md; raise ``SettingsError`` if one is wrong."""
    print(markdown(), flush=True)
    read()
    return 0
