"""What one run of the command was told, before it is resolved: flags, environment, the clock, the streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from visor._harmless import Careful
from visor.cli import moment
from visor.cli.problem import Problem

FORMATS = ("table", "json", "jsonl", "plain")
CODECS = ("bytes", "text", "int", "list", "ints", "json", "msgpack")
DEFAULT_TIMEOUT = 5.0
"""Seconds for connecting, and for each request after it."""


@dataclass(slots=True)
class Streams:
    """The three standard streams; output and input are binary."""

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: Careful
    stdin_is_terminal: bool
    stdout_is_terminal: bool
    stderr_is_terminal: bool


@dataclass(slots=True)
class Settings:
    """Flags as they were given (None: not given), and where everything else comes from.

    Precedence: flag, then environment, then the context of the configuration file, then the default.
    """

    environment: Mapping[str, str]
    streams: Streams
    now: datetime
    flags: dict[str, str] = field(default_factory=dict)

    def given(self, name: str) -> str | None:
        """Return the flag, else `VISOR_<NAME>` unless it is empty, else None."""
        return self.flags.get(name) or self.from_environment(name)

    def from_environment(self, name: str) -> str | None:
        """Return `VISOR_<NAME>`, or None when it is empty or not set."""
        return self.environment.get(f"VISOR_{name.upper()}") or None

    @property
    def output(self) -> str:
        """The output format. Raises Problem when `VISOR_OUTPUT` names none."""
        chosen = self.given("output")
        if chosen is None:
            return "table" if self.streams.stdout_is_terminal else "plain"
        if chosen not in FORMATS:
            raise Problem(f"VISOR_OUTPUT is {chosen!r}; expected one of {', '.join(FORMATS)}")
        return chosen

    @property
    def wants_json(self) -> bool:
        """Whether errors should also come as JSON."""
        return self.given("output") in ("json", "jsonl")

    @property
    def codec(self) -> str:
        """The name of the codec that values are shown with."""
        return self.flags.get("codec") or "bytes"

    def deadline(self, default: float | None = DEFAULT_TIMEOUT) -> float | None:
        """Return the seconds of `--timeout` or `VISOR_TIMEOUT`, else `default`. Raises Problem."""
        chosen = self.given("timeout")
        if chosen is None:
            return default
        try:
            seconds = moment.duration(chosen)
        except ValueError as error:
            raise Problem(f"--timeout (VISOR_TIMEOUT): {error}") from None
        if seconds <= 0:
            raise Problem("--timeout (VISOR_TIMEOUT) must be above 0")
        return seconds
