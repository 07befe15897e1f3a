"""The garbage collector: a server's process has it for itself, an embedded node shares it with somebody's program.

Versions, once written, are never garbage, and there are millions of them: a collector that walks through all of
history again and again costs more than all the rest. So a server hides from it what was loaded or has grown old. In a
process that is not the node's own this would hide also what others have to give back, so there nothing is hidden.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

_own = False


def take_over() -> None:
    """This process runs one node and nothing else, from now on."""
    global _own  # noqa: PLW0603 - there is one collector in a process
    _own = True
    gc.collect()
    gc.freeze()
    # Cycles are few (a session and its connection), and the young generations find them.
    gc.set_threshold(5_000, 100, 1_000_000)


def hide() -> None:
    """All that is alive now will stay alive: never walk through it again."""
    if _own:
        gc.freeze()


def give_back() -> None:
    """Give the system the memory that is free between what is used: what a crowd of connections took stays with the
    allocator otherwise, which hardly finds a use for it. May take some 10 ms, so it is a thread's work."""
    if _own:
        with contextlib.suppress(OSError, AttributeError):  # a C library without it
            ctypes.CDLL(None).malloc_trim(0)
