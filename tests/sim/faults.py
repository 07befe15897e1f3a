"""What goes wrong, and when: a schedule from the seed.

Each seed draws which kinds of faults it has, and how often; so some seeds have one kind in abundance and others a
little of everything. Every fault lasts for a while and ends by itself; `end` ends all that last.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.sim.operators import Operator
from tests.sim.randoms import log_uniform

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World


OLD_REIGN: Final = "an old reign returns"


class Faults:
    """See the module."""

    def __init__(self, world: World, rng: random.Random, end: float) -> None:
        self._world = world
        self._rng = rng
        self._end = end
        self._ended = False
        self._operator = Operator(world, rng)
        self._reign_until = 0.0
        kinds = sorted(world.plan.kinds or KINDS)
        few = len(kinds) > 6 and rng.random() < 0.8
        chosen = rng.sample(kinds, rng.randint(1, 6)) if few else kinds
        if world.nodes > 3 and OLD_REIGN in kinds and rng.random() < 0.3:
            # Among three members it does no harm, and beside other faults it hardly ever comes to its end.
            chosen = [OLD_REIGN]
        self._kinds = {kind: rng.uniform(0.3, 1.0) * KINDS[kind][1] for kind in chosen}
        self._pause = log_uniform(rng, 0.15, 1.5)
        """Mean seconds between two faults."""
        low = log_uniform(rng, 0.0001, 0.003)
        world.network.latency = (low, low * rng.uniform(1.5, 8.0), rng.choice((0.0, 0.0, 0.02, 0.1)))
        for link in world.network.links():
            link.low, link.high, link.jitter = world.network.latency
        world.network.late_chance = rng.choice((0.0, 0.3, 0.8))
        world.network.repeat_chance = rng.choice((0.0, 0.0, 0.001, 0.02))
        self._later(self._pause * rng.random(), self._happen)

    def _later(self, delay: float, callback: Callable[..., object], *args: object) -> None:
        self._world.scheduler.after(delay, callback, *args)

    def _happen(self) -> None:
        if self._ended or self._world.scheduler.now >= self._end:
            return
        self._later(self._pause * 2 * self._rng.random(), self._happen)
        kind = self._rng.choices(list(self._kinds), list(self._kinds.values()))[0]
        self._world.note(kind)
        if KINDS[kind][0](self):
            self._world.count(f"fault: {kind}")

    def end(self) -> None:
        """Everything is well again."""
        self._ended = True
        world = self._world
        world.network.heal_all()
        for host in world.hosts:
            host.heal()
        for client in world.clients:
            if client.connection is not None:
                client.connection.slow = False

    # -- choosing -------------------------------------------------------------------------------------------

    def _host(self) -> Host | None:
        """Return a host whose node runs: the leader rather often."""
        running = self._world.running()
        leader = self._world.leader()
        if leader is not None and self._rng.random() < 0.4:
            return leader
        return self._rng.choice(running) if running else None

    def _pair(self) -> tuple[str, str] | None:
        hosts = [host for host in self._world.hosts if not host.retired]
        if len(hosts) < 2:
            return None
        one, other = self._rng.sample(hosts, 2)
        leader = self._world.leader()
        if leader is not None and self._rng.random() < 0.3:
            one, other = (leader, other) if other is not leader else (one, leader)
        return one.address, other.address

    def _lasting(self, most: float = 8.0) -> float:
        return log_uniform(self._rng, 0.05, most)

    # -- machines -------------------------------------------------------------------------------------------

    def _kill(self) -> bool:
        return self._crash(power=False)

    def _power_cut(self) -> bool:
        return self._crash(power=True)

    def _crash(self, *, power: bool) -> bool:
        host = self._host()
        if host is None:
            return False
        host.crash(power=power)
        self._start_later(host)
        return True

    def _start_later(self, host: Host) -> None:
        self._later(self._lasting(5.0), self._start, host)

    def _start(self, host: Host) -> None:
        if not self._ended and not host.start() and not host.retired:
            self._start_later(host)

    def _power_cut_everywhere(self) -> bool:
        for host in self._world.running():
            host.crash(power=True)
            self._start_later(host)
        return True

    def _cut_in_a_call(self) -> bool:
        """The power goes within one of the next disk calls, wherever that is."""
        host = self._host()
        if host is None:
            return False
        host.disk.cut_in = self._rng.choice((1, 2, 3, 5, 8, 13, 21))
        self._later(0.5, self._revive, host, host.lives)
        return True

    def _revive(self, host: Host, life: int) -> None:
        if host.process is None:
            self._start_later(host)
        elif host.lives == life:
            host.disk.cut_in = None

    def _freeze(self) -> bool:
        host = self._host()
        if host is None or host.process is None:
            return False
        host.process.loop.freeze(self._lasting(4.0))
        return True

    # -- clocks ---------------------------------------------------------------------------------------------

    def _wall_clock(self) -> bool:
        host = self._rng.choice(self._world.hosts)
        host.skew_ms += int(self._rng.choice((-1, 1)) * log_uniform(self._rng, 10, 5_000_000))
        return True

    def _monotonic_clock(self) -> bool:
        host = self._rng.choice(self._world.hosts)
        host.set_rate(log_uniform(self._rng, 0.7, 1.4))
        return True

    # -- disks ----------------------------------------------------------------------------------------------

    def _slow_disk(self) -> bool:
        host = self._rng.choice(self._world.hosts)
        host.slow_disk = log_uniform(self._rng, 3.0, 100.0)
        self._later(self._lasting(), host.heal_slowness)
        return True

    def _stuck_disk(self) -> bool:
        host = self._rng.choice(self._world.hosts)
        host.stuck_until = self._world.scheduler.now + self._lasting(3.0)
        return True

    def _full_disk(self) -> bool:
        host = self._rng.choice(self._world.hosts)
        host.disk.capacity = host.disk.used() + self._rng.choice((0, 0, 1 << 10, 1 << 16))
        self._later(self._lasting(), host.heal_capacity)
        return True

    def _failing_disk(self) -> bool:
        host = self._host()
        if host is None:
            return False
        host.disk.failing = True
        self._later(self._lasting(3.0), self._replace_disk, host)
        return True

    def _replace_disk(self, host: Host) -> None:
        host.disk.failing = False
        if host.process is None:
            self._start(host)

    def _checkpoint(self) -> bool:
        host = self._host()
        if host is None or host.process is None or host.node is None:
            return False
        host.process.loop.call_soon(host.node.maintenance.checkpoint_now)
        return True

    def _crash_in_a_checkpoint(self) -> bool:
        host = self._host()
        if not self._checkpoint() or host is None:
            return False
        self._later(log_uniform(self._rng, 0.001, 0.1), self._crash_this, host, self._rng.random() < 0.7)
        return True

    def _crash_this(self, host: Host, power: bool) -> None:
        if not self._ended:
            host.crash(power=power)
            self._start_later(host)

    # -- network --------------------------------------------------------------------------------------------

    def _cut_one_way(self) -> bool:
        pair = self._pair()
        if pair is None:
            return False
        self._world.network.cut(*pair)
        self._later(self._lasting(), self._world.network.heal, *pair)
        return True

    def _cut_both_ways(self) -> bool:
        pair = self._pair()
        if pair is None:
            return False
        lasting = self._lasting()
        for one in (pair, pair[::-1]):
            self._world.network.cut(*one)
            self._later(lasting, self._world.network.heal, *one)
        return True

    def _isolate(self) -> bool:
        host = self._host()
        if host is None:
            return False
        lasting = self._lasting()
        ways = self._rng.choice((("out",), ("in",), ("out", "in"), ("out", "in")))
        for other in self._world.hosts:
            if other is not host:
                for way in ways:
                    pair = (host.address, other.address) if way == "out" else (other.address, host.address)
                    self._world.network.cut(*pair)
                    self._later(lasting, self._world.network.heal, *pair)
        return True

    def _clog(self) -> bool:
        pair = self._pair()
        if pair is None:
            return False
        self._world.network.clog(*pair, log_uniform(self._rng, 300.0, 1e6))
        self._later(self._lasting(), self._world.network.heal, *pair)
        return True

    def _reset(self) -> bool:
        pair = self._pair()
        if pair is None:
            return False
        self._world.network.break_connections(*pair)
        return True

    # -- clients --------------------------------------------------------------------------------------------

    def _client_connection(self) -> bool:
        clients = [client for client in self._world.clients if client.connection is not None]
        if not clients:
            return False
        connection = self._rng.choice(clients).connection
        assert connection is not None
        connection.sever()
        return True

    def _client_death(self) -> bool:
        living = [client for client in self._world.clients if not client.dead]
        if len(self._world.clients) > 16 or not living:
            return False
        self._rng.choice(living).die()
        self._world.add_client(len(self._world.clients))
        return True

    def _slow_client(self) -> bool:
        clients = [client for client in self._world.clients if client.connection is not None]
        if not clients:
            return False
        connection = self._rng.choice(clients).connection
        assert connection is not None
        connection.slow = not connection.slow
        return True

    # -- members --------------------------------------------------------------------------------------------

    def _transfer(self) -> bool:
        return self._operator.transfer()

    def _add_voter(self) -> bool:
        return self._operator.add(learner=False)

    def _add_learner(self) -> bool:
        return self._operator.add(learner=True)

    def _remove(self) -> bool:
        return self._operator.remove()

    def _replace(self) -> bool:
        return self._operator.replace()

    def _stop(self) -> bool:
        host = self._host()
        if host is None or not host.stop():
            return False
        self._start_later(host)
        return True

    def _old_reign(self) -> bool:
        """A leader and one that follows him are cut off; he leads again later, and then hears what was said before.

        the companion's acknowledgements wait in his connection --------------------------> arrive
        the leader is cut off, another one leads .... he comes back, and leads again ......
        the companion hears nobody ...........................................................  is healed
        """
        world, rng, leader = self._world, self._rng, self._world.leader()
        others = [host for host in world.voters() if host is not leader]
        now = world.scheduler.now
        if leader is None or len(others) < 2 or now < self._reign_until:
            return False
        companion = rng.choice(others)
        rest = [host for host in others if host is not companion]
        apart = rng.uniform(1.0, 2.5)
        back = apart + rng.uniform(0.2, 1.0)
        told = back + rng.uniform(0.05, 0.5)
        end = told + rng.uniform(0.1, 2.0)
        self._reign_until = now + end
        self._cut_for(companion, leader, told)
        self._later(rng.uniform(0.2, 1.0), self._cut_for, leader, companion, end)
        for host in rest:
            self._cut_for(leader, host, apart)
            self._cut_for(host, leader, apart)
            self._cut_for(companion, host, end)
            self._cut_for(host, companion, end)
        self._later(back, self._operator.transfer_to, leader)
        return True

    def _cut_for(self, one: Host, other: Host, seconds: float) -> None:
        pair = one.address, other.address
        self._world.network.cut(*pair)
        self._later(seconds, self._world.network.heal, *pair)

    def _split(self) -> bool:
        """Two groups that do not hear of each other."""
        hosts = [host.address for host in self._world.hosts]
        if len(hosts) < 2:
            return False
        group = set(self._rng.sample(hosts, self._rng.randint(1, len(hosts) - 1)))
        lasting = self._lasting()
        for one in hosts:
            for other in hosts:
                if (one in group) != (other in group):
                    self._world.network.cut(one, other)
                    self._later(lasting, self._world.network.heal, one, other)
        return True


KINDS: Final[dict[str, tuple[Callable[[Faults], bool], float]]] = {
    "kill": (Faults._kill, 1.0),
    "power cut": (Faults._power_cut, 1.0),
    "power cut everywhere": (Faults._power_cut_everywhere, 0.2),
    "power cut within a disk call": (Faults._cut_in_a_call, 1.0),
    "process stopped for a while": (Faults._freeze, 1.0),
    "wall clock jump": (Faults._wall_clock, 0.5),
    "monotonic clock off": (Faults._monotonic_clock, 0.3),
    "slow disk": (Faults._slow_disk, 0.5),
    "stuck disk": (Faults._stuck_disk, 0.5),
    "full disk": (Faults._full_disk, 0.5),
    "failing disk": (Faults._failing_disk, 0.3),
    "checkpoint": (Faults._checkpoint, 0.7),
    "crash during a checkpoint": (Faults._crash_in_a_checkpoint, 0.7),
    "one-way cut": (Faults._cut_one_way, 1.0),
    "two-way cut": (Faults._cut_both_ways, 1.0),
    "isolation": (Faults._isolate, 1.0),
    "clogging": (Faults._clog, 0.7),
    "connection reset": (Faults._reset, 1.0),
    "client connection broken": (Faults._client_connection, 1.0),
    "client death": (Faults._client_death, 0.4),
    "slow client": (Faults._slow_client, 0.4),
    "leader transfer": (Faults._transfer, 0.6),
    "member added": (Faults._add_voter, 0.4),
    "learner added": (Faults._add_learner, 0.4),
    "member removed": (Faults._remove, 0.4),
    "member burnt down": (Faults._replace, 0.3),
    "graceful stop": (Faults._stop, 0.7),
    OLD_REIGN: (Faults._old_reign, 0.5),
    "split": (Faults._split, 0.7),
}
"""What can happen: how, and how likely beside the others."""
