"""What ends a command before its time, other than an error of the client library."""

from __future__ import annotations

from visor.cli import exits


class Problem(Exception):  # noqa: N818 - also what a person does wrong
    """Wrong usage, wrong configuration, an unreadable file: a failure that the command finds by itself.

    `message` is one line: what was wrong, what was expected, what to do. `code` is for scripts. `help` is what people
    get in place of the line.
    """

    def __init__(
        self, message: str, *, code: str = "usage", exit_code: int = exits.USAGE, help: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = exit_code
        self.help = help


class OutputClosed(Exception):  # noqa: N818 - an event, nothing went wrong
    """Nobody reads standard output any more."""
