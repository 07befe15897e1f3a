"""How long nothing is committed although a majority is whole: faults elsewhere must not keep it from working.

A majority is whole when its machines are well, their nodes have run for a while, all links among them are, and it is
one by the configuration of each of its members. Others may be dead, half deaf, full or mad meanwhile.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from tests.checkers.history import Violation
from tests.sim.host import ROOM

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World

LOOK_SECONDS: Final = 0.1
START_SECONDS: Final = 2.0
"""How long a member may take to come back: its data is read, it dials and is dialled again."""
MOST_SECONDS: Final = 8.0
"""How long a whole majority may commit nothing: clients find its members one by one, and elections may collide."""


class Standstill:
    """Looks again and again, from `begin` until `end`. `longest`: seconds that nothing was committed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._since: float | None = None
        """Since when a majority is whole and nothing was committed; None while none is whole."""
        self._highest = 0
        self._started: dict[str, tuple[int, float]] = {}
        """Host -> (its life, when it was first seen)."""
        self._ended = False
        self.longest = 0.0

    def begin(self) -> None:
        """Look from now on."""
        if self._ended:
            return
        world = self._world
        now = world.scheduler.now
        world.scheduler.after(LOOK_SECONDS, self.begin)
        highest = world.recorder.highest
        if not self._is_whole():
            self._since = None
        elif self._since is None or highest > self._highest:
            self._since = now
        else:
            self.longest = max(self.longest, now - self._since)
        self._highest = highest
        if self.longest > MOST_SECONDS and not world.violations:
            text = f"nothing was committed for {self.longest:.1f} s although a majority was whole"
            world.broken(text, Violation("progress", text))

    def end(self) -> None:
        """Look no more."""
        self._ended = True

    def _is_whole(self) -> bool:
        well = [host for host in self._world.hosts if self._is_well(host)]
        # Smaller groups are looked at only when a link within the larger ones is bent.
        for size in range(len(well), 0, -1):
            for group in combinations(well, size):
                if self._is_majority(group) and self._is_linked(group):
                    return True
        return False

    def _is_well(self, host: Host) -> bool:
        process, now = host.process, self._world.scheduler.now
        if process is None or process.stopping or process.node is None:
            self._started.pop(host.name, None)
            return False
        life, since = self._started.setdefault(host.name, (host.lives, now))
        if life != host.lives:
            since = now
            self._started[host.name] = (host.lives, now)
        disk = host.disk
        sound = disk.capacity == ROOM and not disk.failing and disk.cut_in is None and not disk.off
        quick = host.slow_disk == 1.0 and host.stuck_until <= now and process.loop.frozen_until <= now
        return sound and quick and now - since >= START_SECONDS

    @staticmethod
    def _is_majority(group: tuple[Host, ...]) -> bool:
        ids = {host.member_id for host in group}
        for host in group:
            assert host.node is not None
            voters = set(host.node.engine.configuration.voters)
            if not voters or 2 * len(voters & ids) <= len(voters):
                return False
        return True

    def _is_linked(self, group: tuple[Host, ...]) -> bool:
        network = self._world.network
        for one, other in combinations(group, 2):
            for pair in ((one.address, other.address), (other.address, one.address)):
                link = network.link(*pair)
                if link.cut or link.bandwidth is not None:
                    return False
        return True
