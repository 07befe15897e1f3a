"""Receiving without a page fault for every message.

glibc takes a block above its mmap threshold (128 KiB at first) from the system and gives it back when
freed; asyncio allocates 256 KiB for every arrival, so each message costs three system calls and the page
faults. Once a large mapped block has been freed, glibc raises the threshold above its size for good.
"""

from __future__ import annotations

_raised = False


def raise_mmap_threshold() -> None:
    """Allocate and free 8 MiB once a process: that takes microseconds, and nothing stays."""
    global _raised  # noqa: PLW0603  # the allocator is one per process, and so is this
    if not _raised:
        _raised = True
        block = bytes(8 << 20)  # nothing writes the zeros: the pages are never touched
        del block
