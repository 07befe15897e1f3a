"""Telling a member that it was removed, so that it stops and sends its clients elsewhere.

A configuration counts from when it is in the log, and a node that is not in it gets no more entries: a removed member
would never learn of the very entry that removes it. So its connection is kept for a moment, and when the entry is
committed every member says GONE on it, with the configuration. One that was away meanwhile hears it when it comes back:
nobody lets it in, and each says why (the refusal `removed`, which counts as GONE does: `dismissal`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from visord.peers import messages as msg
from visord.raft.configuration import Configuration, encode

GRACE_SECONDS: Final = 3.0
"""How long the connection to a removed member is kept."""


class Removal:
    """Who is leaving, as one node sees it."""

    def __init__(self, send: Callable[[str, list[Any]], bool], time: Callable[[], float]) -> None:
        self._send = send
        self._time = time
        self._known: dict[str, str] = {}
        self._leaving: dict[str, tuple[str, float]] = {}
        """id -> (peer address, until when its connection is kept)."""

    def addresses(self, configuration: Configuration) -> dict[str, str]:
        """Return what to keep connections to, id -> address, now that this configuration counts."""
        members = {one.id: one.peer for one in configuration.members}
        until = self._time() + GRACE_SECONDS
        for member, address in self._known.items():
            if member in configuration.removed and member not in members:
                self._leaving.setdefault(member, (address, until))
        self._leaving = {member: row for member, row in self._leaving.items() if member not in members}
        self._known = members
        return {**{member: address for member, (address, _) in self._leaving.items()}, **members}

    def committed(self, configuration: Configuration) -> None:
        """This configuration is committed: a node that is not in it is gone for ever."""
        for member in self._leaving:
            if member in configuration.removed:
                self._send(member, [msg.GONE, encode(configuration)])

    def over(self) -> bool:
        """Forget those whose time is up; tell whether there were any."""
        now = self._time()
        late = [member for member, (_, until) in self._leaving.items() if until <= now]
        for member in late:
            del self._leaving[member]
        return bool(late)
