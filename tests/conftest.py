"""What every test shares: hypothesis profiles, and logging as it was before."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "fast",
    max_examples=50,
    deadline=None,  # two shared cores: a slow example is not a wrong one
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "deep", parent=settings.get_profile("fast"), max_examples=20_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))  # noqa: TID251 - the test run has no settings


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a command does to this process's logging ends with its test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
