"""A machine, a hub and readers without sockets or clocks: what the tests of watches play with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from visor.paths import parent
from visor.protocol import frames, verbs
from visor.protocol.frames import Decoder
from visor.protocol.limits import DEFAULT, Limits
from visord.state.command import encode
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.watch.gathered import EACH
from visord.watch.hub import Hub

Commit = tuple[int, int, str, str | None, list[Any]]


@dataclass(eq=False)
class Reader:
    """A connection: a sink that decodes what it gets. `high` bytes unread make it blocked."""

    high: int = 1 << 60
    blocked: bool = False
    unread: int = 0
    pieces: int = 0
    messages: list[list[Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Encoded size of each message."""
    decoder: Decoder = field(default_factory=lambda: Decoder(64 << 20))
    _partial: int = 0

    def send(self, data: bytes) -> None:
        assert type(data) is bytes
        assert data
        self.pieces += 1
        self.unread += len(data)
        self._partial += len(data)
        arrived = self.decoder.feed(data)
        assert self.decoder.violation is None, self.decoder.violation
        if len(arrived) == 1:
            self.messages.extend(arrived)
            self.sizes.append(self._partial)
            self._partial = 0
        elif arrived:  # small messages of several watches, and nothing else
            self.messages.extend(arrived)
            self.sizes.extend(len(frames.encode(message)) for message in arrived)
            assert sum(self.sizes[-len(arrived) :]) == self._partial <= 2 * EACH
            self._partial = 0
        if self.unread >= self.high:
            self.blocked = True

    def send_all(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self.send(piece)

    def of(self, watch: int, kind: int | None = None) -> list[list[Any]]:
        """Return the messages of one watch, all or of one kind."""
        return [m for m in self.messages if m[1] == watch and (kind is None or m[0] == kind)]

    def commits(self, watch: int) -> list[list[Any]]:
        return [commit for message in self.of(watch, verbs.COMMITS) for commit in message[2]]

    def revs(self, watch: int) -> list[int]:
        return [commit[0] for commit in self.commits(watch)]

    def marks(self, watch: int) -> list[int]:
        return [message[2] for message in self.of(watch, verbs.MARK)]

    def ended(self, watch: int) -> list[Any] | None:
        """Return `[code, text, details]`, or None when the watch goes on."""
        messages = self.of(watch, verbs.ENDED)
        assert len(messages) <= 1
        return messages[0][2:] if messages else None

    def files(self, watch: int) -> list[tuple[str, list[Any]]]:
        return [(path, version) for m in self.of(watch, verbs.STATE) for path, version in m[3]]


class World:
    """One node's machine and hub. Writes go through the machine, as on a node."""

    def __init__(self, limits: Limits = DEFAULT, **options: Any) -> None:
        self.machine = Machine(limits)
        self.store = self.machine.store
        self.hub = Hub(self.store, limits, **options)
        self.now = 0.0
        self.history: list[Commit] = []
        """Every commit as it was right after it was applied, whatever retention did later."""
        self._index = itertools.count(1)
        self._ids = itertools.count(1)
        self._clock = 1_000

    # -- writes ---------------------------------------------------------------------------------------

    def apply(self, *frames: list[Any], actor: str = "tester") -> list[Any]:
        """Apply write messages (verb and fields, without id and acked) as one command; no pump."""
        self._clock += 7
        writes = [[frame[0], next(self._ids), 0, *frame[1:]] for frame in frames]
        before = self.store.rev
        [outcomes] = self.machine.apply(
            next(self._index), 1, encode(self._clock, [[None, actor, writes, ""]])
        )
        self._remember(before + 1)
        return outcomes

    def _remember(self, first: int) -> None:
        commits = self.store.commits(first, self.store.rev)
        self.history.extend((*commit[:4], list(commit[4])) for commit in commits)

    def set(self, path: str, value: bytes = b"v", note: str | None = None) -> int:
        """Write one file; return the rev."""
        [rev] = self.apply([verbs.SET, path, value, verbs.G_NONE, 0, 0, note])
        assert type(rev) is int, rev
        return rev

    def delete(self, path: str, recursive: bool = False) -> int:
        [rev] = self.apply([verbs.DELETE, path, recursive])
        assert type(rev) is int, rev
        return rev

    def commit(self, writes: dict[str, bytes | None], *, expired: bool = False) -> int:
        """Commit several files as one rev (a value None deletes), whatever stands in the way left out."""
        store = self.store
        possible = [(path, value, 0) for path, value in writes.items() if self._possible(path, value)]
        if possible:
            self._clock += 7
            rev = store.commit(self._clock, "tester", None, possible, expired=expired)
            self._remember(rev)
        return store.rev

    def _possible(self, path: str, value: bytes | None) -> bool:
        store, rev = self.store, self.store.rev
        if value is None:
            return store.version(path, rev) is not None
        above = path
        while above != "/":
            above = parent(above)
            if store.version(above, rev) is not None:
                return False
        return not store.is_directory(path, rev)

    def compact(self, to: int) -> None:
        [floor] = self.apply([verbs.RETAIN, None, None, to])
        assert type(floor) is int, floor

    # -- watches --------------------------------------------------------------------------------------

    def watch(
        self,
        reader: Reader,
        selector: list[Any],
        start: int | None = None,
        *,
        flags: int = 0,
        kinds: int = verbs.ALL_KINDS,
        window: int = 0,
        watch: int = 1,
    ) -> int:
        """Subscribe; return the first rev, or fail the test when refused."""
        first = self.ask(reader, selector, start, flags=flags, kinds=kinds, window=window, watch=watch)
        assert type(first) is int, first
        return first

    def ask(
        self,
        reader: Reader,
        selector: Any,
        start: Any = None,
        *,
        flags: Any = 0,
        kinds: Any = verbs.ALL_KINDS,
        window: Any = 0,
        watch: Any = 1,
    ) -> int | Refusal:
        """Subscribe; return the first rev or the refusal."""
        return self.hub.subscribe(reader, watch, selector, start, flags, kinds, window, self.now)

    def pump(self, budget: int = 4096) -> None:
        """Pump until there is nothing more to do."""
        for _ in range(5_000):
            if not self.hub.pump(budget):
                return
        raise AssertionError("the hub never rests")

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.hub.tick(self.now)
