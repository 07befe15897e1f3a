"""One machine: its disk, its clock, and the `visord` process that runs there, killed and started again.

The process is the real `visord.node.Node` on a `NodeLoop`, `SimDisk`, `SimWorker`s and `SimPeers`. `Recorder` sees what
every node applies.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.sim.disk import SimDisk, SimWorker
from tests.sim.network import SimPeers
from tests.sim.randoms import log_uniform
from tests.sim.scheduler import EPOCH_MS, NodeLoop, PowerCut
from visor.protocol.limits import DEFAULT, Limits
from visord import shutdown
from visord.admission import CLOSING
from visord.environment import Environment
from visord.members.joining import JoinRefusedError, Reach, Start, join
from visord.node import Node, RemovedError
from visord.serving.backend import Backend
from visord.settings import ClusterSettings, NodeSettings, Settings, StorageSettings
from visord.storage.directory import Identity, write_identity
from visord.storage.errors import StorageError

if TYPE_CHECKING:
    from tests.sim.wires import Connection
    from tests.sim.world import World

DATA: Final = "/data"
ROOM: Final = 1 << 30
"""Bytes of a disk that is not full."""


def storage(rng: random.Random) -> StorageSettings:
    """Return sizes smaller than an operator may choose: segments turn over and old entries go within seconds."""
    return StorageSettings.model_construct(
        log_segment_bytes=rng.choice((32 << 10, 64 << 10, 256 << 10)),
        log_chunk_bytes=16 << 10,
        log_keep_bytes=rng.choice((4 << 10, 16 << 10, 64 << 10, 1 << 20)),
        history_segment_bytes=rng.choice((16 << 10, 64 << 10)),
        checkpoint_log_bytes=rng.choice((16 << 10, 48 << 10, 1 << 20)),
        checkpoint_seconds=rng.choice((1.5, 4.0, 30.0)),
    )


class Recorded(Node):
    """A node that tells a recorder what it applies."""

    host: Host

    def _apply(self, index: int, term: int, command: bytes) -> None:
        self.host.world.recorder.applying(self.host.name, index, term, command)
        super()._apply(index, term, command)
        self.host.world.recorder.applied(self.host.name, self)


class Process:
    """One life of a node."""

    def __init__(self, host: Host, life: int) -> None:
        world = host.world
        self.host = host
        self.scheduler = world.scheduler
        self.limits: Limits = DEFAULT
        self.connections: set[Connection] = set()
        self.rng = world.randoms.stream("node", host.name, life)
        self._pace = world.randoms.stream("pace", host.name, life)
        self._worked = 0.0
        self.loop = NodeLoop(
            world.scheduler,
            base=self.rng.uniform(1.0, 1e6),
            rate=host.rate,
            broke=self._broke,
        )
        self.sync = SimWorker(self.loop, host.sync_delay)
        self.background = SimWorker(self.loop, host.job_delay)
        self.stopping = False
        self.node: Node | None = None
        self.backend: Backend | None = None
        self.peers: SimPeers | None = None

    def start(self) -> None:
        """Open the data directory and begin. Raises what `Node` raises."""
        host = self.host
        environment = Environment(
            self.loop,
            host.disk,
            self.sync,
            self.background,
            self.rng,
            host.clock_ms,
            self._make_peers,
            stopwatch=self._stopwatch,
        )
        settings = Settings.model_construct(
            node=NodeSettings(name=host.name),
            storage=host.world.storage,
            cluster=ClusterSettings.model_construct(hash_seconds=host.world.hash_seconds),
        )
        node = self.node = host.world.node_class(
            settings,
            Path(DATA),
            environment,
            self.limits,
            self._failed,
            (host.address, host.client_address),
        )
        node.host = host
        node.checkpointer.keyframe_commits = host.world.keyframe_commits
        self.backend = Backend(node)
        node.engine.max_batch = host.world.max_batch
        assert self.peers is not None
        self.peers.admit = node.gate.admit
        self.peers.removed, self.peers.dismissed = node.gate.removed, node.gate.dismissed
        self.peers.answer = node.strangers.answer
        node.start()

    def _stopwatch(self) -> float:
        """Time goes on within a turn of the loop, too: whoever looks finds that some has passed."""
        self._worked += self._pace.random() * 0.001
        return self._worked

    @property
    def serves(self) -> bool:
        """Clients can connect: a server listens once its node is ready."""
        return self.node is not None and self.node.readiness.reached and not self.stopping

    def _make_peers(self, member: str, cluster: str) -> SimPeers:
        world = self.host.world
        self.peers = SimPeers(world.network, self.loop, member, cluster, self.host.address)
        return self.peers

    def _failed(self, error: BaseException) -> None:
        """The node says that it cannot go on: the process ends, as a server's does."""
        self.loop.call_soon(self.host.ended_itself, error)

    def _broke(self, error: BaseException) -> None:
        if isinstance(error, PowerCut):
            self.host.world.count("crash in the middle of a disk call")
            self.host.crash(power=True)
        else:
            self.host.world.broken(
                f"{self.host.name}: a callback raised {type(error).__name__}: {error}", error
            )
            self.host.crash(power=False)

    def join(self, addresses: tuple[str, ...], *, learner: bool) -> None:
        """Ask to be taken in, as `visord serve --join` does, unless this node is a member already."""
        assert self.peers is not None
        if self.node is not None and self.node.proof.joining:
            start = Start(join=addresses, learner=learner)
            self.loop.run_task(self._join(start, self.node, Reach(self.host.address, self.peers.ask)))

    async def _join(self, start: Start, node: Node, reach: Reach) -> None:
        try:
            await join(start, node, reach)
        except JoinRefusedError:
            self.host.world.count("join refused")
            self.host.crash(power=False)

    def stop(self, *, silent: bool) -> None:
        """Nothing of this process runs any more."""
        self.loop.kill()
        if self.peers is not None:
            self.peers.close()
        # In an order that does not depend on addresses in memory.
        for connection in sorted(self.connections, key=lambda one: one.number):
            connection.node_ended(silent=silent)


class Host:
    """See the module."""

    def __init__(self, world: World, name: str, number: int) -> None:
        self.world = world
        self.name = name
        self.address = f"10.0.0.{number}:8047"
        self.client_address = f"10.0.0.{number}:8046"
        self.rng = world.randoms.stream("host", name)
        self.disk = SimDisk(world.randoms.stream("disk", name), ROOM)
        self.process: Process | None = None
        self.lives = 0
        self.skew_ms = 0
        self.rate = 1.0
        self.slow_disk = 1.0
        """Factor of all disk times."""
        self.stuck_until = 0.0
        """No disk call ends before."""
        self.retired = False
        """Removed from the cluster, or burnt down: never started again."""
        self.votes = True
        """It joins to get a vote."""
        self.member_id = ""
        self.failure: BaseException | None = None
        self.counters: Counter[str] = Counter()
        """Of the engines of all lives that ended."""

    # -- what a process takes from its machine --------------------------------------------------------------

    def clock_ms(self) -> int:
        """Return wall-clock time."""
        return EPOCH_MS + int(self.world.scheduler.now * 1000) + self.skew_ms

    def sync_delay(self) -> float:
        """Return the seconds of a log's sync."""
        return self._disk_delay(0.0001, 0.002)

    def job_delay(self) -> float:
        """Return the seconds of any other job."""
        return self._disk_delay(0.0002, 0.01)

    def _disk_delay(self, low: float, high: float) -> float:
        delay = log_uniform(self.rng, low, high) * self.slow_disk
        return max(delay, self.stuck_until - self.world.scheduler.now)

    # -- ends of faults -------------------------------------------------------------------------------------

    def set_rate(self, rate: float) -> None:
        """Let the monotonic clock run fast or slow."""
        self.rate = rate
        self.world.fastest = max(self.world.fastest, rate)
        if self.process is not None:
            self.process.loop.set_rate(rate)

    def heal_slowness(self) -> None:
        """The disk is as fast as ever."""
        self.slow_disk, self.stuck_until = 1.0, 0.0

    def heal_capacity(self) -> None:
        """There is room."""
        self.disk.capacity = ROOM

    def heal(self) -> None:
        """All is well with this machine."""
        self.heal_slowness()
        self.heal_capacity()
        self.set_rate(1.0)
        self.disk.failing, self.disk.cut_in = False, None

    # -- life -----------------------------------------------------------------------------------------------

    @property
    def node(self) -> Node | None:
        """The node that runs here now."""
        return None if self.process is None else self.process.node

    def prepare(self, cluster: str, *, founder: bool) -> None:
        """Make an empty data directory of a member of `cluster`."""
        self.disk.mkdir(DATA)
        self.disk.sync_dir("/")
        self.member_id = f"{self.rng.getrandbits(64):016x}"
        write_identity(self.disk, DATA, Identity(cluster, self.name, self.member_id, founder))

    def start(self) -> bool:
        """Start the process unless it runs; tell whether it does now."""
        if self.process is not None or self.retired:
            return self.process is not None
        self.lives += 1
        process = Process(self, self.lives)
        try:
            process.start()
        except PowerCut:
            self.world.count("crash while starting")
            self._end(process, power=True)
            return False
        except OSError as error:
            # A full or failing disk refuses a start; somebody tries again later.
            self.world.count(f"start refused: {error.strerror}")
            self._end(process, power=False)
            return False
        self.process = process
        self.failure = None
        self.world.started(self)
        return True

    def crash(self, *, power: bool) -> None:
        """End the process: killed, or with the whole machine."""
        process = self.process
        if process is None:
            return
        self.process = None
        self.world.note(f"{self.name} {'loses power' if power else 'is killed'}")
        node = process.node
        if node is not None:
            self.counters.update(node.engine.counters)
        self._end(process, power=power)

    def _end(self, process: Process, *, power: bool) -> None:
        process.stop(silent=power and self.rng.random() < 0.5)
        for worker in (process.sync, process.background):
            how = worker.interrupt(self.disk, self.rng)
            if how == "cut":
                self.world.count("crash within a disk job")
        self.disk = self.disk.after_power_cut() if power else self.disk.after_kill()

    def stop(self) -> bool:
        """End the process as SIGTERM does; tell whether it runs."""
        process = self.process
        if process is None or process.node is None or process.stopping:
            return False
        process.stopping = True
        process.loop.run_task(self._stop(process, process.node))
        return True

    async def _stop(self, process: Process, node: Node) -> None:
        def send_away() -> None:
            for connection in sorted(process.connections, key=lambda one: one.number):
                connection.conversation.leave(CLOSING.code, CLOSING.text)

        async def hang_up() -> None:
            """The connections end with the process."""

        await shutdown.stop(node, send_away, hang_up)
        self.world.count("graceful stop")
        self.crash(power=False)

    def ended_itself(self, error: BaseException) -> None:
        """The node stopped for good: a failing disk, or it was removed."""
        self.failure = error
        self.crash(power=False)
        if isinstance(error, RemovedError):
            self.retired = True
            self.world.count("node ended: removed")
        elif isinstance(error, OSError) or _of_a_disk(error):
            self.world.count("node ended: disk error")
        else:
            self.world.broken(f"{self.name} stopped: {type(error).__name__}: {error}", error)

    def engine_counters(self) -> Counter[str]:
        """Return the counters of all lives together."""
        node = self.node
        return self.counters + (node.engine.counters if node is not None else Counter())


def _of_a_disk(error: BaseException) -> bool:
    """A disk failed in the moment that decides which checkpoint counts: the node stops, rather than guess."""
    return isinstance(error, StorageError) and isinstance(error.__cause__, OSError)
