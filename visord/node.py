"""One member of a cluster, without sockets: machine, log, engine, proposer, hub, checkpoints, put together.

    submit --> proposer --> engine.propose --> log (sync thread) --> engine.tick --> machine.apply --> complete
                                                                                         `--> hub.pump

The node lives on one event loop and is driven by four things only: what conversations submit, the end of a sync, its
timer, and jobs that come back from the worker threads. It never waits.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from visor.protocol.limits import Limits
from visord.admission import Admission
from visord.audit import recorded
from visord.audit.applied import Applied
from visord.audit.auditor import Silent
from visord.authority.authority_files import AuthorityFiles
from visord.authority.handover import Handover
from visord.authority.office import Office, World
from visord.authority.renewal import Renewal
from visord.commit_times import CommitTimes
from visord.data import Data
from visord.environment import Environment, Timer
from visord.leases.leadership import Leadership
from visord.leases.questions import LeaseQuestions
from visord.leases.service import LeaseService
from visord.maintenance import Maintenance
from visord.members import divergence
from visord.members.conduct import Conduct
from visord.members.contacts import Contacts
from visord.members.dismissal import Dismissal
from visord.members.divergence import Divergence
from visord.members.formats import Formats
from visord.members.forwarding import Forwarding
from visord.members.gate import Gate
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
from visord.proposer import HOLD_SECONDS, LOST, Proposer
from visord.raft.configuration import FIRST_BYTE as CONFIGURATION
from visord.raft.configuration import Configuration, Member
from visord.raft.configuration import decode as decode_configuration
from visord.raft.configuration import encode as encode_configuration
from visord.raft.engine import Engine
from visord.readiness import Readiness
from visord.scrubbing import Scrubbing
from visord.serving.cold_reads import ColdReads
from visord.serving.packed_pages import PackedPages
from visord.serving.shares import shares_of
from visord.serving.turns import Turns
from visord.serving.vigil import Space
from visord.settings import Settings
from visord.shutdown import Draining
from visord.state.command import Command
from visord.state.estimate import Estimates
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.tls.upkeep import Upkeep
from visord.watch.hub import Hub
from visord.watch.pump import Pump

logger = logging.getLogger("visord.node")

TICK_SECONDS: Final = 0.05
"""The engine's own pace; everything that matters is driven by events, not by this."""
SECOND: Final = 1.0


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
        self._next_second = 0.0
        self._leaderless_since: float | None = None
        self._closed = False
        self.on_applied: Callable[[], None] = lambda: None
        """Something was applied, or another state was taken over."""
        self.on_second: Callable[[], None] = lambda: None
        """A second is over."""
        self.on_addresses: Callable[[list[str]], None] = lambda addresses: None
        """The members that clients find have changed."""
        self.on_divergence: Callable[[Refusal], None] = lambda refusal: None
        """This node must not serve any more."""
        self.divergence: Divergence | None = None
        """This node's state was seen to differ from that of the others."""
        self.space: Space | None = None
        """How full the data directory's disk was when it was looked at last (`serving/lookout`)."""
        self.alarm_free_bytes = settings.storage.alarm_free_bytes
        self.exposure = ""
        """Why anybody who reaches the peers' port may act as a member; "" when nobody may."""
        self.reachable = False
        """Clients may come from elsewhere than this machine."""
        self.upkeeps: tuple[Upkeep, ...] = ()
        """The certificates that are in use."""
        self.audit = Silent()
        """Who was let in, was refused, and changed what; `server` puts one here that keeps it."""
        self.failure: BaseException | None = None
        self._data = Data(data_dir, settings, environment)
        try:
            self._open(limits)
        except BaseException:
            self._give_back()
            raise

    def _open(self, limits: Limits) -> None:
        environment = self.environment
        self._data.open(
            limits, self._joins, lambda: encode_configuration(self.engine.committed_configuration)
        )
        self.directory = self._data.directory
        self.machine = self._data.machine
        self.checkpointer = self._data.checkpointer
        self.log = self._data.log
        self.store = self.machine.store
        self.cluster = self.directory.cluster
        self.name = self._settings.node.name
        self.me = Member(self.directory.identity.member, self.name, *self._addresses, True, False)
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
            read=self._read,
        )
        require = partial(self._loop.call_soon, self._require)
        self.formats = Formats(self.engine, self.peers, self.send, require)
        self.formats.reached(self.machine.format)
        self.formats.stored(command for command, _, _ in reversed(self.log[:]))
        self.checkpointer.sweep()
        self.log.on_durable = self._on_durable
        self.log.on_room = self._on_room
        self.log.on_failure = self.fail
        self._applied = Applied(self.machine)
        self._assemble(limits)

    def _assemble(self, limits: Limits) -> None:
        """Put together what answers, around what was opened."""
        engine, send, loop, storage = self.engine, self.send, self._loop, self._settings.storage
        turns = Turns(loop.call_soon, self.environment.stopwatch)
        self.cold_reads = ColdReads(self.store, self.environment.reading)
        self.shares = shares_of(self._settings.listen, turns)
        self.hub = Hub(self.store, limits)
        self.pages = PackedPages(self.store, self.hub.packed)
        self.pump = Pump(self.hub, loop.call_soon, self.environment.stopwatch)
        self.maintenance = Maintenance(self, storage, loop)
        # Leaders may still answer what this node asked before it was killed: its numbers must not be met again.
        first_id = self._rng.getrandbits(48)
        self.admission = Admission(lambda: engine.is_leader, self.log, self.machine, storage.state_bytes)
        self.forwarding = Forwarding(engine, send, loop.time, first_id, self.peers.reads)
        self.proposer = Proposer(
            engine.propose,
            self.log.has_room,
            self.admission,
            self.forwarding,
            loop.call_soon,
            self.environment.clock_ms,
            loop.time,
            Estimates(self.machine.store),
            self.formats.next,
            loop.call_later,
            CommitTimes(self.environment.stopwatch),
        )
        self.forwarding.proposer = self.proposer
        self.draining = Draining(self.admission, self.proposer, self.forwarding)
        self.read_index = ReadIndex(
            engine, send, lambda: self.machine.index, loop.time, loop.call_soon, first_id
        )
        self.readiness = Readiness(engine, self.read_index.ask)
        lead = Leadership(engine, lambda: self.machine.index)
        self.leases = LeaseService(self.machine, limits, lead.term, lead.confirm, self.proposer, loop.time)
        self.membership = Membership(engine, self.me, send, loop.time, first_id)
        cluster = self._settings.cluster
        self.replica_check = ReplicaCheck(
            engine,
            lambda: self.machine,
            self.formats.send,
            loop,
            (cluster.hash_seconds, cluster.compare_seconds),
            self._on_divergence,
            first_id,
        )
        self.membership.queries["hash"] = self.replica_check.query
        self.lease_questions = LeaseQuestions(
            self.leases.request, engine, send, loop.time, first_id, lambda: self.formats.in_force
        )
        self._assemble_authority(first_id)
        self._assemble_members(first_id)

    def _assemble_authority(self, first_id: int) -> None:
        """Put together what makes certificates, or asks the leader for them: within TLS alone."""
        environment, time = self.environment, self._loop.time
        files = AuthorityFiles(environment.disk, self.directory.path)
        trusted = self._settings.peers.tls_ca
        # Where members bring certificates of another authority, the own one is of no use.
        mine = trusted is None or str(trusted) == files.certificate
        self.office = Office(
            files.read() if mine else None,
            self.engine,
            lambda member, message: self.peers.certified(member) and self.send(member, message),
            World(environment.clock_ms, time, self._rng.getrandbits),
            first_id,
            lambda: self.machine.auth,
            self.read_index.ask,
            self.proposer.submit,
            lambda: self.formats.in_force,
            (self.cluster, *reversed(self.directory.identity.before)),
        )
        self.renewal = Renewal(
            self.office,
            files,
            self.engine,
            lambda: environment.clock_ms() / 1000,
            time,
            self._rng.random,
            environment.background,
        )
        self.membership.expected = self.office.expected
        self.handover = Handover(
            self.office,
            files,
            self.engine,
            self.peers,
            self.send,
            time,
            first_id,
            environment.background,
            lambda: self.audit,
            lambda: self.formats.in_force,
        )

    def _assemble_members(self, first_id: int) -> None:
        """Put together what has to do with the other members, and hear them from here on."""
        engine, send, time = self.engine, self.send, self._loop.time
        self.strangers = Strangers(self.cluster, self.me.id, self.membership)
        self.names = Names(engine)
        self.install = Install(self, first_id)
        environment = self.environment
        self.scrubbing = Scrubbing(
            self, environment.disk, self.directory.path, environment.background, self._loop, self.fail
        )
        self.removal = Removal(send, time)
        self.contacts = Contacts(self.me.id, engine, self.removal, self.peers.set_members)
        self.proof = Proof(engine, send, time, first_id)
        self.standing = Standing(engine, self.contacts.knows, self.proof.votes)
        self.conduct = Conduct(time, self.peers.hang_up)
        self.dismissal = Dismissal(engine, self.conduct.bad, self._leave)
        self.gate = Gate(
            engine,
            self.contacts,
            self.standing,
            self.proof,
            self.dismissal,
            self._loop.call_soon,
            self.readiness.refresh,
        )
        self.step_down = StepDown(self.me.id, engine, time)
        asked = (self.forwarding, self.read_index, self.lease_questions, self.membership, self.office)
        others = (self.install, self.dismissal, self.replica_check, self.proof, self.handover)
        self.inbox = Inbox(
            engine,
            self.standing,
            self.conduct,
            self.formats,
            self.proof,
            self.names,
            self.fail,
            (*asked, *others),
        )
        self.peers.receive = self.inbox.receive
        self.peers.changed = self._reachable
        engine.on_configuration(lambda configuration: self.gate.use())
        engine.on_leadership(self._leadership)
        engine.on_install(self.install.needed)

    def _first_configuration(self) -> Configuration:
        return self._data.configuration(self.me)

    def _read(self, entry: bytes) -> bytes:
        return self.formats.read(entry)

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
        if self.admission.closing:
            self.draining.tick()  # what was given up is answered as well, and no entry comes of it
        self.leases.tick()
        if self.failure is None:
            self.scrubbing.tick()
        now = self._loop.time()
        if now >= self._next_second:
            self._next_second = now + SECOND
            self.on_second()
            self.shares.sweep(now)
            self.hub.tick(now)
            self.pump.wake()
            self.audit.tick()
            if self.log.full is not None:
                self.log.retry()
                self.step_down.tick()

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
        self.proof.tick()
        self.dismissal.tick()
        if self.engine.leader is not None:
            self._leaderless_since = None
        elif self._leaderless_since is None:
            self._leaderless_since = now
        elif now - self._leaderless_since > HOLD_SECONDS:
            self.proposer.lose()
        self.forwarding.tick()
        self.proposer.tick()
        self.read_index.tick()
        self.lease_questions.tick()
        self.install.tick()
        self.membership.tick()
        self.office.tick()
        self.handover.tick()
        self.renewal.tick()
        self.formats.tick()
        self.replica_check.tick()
        if self.divergence is not None and self.engine.is_leader and not self.engine.transferring:
            self.engine.transfer_leadership(
                None
            )  # who leads decides when leases end, and others take its checkpoints
        if self.removal.over():
            self.gate.use()
        self.readiness.tick()

    # -- members --------------------------------------------------------------------------------------

    def send(self, member: str, message: list[Any]) -> bool:
        """Send a message to one member; false when it is away."""
        return self.peers.send(member, msg.pack(message))

    def whose(self) -> dict[str, Any]:
        """Return what each line of the log says of this node: who it is, and where it stands."""
        return {"node": self.name, "node_id": self.me.id, "term": self.engine.term, "rev": self.store.rev}

    def _reachable(self, member: str, yes: bool) -> None:
        if self._closed:
            return
        self.engine.reachable(member, yes)
        if not yes:
            self.forwarding.lose(member)
            self.replica_check.lose(member)
        self._look_after_waiting()

    def _leadership(self, leader: str | None, term: int) -> None:
        """The leader or the term changed. Called by the engine within its turn: act when that is over."""
        self.names.tell_leader(leader, term)
        self.readiness.refresh()
        self._loop.call_soon(self._after_change)

    def _after_change(self) -> None:
        if self._closed:
            return
        leader = self.engine.leader
        for member in {one for one, _ in self.forwarding.outstanding if one != leader}:
            self.forwarding.lose(member)
        self.proposer.synced()
        self._look_after_waiting()

    def _on_durable(self) -> None:
        # Answers first: the next command then holds what came meanwhile, and fewer syncs do the same work. The
        # processor is what is short, not the disk.
        self._turn()

    def _on_room(self) -> None:
        self.proposer.start_next()

    def _apply(self, index: int, term: int, command: bytes) -> None:
        redacted = self.store.redacted.count
        outcomes = self.machine.apply(index, term, command)
        if self.store.redacted.count != redacted:
            self.replica_check.places.forget()  # others may have been asked for values that are gone
        if self.machine.format > self.formats.in_force:
            self.formats.reached(self.machine.format)
        self.replica_check.applied()
        mine = term == self.engine.term and self.engine.is_leader
        self._applied.seen(self.machine, command, outcomes, self.audit, mine=mine)
        if type(command) is Command:
            command.decoded = None  # the log keeps the bytes; the decoded form has served
        if not self.readiness.readable:
            self.readiness.refresh()
        self.leases.applied()
        self.proposer.applied(index, term, outcomes)
        self.read_index.applied(index)
        if command[:1] == CONFIGURATION:
            configuration = decode_configuration(command)
            if term == self.engine.term and self.engine.is_leader:
                self.audit.record(recorded.MEMBERS, verb="configuration", reason=_members_are(configuration))
            self._loop.call_soon(self._configuration_committed, configuration)
        self.on_applied()
        self.pump.wake()
        if self.admission.closing:
            self.draining.tick()

    def _configuration_committed(self, configuration: Configuration) -> None:
        self.membership.tick()
        self.on_addresses(self.engine.configuration.clients)
        self.removal.committed(configuration)
        self.gate.use()
        if self.me.id in configuration.removed:
            self._leave()

    def _leave(self) -> None:
        self.fail(RemovedError(f"{self.name} ({self.me.id}) was removed from the cluster"))

    def installed(self, machine: Machine, configuration: Configuration) -> None:
        """Go on with the state of a checkpoint that came from elsewhere, and with its members."""
        self.replica_check.places.forget()
        self.formats.reached(machine.format)
        if machine is not self.machine:
            self.machine.become(machine)
            self.leases.use(self.machine)
        self.on_applied()
        self.pump.wake()
        self.engine.installed(machine.index, machine.term, configuration)
        self.proposer.lose(machine.index)
        self.read_index.applied(machine.index)

    def _on_divergence(self, rev: int, own: str, majority: str) -> None:
        """Serve no client any more, and remember that. The node stays up: to be looked into, and to vote."""
        if self.divergence is not None:
            return
        found = self.divergence = Divergence(rev, own, majority)
        logger.critical("%s; %s", found.refusal.text, divergence.ADVICE)
        self.readiness.end()
        self.inbox.diverged = True
        self.admission.diverged = found.refusal
        self.on_divergence(found.refusal)
        environment = self.environment
        divergence.remember(environment.disk, self.directory.path, found, environment.background)

    def fail(self, error: BaseException) -> None:
        """Stop for good: the disk failed or the log holds what this version does not know."""
        if self.failure is not None:
            return
        self.failure = error
        self.inbox.close()
        self.readiness.end()
        expected = isinstance(error, RemovedError | OSError)
        logger.critical("the node stops: %s", error, exc_info=None if expected else error)
        # As if it had been killed, so a client asks another member what became of what was under way.
        self.proposer.abandon(
            Refusal("closing", "the node failed and stops", {}),
            Refusal(LOST.code, f"the node failed while this write was under way: {error}", {}),
        )
        self.read_index.abandon()
        self._fail_server(error)

    def close(self) -> None:
        """Give everything back. Idempotent."""
        if self._closed:
            return
        self._closed = self.admission.closing = True
        self.readiness.end()
        self.inbox.close()
        self.gate.close()
        self.pump.close()
        self.maintenance.close()
        self.replica_check.close()
        if self._timer is not None:
            self._timer.cancel()
        self.peers.close()
        self.audit.close()
        self._give_back()

    def _give_back(self) -> None:
        """Close what was opened, also by a start that failed half way."""
        with contextlib.suppress(OSError):
            self.environment.close()
        self._data.close()


def _members_are(configuration: Configuration) -> str:
    shown = (f"{one.name} ({one.id}{'' if one.voter else ', no vote'})" for one in configuration.members)
    return f"the members are now {', '.join(shown)}"
