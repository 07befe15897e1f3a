"""A member that lags so far that the leader's log does not reach back to it takes over the leader's checkpoint.

    leader:  INSTALL             you need entries that I do not have any more
    member:  OFFER?  ----------> leader: OFFERED (the names, sizes and checksums of its checkpoint's files)
    member:  FETCH, one piece at a time --> CHUNK ... until all is here and checked
    member:  the new state is loaded, in slices; its manifest is replaced; the engine goes on from there

What cannot be loaded never becomes the own checkpoint: who made it up has only kept this member from catching up.
Until the last step the member answers stale reads from what it has; in it nothing is applied. What was fetched survives
restarts and changes of the leader. See `storage.incoming` for what is fetched and in which order things become durable.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final, Protocol

from visor.protocol.limits import Limits
from visord.environment import Environment
from visord.logs import about
from visord.members.names import Names
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.raft.configuration import Configuration, UnknownConfiguration
from visord.raft.configuration import decode as decode_configuration
from visord.state.machine import Machine
from visord.storage.checkpoint import Checkpointer
from visord.storage.directory import DataDirectory
from visord.storage.errors import StorageError
from visord.storage.fetched import OfferError
from visord.storage.incoming import Incoming
from visord.storage.loading import reaches
from visord.storage.manifest import Manifest
from visord.storage.outgoing import Outgoing

logger = logging.getLogger("visord.catchup")

ANSWER_SECONDS: Final = 3.0
"""After this time an answer is taken for lost, and asked for again."""
RETRY_SECONDS: Final = 5.0
"""After fetching failed (a full disk, for one)."""


class Consensus(Protocol):
    """What of the engine is used."""

    paused: bool
    """Nothing is applied."""

    @property
    def leader(self) -> str | None: ...


class Log(Protocol):
    """What of the log is used."""

    @property
    def first_index(self) -> int: ...


class Jobs(Protocol):
    """What of the maintenance is used."""

    def do(self, steps: Iterator[None], /) -> None: ...

    def checkpoint_now(self) -> None: ...


class Node(Protocol):
    """What of the node is used."""

    @property
    def environment(self) -> Environment: ...

    @property
    def directory(self) -> DataDirectory: ...

    @property
    def checkpointer(self) -> Checkpointer: ...

    @property
    def machine(self) -> Machine: ...

    @property
    def log(self) -> Log: ...

    @property
    def engine(self) -> Consensus: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def names(self) -> Names: ...

    @property
    def maintenance(self) -> Jobs: ...

    def send(self, member: str, message: list[Any], /) -> bool: ...

    def installed(self, machine: Machine, configuration: Configuration, /) -> None:
        """Go on with the state of a checkpoint that came from elsewhere."""


class _Installation:
    """A fetched checkpoint on its way into a machine: the node's own, if its state can go on, else a new one."""

    def __init__(self, node: Node, source: str) -> None:
        self._node = node
        self._source = source
        self.machine = node.machine
        self.begun = False
        """Something may have been loaded into `machine`."""
        self.configuration = Configuration()

    def load(self, manifest: Manifest) -> Iterator[None]:
        """Load it, in steps. Raises `OfferError` for what no start could load, and `OSError`."""
        own = self._node.machine
        try:
            if manifest.config is not None:
                self.configuration = decode_configuration(manifest.config)
            goes_on = own.store.rev > 0 and reaches(manifest, own)
            self.machine, self.begun = own if goes_on else Machine(self._node.limits), True
            yield from self._node.checkpointer.load_steps(manifest, self.machine)
        except (StorageError, UnknownConfiguration) as error:
            raise OfferError(f"the checkpoint of {self._source} cannot be loaded: {error}") from error


class Install:
    """Both ends of one node: what it fetches, and what others fetch from it.

    Questions are numbered from `first_id`, which no other life of this node had.
    """

    def __init__(self, node: Node, first_id: int) -> None:
        environment, directory, checkpointer = node.environment, node.directory, node.checkpointer
        loop = environment.loop
        self._node = node
        self._time = loop.time
        self._last = first_id
        self._source = ""
        """The leader that is asked; empty while nothing is needed."""
        self._asked: tuple[int, float] | None = None
        """The number of the open question, and when it is asked again."""
        self._not_before = 0.0
        self._installing = False
        self.outgoing = Outgoing(
            environment.disk,
            directory,
            checkpointer,
            environment.background,
            clock=loop.time,
            later=loop.call_later,
            helps=lambda index: node.log.first_index <= index,
        )
        self.incoming = Incoming(
            environment.disk,
            directory,
            checkpointer,
            environment.background,
            lambda: node.machine,
            changed=self._go_on,
        )

    @property
    def handlers(self) -> dict[int, Handler]:
        """What is heard here, by kind."""
        return {
            msg.OFFER: self.on_offer,
            msg.OFFERED: self.on_offered,
            msg.FETCH: self.on_fetch,
            msg.CHUNK: self.on_chunk,
        }

    @property
    def installing(self) -> bool:
        """A checkpoint that was fetched takes the place of the own one."""
        return self._installing

    def status(self) -> dict[str, Any] | None:
        """Return how far an install is; None when there is none."""
        if not self._source:
            return None
        here, whole = self.incoming.progress()
        return {"from": self._source, "bytes": here, "of": whole, "installing": self._installing}

    def _about(self, member: str, index: int) -> dict[str, Any]:
        return about(member=self._node.names.of(member) or None, member_id=member, index=index)

    # -- fetching -------------------------------------------------------------------------------------

    def needed(self, leader: str, index: int) -> None:
        """The leader says that only a checkpoint can help."""
        # The leader says so once a heartbeat, also while a checkpoint is on its way, or could not be had just now.
        if self._installing or self._time() < self._not_before:
            return
        if not self._source:
            named = self._node.names.told(leader)
            logger.info(
                "too far behind for the log of %s, which begins at %d: fetching a checkpoint",
                named, index, extra=self._about(leader, index),
            )  # fmt: skip
        if self._source != leader:
            self._source, self._asked = leader, None
            self.incoming.gone = True  # another member has other files: ask what it offers
        self._go_on()

    def tick(self) -> None:
        """From time to time: ask again for what did not come."""
        self.outgoing.tick()
        if self._asked is not None and self._asked[1] <= self._time():
            self._asked = None
            if self._source != self._node.engine.leader:
                self._source = ""  # the next leader will say whether a checkpoint is needed
                return
        if self._source:
            self._go_on()

    def _go_on(self) -> None:
        # One question at a time: the pace of the slower side, network or disk, is that of all.
        incoming = self.incoming
        if not self._source or self._installing or self._asked is not None:
            return
        if incoming.failure is not None:
            self._fail(incoming.failure)
        elif not incoming.active or incoming.gone:
            self._ask([msg.OFFER, self._next()])
        elif incoming.complete:
            self._installing = True
            self._node.maintenance.do(self._install())
        else:
            wanted = incoming.wanted()
            if wanted is not None:
                self._ask([msg.FETCH, self._next(), incoming.offer, *wanted])

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _ask(self, message: list[Any]) -> None:
        self._asked = (message[1], self._time() + ANSWER_SECONDS)
        self._wanted = message[3:5]
        self._node.send(self._source, message)

    def _answered(self, member: str, number: int) -> bool:
        """Tell whether this answers the open question."""
        if member != self._source or self._asked is None or self._asked[0] != number:
            return False
        self._asked = None
        return True

    def _fail(self, error: Exception) -> None:
        logger.error("no checkpoint could be taken over, next try in %g s: %s", RETRY_SECONDS, error)
        self._source = ""
        self.incoming.failure = None  # it has been told; the next attempt has its own
        self._not_before = self._time() + RETRY_SECONDS

    def on_offered(self, member: str, message: list[Any]) -> None:
        """The leader tells what it has."""
        _, number, offer = message[:3]
        if not self._answered(member, number):
            return
        if offer is None:
            self._source = ""  # it will make a checkpoint; INSTALL comes again
            return
        try:
            if not self.incoming.begin(offer, member):
                self._source = ""
                return
        except (StorageError, OSError) as error:
            self._fail(error)
            return
        self._go_on()

    def on_chunk(self, member: str, message: list[Any]) -> None:
        """A piece comes."""
        _, number, data = message[:3]
        if self._answered(member, number):
            file, offset = self._wanted
            self.incoming.take(file, offset, data)
            self._go_on()

    # -- installing -----------------------------------------------------------------------------------

    def _install(self) -> Iterator[None]:
        """Load the fetched checkpoint, and put it in the place of the own one. Nothing is applied meanwhile."""
        node = self._node
        node.engine.paused = True
        try:
            if self.incoming.index <= node.machine.index:
                self.incoming.abandon()  # the log came first: what was fetched would lead back
                return
            new = _Installation(node, self._source)
            try:
                done = yield from self.incoming.finish(new.load)
            except (OfferError, OSError) as error:
                if isinstance(error, OfferError):
                    self.incoming.abandon()  # the next start must not go on with it either
                if new.begun and new.machine is node.machine:
                    # The state in memory is neither the old nor the new one, and the disk has the old: start from that.
                    raise StorageError(f"{error}; part of it is in memory: start the node again") from error
                self._fail(error)
                return
            if not done:
                return
            # From here to the end of this step nothing else runs: state, log and members change together.
            machine = new.machine
            node.installed(machine, new.configuration)
            logger.info(
                "took over a checkpoint of %s at index %d, rev %d",
                node.names.told(self._source), machine.index, machine.store.rev,
                extra=self._about(self._source, machine.index),
            )  # fmt: skip
        finally:
            node.engine.paused = False
            self._installing = False
            self._source = ""

    # -- for others -----------------------------------------------------------------------------------

    def on_offer(self, member: str, message: list[Any]) -> None:
        """A member asks for the newest checkpoint."""
        # A checkpoint of before a redaction holds what was redacted: nobody gets it any more.
        late = self._node.checkpointer.index < self._node.machine.store.redacted.index
        offer = None if late else self.outgoing.offer()
        if offer is None:
            self._node.maintenance.checkpoint_now()
        self._node.send(member, [msg.OFFERED, message[1], offer])

    def on_fetch(self, member: str, message: list[Any]) -> None:
        """A member asks for a piece."""
        _, number, offer, file, offset, size = message[:6]
        self.outgoing.read(
            member, offer, file, offset, size, lambda data: self._node.send(member, [msg.CHUNK, number, data])
        )
