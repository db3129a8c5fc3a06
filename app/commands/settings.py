"""``stacks-feed settings``: list every setting with its default and help."""

import argparse

from app.configs import check, edge_config
from app.errors import SettingsError
from app.settings import read
from app.settings_doc import markdown


def run(_: argparse.Namespace) -> int:
    """Print the page of docs/settings.md; raise ``SettingsError`` if one is wrong.

    A certificate that cannot be read is wrong, too.
    """
    print(markdown(), flush=True)
    settings = read()
    check(settings)
    if settings.tls_certificate is not None:
        from edge.listening import tls_of  # noqa: PLC0415 - only where it is needed

        try:
            tls_of(edge_config(settings))
        except OSError as error:
            raise SettingsError(f"STACKS_FEED_TLS_CERTIFICATE: {error}") from None
    return 0
