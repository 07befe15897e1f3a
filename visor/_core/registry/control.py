"""The line protocol of runners : commands, answers, what can go wrong. Pure. (`ancestors.md`, C4.)

status  ->  up 6 0        state, seconds, restarts
pid     ->  4711
kill    ->  OK            the process is killed
down    ->  OK            the process is ended, and not started again
"""

from __future__ import annotations

from typing import Final

from visor.errors import Unavailable

TRIES: Final = 3
PAUSE: Final = 0.5
"""Seconds between tries to connect: a runner that was just registered may not listen yet."""
MOST: Final = 64 * 1024
"""Bytes of an answer."""


def checked(command: str) -> str:
    """Return the command if it is one line; ValueError if not."""
    if not command or "\n" in command or "\r" in command:
        raise ValueError(f"a command is one line, not {command!r}")
    return command


def answered(data: bytes) -> str:
    """Return the answer that a line holds; Unavailable for none."""
    if not data:
        raise Unavailable("the runner closed the connection without an answer")
    return data.decode("utf-8", "replace").rstrip("\r\n")


def silent(host: str, port: int, seconds: float) -> Unavailable:
    """Return the error for a runner that does not answer in time."""
    return Unavailable(f"the runner at {host}:{port} did not answer within {seconds:g} s")


def unreachable(host: str, port: int, error: Exception) -> Unavailable:
    """Return the error for a runner that cannot be reached."""
    return Unavailable(f"the runner at {host}:{port} cannot be reached: {error}")


def status(answer: str) -> tuple[str, int, int]:
    """Read `up 6 0`: state, seconds, restarts; ValueError for anything else."""
    words = answer.split()
    if len(words) != 3 or not words[1].isdigit() or not words[2].isdigit():
        raise ValueError(f"expected STATE SECONDS RESTARTS, found {answer!r:.60}")
    return words[0], int(words[1]), int(words[2])
