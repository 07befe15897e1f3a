"""Which process this is: what is kept alive belongs to the one that began it, never to its forks."""

from __future__ import annotations

import os
from collections.abc import Callable

process_id = os.getpid


def in_child(function: Callable[[], object]) -> None:
    """Call it in every process that is forked from this one."""
    os.register_at_fork(after_in_child=function)
