"""What the rooms of `visord.members` need around them: somebody who leads, and a line that keeps what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from visord.peers import messages as msg
from visord.raft.configuration import Configuration, Member


def voting(*names: str) -> Configuration:
    """Return a configuration of members whose ids are their names, all with a vote."""
    return Configuration(tuple(Member(name, name, f"{name}:1", f"{name}:2", True, False) for name in names))


class Leading:
    """The consensus as the member `me` sees it: who leads, and confirmations that a test answers."""

    def __init__(self, leader: str | None = "lead", me: str = "me") -> None:
        self.member = me
        self.leader = leader
        self.term = 1
        self.configuration = self.committed_configuration = voting("lead", "me", "other")
        self.reads_are_current = True
        self.transferring = False
        self.confirming: list[Callable[[int | None], None]] = []
        self.long: list[int] = []
        self.heirs: list[str | None] = []

    @property
    def is_leader(self) -> bool:
        return self.leader == self.member

    def leads(self, leader: str | None) -> None:
        """Somebody else leads from now on."""
        self.leader = leader
        self.term += 1

    def confirm(self, callback: Callable[[int | None], None]) -> None:
        if self.is_leader:
            self.confirming.append(callback)
        else:
            callback(None)

    def confirmed(self, index: int | None) -> None:
        """The round is over."""
        waiting, self.confirming = self.confirming, []
        for callback in waiting:
            callback(index)

    def applies_long(self, index: int) -> None:
        self.long.append(index)

    def transfer_leadership(self, target: str | None) -> str | None:
        heir = self.heirs.pop(0) if self.heirs else None
        self.transferring = heir is not None
        return heir


class Line:
    """Sends: what is said is kept; members that are `away` cannot be reached."""

    def __init__(self) -> None:
        self.said: list[tuple[str, list[Any]]] = []
        self.away: set[str] = set()

    def send(self, member: str, message: list[Any]) -> bool:
        assert msg.well_formed(message), message
        if member in self.away:
            return False
        self.said.append((member, message))
        return True

    def taken(self) -> list[tuple[str, list[Any]]]:
        """Return what was said since the last time."""
        said, self.said = self.said, []
        return said


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
