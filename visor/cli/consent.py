"""Asking before what destroys, and never hanging on a question that nobody can answer."""

from __future__ import annotations

from visor.cli import exits
from visor.cli.problem import Problem
from visor.cli.settings import Settings


def obtain(settings: Settings, action: str, yes: bool) -> bool:
    """Make sure that `action` ("delete 3 files below /a") is wanted; return whether a person was asked.

    Raises Problem when it is not wanted, and when there is neither `--yes` nor a person to ask: no terminal, or JSON.
    """
    if yes:
        return False
    if not settings.streams.stdin_is_terminal or settings.wants_json:
        raise Problem(f"this would {action}; say --yes to do it, or --dry-run to see it")
    streams = settings.streams
    streams.stderr.write(f"{action[0].upper()}{action[1:]}? [y/N] ")
    streams.stderr.flush()
    try:
        answer = streams.stdin.readline().strip().lower()
    except OSError:  # the terminal is gone
        answer = b""
    if answer not in (b"y", b"yes"):
        raise Problem("nothing was changed", code="refused", exit_code=exits.FAILED)
    return True
