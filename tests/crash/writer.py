"""A client that writes until the node is killed, and then wants to know what became of what it had sent.

Every write carries a token of its own as its note, so that each commit tells whose it is:

    set     /w0/s/7                          = b"w0-123...."       note "w0-123"
    txn     /w0/t/3/a, /w0/t/3/b, /w0/t/3/c  = b"w0-124...."       note "w0-124", all or nothing
    delete  /w0/s/7                                                note "w0-125"

A `Writer` outlives the connections: its session and its write ids go on after a restart. What had no answer when
the connection broke is asked again with RETRY, in order, before anything new is sent.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.wire import Closed, Refused, Wire
from visor.protocol import verbs

KEYS = 12
LEAVES = ("a", "b", "c")
LARGE = 40_000
"""Bytes of a large value: a few of them fill a segment of the log."""


@dataclass
class Write:
    """One write: what was sent, and what came back."""

    token: str
    frame: list[Any]
    changes: dict[str, bytes | None]
    """What it does if it is applied, by path; None: deleted."""
    rev: int | None = None
    """Acknowledged with this rev."""
    refused: str = ""
    """Refused with this code."""
    tries: int = 1


@dataclass
class Writer:
    """See the module. `run` ends when the connection breaks; errors are kept in `problems`."""

    name: str
    session: bytes
    rng: Random
    depth: int = 8
    """Writes under way at once."""
    last_id: int = 0
    written: int = 0
    pending: dict[int, Write] = field(default_factory=dict)
    """Sent and not answered, by id, in order."""
    settled: list[Write] = field(default_factory=list)
    """Answered since the last `take_settled`."""
    problems: list[str] = field(default_factory=list)
    retried: int = 0

    # -- writing ------------------------------------------------------------------------------------------

    def run(self, address: str, present: dict[str, int], rev: int, stop: threading.Event) -> None:
        """Ask what became of `pending`, then write until the connection breaks or `stop` is set.

        `present`: the revs of the tokens that the log held at the restart, `rev`: its last rev then.
        """
        try:
            # The ids go on above all that were used; HELLO has an id of its own.
            with Wire(address, session=self.session, first_id=self.last_id + 1) as wire:
                self.last_id += 1
                self._retry(wire, present, rev)
                while not stop.is_set():
                    self._fill(wire)
                    self._take_answer(wire)
                while self.pending:
                    self._take_answer(wire)
        except (Closed, OSError):
            pass

    def _retry(self, wire: Wire, present: dict[str, int], rev: int) -> None:
        todo = list(self.pending.items())
        wire.send(*[[verbs.RETRY, request, write.frame] for request, write in todo])
        for request, write in todo:
            write.tries += 1
            self.retried += 1
            self._settle(wire, request)
            was = present.get(write.token)
            if was is not None and write.rev != was:
                self.problems.append(f"{write.token} was applied as {was}, its retry says {write.rev}")
            if was is None and write.rev is not None and write.rev <= rev:
                self.problems.append(
                    f"{write.token} was not in the log up to {rev}, its retry says {write.rev}"
                )

    def _fill(self, wire: Wire) -> None:
        fresh = []
        while len(self.pending) < self.depth:
            write = self._new_write()
            self.pending[write.frame[1]] = write
            fresh.append(write.frame)
        if fresh:
            wire.send(*fresh)

    def _take_answer(self, wire: Wire) -> None:
        self._settle(wire, next(iter(self.pending)))

    def _settle(self, wire: Wire, request: int) -> None:
        write = self.pending[request]
        try:
            result = wire.answer(request, timeout=30)
            write.rev = result[0] if type(result) is list else result
        except Refused as refused:
            write.refused = refused.code
            if not (refused.code == "not_found" and write.frame[0] == verbs.DELETE):
                self.problems.append(f"{write.token} was refused: {refused}")
        del self.pending[request]
        self.settled.append(write)

    def take_settled(self) -> list[Write]:
        settled, self.settled = self.settled, []
        return settled

    # -- what is written ----------------------------------------------------------------------------------

    def _new_write(self) -> Write:
        self.written += 1
        self.last_id += 1
        token = f"{self.name}-{self.written}"
        acked = next(iter(self.pending), self.last_id)
        key, kind = self.rng.randrange(KEYS), self.rng.random()
        value = token.encode().ljust(LARGE if self.rng.random() < 0.01 else self.rng.randrange(20, 300), b".")
        head = [self.last_id, acked]
        if kind < 0.5:
            path = f"/{self.name}/s/{key}"
            return Write(token, [verbs.SET, *head, path, value, 0, 0, 0, token], {path: value})
        if kind < 0.6:
            path = f"/{self.name}/s/{key}"
            return Write(token, [verbs.DELETE, *head, path, False, 0, 0, token], {path: None})
        paths = [f"/{self.name}/t/{key}/{leaf}" for leaf in LEAVES]
        operations = [[verbs.T_SET, path, value] for path in paths]
        return Write(token, [verbs.TXN, *head, [], operations, [], token], dict.fromkeys(paths, value))
