"""What one run of the command was told, before it is resolved: flags, environment, the clock, the streams."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from visor.cli import moment
from visor.cli.problem import Problem
from visor.cli.streams import Streams

FORMATS = ("table", "json", "jsonl", "plain")
JSON = ("json", "jsonl")
CODECS = ("bytes", "text", "int", "list", "ints", "json", "msgpack")
MOST = (1 << 63) - 1
"""The highest number that the registry can keep."""
DEFAULT_TIMEOUT = 5.0
"""Seconds for connecting, and for each request after it."""


class Settings:
    """Flags as they were given (None: not given), and where everything else comes from.

    Precedence: flag, then environment, then the context of the configuration file, then the default.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        streams: Streams,
        now: datetime,
        flags: Mapping[str, str] | None = None,
    ) -> None:
        self.environment = environment
        self.streams = streams
        self.now = now
        self.flags: dict[str, str] = dict(flags or {})
        self.json_by_words = False
        """The words ask for JSON, which is known before they are understood."""
        self.awaited: int | None = None
        """The rev that was asked for, when it may lie in the future."""

    def given(self, name: str) -> str | None:
        """Return the flag, else `VISOR_<NAME>` unless it is empty, else None."""
        return self.flags.get(name) or self.from_environment(name)

    def from_environment(self, name: str) -> str | None:
        """Return `VISOR_<NAME>`, or None when it is empty or not set. Raises Problem when it is no text."""
        variable = f"VISOR_{name.upper()}"
        found = self.environment.get(variable) or None
        if found is not None and not is_text(found):
            raise Problem(f"{variable} is not UTF-8: {found!r}", code="config")
        return found

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
        """Whether errors come as JSON. Never raises: it is asked when something else is wrong already."""
        chosen = self.flags.get("output")
        if chosen is None and not self.json_by_words:
            chosen = self.environment.get("VISOR_OUTPUT")
        return chosen in JSON if chosen is not None else self.json_by_words

    @property
    def codec(self) -> str:
        """The name of the codec that values are shown with."""
        return self.flags.get("codec") or "bytes"

    @property
    def as_stored(self) -> bool:
        """Whether `--codec bytes` asks for the bytes as they are stored, sealed or not."""
        return self.flags.get("codec") == "bytes"

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


def is_text(word: str) -> bool:
    """Say whether a word of the command line or the environment is text; other bytes arrive as surrogates."""
    if word.isascii():
        return True
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
