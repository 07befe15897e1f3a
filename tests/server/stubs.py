"""What a conversation has around it, without a node and without a socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from visor.protocol import verbs as v
from visor.protocol.frames import Decoder
from visord.audit.auditor import Silent
from visord.serving.authorization import Authorization
from visord.serving.backend import CONFIRMATION, UntilRev, Wait
from visord.serving.cold_reads import ColdReads
from visord.serving.conversation import Conversation
from visord.serving.packed_pages import PackedPages
from visord.serving.passwords import Passwords
from visord.serving.reporting import Reporting
from visord.serving.shares import Patience, Shares
from visord.serving.turns import Turns
from visord.state.command import encode as command
from visord.state.machine import Machine
from visord.storage.worker import Inline
from visord.watch.packed_files import PackedFiles


class Node:
    """What a conversation asks: a node that has to be confirmed, whose clock goes on when it is looked at."""

    cluster = "c"

    def __init__(self) -> None:
        machine = self.machine = Machine()
        machine.apply(1, 1, command(1, [[None, "me", [[v.SET, 1, 0, "/a", b"1"]], ""]]))
        self.store = machine.store
        self.authorization = Authorization(machine, lambda: 0)
        self.reporting = Reporting(Silent)
        self.passwords = Passwords(self.clock)
        self.pages = PackedPages(self.store, PackedFiles())
        self.cold_reads = ColdReads(self.store, Inline())
        self.soon: deque[Callable[[], None]] = deque()
        self.now = 0.0
        self.shares = Shares(Turns(self.soon.append, self.clock), 1 << 20, 1 << 20, Patience())
        self.admission = SimpleNamespace(diverged=None)
        self.readiness = SimpleNamespace(readable=False)
        self.asked: list[Callable[[bool], None]] = []
        self.sleeping: list[int] = []

    def clock(self) -> float:
        self.now += 0.001
        return self.now

    def wait(self, message: list[Any], min_rev: int) -> Wait | None:
        at = message[3] if len(message) > 3 else None
        if at is None:
            return CONFIRMATION
        return UntilRev(at) if at > self.store.rev else None

    def confirm(self, callback: Callable[[bool], None]) -> None:
        self.asked.append(callback)

    def wake_at(self, rev: int, conversation: Conversation, request: int) -> None:
        self.sleeping.append(request)

    def stop_waiting(self, conversation: Conversation, request: int) -> None:
        if request in self.sleeping:
            self.sleeping.remove(request)

    def forget(self, conversation: Conversation, requests: Any) -> None:
        for request in requests:
            self.cold_reads.forget(conversation, request)

    def resume(self, conversation: Conversation) -> None: ...

    def watched_by(self, conversation: Conversation) -> bool:
        return False

    def turn(self) -> None:
        for _ in range(len(self.soon)):
            self.soon.popleft()()


class Wire:
    def __init__(self) -> None:
        self.decoder = Decoder(1 << 20)
        self.answers: list[list[Any]] = []
        self.reading = True
        self.closed = False

    def write(self, data: bytes) -> None:
        self.answers += self.decoder.feed(data)

    def write_all(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def pause(self) -> None:
        self.reading = False

    def resume(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None: ...

    def unsent(self) -> int:
        return 0

    certificate = None

    def greeted(self) -> None: ...

    def strange(self, why: str) -> None: ...

    @property
    def ids(self) -> list[int]:
        return [answer[1] for answer in self.answers]
