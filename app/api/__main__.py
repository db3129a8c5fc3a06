"""Writes edge/static/openapi.json and edge/static/asyncapi.json."""

import sys

from app.api.export import FOLDER, documents


def main() -> int:
    """Write both documents."""
    for name, text in documents().items():
        (FOLDER / name).write_bytes(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
