"""One member of a cluster, without sockets: machine, log, engine, proposer, hub, checkpoints, put together.

    submit --> proposer --> engine.propose --> log (sync thread) --> engine.tick --> machine.apply --> settle
                                                                                         `--> hub.pump

The node lives on one event loop and is driven by four things only: what conversations submit, the end of a sync, its
timer, and jobs that come back from the worker threads. It never waits.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from visor.protocol.limits import Limits
from visord.admission import Admission
from visord.environment import Environment, Timer
from visord.leases.questions import LeaseQuestions
from visord.leases.service import LeaseService
from visord.logs import about
from visord.maintenance import Maintenance
from visord.members import divergence
from visord.members.conduct import Conduct
from visord.members.contacts import Contacts
from visord.members.dismissal import Dismissal
from visord.members.divergence import Divergence
from visord.members.formats import Formats
from visord.members.forwarding import Forwarding
from visord.members.inbox import Inbox
from visord.members.install import Install
from visord.members.membership import Membership
from visord.members.names import Names
from visord.members.proof import Proof
from visord.members.read_index import ReadIndex
from visord.members.removal import Removal
from visord.members.replica_check import ReplicaCheck
from visord.members.standing import Standing
from visord.members.step_down import StepDown
from visord.members.strangers import Strangers
from visord.peers import messages as msg
from visord.progress import Progress, amount, percent
from visord.proposer import HOLD_SECONDS, Proposer
from visord.raft.configuration import MARK as CONFIGURATION
from visord.raft.configuration import Configuration, Member
from visord.raft.configuration import decode as decode_configuration
from visord.raft.configuration import encode as encode_configuration
from visord.raft.engine import Engine
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.readiness import Readiness
from visord.serving.shares import Patience, Shares
from visord.serving.turns import Turns
from visord.serving.vigil import Space
from visord.settings import Settings
from visord.shutdown import Draining
from visord.state import command as commands
from visord.state.command import Command
from visord.state.estimate import Estimates
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.storage import collector
from visord.storage.checkpoint import Checkpointer
from visord.storage.directory import DataDirectory
from visord.watch.hub import Hub
from visord.watch.pump import Pump

logger = logging.getLogger("visord.node")

NO_QUORUM: Final = Refusal("no_quorum", "no leader confirms that this node is current", {})
TICK_SECONDS: Final = 0.05
"""The engine's own pace; everything that matters is driven by events, not by this."""
MARK_SECONDS: Final = 1.0


def _tell_loading(done: int, of: int) -> None:
    known = about(bytes=done, of_bytes=of, percent=percent(done, of))
    logger.info("loading the checkpoint: %s", amount(done, of), extra=known)


class RemovedError(Exception):
    """This node was removed from its cluster: its id never returns."""


class Node:
    """See the module. `fail(error)` is called once when the node cannot go on."""

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        environment: Environment,
        limits: Limits,
        fail: Callable[[BaseException], None],
        addresses: tuple[str, str] = ("", ""),
        cluster: str | None = None,
    ) -> None:
        self._joins = cluster
        """The cluster that a new directory is made for; None: this node founds one."""
        self._addresses = addresses
        """What other members and clients are told: (peer, client) as HOST:PORT."""
        self._settings = settings
        self.limits = limits
        self.environment = environment
        self._loop = environment.loop
        self._fail_server = fail
        self._rng = environment.rng
        self._timer: Timer | None = None
        self._next_marks = 0.0
        self._leaderless_since: float | None = None
        self._closed = False
        self.on_applied: Callable[[], None] = lambda: None
        """Something was applied, or another state was taken over."""
        self.on_addresses: Callable[[list[str]], None] = lambda addresses: None
        """The members that clients find have changed."""
        self.on_divergence: Callable[[Refusal], None] = lambda refusal: None
        """This node must not serve any more."""
        self.divergence: Divergence | None = None
        """This node's state was seen to differ from that of the others."""
        self.space: Space | None = None
        """How full the data directory's disk was when it was looked at last (`serving/lookout`)."""
        self.exposure = ""
        """Why anybody who reaches the peers' port may act as a member; "" when nobody may."""
        self.failure: BaseException | None = None
        try:
            self._open(data_dir, limits)
        except BaseException:
            self._give_back()
            raise

    def _open(self, data_dir: Path, limits: Limits) -> None:
        storage = self._settings.storage
        environment = self.environment
        disk = environment.disk
        name = self._settings.node.name
        self.directory = DataDirectory.open(
            disk, str(data_dir), node=name, rng=self._rng, cluster=self._joins
        )
        divergence.check(disk, self.directory.path)
        self.cluster = self.directory.cluster
        self.name = name
        self.machine = Machine(limits)
        self.store = self.machine.store
        self.checkpointer = Checkpointer(
            disk,
            self.directory,
            environment.background,
            segment_bytes=storage.history_segment_bytes,
            config=lambda: encode_configuration(self.engine.committed_configuration),
        )
        self.checkpointer.load(self.machine, Progress(environment.stopwatch, _tell_loading))
        self.log = RaftLog.open(
            disk,
            self.directory.log,
            options=Options(
                segment=storage.log_segment_bytes,
                chunk=storage.log_chunk_bytes,
                keep=storage.log_keep_bytes,
                reserve=storage.reserve_bytes,
                spare=storage.spare_log_bytes,
            ),
            sync=environment.sync,
            background=environment.background,
            random32=lambda: self._rng.getrandbits(32),
            create=self.checkpointer.index == 0,  # where there is a checkpoint, there was a log
        )
        self.me = Member(self.directory.identity.member, name, *self._addresses, True, False)
        self.peers = environment.peers(self.me.id, self.cluster)
        self.engine = Engine(
            self.me.id,
            self._first_configuration(),
            self.log,
            self.peers,
            clock=self._loop.time,
            random=self._rng,
            on_apply=self._apply,
            applied=(self.machine.index, self.machine.term),
            timing=environment.timing,
            soon=self._loop.call_soon,
            read=self._read_entry,
        )
        self.formats = Formats(
            self.engine,
            self.peers,
            self.say,
            lambda form: self._loop.call_soon(self._require, form),
        )
        self.formats.reached(self.machine.format)
        self.formats.stored(command for command, _, _ in reversed(self.log[:]))
        self.checkpointer.sweep()
        self.log.on_durable = self._on_durable
        self.log.on_room = self._on_room
        self.log.on_failure = self.fail
        self._assemble(limits)

    def _assemble(self, limits: Limits) -> None:
        """Put together what answers, around what was opened."""
        self.shares = self._make_shares()
        self.hub = Hub(self.store, limits)
        self.pump = Pump(self.hub, self._loop.call_soon, self.environment.stopwatch)
        self.maintenance = Maintenance(self, self._settings.storage, self._loop)
        # Leaders may still answer what this node asked before it was killed: its numbers must not be met again.
        first = self._rng.getrandbits(48)
        self.admission = Admission(
            lambda: self.engine.is_leader, self.log, self.machine, self._settings.storage.state_bytes
        )
        self.forwarding = Forwarding(self.engine, self.say, self._loop.time, first, self.peers.reads)
        self.proposer = Proposer(
            self.engine.propose,
            self.log.has_room,
            self.admission,
            self.forwarding,
            self._loop.call_soon,
            self.environment.clock_ms,
            self._loop.time,
            Estimates(self.machine.store),
            self.formats.next,
            self._loop.call_later,
        )
        self.forwarding.proposer = self.proposer
        self.draining = Draining(self.admission, self.proposer, self.forwarding)
        self.read_index = ReadIndex(
            self.engine, self.say, lambda: self.machine.index, self._loop.time, self._loop.call_soon, first
        )
        self.readiness = Readiness(self.engine, self.read_index.ask)
        self.leases = LeaseService(
            self.machine, limits, self._reign, self.confirm, self.proposer, self._loop.time
        )
        self.membership = Membership(self.engine, self.me, self.say, self._loop.time, first)
        cluster = self._settings.cluster
        self.replica_check = ReplicaCheck(
            self.engine,
            lambda: self.machine,
            self.formats.say,
            self._loop,
            (cluster.hash_seconds, cluster.compare_seconds),
            self._on_divergence,
            first,
        )
        self.membership.services["hash"] = self.replica_check.service
        self.lease_questions = LeaseQuestions(
            self.leases.request, self.engine, self.say, self._loop.time, first
        )
        self._assemble_members(first)

    def _assemble_members(self, first: int) -> None:
        """Put together what has to do with the other members, and hear them from here on."""
        self.strangers = Strangers(self.cluster, self.me.id, self.membership)
        self.names = Names(self.engine)
        self.install = Install(self, first)
        self.removal = Removal(self.say, self._loop.time)
        self.contacts = Contacts(self.me.id, self.engine, self.removal, self.peers.set_members)
        self.proof = Proof(self.engine, self.say, self._loop.time, first)
        self.standing = Standing(self.engine, self.contacts.knows, self.proof.votes)
        self.conduct = Conduct(self._loop.time, self.peers.hang_up)
        self.dismissal = Dismissal(self.engine, self.conduct.bad, self._leave)
        self.step_down = StepDown(self.me.id, self.engine, self._loop.time)
        rooms = (
            self.forwarding,
            self.read_index,
            self.lease_questions,
            self.install,
            self.membership,
            self.dismissal,
            self.replica_check,
            self.proof,
        )
        self.inbox = Inbox(
            self.engine, self.standing, self.conduct, self.formats, self.proof, self.names, self.fail, rooms
        )
        self.peers.receive = self.inbox.hear
        self.peers.changed = self._reachable
        self.engine.on_configuration(lambda configuration: self._use_members())
        self.engine.on_leadership(self._leadership)
        self.engine.on_install(self.install.needed)

    def _make_shares(self) -> Shares:
        listen = self._settings.listen
        turns = Turns(self._loop.call_soon, self.environment.stopwatch)
        patience = Patience(listen.message_seconds, listen.stuck_seconds)
        return Shares(turns, listen.held_bytes, listen.unsent_bytes, patience, listen.waiting)

    def _first_configuration(self) -> Configuration:
        """Who belonged to the cluster when the checkpoint was made, or when this node began."""
        stored = self.checkpointer.config
        if stored is not None:
            return decode_configuration(stored)
        return Configuration((self.me,)) if self.directory.identity.founder else Configuration()

    def _read_entry(self, entry: bytes) -> bytes:
        """Return an entry of the leader's with its decoded form. Raises `UnknownFormat` where it is not known."""
        if entry[:1] in commands.OTHER_MARKS:
            return entry
        if entry[:1] != commands.MARK:
            raise commands.UnknownFormat(
                f"an entry begins with {entry[:1]!r}: this version of visord knows no such kind"
            )
        command = commands.decode(entry)
        self.formats.reached(commands.format_of(entry))
        return command

    def _require(self, form: int) -> None:
        if not self._closed:
            self.peers.require(form)

    # -- life -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to tick. A lone node leads, and is readable, once its first entry is durable."""
        self._tick()
        self.maintenance.start()

    def _tick(self) -> None:
        if self._closed:
            return
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        self._turn()
        self._look_after_waiting()
        self.leases.look()
        now = self._loop.time()
        if now >= self._next_marks:
            self._next_marks = now + MARK_SECONDS
            self.shares.sweep(now)
            self.hub.marks(now)
            self.pump.wake()
            if self.log.full is not None:
                self.log.retry()
                self.step_down.look()

    def _turn(self) -> None:
        try:
            self.engine.tick()
        except Exception as error:  # the log holds what this version does not know, or an invariant broke
            self.fail(error)

    def _look_after_waiting(self) -> None:
        """What waits for the leader, or for news of it, is asked again or given up."""
        if self.failure is not None:
            return
        now = self._loop.time()
        self.proof.look()
        self.dismissal.look()
        if self.engine.leader is not None:
            self._leaderless_since = None
        elif self._leaderless_since is None:
            self._leaderless_since = now
        elif now - self._leaderless_since > HOLD_SECONDS:
            self.proposer.lose()
        self.forwarding.look()
        self.proposer.look()
        self.read_index.look()
        self.lease_questions.look()
        self.install.look()
        self.membership.look()
        self.formats.look()
        self.replica_check.look()
        if self.divergence is not None and self.engine.is_leader and not self.engine.transferring:
            self.engine.transfer(None)  # who leads decides when leases end, and others take its checkpoints
        if self.removal.over():
            self._use_members()
        self.readiness.check()

    # -- members --------------------------------------------------------------------------------------

    def say(self, member: str, message: list[Any]) -> bool:
        """Send a message to one member; false when it is away."""
        return self.peers.send(member, msg.pack(message))

    def whose(self) -> dict[str, Any]:
        """Return what each line of the log says of this node: who it is, and where it stands."""
        return {"node": self.name, "node_id": self.me.id, "term": self.engine.term, "rev": self.store.rev}

    @property
    def little_space(self) -> int:
        """Free bytes of the disk below which it is an alarm; 0: never, or the disk was not looked at yet."""
        if self.space is None:
            return 0
        return min(self._settings.storage.alarm_free_bytes, self.space.total // 10)

    def _reachable(self, member: str, yes: bool) -> None:
        if self._closed:
            return
        self.engine.reachable(member, yes)
        if not yes:
            self.forwarding.lose(member)
            self.replica_check.lose(member)
        self._look_after_waiting()

    def _use_members(self) -> None:
        if not self._closed:
            self.contacts.look()
            self.standing.use()
            self.proof.use()
            self.readiness.look()

    def contact(self, members: list[dict[str, Any]]) -> None:
        """This node joins, and is to answer these (rows of `Membership.members`)."""
        self.contacts.meet(members)
        self.proof.joined(members)
        self._use_members()

    def admit(self, member: str, address: str | None = None) -> str | None:
        """Return why this member may not connect; None when it may. `address`: where it says that others dial it."""
        if member in self.engine.committed_configuration.removed:
            return f"{member} was removed from the cluster and can never return"
        known = self.contacts.knows(member)
        why = self.contacts.admit(member, address)
        if not known and self.contacts.knows(member):
            self._loop.call_soon(self._use_members)
        return why

    def removed(self, member: str) -> bool:
        """Tell whether this member was removed from the cluster, as far as is committed here."""
        return member in self.engine.committed_configuration.removed

    def dismissed(self, member: str) -> None:
        """This member refuses this node: it was removed. It counts as when he says GONE."""
        if not self._closed and self.failure is None:
            self.dismissal.hear(member)

    def _leadership(self, leader: str | None, term: int) -> None:
        """The leader or the term changed. Called by the engine within its turn: act when that is over."""
        if leader is None:
            logger.info("term %d: no leader is known yet", term, extra=about(term=term))
        else:
            known = about(term=term, leader=self.names.of(leader) or None, leader_id=leader)
            logger.info("term %d: %s leads", term, self.names.told(leader), extra=known)
        self.readiness.look()
        self._loop.call_soon(self._after_change)

    def _after_change(self) -> None:
        if self._closed:
            return
        leader = self.engine.leader
        for member in {one for one, _ in self.forwarding.outstanding if one != leader}:
            self.forwarding.lose(member)
        self.proposer.synced()
        self._look_after_waiting()

    # -- the proposer's way ---------------------------------------------------------------------------

    def _on_durable(self) -> None:
        # Answers first: the next command then holds what came meanwhile, and fewer syncs do the same work. The
        # processor is what is short, not the disk.
        self._turn()

    def _on_room(self) -> None:
        self.proposer.start_next()

    def _apply(self, index: int, term: int, command: bytes) -> None:
        outcomes = self.machine.apply(index, term, command)
        if self.machine.format > self.formats.in_force:
            self.formats.reached(self.machine.format)
        self.replica_check.applied()
        if type(command) is Command:
            command.batch = None  # the log keeps the bytes; the decoded form has served
        if not self.readiness.readable:
            self.readiness.look()
        self.leases.applied()
        self.proposer.applied(index, term, outcomes)
        self.read_index.applied(index)
        if command[:1] == CONFIGURATION:
            self._loop.call_soon(self._configuration_committed, decode_configuration(command))
        self.on_applied()
        self.pump.wake()
        if self.admission.closing:
            self.draining.look()

    def _configuration_committed(self, configuration: Configuration) -> None:
        self.membership.look()
        self.on_addresses(self.addresses())
        self.removal.committed(configuration)
        self._use_members()
        if self.me.id in configuration.removed:
            self._leave()

    def _leave(self) -> None:
        self.fail(RemovedError(f"{self.name} ({self.me.id}) was removed from the cluster"))

    def replace_machine(self, machine: Machine) -> None:
        """Go on with the state of a checkpoint that came from elsewhere."""
        self.replica_check.places.forget()
        self.formats.reached(machine.format)
        if machine is not self.machine:
            self.machine.become(machine)
            self.leases.use(self.machine)
        self.on_applied()
        self.pump.wake()

    def _on_divergence(self, rev: int, own: str, majority: str) -> None:
        """Serve nobody any more, and remember that. The node stays up: to be looked into, and to vote."""
        if self.divergence is not None:
            return
        found = self.divergence = Divergence(rev, own, majority)
        logger.critical("%s; %s", found.refusal.text, divergence.ADVICE)
        self.readiness.end()
        self.inbox.diverged = True
        self.admission.diverged = found.refusal
        self.on_divergence(found.refusal)

        def noted(result: None, error: BaseException | None) -> None:
            if error is not None:
                logger.error("that could not be noted: %s; it is found again after a restart", error)

        disk, path = self.environment.disk, self.directory.path
        self.environment.background.submit(lambda: divergence.write(disk, path, found), noted)

    def fail(self, error: BaseException) -> None:
        """Stop for good: the disk failed or the log holds what this version does not know."""
        if self.failure is not None:
            return
        self.failure = error
        self.inbox.close()
        self.readiness.end()
        expected = isinstance(error, RemovedError | OSError)
        logger.critical("the node stops: %s", error, exc_info=None if expected else error)
        self.proposer.abandon(
            Refusal("closing", "the node failed and stops", {}),
            Refusal("internal", f"the node failed while this write was under way: {error}", {}),
        )
        self.read_index.abandon()
        self._fail_server(error)

    def checkpoint_now(self) -> None:
        """Begin a checkpoint unless one is being made."""
        self.maintenance.checkpoint_now()

    def give_back(self) -> None:
        """Give memory that is free back to the system, in a thread's time."""
        self.environment.background.submit(collector.give_back, lambda result, error: None)

    def close(self) -> None:
        """Give everything back. Idempotent."""
        if self._closed:
            return
        self._closed = self.admission.closing = True
        self.readiness.end()
        self.inbox.close()
        self.pump.close()
        self.maintenance.close()
        self.replica_check.close()
        if self._timer is not None:
            self._timer.cancel()
        self.peers.close()
        self._give_back()

    def _give_back(self) -> None:
        """Close what was opened, also by a start that failed half way: the directory may be tried again."""
        for name in ("environment", "log", "checkpointer", "directory"):
            resource = getattr(self, name, None)
            if resource is not None:
                with contextlib.suppress(OSError):
                    resource.close()

    # -- what conversations ask ----------------------------------------------------------------------------

    def addresses(self) -> list[str]:
        """Where clients find the members: those that vote; learners only where clients would find nobody else."""
        found = [one for one in self.engine.configuration.members if one.client]
        return [one.client for one in found if one.voter] or [one.client for one in found]

    @property
    def leader(self) -> Member | None:
        """Who leads, as far as this node knows."""
        leader = self.engine.leader
        return None if leader is None else self.engine.configuration.find(leader)

    # -- leases ---------------------------------------------------------------------------------------

    def _reign(self) -> int:
        """Return the term in which this node leads and has applied all of before; 0 when it does not."""
        return self.engine.term if self.engine.reads_are_current else 0

    def confirm(self, callback: Callable[[Refusal | None], None]) -> None:
        """Call back with None once it is sure that this node led after the call, or with why that is not so."""
        self.engine.confirm(
            lambda index: callback(
                NO_QUORUM if index is None or index > self.machine.index else None,
            )
        )
