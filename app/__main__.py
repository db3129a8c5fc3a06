"""Lets ``python -m app`` stand for ``stacks-feed``."""

import sys

from app.cli import main

if __name__ == "__main__":
    sys.exit(main())
