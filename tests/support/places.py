"""A fresh place for a log of each kind, for tests outside the contract suite."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.logs import Place

KINDS = ["sqlite", pytest.param("kafka", marks=pytest.mark.broker)]


def fresh_place(request: pytest.FixtureRequest, folder: Path) -> Place:
    """Return where no log has ever been; ``request.param`` is the kind."""
    if request.param == "kafka":
        broker: str = request.getfixturevalue("broker")
        return Place("kafka", broker, prefix=f"t{uuid4().hex[:12]}.")
    return Place("sqlite", str(folder / "log.sqlite"))
