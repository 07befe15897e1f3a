"""Asking before what destroys, and never hanging on a question that nobody can answer."""

from __future__ import annotations

from visor.cli import exits
from visor.cli.problem import Problem
from visor.cli.settings import Settings


def obtain(settings: Settings, action: str, yes: bool) -> bool:
    """Make sure that `action` ("delete 3 files below /a") is wanted; return whether a person was asked.

    Raises Problem when it is not wanted, and when there is neither `--yes` nor a terminal to ask on.
    """
    if yes:
        return False
    if not settings.streams.stdin_is_terminal:
        raise Problem(f"this would {action}; say --yes to do it, or --dry-run to see it")
    streams = settings.streams
    streams.stderr.write(f"{action[0].upper()}{action[1:]}? [y/N] ")
    streams.stderr.flush()
    if streams.stdin.readline().strip().lower() not in (b"y", b"yes"):
        raise Problem("nothing was changed", code="refused", exit_code=exits.FAILED)
    return True


def files(count: int) -> str:
    """Say how many files: `1 file`, `3 files`."""
    return f"{count} file" if count == 1 else f"{count} files"
