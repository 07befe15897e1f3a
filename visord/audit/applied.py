"""What of the log belongs in the audit: found where it is applied, so it does not matter by which way it came.

The leader of the term in which an entry was proposed records it: each entry once, and none again that a start applies
anew. Nothing is looked at but counters, unless one has moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from visor.protocol import verbs
from visord.audit import recorded
from visord.audit.auditor import Silent
from visord.state.command import Command, read
from visord.state.machine import Machine

_USER: Final = "user:"


class Applied:
    """Remembers up to where the counters were seen."""

    def __init__(self, machine: Machine) -> None:
        self._retains = machine.retention.asked

    def seen(self, machine: Machine, command: bytes, audit: Silent, *, mine: bool) -> None:
        """An entry was applied. `mine`: this node leads in its term."""
        asked = machine.retention.asked
        if asked == self._retains:
            return
        self._retains = asked
        if mine:
            for actor, owner, frame in _frames(command):
                if frame[:1] == [verbs.RETAIN]:
                    reason = f"RETAIN {' '.join(map(str, frame[3:6]))} (revs, ms, floor); signed {actor}"
                    at = {"rev": machine.store.rev, "request": frame[1]}
                    audit.record(recorded.RETAIN, **who(owner), **at, verb="RETAIN", reason=reason)


def who(owner: str) -> dict[str, str]:
    """Return whom the owner of a batch names: a proven user with what has proven it, or where a client came from."""
    if not owner.startswith(_USER):
        return {"address": owner}
    user, _, credential = owner.removeprefix(_USER).partition("/")
    return {"user": user, "credential": credential}


def _frames(command: bytes) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield (actor, owner, frame) of a command's writes, of a repeated one what is inside."""
    decoded = command.decoded if isinstance(command, Command) else None
    _, batches = decoded or read(command)
    for _, actor, frames, owner in batches:
        for frame in frames:
            if type(frame) is not list:
                continue
            inner = frame[2] if len(frame) > 2 and frame[0] == verbs.RETRY else frame
            if type(inner) is list and len(inner) > 1:
                yield actor, owner, inner
