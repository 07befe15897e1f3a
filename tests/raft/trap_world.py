"""A virtual clock and network on which stock pysyncobj and our engine run the same schedules.

    world = World(7, StockMember)            # or OurMember; three members, all connected
    world.elect()
    world.write(3, size=12_000)              # at the leader; acknowledged ones gather in world.acknowledged
    world.isolate("b"); world.run(2.0); world.heal()
    world.kill(leader, power=True); world.start(leader)

Links are in order and of varying delay. A link that is **cut** loses what is sent, one that is **held** delivers
nothing until it is released (a stalled connection), then everything in order.
"""

from __future__ import annotations

import abc
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Raw = bytes
Link = tuple[str, str]
HEARTBEAT = 0.02
MIN_TIMEOUT = 0.3
MAX_TIMEOUT = 0.8
LAN = (0.0005, 0.002, 0.01, 0.03, 0.08)


class Member(abc.ABC):
    """One member, of either kind, while it is up."""

    applied: list[bytes]
    """Every command that this member's state machine has, in order, those in its checkpoint included."""

    def __init__(self, world: World, me: str) -> None:
        self.world = world
        self.me = me

    @abc.abstractmethod
    def tick(self) -> None: ...

    @abc.abstractmethod
    def receive(self, source: str, raw: Raw) -> None: ...

    @abc.abstractmethod
    def connect(self, peer: str, yes: bool) -> None: ...

    @abc.abstractmethod
    def propose(self, command: bytes, done: Callable[[], None]) -> bool:
        """As leader: begin to replicate; `done` when it is committed and applied here, and the client may be told."""

    @property
    @abc.abstractmethod
    def leads(self) -> bool: ...

    @property
    @abc.abstractmethod
    def leader(self) -> str | None: ...

    @property
    @abc.abstractmethod
    def term(self) -> int: ...

    @property
    @abc.abstractmethod
    def commit(self) -> int: ...

    @property
    @abc.abstractmethod
    def last(self) -> int:
        """The index of the last entry in the log."""

    @abc.abstractmethod
    def term_at(self, index: int) -> int | None: ...

    @property
    def half_compacted(self) -> bool:
        """The checkpoint is written and the log not trimmed yet: the moment for a crash."""
        return False

    @abc.abstractmethod
    def died(self, power: bool) -> None:
        """It was killed, or lost power with all that no sync had put on the disk."""

    @abc.abstractmethod
    def hand_over(self, target: str) -> None:
        """As leader: ask another member, which has everything, to lead."""


AnyMember = TypeVar("AnyMember", bound=Member)


class World:
    """Members, the time and the network."""

    def __init__(
        self,
        seed: int,
        kind: type[Member],
        ids: str = "abc",
        *,
        delays: tuple[float, ...] = LAN,
        folder: Path | None = None,
        **options: Any,
    ) -> None:
        self.rng = random.Random(seed)
        self.now = 100.0
        self.ids = ids
        self.kind = kind
        self.delays = delays
        self.folder = folder
        self.options = options
        """For the members. Both kinds know `compact`: entries between checkpoints."""
        self.queues: dict[Link, deque[tuple[float, Raw]]] = {}
        self.cut: set[Link] = set()
        self.held: set[Link] = set()
        self.up: dict[str, Member] = {}
        self.disks: dict[str, Any] = {}
        self.acknowledged: list[bytes] = []
        self.written = 0
        self.sent: list[tuple[str, str, Raw]] = []
        """Every message, when the world was told to `keep` them."""
        self.after_delivery: Callable[[], None] = lambda: None
        for me in ids:
            self.start(me)

    # -- members --------------------------------------------------------------------------------------------

    def start(self, me: str) -> Member:
        member = self.up[me] = self.kind(self, me)
        for other in self.up.values():
            if other is not member:
                member.connect(other.me, True)
                other.connect(me, True)
        return member

    def kill(self, me: str, *, power: bool = False, in_flight: bool = False) -> None:
        """End a member. `power`: with what was not synced. `in_flight`: what it has sent still arrives."""
        self.up.pop(me).died(power)
        for (source, target), queue in self.queues.items():
            if target == me or (source == me and not in_flight):
                queue.clear()
        for other in self.up.values():
            other.connect(me, False)

    @property
    def leader(self) -> Member:
        """The leader of the highest term."""
        return max((member for member in self.up.values() if member.leads), key=lambda one: one.term)

    def has_leader(self) -> bool:
        return any(member.leads for member in self.up.values())

    # -- network --------------------------------------------------------------------------------------------

    def send(self, source: str, target: str, raw: Raw) -> bool:
        if target not in self.up or source not in self.up:
            return False
        if self.options.get("keep"):
            self.sent.append((source, target, raw))
        queue = self.queues.setdefault((source, target), deque())
        at = self.now + self.rng.choice(self.delays)
        queue.append((max(at, queue[-1][0]) if queue else at, raw))
        return True

    def isolate(self, *members: str) -> None:
        """Cut every link between these and the others."""
        for a in members:
            for b in self.ids:
                if b not in members:
                    self.cut |= {(a, b), (b, a)}

    def heal(self) -> None:
        self.cut.clear()
        self.held.clear()

    def _deliver(self) -> None:
        for link in self.rng.sample(sorted(self.queues), len(self.queues)):
            source, target = link
            queue = self.queues[link]
            while queue and queue[0][0] <= self.now and link not in self.held:
                _, raw = queue.popleft()
                if link not in self.cut and target in self.up:
                    self.up[target].receive(source, raw)
                    self.after_delivery()

    # -- time -----------------------------------------------------------------------------------------------

    def step(self) -> None:
        self.now += self.rng.choice(self.options.get("steps", (0.0005, 0.001, 0.004)))
        self._deliver()
        for me in self.rng.sample(sorted(self.up), len(self.up)):
            if me in self.up:
                self.up[me].tick()

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass, at most until `until()`; tell whether that came."""
        end = self.now + seconds
        while self.now < end:
            self.step()
            if until is not None and until():
                return True
        return until is None

    def elect(self, among: str | None = None) -> Member:
        """Return a leader whose first entry is committed (one of `among`, if given, who must be able to win)."""

        def settled() -> bool:
            return any(
                member.leads and member.commit == member.last and (among is None or member.me in among)
                for member in self.up.values()
            )

        assert self.run(60.0, settled)
        return next(
            member for member in self.up.values() if member.leads and (among is None or member.me in among)
        )

    def lead(self, me: str) -> Member:
        """Make this member the leader, whoever is elected first; return it."""
        for _ in range(20):
            if self.elect().me == me:
                return self.up[me]
            self.leader.hand_over(me)
            self.run(0.5)
        raise AssertionError(f"{me} does not get to lead")

    # -- clients --------------------------------------------------------------------------------------------

    def write(self, count: int = 1, size: int = 100, at: Member | None = None) -> list[bytes]:
        """Propose commands at a leader; what is acknowledged goes to `acknowledged`."""
        leader = at or self.leader
        commands = []
        for _ in range(count):
            self.written += 1
            command = b"%d:" % self.written + bytes(size)
            if leader.propose(command, lambda command=command: self.acknowledged.append(command)):  # type: ignore[misc]
                commands.append(command)
        return commands

    # -- verdicts -------------------------------------------------------------------------------------------

    def lost(self) -> list[bytes]:
        """Acknowledged commands that the present leader has neither applied nor in its log's committed part."""
        have = set(self.leader.applied)
        return [command for command in self.acknowledged if command not in have]

    def all_equal(self) -> bool:
        """All members are up and have applied the same commands in the same order, as far as their leader."""
        applied = [member.applied for member in self.up.values()]
        return len(self.up) == len(self.ids) and all(one == applied[0] for one in applied)

    def diverged(self) -> bool:
        """Two members have applied different commands at one place."""
        applied = [member.applied for member in self.up.values()]
        return any(
            one[at] != other[at]
            for one in applied
            for other in applied
            for at in range(min(len(one), len(other)))
        )
