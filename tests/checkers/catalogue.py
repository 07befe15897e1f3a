"""All properties, in the order in which a violation says most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.checkers import (
    client_order,
    commits,
    exactly_once,
    leases,
    locks,
    progress,
    reads,
    real_time,
    registers,
    replicas,
    revoked,
    same_commands,
    survival,
    watches,
)
from tests.checkers.history import History, Violation

PROPERTIES: Final[dict[str, Callable[[History], None]]] = {
    module.NAME: module.check
    for module in (
        same_commands,
        replicas,
        exactly_once,
        survival,
        revoked,
        commits,
        real_time,
        reads,
        registers,
        client_order,
        watches,
        leases,
        locks,
        progress,
    )
}


def check(history: History) -> list[Violation]:
    """Return what is violated: at most one finding a property."""
    found = []
    for judge in PROPERTIES.values():
        try:
            judge(history)
        except Violation as violation:
            found.append(violation)
    return found
