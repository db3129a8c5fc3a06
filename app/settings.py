"""Reads the settings: from ``STACKS_FEED_*`` in the environment and in ``.env``.

The only module that reads the environment. The settings themselves are declared in
``app.sections``.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.edge_limits import EdgeAccess, EdgeLimits
from app.errors import SettingsError
from app.sections import (
    SECTIONS,
    Audit,
    Edge,
    General,
    Ingest,
    Log,
    Processor,
    Simulator,
    Upstreams,
)
from schemas.log import World

PREFIX = "STACKS_FEED_"
ENV_FILE = Path(".env")
WHERE_TO_READ = "`stacks-feed settings` lists them all"


class Settings(
    General,
    Log,
    Upstreams,
    Ingest,
    Processor,
    Edge,
    EdgeLimits,
    EdgeAccess,
    Audit,
    Simulator,
    BaseSettings,
):
    """All settings, checked."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @property
    def environment_name(self) -> Literal["development", "production"]:
        """The environment, ``development`` unless said otherwise."""
        return self.environment or "development"

    @property
    def world(self) -> World:
        """Whose world is read: production is always live."""
        live = self.live or self.environment == "production"
        return World.LIVE if live else World.SIMULATED

    @property
    def simulated(self) -> bool:
        """Whether the upstream is the simulator."""
        return self.world is World.SIMULATED


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def read(
    overrides: Mapping[str, Any] | None = None, *, env_file: Path | None = ENV_FILE
) -> Settings:
    """Read and check all settings; ``overrides`` by name win over the environment.

    Raises ``SettingsError``, one line that names each variable that is wrong. Never holds
    a value: it could be a secret.
    """
    refuse_unknown(env_file)
    try:
        return Settings(_env_file=env_file, **(overrides or {}))
    except ValidationError as error:
        raise SettingsError(_in_one_line(error)) from None
    except ValueError as error:  # the list of sources is not JSON
        raise SettingsError(f"{error}; {WHERE_TO_READ}") from None


def environment(overrides: Mapping[str, object]) -> dict[str, str]:
    """Return this process's environment for a child, with settings replaced."""
    own = dict(os.environ)  # noqa: TID251 - this is app.settings
    return own | {variable(name): f"{value}" for name, value in overrides.items()}


def refuse_unknown(env_file: Path | None = ENV_FILE) -> None:
    """Raise ``SettingsError`` for a misspelt setting, which would silently do nothing."""
    known = {variable(name) for part in SECTIONS for name in part.model_fields}
    given = {*os.environ, *_in_file(env_file)}  # noqa: TID251 - this is app.settings
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in known:
            close = get_close_matches(name, known, n=1, cutoff=0.75)
            hint = f"did you mean {close[0]}?" if close else WHERE_TO_READ
            raise SettingsError(f"{name} is not a setting; {hint}")


def _in_file(env_file: Path | None) -> frozenset[str]:
    if env_file is None or not env_file.is_file():
        return frozenset()
    try:
        return frozenset(dotenv_values(env_file, encoding="utf-8"))
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file} is not UTF-8 text") from None


def _in_one_line(error: ValidationError) -> str:
    problems = error.errors(
        include_url=False, include_input=False, include_context=False
    )
    said = {variable(str(p["loc"][0])): str(p["msg"]) for p in problems}
    each = "; ".join(f"{name}: {text}" for name, text in said.items())
    return f"{each}; {WHERE_TO_READ}"
