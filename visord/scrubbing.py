"""After values were redacted: no file of this member holds them any more, however it stops and starts.

    owed     the state has a redaction at entry 812, the file `scrubbed` says 640
    1        the log goes on in new files; spares are thrown away; transfers of checkpoints, both ways, are ended
    2        one more entry is in the new files (a NOP is proposed where none comes), behind it a checkpoint is made:
             it writes again what may hold the values (`storage/compaction.py`)
    3        the log forgets all that the checkpoint has, replicas that lag fetch it; the old files are removed
    4        what is left in `history/` and `log/` is looked at: nothing of before, then `scrubbed` says 812

That is the whole memory of it: the state says what was redacted last, the file how far this directory is. A crash at
any point begins again at 1, which does no harm; so does a directory that was copied back, or whose member was away: it
gets the redaction by the log, or by a checkpoint, and owes from then on.

What the file system makes of a removed file is its own: bytes may lie in blocks that are free.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from visor.protocol.verbs import NOP
from visord.environment import Loop
from visord.logs import about
from visord.state.machine import Machine
from visord.storage.checkpoint import Checkpointer
from visord.storage.disk import Disk, join, read_all, write_atomic
from visord.storage.incoming import Incoming
from visord.storage.outgoing import Outgoing
from visord.storage.worker import Submitter

logger = logging.getLogger("visord.storage")

NAME: Final = "scrubbed"
NOTE_BYTES: Final = 1 << 10
WAIT_SECONDS: Final = 1.0
"""How long other entries may take to come before one is proposed."""
ALARM_SECONDS: Final = 60.0
"""A redaction that is owed for so long is an alarm: at first it is only work under way."""
FREED_BYTES: Final = 4 << 20
"""Of the log that are forgotten at once."""


class Log(Protocol):
    """What of the log is used."""

    @property
    def renewed_behind(self) -> int | None: ...

    @property
    def worn(self) -> bool: ...

    def renew(self, index: int, /) -> None: ...

    def trim(self, index: int, most: int, /) -> bool: ...

    def remains(self) -> list[str]: ...


class Consensus(Protocol):
    """What of the engine is used."""

    def trimmed(self) -> None: ...


class Jobs(Protocol):
    """What of the maintenance is used."""

    def checkpoint_now(self) -> None: ...

    def status(self) -> dict[str, Any]: ...


class Transfers(Protocol):
    """What of both ends of a transfer of a checkpoint is used."""

    @property
    def incoming(self) -> Incoming: ...

    @property
    def outgoing(self) -> Outgoing: ...

    @property
    def installing(self) -> bool: ...


class Proposes(Protocol):
    """What of the proposer is used."""

    def refusal(self, owner: str = ..., /) -> object | None: ...

    def submit(self, author: Any, frames: list[Any], size: int, /) -> None: ...


class Node(Protocol):
    """What of the node is used."""

    @property
    def machine(self) -> Machine: ...

    @property
    def checkpointer(self) -> Checkpointer: ...

    @property
    def log(self) -> Log: ...

    @property
    def engine(self) -> Consensus: ...

    @property
    def maintenance(self) -> Jobs: ...

    @property
    def install(self) -> Transfers: ...

    @property
    def proposer(self) -> Proposes: ...


class Scrubbing:
    """See the module. `failed(error)`: the disk is broken."""

    session: bytes | None = None
    actor = "visord"
    principal = "visord"
    """Of nobody who has any rights: an entry is all that is wanted, whatever comes of it."""

    def __init__(
        self,
        node: Node,
        disk: Disk,
        directory: str,
        background: Submitter,
        loop: Loop,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._node = node
        self._disk = disk
        self._directory = directory
        self._background = background
        self._time = loop.time
        self._failed = failed
        self._done = _read(disk, directory)
        """The entry of the last redaction after which nothing of it was left here, and how many there were."""
        self._begun = 0
        """The entry of the redaction for which the log was renewed."""
        self._since = 0.0
        self._asked = 0.0
        """When a NOP was proposed last, or there was no need."""
        self._looking = False

    @property
    def owed(self) -> int:
        """How many redactions this member still has files from before of; 0: none."""
        redacted = self._node.machine.store.redacted
        return max(1, redacted.count - self._done[1]) if redacted.index > self._done[0] else 0

    @property
    def alarm(self) -> str | None:
        """Why it is not done, after a while; None while there is nothing to say."""
        owed = self.owed
        if not owed or not self._begun or self._time() - self._since < ALARM_SECONDS:
            return None
        return f"{owed} of them are in files of this member yet: {self._waits_for()}"

    def _waits_for(self) -> str:
        node, behind = self._node, self._node.log.renewed_behind
        if behind is None:
            return "the log could not begin new files yet"
        if node.machine.index <= behind:
            return f"an entry after {behind} has to be committed"
        if node.checkpointer.index <= behind:
            return f"a checkpoint behind entry {behind} has to be made"
        return "files of before have to be removed"

    def tick(self) -> None:
        """From time to time: do what can be done next."""
        node = self._node
        if not self.owed:
            return
        redacted, now = node.machine.store.redacted.index, self._time()
        if node.install.installing:
            return
        if self._begun < redacted:
            self._begin(redacted, now)
        behind = node.log.renewed_behind
        if behind is None or self._looking:
            return
        if node.machine.index <= behind:
            self._propose(now)
        elif node.checkpointer.index <= behind:
            if not node.maintenance.status()["failure"]:  # else it is tried again at a pace of its own
                node.maintenance.checkpoint_now()
        elif node.log.worn:
            if not node.log.trim(node.checkpointer.index, FREED_BYTES):
                node.engine.trimmed()
        elif not node.checkpointer.running:
            self._look(redacted)

    def _begin(self, redacted: int, now: float) -> None:
        if not self._begun:
            self._since = now
        self._begun, self._asked = redacted, now
        self._end_transfers(redacted)
        self._node.log.renew(redacted)

    def _end_transfers(self, redacted: int) -> None:
        """Checkpoints of before are neither fetched nor given away any more."""
        install = self._node.install
        install.incoming.abandon_before(redacted)
        oldest = install.outgoing.index
        if oldest is not None and oldest < redacted:
            install.outgoing.release("values were redacted")

    def _propose(self, now: float) -> None:
        if now - self._asked >= WAIT_SECONDS and self._node.proposer.refusal() is None:
            self._asked = now
            self._node.proposer.submit(self, [[NOP, 1, 0]], 16)

    def complete(self, frames: list[Any], outcomes: list[Any]) -> None:
        """An entry came."""

    def fail(self, frames: list[Any], refusal: Any) -> None:
        """It did not, as far as is known: another one is proposed."""

    # -- the end --------------------------------------------------------------------------------------

    def _look(self, redacted: int) -> None:
        """See that nothing of before is left, then write that down."""
        self._end_transfers(redacted)
        if self._node.install.incoming.active:
            return  # it is newer than the redaction: what it fetches stays
        self._looking = True
        done = (redacted, self._node.machine.store.redacted.count)
        clean = self._node.checkpointer.cleaner()
        self._background.submit(partial(self._finish, done, clean), partial(self._looked, done))

    def _finish(self, done: tuple[int, int], clean: Callable[[], bool]) -> bool:
        if self._node.log.remains() or not clean():
            return False
        note = {"entry": done[0], "redactions": done[1]}
        write_atomic(self._disk, self._directory, NAME, (json.dumps(note).encode() + b"\n",))
        return True

    def _looked(self, done: tuple[int, int], clean: bool | None, error: BaseException | None) -> None:
        self._looking = False
        if error is not None:
            if not isinstance(error, OSError):
                self._failed(error)
            logger.warning("redacted values may be in files yet, it is tried again: %s", error)
        elif clean:
            self._done, self._begun = done, 0
            logger.info(
                "no file of this member holds what was redacted up to entry %d",
                done[0],
                extra=about(index=done[0]),
            )


def _read(disk: Disk, directory: str) -> tuple[int, int]:
    """Return what the note says; nothing is done where it says nothing that can be understood."""
    path = join(directory, NAME)
    if not disk.exists(path):
        return 0, 0
    try:
        note = json.loads(read_all(disk, path, NOTE_BYTES))
        entry, count = note["entry"], note["redactions"]
    except (ValueError, TypeError, LookupError):
        return 0, 0
    return (entry, count) if type(entry) is int and type(count) is int else (0, 0)
