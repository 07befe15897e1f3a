"""One real node on a loop that is turned by hand, a disk in memory, and members that are played.

world = Lone()                      # a of a, c (votes), l (a learner)
world = Lone(votes=False)           # a is a learner, c and d vote
world.turn(2.0)                     # seconds; c answers honestly
world.hear("l", [msg.VOTE, ...])    # whatever anybody says
world.commits()                     # a write is committed within a while
world.restart()                     # from its disk
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgpack

from tests.patience import PATIENCE
from tests.storage.fake_disk import FakeDisk
from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visord.environment import Environment
from visord.node import Node
from visord.peers import messages as msg
from visord.proposer import Batch
from visord.raft.configuration import Configuration, Member
from visord.settings import Settings, StorageSettings
from visord.state.formats import FORMAT
from visord.storage.worker import Inline

VOTER, LEARNER, STRANGER = "c" * 16, "1" * 16, "e" * 16
OTHER_VOTER = "d" * 16
STORAGE = StorageSettings(log_segment_bytes=1 << 20, log_chunk_bytes=64 << 10)


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class TurnedLoop:
    """An event loop whose time passes when it is told so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._count = itertools.count()
        self._due: list[tuple[float, int, Timer, Callable[..., object], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., object], /, *args: Any) -> object:
        return self.call_later(0.0, callback, *args)

    def call_later(self, delay: float, callback: Callable[..., object], /, *args: Any) -> Timer:
        timer = Timer()
        heapq.heappush(self._due, (self.now + delay, next(self._count), timer, callback, args))
        return timer

    def turn(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, timer, callback, args = heapq.heappop(self._due)
            if not timer.cancelled:
                callback(*args)
        self.now = until


class Wires:
    """The node's end of the network: what it says goes to the world."""

    def __init__(self, say: Callable[[str, list[Any]], None]) -> None:
        self.receive: Callable[[str, list[Any]], None] = lambda member, message: None
        self.changed: Callable[[str, bool], None] = lambda member, reachable: None
        self.hung_up: list[str] = []
        self.said: dict[str, int] = {}
        """The format of commands that a member reads, where it is not the newest."""
        self.required = 1
        self.away: set[str] = set()
        self._say = say

    def set_members(self, addresses: Mapping[str, str]) -> None:
        self.members = dict(addresses)

    def send(self, member: str, data: bytes) -> bool:
        self._say(member, msgpack.unpackb(data))
        return True

    def queued(self, member: str) -> int:
        return 0

    def reachable(self, member: str) -> bool:
        return member not in self.away

    def reads(self, member: str) -> int:
        return self.said.get(member, FORMAT)

    def require(self, form: int) -> None:
        self.required = form

    def certified(self, member: str) -> bool:
        return False

    def hang_up(self, member: str) -> None:
        self.hung_up.append(member)

    def close(self) -> None:
        pass


class OneOfThree(Node):
    """A node whose cluster has two more members from its beginning."""

    def _first_configuration(self) -> Configuration:
        found = super()._first_configuration()
        if len(found.members) > 1:
            return found
        others = (
            Member(VOTER, "c", "10.0.0.3:1", "", True, False),
            Member(LEARNER, "l", "10.0.0.4:1", "", False, False),
        )
        return Configuration((self.me._replace(peer="10.0.0.1:1"), *others))


class LearnerOfFour(OneOfThree):
    """A node that is a learner, beside two voters and another learner."""

    def _first_configuration(self) -> Configuration:
        found = super()._first_configuration()
        other = Member(OTHER_VOTER, "d", "10.0.0.5:1", "", True, False)
        rest = [one for one in found.members if one.id not in (self.me.id, OTHER_VOTER)]
        me = self.me._replace(peer="10.0.0.1:1", voter=False, wants_vote=False)
        return Configuration(tuple(sorted((me, other, *rest))))


class Author:
    """Who writes, and what became of it."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = []
        self.refused = False

    def complete(self, frames: list[Any], outcomes: list[Any]) -> None:
        self.outcomes += outcomes

    def fail(self, frames: list[Any], refusal: Any) -> None:
        self.refused = True


class Lone:
    """See the module."""

    def __init__(self, *, votes: bool = True) -> None:
        self._kind = OneOfThree if votes else LearnerOfFour
        self.disk = FakeDisk()
        self.loop = TurnedLoop()
        self.failures: list[BaseException] = []
        self.said: list[tuple[str, list[Any]]] = []
        self.honest = True
        self.promoted: list[str] = []
        """Who votes as far as the voter knows, besides itself and the node."""
        self.alive = {VOTER, LEARNER}
        """Who answers."""
        self._term = 0
        """Of the voter that is played."""
        self._acknowledged = 0
        self._start()

    def _start(self) -> None:
        self.wires = Wires(self._answer)
        inline = Inline()
        environment = Environment(
            self.loop, self.disk, inline, inline, random.Random(7), lambda: int(self.loop.now * 1000)
        )
        environment.peers = lambda member, cluster: self.wires
        settings = Settings(storage=STORAGE)
        self.node = self._kind(
            settings, Path("/data"), environment, DEFAULT, self.failures.append, ("10.0.0.1:1", "")
        )
        self.node.start()

    def restart(self) -> None:
        """End it as a kill does, and start it on its disk."""
        self.node.close()
        self.disk = self.disk.after_kill()
        self.loop = TurnedLoop()
        self.failures = []
        self._start()

    def turn(self, seconds: float) -> None:
        self.loop.turn(seconds)

    def hear(self, member: str, message: list[Any]) -> None:
        self.wires.receive(member, message)

    def until(self, true: Callable[[], object], seconds: float = PATIENCE) -> bool:
        for _ in range(int(seconds / 0.05)):
            if true():
                return True
            self.turn(0.05)
        return bool(true())

    def commits(self) -> bool:
        """Write something; tell whether it is committed within half a minute."""

        def write() -> Author:
            author = Author()
            frame = [verbs.SET, 1, 0, "/x", b"x"]
            if self.node.proposer.refusal() is None:
                self.node.proposer.submit_batches([Batch(author, [None, "me", [frame], ""], [frame], 100)])
            else:
                author.refused = True
            return author

        for _ in range(20):
            author = write()
            self.until(lambda author=author: author.outcomes or author.refused, 3.0)
            if author.outcomes:
                return True
            self.turn(0.5)
        return False

    # -- the voter that is played: it votes for everybody, and has stored everything --------------------------------

    def _answer(self, member: str, message: list[Any]) -> None:
        self.said.append((member, message))
        del self.said[:-1000]
        if not self.honest or member not in self.alive:
            return
        answer = self._reply(member, message)
        if answer is not None:
            self.loop.call_later(0.001, self._hear_answer, member, answer)

    def _hear_answer(self, member: str, answer: list[Any]) -> None:
        if self.node.failure is None:
            self.hear(member, answer)

    def _reply(self, member: str, message: list[Any]) -> list[Any] | None:
        kind, term = message[:2]
        if kind == msg.PREVOTE and member == VOTER:
            return [msg.PREVOTED, term, term > self._term, self._term]
        if kind == msg.VOTE and member == VOTER and term > self._term:
            self._term = term
            return [msg.VOTED, term]
        if kind == msg.ROUND and member == VOTER:
            return [msg.ROUNDED, max(term, self._term), message[2]]
        if kind == msg.APPEND:
            self._term = max(self._term, term)
            return [msg.POSITION, term, message[2] + len(message[6]) + 1, False, True, message[5]]
        if kind == msg.WHO_VOTES and member == VOTER:
            return [msg.VOTERS, message[1], [self.node.me.id, VOTER, *self.promoted]]
        return None
