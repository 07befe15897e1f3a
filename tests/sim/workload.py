"""What a simulated client asks, and what goes into the history of it. How it is asked, its two kinds decide.

`client.Client` speaks the protocol byte by byte and is as inconvenient as the rules allow; `core_client.CoreClient` is
the core that every user's client has (`visor._core.client`), on simulated wires. Both ask the same mix.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from tests.checkers.history import (
    LINEARIZABLE,
    OK,
    PAST,
    REJECTED,
    STALE,
    UNKNOWN,
    Operation,
    Read,
    Watch,
    Write,
)
from tests.sim.holder import Holder
from tests.sim.randoms import log_uniform
from tests.sim.wires import Connection
from visor.protocol import verbs

if TYPE_CHECKING:
    from tests.sim.world import World

KEYS: Final = tuple(f"/k/{name}" for name in "abcdef")
GROUPS: Final = tuple(f"/g/{group}" for group in "pq")
LEAVES: Final = ("x", "y", "z")
DEPTH: Final = 4
"""Requests of one client under way."""
TICK_SECONDS: Final = 0.25
SIZES: Final = (10, 60, 300, 3000)


class Asked:
    """One request until it is answered, whatever became of it on the way."""

    __slots__ = ("answer", "deadline", "frame", "more", "operation")

    def __init__(
        self,
        operation: Operation,
        frame: list[Any],
        deadline: float,
        answer: Callable[[Any], object] | None,
    ) -> None:
        self.operation = operation
        self.frame = frame
        self.deadline = deadline
        self.answer = answer
        """Gets the result of OK, or None when it is refused or given up."""
        self.more: dict[str, Any] = {}
        """Of a SCAN: the rows of the pages so far."""

    @property
    def writes(self) -> bool:
        """It is a write."""
        return self.operation.write is not None


class Following(Protocol):
    """One watch of a client, over all its connections."""

    trace: Watch
    complete: int
    """Everything up to this rev has come."""

    def tick(self) -> None:
        """From time to time: give credit, ask for a mark, ask again."""


class Workload(ABC):
    """See the module. `number` is the client's place in the history."""

    def __init__(self, world: World, number: int, rng: random.Random) -> None:
        self.world = world
        self.number = number
        self.rng = rng
        self.connection: Connection | None = None
        self.closing = False
        """It asks nothing new."""
        self.dead = False
        self.pause = log_uniform(rng, 0.01, 0.12)
        """Mean seconds between two requests."""
        self.min_rev = 0
        self._tokens = 0
        self._known: dict[str, int] = {}
        """The last rev of each path that was read: for compare-and-set."""
        self.holders: list[Holder] = []

    # -- what the two kinds do in their own way -------------------------------------------------------------

    @property
    @abstractmethod
    def subscribers(self) -> list[Any]:
        """The watches."""

    @property
    @abstractmethod
    def busy(self) -> int:
        """How many requests are under way."""

    @abstractmethod
    def finish(self) -> None:
        """Ask nothing new; what waits for a rev that may never come waits no more."""

    @abstractmethod
    def heard(self, connection: Connection, data: bytes) -> None:
        """Bytes of a connection."""

    @abstractmethod
    def hung_up(self, connection: Connection) -> None:
        """The connection is gone."""

    @abstractmethod
    def keep(self, lease: int, answer: Callable[[str | None, Any], object]) -> bool:
        """Keep a lease alive; false when it cannot be asked now.

        `answer` gets None and the result of OK, or a refusal's code, or "lost" for none.
        """

    @abstractmethod
    def _watch(self) -> None:
        """Begin another watch."""

    @abstractmethod
    def _submit(self, asked: Asked) -> None:
        """Ask."""

    # -- life -----------------------------------------------------------------------------------------------

    def die(self) -> None:
        """The client's process ends: nobody waits for what it asked for."""
        self.dead = True
        if self.connection is not None:
            self.connection.abandon()
            self.connection = None

    # -- time -----------------------------------------------------------------------------------------------

    def _after(self, delay: float, callback: Any, *args: Any) -> None:
        self.world.scheduler.after(delay, callback, *args)

    @property
    def now(self) -> float:
        """The time."""
        return self.world.scheduler.now

    @property
    def idle(self) -> bool:
        """Nothing is awaited."""
        return self.dead or not self.busy

    # -- asking ---------------------------------------------------------------------------------------------

    def _think(self) -> None:
        if self.dead or self.closing:
            return
        self._after(self.pause * 2 * self.rng.random(), self._think)
        if self.busy < DEPTH:
            self._ask_something()

    def _ask_something(self) -> None:
        choices, weights = self.world.mix
        kind = self.rng.choices(choices, weights)[0]
        getattr(self, f"_ask_{kind}")()

    def token(self) -> str:
        """Return the name of a new write."""
        self._tokens += 1
        return f"c{self.number}-{self._tokens}"

    def _value(self, token: str) -> bytes:
        return f"{token}.".encode() + b"-" * self.rng.choice(SIZES)

    def _ask_set(self) -> None:
        token, path = self.token(), self.rng.choice(KEYS)
        value = self._value(token)
        guard, arg = self.rng.choice(
            (
                (verbs.G_NONE, 0),
                (verbs.G_NONE, 0),
                (verbs.G_REV, self._known.get(path, 0)),
                (verbs.G_SINCE, self._known.get(path, 0)),
                (verbs.G_MISSING, 0),
                (verbs.G_EXISTS, 0),
            )
        )
        frame: list[Any] = [verbs.SET, 0, 0, path, value]
        shape = self.rng.choice((5, 5, 7, 9))
        frame += [guard, arg, 0, token][: 4 if shape == 9 else 2 if guard or shape == 7 else 0]
        guards = ((guard, path, arg),) if guard else ()
        self.ask(Write(token, guards, ((verbs.T_SET, path, value),), (), True), frame)

    def _ask_delete(self) -> None:
        token, path = self.token(), self.rng.choice(KEYS)
        guard, arg = self.rng.choice(((verbs.G_NONE, 0), (verbs.G_REV, self._known.get(path, 0))))
        frame = [verbs.DELETE, 0, 0, path, False, guard, arg, token]
        guards = ((guard, path, arg),) if guard else ()
        self.ask(Write(token, guards, ((verbs.T_DELETE, path),), (), True), frame)

    def _ask_txn(self) -> None:
        """A group's leaves all get the same token, or a few keys change together."""
        token, rng = self.token(), self.rng
        value = self._value(token)
        if rng.random() < 0.6:
            group = rng.choice(GROUPS)
            paths = [f"{group}/{leaf}" for leaf in LEAVES]
        else:
            paths = rng.sample(KEYS, 2)
        then: list[tuple[Any, ...]] = [(verbs.T_SET, path, value) for path in paths]
        then.insert(rng.randrange(len(then) + 1), (verbs.T_GET, rng.choice(paths)))
        guards = tuple(
            (rng.choice((verbs.G_REV, verbs.G_SINCE)), path, self._known.get(path, 0))
            for path in rng.sample(paths, rng.choice((0, 0, 1, 2)))
        )
        otherwise = ((verbs.T_GET, paths[0]), (verbs.T_GET, paths[1]))
        write = Write(token, guards, tuple(then), otherwise)
        rows = [[list(row) for row in part] for part in (guards, then, otherwise)]
        self.ask(write, [verbs.TXN, 0, 0, *rows, token])

    def _ask_nop(self) -> None:
        self.ask(Write(self.token(), (), ()), [verbs.NOP, 0, 0])

    def _ask_get(self) -> None:
        self._ask_read(self.rng.choice(KEYS), LINEARIZABLE, None)

    def _ask_stale(self) -> None:
        self._ask_read(self.rng.choice(KEYS), STALE, None)

    def _ask_past(self) -> None:
        # A rev that is not there yet is waited for.
        rev = self.rng.randint(max(0, self.min_rev - 60), self.min_rev + 3)
        self._ask_read(self.rng.choice(KEYS), PAST, rev)

    def _ask_read(self, path: str, mode: str, at: int | None) -> None:
        frame: list[Any] = [verbs.GET, 0, path]
        if mode != LINEARIZABLE or self.rng.random() < 0.2:
            frame += [at, verbs.STALE if mode == STALE else verbs.LINEARIZABLE]
        self.ask(Read(path, False, mode), frame, at)

    def _ask_scan(self) -> None:
        path = self.rng.choice(("/k", "/g/p", "/g"))
        limit = self.rng.choice((0, 0, 2))
        frame = [verbs.SCAN, 0, [verbs.SEL_TREE, path], None, verbs.LINEARIZABLE, None, limit]
        self.ask(Read(path, True, LINEARIZABLE), frame)

    def _ask_watch(self) -> None:
        """A watch is no request that ends: it is looked after by itself."""
        if len(self.subscribers) < 3:
            self._watch()

    def _ask_lease(self) -> None:
        if len(self.holders) < 2:
            self.holders.append(Holder(self))

    def ask(
        self,
        what: Write | Read,
        frame: list[Any],
        at: int | None = None,
        answer: Callable[[Any], object] | None = None,
    ) -> None:
        """Ask something that goes into the history."""
        operation = Operation(self.number, what, self.now, asked=at)
        self.world.history.operations.append(operation)
        self._submit(Asked(operation, frame, self.now + log_uniform(self.rng, 0.5, 12.0), answer))

    # -- what became of it ----------------------------------------------------------------------------------

    def took(self, asked: Asked, result: Any) -> bool:
        """Take the result of OK; false when another page is to be asked for: its frame is ready."""
        operation = asked.operation
        read = operation.read
        if read is None:
            rev = result if type(result) is int else result[0]
            if type(result) is not int and asked.answer is None:
                operation.result = (result[1], result[2])
        elif read.tree:
            rev = result[0]
            asked.more |= {path: tuple(version) for path, version in result[1]}
            if result[2] is not None:
                asked.frame[3], asked.frame[5] = rev, result[2]  # of the same rev, at whichever node
                return False
            operation.result = asked.more
        else:
            rev, version = result
            operation.result = {} if version is None else {read.path: tuple(version)}
            if read.mode != PAST:
                self._known[read.path] = 0 if version is None else version[0]
        operation.rev, operation.end, operation.outcome = rev, self.now, OK
        if read is None or read.mode != PAST:
            self.saw(rev)
        if asked.answer is not None:
            asked.answer(result)
        return True

    def saw(self, rev: int) -> None:
        """A rev was seen: no answer may be older from now on."""
        self.min_rev = max(self.min_rev, rev)

    def refused(self, asked: Asked, code: str, details: dict[str, Any]) -> None:
        """It did not happen."""
        operation = asked.operation
        operation.end, operation.outcome, operation.result = self.now, REJECTED, (code, details)
        if code == "rev_mismatch" and operation.write is not None and "path" in details:  # a retry has none
            self._known[details["path"]] = details["actual"]
        if asked.answer is not None:
            asked.answer(None)

    def unknown(self, asked: Asked) -> None:
        """It may have happened, or may still; or it was a read, and nobody waits any more."""
        asked.operation.outcome = UNKNOWN
        if asked.answer is not None:
            asked.answer(None)
