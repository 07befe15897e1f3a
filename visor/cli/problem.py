"""A failure that the command finds by itself: wrong usage, wrong configuration, an unreadable file."""

from __future__ import annotations

from visor.cli import exits


class Problem(Exception):  # noqa: N818 - also what a person does wrong
    """`message` is one line: what was wrong, what was expected, what to do. `code` is for scripts."""

    def __init__(self, message: str, *, code: str = "usage", exit_code: int = exits.USAGE) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = exit_code
