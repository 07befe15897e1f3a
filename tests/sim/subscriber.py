"""One watch of a simulated client, over all the connections that it is resumed on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgpack

from tests.checkers.history import Event, Watch
from visor.protocol import codes, verbs

if TYPE_CHECKING:
    from tests.sim.client import Client

PATHS: Final = ("/", "/k", "/k/a", "/g/p", "/g")
WINDOWS: Final = (0, 600, 5000)


class Subscriber:
    """See the module. `wire` is the watch's id on the connection, 0 while there is none."""

    def __init__(self, client: Client) -> None:
        rng = client.rng
        self._client = client
        self._with_state = rng.random() < 0.4
        """It begins with the files, not with a rev."""
        self._next = max(1, client.min_rev - rng.randrange(30)) if rng.random() < 0.3 else None
        """The rev to ask from; None: from the next commit on."""
        self._window = rng.choice(WINDOWS)
        self._reads = rng.random() < 0.8
        """It gives credit at once."""
        self._owed = 0
        self._rows: dict[str, Any] = {}
        self._begun = False
        """The first answer (or the files) came: there is a rev to go on from."""
        self._wait_until = 0.0
        self.wire = 0
        self.complete = 0
        """Everything up to this rev has come."""
        self.trace = Watch(client.number, rng.choice(PATHS), previous=rng.random() < 0.3)
        client.world.history.watches.append(self.trace)
        if client.greeted:
            self.subscribe()

    def subscribe(self) -> None:
        """Ask for the watch on the connection that there is now."""
        client = self._client
        if self.wire or client.now < self._wait_until:
            return
        flags = (verbs.W_PREVIOUS if self.trace.previous else 0) | (verbs.W_STATE if self._wants_state else 0)
        self.wire = client.new_id()
        self._rows = {}
        frame = [verbs.WATCH, self.wire, [verbs.SEL_TREE, self.trace.path], self._next, flags]
        if not client.send([*frame, verbs.ALL_KINDS, self._window]):
            self.wire = 0

    @property
    def _wants_state(self) -> bool:
        return self._with_state and not self._begun

    def lost(self) -> None:
        """The connection is gone."""
        self.wire = self._owed = 0

    def tick(self) -> None:
        """From time to time: pay what is owed, ask for a mark, ask again."""
        client = self._client
        self._reads = self._reads or client.closing
        if not client.greeted:
            return
        if not self.wire:
            self.subscribe()
        elif self._owed and (self._reads or client.rng.random() < 0.2):
            self._pay()
        elif client.closing or client.rng.random() < 0.1:
            client.send([verbs.PROGRESS, self.wire])

    def _pay(self) -> None:
        owed, self._owed = self._owed, 0
        self._client.send([verbs.CREDIT, self.wire, owed])

    # -- hearing --------------------------------------------------------------------------------------------

    def heard(self, message: list[Any]) -> None:
        """A message of this watch."""
        kind = message[0]
        if kind == verbs.OK:
            self._started(message[2])
        elif kind == verbs.ERROR:
            self._refused(message[2])
        elif kind == verbs.COMMITS:
            self._count(message)
            for commit in message[2]:
                self._note("commit", commit[0], commit)
                self._go_on(commit[0])
        elif kind == verbs.MARK:
            self._note("mark", message[2])
            self._go_on(message[2])
        elif kind == verbs.STATE:
            self._count(message)
            self._state(message[2], message[3], message[4])
        elif kind == verbs.ENDED:
            self._ended(message[2], message[4])

    def _started(self, first: int) -> None:
        if not self._wants_state:
            self._note("resumed", first)
            if self._next is None:
                self._next = first
            self._begun = True

    def _state(self, rev: int, rows: list[Any], last: bool) -> None:
        self._rows |= {path: tuple(version) for path, version in rows}
        if last:
            self._note("state", rev, self._rows)
            self._begun = True
            self._go_on(rev)

    def _go_on(self, rev: int) -> None:
        self.complete = max(self.complete, rev)
        self._next = max(self._next or 0, rev + 1)
        self._client.saw(rev)

    def _count(self, message: list[Any]) -> None:
        self._owed += len(msgpack.packb(message))
        if self._reads:
            self._pay()

    def _refused(self, code: str) -> None:
        self._client.world.count(f"watch refused: {code}")
        self.wire = 0
        self._wait(code)

    def _ended(self, code: str, details: dict[str, Any]) -> None:
        self._client.world.count(f"watch ended: {code}")
        rev = details["rev"]
        if rev is not None and self._begun:
            self._note("ended", rev)
            self._go_on(rev)
        self.wire = 0
        self._wait(code)

    def _wait(self, code: str) -> None:
        client = self._client
        if code == "compacted":
            # What is gone cannot be had: begin again with the files.
            self._with_state, self._begun, self._next = True, False, None
        elif codes.FAMILY.get(code) != codes.UNAVAILABLE:
            client.world.broken(f"a watch of client {client.number} ended: {code}", None)
        self._wait_until = client.now + 0.2

    def _note(self, kind: str, rev: int, content: Any = None) -> None:
        self.trace.events.append(Event(self._client.now, kind, rev, content))
