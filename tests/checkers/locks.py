"""Locks are locks: who counts under one is the first in its queue, and no count is lost.

Holders of the lock `/locks/NAME` read a number, wait, and write the next one to `/counted/NAME` as
`token.number.fence`, without comparing with what is there. Two holders at a time would write the same number.

    /locks/p    c1 (fence 5), c2 (fence 6)     c1 is first: it writes t1.1.5
    /locks/p    c2 (fence 6)                   c1's lease has ended; a t2.2.5 from now on is a violation
"""

from __future__ import annotations

from tests.checkers.history import Commit, History, Violation

NAME = "locks"
QUEUES = "/locks/"
COUNTED = "/counted/"

Queues = dict[str, dict[str, int]]
"""Name of a lock -> {a contender's path: the rev at which it came}."""


def check(history: History) -> None:
    """Raise `Violation` for a number that somebody wrote who did not hold the lock, or that is not the next one."""
    queues: Queues = {}
    numbers: dict[str, int] = {}
    for commit in history.commits:
        for _, path, version, _ in commit[4]:
            if path.startswith(COUNTED) and version[1] is not None:
                _count(commit[0], path, version[1], queues, numbers)
        _move(commit, queues)


def _count(rev: int, path: str, value: bytes, queues: Queues, numbers: dict[str, int]) -> None:
    _, number, fence = value.split(b".")
    waiting = queues.get(path.removeprefix(COUNTED), {}).values()
    if not waiting or min(waiting) != int(fence):
        raise Violation(
            NAME, f"rev {rev}: {path} was written with fence {int(fence)}, waiting: {sorted(waiting)}"
        )
    if int(number) != numbers.get(path, 0) + 1:
        raise Violation(NAME, f"rev {rev}: {path} was {numbers.get(path, 0)}, {int(number)} was written")
    numbers[path] = int(number)


def _move(commit: Commit, queues: Queues) -> None:
    for _, path, version, _ in commit[4]:
        if path.startswith(QUEUES):
            name = path.removeprefix(QUEUES).rpartition("/")[0]
            queue = queues.setdefault(name, {})
            if version[1] is None:
                queue.pop(path, None)
            else:
                queue[path] = version[2]
