"""Where the log of a crash test is: in a file, or on a broker that soon gives up."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.broker import kafka_from_maven
from tests.support.broker_choice import has_maven
from tests.support.logs import Place
from tests.support.places import KINDS


@pytest.fixture(scope="package")
def quick_broker() -> Iterator[str]:
    """A broker that takes members with a short patience; all tests here share it."""
    if not has_maven():
        pytest.skip("needs a broker of its own: install Java 17+ and Maven")
    with kafka_from_maven() as kafka:
        yield kafka.bootstrap


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where no log has ever been, of each kind."""
    if request.param == "kafka":
        bootstrap: str = request.getfixturevalue("quick_broker")
        return Place("kafka", bootstrap, prefix=f"t{uuid4().hex[:12]}.")
    return Place("sqlite", str(tmp_path / "log.sqlite"))
