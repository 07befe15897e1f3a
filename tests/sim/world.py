"""A whole cluster in one process: machines, network, clients and time, all from one seed.

    result = run(seed=7, plan=Plan())
    result.violations                   # [] when every promise was kept
    result.counts                       # how often each fault, refusal and branch occurred

A run has four parts: the cluster forms; clients work while faults happen; faults stop, everybody is started again, and
everything has to come to rest within a bounded time; the checkers judge what was recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tests.checkers import check
from tests.checkers.history import Goal, History, Violation
from tests.sim.client import Client
from tests.sim.concealer import SHARE as CONCEALING
from tests.sim.concealer import Concealer, are_clean, look
from tests.sim.core_client import CoreClient
from tests.sim.faults import Faults
from tests.sim.host import Host, Recorded, storage
from tests.sim.hostile import LEAPER, SHARE, Hostile
from tests.sim.network import Network
from tests.sim.operators import Operator
from tests.sim.plants import planted
from tests.sim.randoms import Randoms
from tests.sim.recorder import Recorder
from tests.sim.rights import SHARE as RULED
from tests.sim.rights import Warden
from tests.sim.scheduler import Scheduler
from tests.sim.standstill import Standstill
from tests.sim.wires import ClientEnd, Connection
from tests.sim.workload import Workload
from visord.raft.configuration import Configuration
from visord.raft.core.terms import WINDOW_SECONDS

CLUSTER: Final = "5" * 32
FORM_SECONDS: Final = 12.0
REST_SECONDS: Final = 20.0
"""How long everything may take to come to rest once faults have stopped."""
COMPARE_SECONDS: Final = 2.5
CARE_SECONDS: Final = 0.3
MIX: Final = {
    "set": 30,
    "delete": 6,
    "txn": 18,
    "nop": 2,
    "get": 22,
    "scan": 6,
    "stale": 6,
    "past": 6,
    "watch": 1,
    "lease": 1,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate. Times are virtual seconds."""

    nodes: int = 0
    """Members in the beginning; 0: three or five, as the seed says."""
    clients: int = 0
    """0: as many as the seed says."""
    seconds: float = 15.0
    """How long faults happen."""
    faults: bool = True
    trace: bool = False
    """Tell what happens on standard output."""
    kinds: tuple[str, ...] = ()
    """The only kinds of faults to have; empty: what the seed draws."""
    plant: str | None = None
    """A bug to have: see `plants`."""
    hostile: float = SHARE
    """Part of the seeds that has people who mean harm, where all kinds of faults may happen."""
    rights: float = RULED
    """Part of the seeds that has users who are revoked."""
    redactions: float = CONCEALING
    """Part of the seeds that has secrets which are redacted."""
    node_class: type[Recorded] = Recorded


@dataclass(slots=True)
class Result:
    """What came of a run."""

    seed: int
    violations: list[Violation]
    counts: Counter[str]
    branches: Counter[str]
    """The engines' counters of all nodes."""
    history: History = field(repr=False)
    steps: int = 0
    seconds: float = 0.0
    """Virtual."""


class World:
    """See the module."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self.seed = seed
        self.plan = plan
        self.randoms = Randoms(seed)
        self.scheduler = Scheduler()
        self.history = History()
        self.recorder = Recorder(self.history, self.scheduler)
        self.counts: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self.network = Network(self.scheduler, self.randoms.stream("network"), self.counts)
        self.node_class = plan.node_class
        self.nodes = plan.nodes or self.randoms.stream("nodes").choice((3, 3, 3, 3, 5))
        self.storage = storage(self.randoms.stream("storage"))
        self.keyframe_commits = self.randoms.stream("keyframes").choice((5, 60, 1 << 60))
        """Commits after which a checkpoint has a keyframe."""
        self.hash_seconds = self.randoms.stream("hashes").choice((0.5, 3.0, 600.0))
        """How often the leader has the members compare their states."""
        self.max_batch = self.randoms.stream("batch").choice((300, 2000, 4 << 20))
        """Bytes of entries in one message between members."""
        self.fastest = 1.0
        """The rate of the fastest monotonic clock that any machine had."""
        self.hosts: list[Host] = []
        self.clients: list[Workload] = []
        self.client_hosts: list[Host] = []
        self.mix = (tuple(MIX), tuple(MIX.values()))
        self._number = 0
        self._given_up: set[str] = set()
        """Members that were replaced because nobody could vouch for who leads them."""
        self.operator = Operator(self, self.randoms.stream("operator"))
        self._wires = self.randoms.stream("wires")
        self.network.questions.rng = self.randoms.stream("joins")

    # -- what parts ask of the world ------------------------------------------------------------------------

    def count(self, what: str) -> None:
        """Note that something occurred."""
        self.counts[what] += 1

    def note(self, text: str) -> None:
        """Tell, in a run that is looked at, what happens."""
        if self.plan.trace:
            print(f"{self.scheduler.now:11.6f}  {text}")

    def next_number(self) -> int:
        """Return a number that nobody had."""
        self._number += 1
        return self._number

    def broken(self, why: str, error: BaseException | None) -> None:
        """Something happened that never may."""
        self.note(f"BROKEN {why}")
        if isinstance(error, Violation):
            self.violations.append(error)
        else:
            violation = Violation("nothing unexpected", why)
            violation.__cause__ = error
            self.violations.append(violation)

    def accept(self, host: Host, client: ClientEnd) -> Connection | None:
        """Connect a client to a host; None when nobody serves there."""
        process = host.process
        if process is None or process.node is None or process.node.failure is not None or not process.serves:
            return None
        return Connection(process, client, self._wires)

    def started(self, host: Host) -> None:
        """A node runs."""
        node = host.node
        assert node is not None
        self.note(
            f"{host.name} starts, life {host.lives}, {node.log}, term {node.engine.term}, rev {node.store.rev}"
        )
        if self.plan.trace:
            node.engine.on_leadership(
                lambda leader, term: self.note(f"{host.name}: term {term}, leader {leader}")
            )
        self.recorder.began(host.name, node)
        assert host.process is not None
        others = tuple(one.address for one in self.hosts if one is not host)
        if others:
            host.process.join(others, learner=not host.votes)

    # -- members --------------------------------------------------------------------------------------------

    def running(self) -> list[Host]:
        """Return the hosts whose node runs."""
        return [host for host in self.hosts if host.process is not None]

    def leader(self) -> Host | None:
        """Return the host that leads in the highest term."""
        leaders = [host for host in self.running() if host.node is not None and host.node.engine.is_leader]
        return max(leaders, key=lambda host: host.node.engine.term, default=None)  # type: ignore[union-attr]

    def add_host(self, *, founder: bool = False, votes: bool = True) -> Host:
        """Add a machine with an empty data directory and start it; it joins, unless it founds the cluster."""
        number = len(self.hosts) + 1
        host = Host(self, f"n{number}", number)
        host.votes = votes
        host.prepare(CLUSTER, founder=founder)
        self.hosts.append(host)
        host.start()
        return host

    # -- the parts of a run ---------------------------------------------------------------------------------

    def form(self) -> bool:
        """Let the cluster come together; tell whether it did."""
        self.add_host(founder=True)
        for _ in range(1, self.nodes):
            self.add_host()
        formed = self.scheduler.run_until(FORM_SECONDS, self._formed)
        self._goal("the cluster forms", FORM_SECONDS, formed)
        return formed

    def _formed(self) -> bool:
        for host in self.hosts:
            node = host.node
            if (
                node is None
                or len(node.engine.configuration.voters) != self.nodes
                or node.engine.leader is None
            ):
                return False
            if not node.engine.configuration_settled:
                return False
        return True

    def work(self) -> None:
        """Clients ask, faults happen."""
        clients = self.plan.clients or self.randoms.stream("clients").choice((2, 3, 4, 4, 6, 10))
        for number in range(clients):
            self.add_client(number)
        end = self.scheduler.now + self.plan.seconds
        faults = Faults(self, self.randoms.stream("faults"), end) if self.plan.faults else None
        hostile = self.randoms.stream("hostile")
        if faults is not None and hostile.random() < self.plan.hostile and not self.plan.kinds:
            Hostile(self, hostile, end)
        rights = self.randoms.stream("rights")
        if rights.random() < self.plan.rights:
            Warden(self, rights, end)
        concealing = self.randoms.stream("redactions")
        if concealing.random() < self.plan.redactions:
            Concealer(self, concealing, end)
        self._compare()
        standstill = Standstill(self)
        standstill.begin()
        self.scheduler.run_until(end, self._stop)
        standstill.end()
        nodes = [host.node for host in self.hosts if host.node is not None]
        self.counts["states compared by the members themselves"] += any(
            node.replica_check.compared for node in nodes
        )
        self.counts["ms of standstill"] += int(standstill.longest * 1000)
        if faults is not None:
            faults.end()

    def add_client(self, number: int) -> None:
        """Let another client begin: every other one is the core that users have."""
        kind = CoreClient if number % 2 else Client
        self.clients.append(kind(self, number, self.randoms.stream("client", number)))

    def _stop(self) -> bool:
        return bool(self.violations)

    def _compare(self) -> None:
        """Hash the same rev on all nodes that have it."""
        self.scheduler.after(COMPARE_SECONDS, self._compare)
        nodes = [(host.name, host.node) for host in self.running() if host.node is not None]
        if len(nodes) > 1:
            rev = min(node.store.rev for _, node in nodes)
            for name, node in nodes:
                if node.store.rev < rev + 200:
                    self.recorder.hash(name, node, rev)

    def rest(self) -> None:
        """Faults have stopped: all comes to rest, in time."""
        for client in self.clients:
            client.finish()
        self._care()
        begun = self.scheduler.now
        # Who was led ahead of all others is found by them a minute later at most (`raft/core/terms.py`).
        due = begun + REST_SECONDS + (WINDOW_SECONDS if self.counts[LEAPER] else 0.0)
        for name, reached in (
            ("all members run and follow one leader", self._led),
            ("all requests are answered", self._answered),
            ("nobody has files of before a redaction", self._scrubbed),
            ("all members have applied the same", self._level),
            ("all watches have come to the last rev", self._watched),
        ):
            done = self.scheduler.run_until(due, partial(self._stop_or, reached))
            if self.violations:
                return
            self._goal(name, due, done)
            self.counts[f"rest: ms until {name}"] += int((self.scheduler.now - begun) * 1000)
            if not done:
                return
        self._last_looks()

    def _care(self) -> None:
        """Start whoever is down, and do as the runbook says about alarms, from now on."""
        self.scheduler.after(CARE_SECONDS, self._care)
        for host in self.hosts:
            host.start()
        for host in self.members():
            if host.node is not None and host.node.proof.stuck and host.name not in self._given_up:
                self._given_up.add(host.name)
                self.operator.give_up(host)
        for host in self.running():
            if host.node is not None and host.node.dismissal.told is not None and self._was_removed(host):
                self.operator.stop_removed(host)

    def _was_removed(self, host: Host) -> bool:
        """As `visor cluster members` at the leader shows."""
        leader = self.leader()
        return leader is not None and leader.node is not None and leader.node.gate.removed(host.member_id)

    def _stop_or(self, reached: Callable[[], bool]) -> bool:
        return self._stop() or reached()

    def _goal(self, name: str, due: float, done: bool) -> None:
        self.history.goals.append(Goal(name, due, self.scheduler.now if done else None))

    def members(self) -> list[Host]:
        """Return the hosts that belong to the cluster, as its leader says, apart from those that burnt down."""
        return self._in_configuration(lambda configuration: {one.id for one in configuration.members})

    def voters(self) -> list[Host]:
        """Return those of them that vote."""
        return self._in_configuration(lambda configuration: set(configuration.voters))

    def _in_configuration(self, choose: Callable[[Configuration], set[str]]) -> list[Host]:
        leader = self.leader()
        if leader is None or leader.node is None:
            return []
        ids = choose(leader.node.engine.configuration)
        return [host for host in self.hosts if host.member_id in ids and not host.retired]

    def _led(self) -> bool:
        leader, members = self.leader(), self.members()
        if leader is None or not members:
            return False
        for host in members:
            node = host.node
            if node is None or host.process is None or host.process.stopping:
                return False
            if node.engine.leader != leader.node.me.id:  # type: ignore[union-attr]
                return False
        return True

    def _answered(self) -> bool:
        return all(client.idle for client in self.clients)

    def _scrubbed(self) -> bool:
        return are_clean(self.members())

    def _level(self) -> bool:
        nodes = [host.node for host in self.members()]
        return all(
            node is not None and node.machine.index == self.recorder.highest for node in nodes
        ) and bool(nodes)

    def _watched(self) -> bool:
        last = self.history.last_rev()
        watches = [one for client in self.clients for one in client.subscribers if not client.dead]
        return all(one.complete >= last for one in watches)

    def _last_looks(self) -> None:
        last = self.history.last_rev()
        for client in self.clients:
            for subscriber in client.subscribers:
                if not client.dead:
                    subscriber.trace.complete_to = last
        for host in self.members():
            assert host.node is not None
            self.recorder.hash(host.name, host.node, last)
            self.recorder.tables(host.name, host.node)
            try:
                look(host, self.recorder.gone())
            except Violation as violation:
                self.violations.append(violation)

    def result(self) -> Result:
        """Judge what was recorded."""
        branches: Counter[str] = Counter()
        for host in self.hosts:
            branches.update(host.engine_counters())
        for operation in self.history.operations:
            kind = "write" if operation.write is not None else f"read {operation.read.mode}"  # type: ignore[union-attr]
            self.counts[f"{kind}: {operation.outcome}"] += 1
        self.counts["commits"] += len(self.history.commits)
        self.counts["watch events"] += sum(len(watch.events) for watch in self.history.watches)
        for lease in self.history.leases:
            lease.ttl /= self.fastest
        violations = [*self.violations, *check(self.history)]
        return Result(
            self.seed,
            violations,
            self.counts,
            branches,
            self.history,
            self.scheduler.steps,
            self.scheduler.now,
        )


def run(seed: int, plan: Plan = Plan()) -> Result:
    """Run one seed."""
    with planted(plan.plant):
        world = World(seed, plan)
        if world.form():
            world.work()
            if not world.violations:
                world.rest()
        return world.result()
