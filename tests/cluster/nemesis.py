"""Disturbs a cluster from a seed: processes, links, clocks, disks and members, several at a time.

Each *lane* does one fault after another of its kind; from time to time all lanes rest, everything is healed, and the
cluster must take writes at every member and become equal again. What happened is in the journal, with times.

    lane processes   kill -9, stop and continue, restart, kill while starting
    lane links       leader alone, splits, one way, a bridge, breaks, slow and narrow links, clients cut off
    lane machines    clocks that jump, full disks, checkpoints
    lane members     see `membership`
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Collection, Iterator
from typing import Final

from tests.checkers.history import Goal
from tests.cluster import membership
from tests.cluster.chances import is_chance, undisturbed
from tests.cluster.journal import Journal
from tests.cluster.links import BROKEN, CUT, between, from_clients, towards
from tests.cluster.processes import Cluster, Member
from tests.cluster.proxy import Rule
from tests.node_process import NotReady

ROUND_SECONDS: Final = (20.0, 40.0)
"""Between two rests."""
RECOVERY_SECONDS: Final = 20.0
"""After everything was healed, all members must serve and be equal within this time."""
VISIT_SECONDS: Final = 20.0
"""How long a visitor may take to be taken in while other faults go on."""
SUPERVISOR_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 0.02
FULL: Final = ("No space left", "no space", "bytes are free")
"""Words of a member that cannot start because its disk is full."""
TOLD: Final = 5
"""Members that end by themselves are told of so often: the sixth time teaches nothing."""
PAUSE_SECONDS: Final = 2.5
"""Mean time between two faults of one lane."""


class Nemesis:
    """See the module. `lanes`: lane -> its faults with their weights, less those of `without`."""

    def __init__(self, seed: int, without: Collection[str] = ()) -> None:
        self._rng = random.Random(f"nemesis {seed}")
        self._cluster: Cluster
        self._journal: Journal
        self._taken: set[str] = set()
        """Members whose process or disk a fault holds."""
        self._resting = asyncio.Event()
        self._working = 0
        self._idle = asyncio.Event()
        self._recoveries: list[float] = []
        self._visitors = 0
        self._voters: set[str] = set()
        """Members that vote for sure: they did once, and have not begun anew since."""
        self._logs: dict[str, str] = {}
        self.lanes: dict[str, dict[str, float]] = {
            "processes": {
                "kill_one": 5,
                "kill_several": 2,
                "kill_all": 0.7,
                "kill_while_starting": 2,
                "pause": 5,
                "restart": 2,
            },
            "links": {
                "leader_alone": 3,
                "split": 3,
                "one_way": 3,
                "bridge": 2,
                "break": 3,
                "flap": 1,
                "slow": 2,
                "narrow": 1,
                "clients_cut": 2,
            },
            "machines": {"clock": 3, "checkpoint": 2, "full_disk": 2},
            "members": {"transfer": 4, "visit": 1, "replace": 1},
        }
        for faults in self.lanes.values():
            for name in without:
                faults.pop(name, None)

    async def disturb(self, cluster: Cluster, journal: Journal, until: float) -> None:
        """Disturb until a moment; return when all is healed, running and equal."""
        self._cluster, self._journal = cluster, journal
        if not cluster.plan.disk_bytes:
            self.lanes["machines"].pop("full_disk", None)
        self._voters = set(self._names())
        supervisor = asyncio.create_task(self._supervise())
        observers = [
            asyncio.create_task(self._look_for_chances()),
            asyncio.create_task(self._look_for_voters()),
        ]
        lanes = [asyncio.create_task(self._lane(faults)) for faults in self.lanes.values() if faults]
        try:
            while time.monotonic() < until:
                self._resting.set()
                rest = min(self._rng.uniform(*ROUND_SECONDS), max(0.0, until - time.monotonic()))
                done, _ = await asyncio.wait(lanes, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                self._resting.clear()
                await self._rest()
        finally:
            tasks = [*lanes, supervisor, *observers]
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    self._journal.unexpected.append(f"the nemesis: {ended!r}")
            journal.chances.append((time.monotonic(), False))

    async def _look_for_chances(self) -> None:
        """Note when clients had to be served."""
        chances = self._journal.chances
        while True:
            yes = is_chance(self._cluster, undisturbed(self._cluster, self._voters, self._taken))
            if not chances or chances[-1][1] != yes:
                chances.append((time.monotonic(), yes))
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_for_voters(self) -> None:
        """Note who votes of those that joined."""
        while True:
            await asyncio.sleep(SUPERVISOR_SECONDS)
            for name in set(self._names()) - self._voters - self._taken:
                member = self._cluster.members[name]
                votes = await asyncio.to_thread(membership.votes, self._cluster, member)
                if votes and name not in self._taken and self._cluster.members.get(name) is member:
                    self._voters.add(name)

    async def _supervise(self) -> None:
        """Start again who ended by himself, as an operator's supervisor does. Only a full disk is a good reason."""
        while True:
            await asyncio.sleep(SUPERVISOR_SECONDS)
            for member in list(self._cluster.members.values()):
                fault = member.fault()
                if fault is None:
                    continue
                self._journal.event(f"{member.name} ended by itself with {member.wait()}")
                self._journal.faults["ended by itself"] += 1
                if not any(words in fault for words in FULL) and len(self._journal.unexpected) < TOLD:
                    self._journal.unexpected.append(fault)
                member.launch()

    async def _lane(self, faults: dict[str, float]) -> None:
        names, weights = tuple(faults), tuple(faults.values())
        while True:
            await asyncio.sleep(self._rng.expovariate(1.0 / PAUSE_SECONDS))
            await self._resting.wait()
            self._working += 1
            self._idle.clear()
            try:
                await getattr(self, f"_{self._rng.choices(names, weights)[0]}")()
            finally:
                self._working -= 1
                if not self._working:
                    self._idle.set()

    def _note(self, name: str, text: str) -> None:
        self._journal.faults[name] += 1
        self._journal.event(f"{name}: {text}")

    # -- rest -------------------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Heal everything; all must serve and be equal soon."""
        if self._working:
            await self._idle.wait()
        cluster = self._cluster
        cluster.links.heal_all()
        for member in cluster.members.values():
            member.resume()
            if not member.running():
                member.launch()
        began = time.monotonic()
        self._journal.event("all is healed")
        took = await asyncio.to_thread(self._recover, began)
        if took is not None:
            self._recoveries.append(took)
        goal = Goal("recovery after faults", began + RECOVERY_SECONDS, None if took is None else began + took)
        self._journal.history.goals.append(goal)
        self._journal.event(f"recovered after {took if took is None else round(took, 2)} s")

    def _recover(self, began: float) -> float | None:
        """Return how long it takes until every member takes a write; None when that is too long."""
        waiting = list(self._cluster.members.values())
        while waiting and time.monotonic() - began < RECOVERY_SECONDS:
            if self._takes_write(waiting[0]):
                waiting.pop(0)
            else:
                time.sleep(0.05)
        took = time.monotonic() - began
        if waiting:
            return None
        try:
            self._cluster.await_voters(len(self._cluster.members), max(0.0, RECOVERY_SECONDS - took))
        except NotReady as error:
            self._journal.event(str(error))
            return None
        return took

    @staticmethod
    def _takes_write(member: Member) -> bool:
        with contextlib.suppress(Exception), member.wire(2.0) as wire:
            wire.set("/probe", b"probe")
            return True
        return False

    @property
    def recoveries(self) -> list[float]:
        """Seconds from each healing until every member took a write."""
        return self._recoveries

    # -- whom -------------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return list(self._cluster.members)

    async def _leader(self) -> str:
        leader = await asyncio.to_thread(self._cluster.leader)
        return leader.name if leader is not None else self._rng.choice(self._names())

    async def _victim(self) -> Member | None:
        """Return the leader, or anybody, of those that no fault holds; None when all are held."""
        name = await self._leader() if self._rng.random() < 0.5 else self._rng.choice(self._names())
        free = [one for one in self._names() if one not in self._taken]
        if name not in free:
            if not free:
                return None
            name = self._rng.choice(free)
        return self._cluster.members[name]

    @contextlib.contextmanager
    def _hold(self, *members: Member) -> Iterator[None]:
        names = {member.name for member in members}
        if held := names & self._taken:
            raise RuntimeError(f"two faults hold {held}: each would start a process of its own")
        self._taken |= names
        try:
            yield
        finally:
            self._taken -= names

    # -- processes --------------------------------------------------------------------------------------------

    async def _kill_one(self) -> None:
        victim = await self._victim()
        if victim is not None:
            await self._kill("kill one", [victim])

    async def _kill_several(self) -> None:
        names = self._rng.sample(self._names(), len(self._names()) // 2 + 1)
        await self._kill("kill a majority", [self._cluster.members[name] for name in names])

    async def _kill_all(self) -> None:
        await self._kill("kill all", list(self._cluster.members.values()))

    async def _kill(self, name: str, victims: list[Member]) -> None:
        victims = [victim for victim in victims if victim.name not in self._taken]
        with self._hold(*victims):
            self._note(name, ", ".join(victim.name for victim in victims))
            for victim in victims:
                victim.kill()
            self._rng.shuffle(victims)
            for victim in victims:
                await asyncio.sleep(self._rng.choice((0.0, 0.2, self._rng.uniform(0.5, 5.0))))
                victim.launch()

    async def _kill_while_starting(self) -> None:
        victim = await self._victim()
        if victim is None:
            return
        with self._hold(victim):
            self._note("kill while starting", victim.name)
            victim.kill()
            for _ in range(self._rng.randint(1, 3)):
                victim.launch()
                await asyncio.sleep(self._rng.uniform(0.2, 1.0))
                victim.kill()
            victim.launch()

    async def _pause(self) -> None:
        victim = await self._victim()
        if victim is None or not victim.running():
            return
        with self._hold(victim):
            seconds = self._rng.choice((self._rng.uniform(0.3, 1.2), self._rng.uniform(1.2, 5.0)))
            self._note("SIGSTOP", f"{victim.name} for {seconds:.1f} s")
            victim.pause()
            try:
                await asyncio.sleep(seconds)
            finally:
                victim.resume()

    async def _restart(self) -> None:
        victim = await self._victim()
        if victim is None or not victim.running() or not victim.is_ready():
            return
        with self._hold(victim):
            self._note("SIGTERM", victim.name)
            code = await asyncio.to_thread(victim.terminate)
            if code:
                self._journal.unexpected.append(f"{victim.name} ended with {code}: {victim.errors()[-2000:]}")
            await asyncio.sleep(self._rng.uniform(0.0, 3.0))
            victim.launch()

    # -- links ------------------------------------------------------------------------------------------------

    async def _bend(self, name: str, links: list[str], rule: Rule, *, seconds: float | None = None) -> None:
        """Let links follow a rule for a while."""
        if seconds is None:
            seconds = self._rng.choice((self._rng.uniform(0.3, 1.5), self._rng.uniform(1.5, 8.0)))
        reset = rule.hold and self._rng.random() < 0.4
        if reset:
            rule = BROKEN
        self._note(name, f"{' '.join(links)} {'broken' if reset else ''} for {seconds:.1f} s")
        number = self._cluster.links.add(dict.fromkeys(links, rule), reset=reset)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._cluster.links.heal(number)

    async def _leader_alone(self) -> None:
        leader = await self._leader()
        links = between([leader], self._names())
        if self._rng.random() < 0.3:
            links += from_clients([leader])
        await self._bend("leader alone", links, CUT)

    async def _split(self) -> None:
        names = self._names()
        self._rng.shuffle(names)
        cut = self._rng.randrange(1, len(names))
        links = between(names[:cut], names[cut:])
        if self._rng.random() < 0.3:
            links += from_clients(names[:cut])
        await self._bend("split", links, CUT)

    async def _one_way(self) -> None:
        leader, names = await self._leader(), self._names()
        other = self._rng.choice([name for name in names if name != leader])
        links = self._rng.choice(
            (
                towards([leader], names),
                towards(names, [leader]),
                towards([leader], [other]),
                towards([other], [leader]),
            )
        )
        await self._bend("one way", links, CUT)

    async def _bridge(self) -> None:
        """Two halves that only one member sees both of."""
        names = self._names()
        self._rng.shuffle(names)
        half = (len(names) - 1) // 2
        await self._bend("bridge", between(names[1 : 1 + half], names[1 + half :]), CUT)

    async def _break(self) -> None:
        names = self._names()
        some = self._rng.sample(names, self._rng.randint(1, len(names)))
        links = between(some, names)
        self._note("reset", " ".join(some))
        self._cluster.links.heal(self._cluster.links.add(dict.fromkeys(links, BROKEN), reset=True))

    async def _flap(self) -> None:
        """Links that break again and again."""
        links = between([self._rng.choice(self._names())], self._names())
        self._note("flapping", " ".join(links))
        for _ in range(self._rng.randint(5, 20)):
            number = self._cluster.links.add(dict.fromkeys(links, BROKEN), reset=True)
            await asyncio.sleep(self._rng.uniform(0.02, 0.3))
            self._cluster.links.heal(number)
            await asyncio.sleep(self._rng.uniform(0.05, 0.5))

    async def _slow(self) -> None:
        names = self._names()
        some = self._rng.sample(names, self._rng.randint(1, len(names)))
        rule = Rule(delay=self._rng.choice((0.005, 0.03, 0.15)))
        links = between(some, names) + (from_clients(some) if self._rng.random() < 0.3 else [])
        await self._bend(
            f"slow by {rule.delay * 1000:.0f} ms", links, rule, seconds=self._rng.uniform(2.0, 8.0)
        )

    async def _narrow(self) -> None:
        rule = Rule(rate=self._rng.choice((20_000.0, 200_000.0)))
        links = towards([await self._leader()], [self._rng.choice(self._names())])
        await self._bend(f"{rule.rate / 1000:.0f} kB/s", links, rule, seconds=self._rng.uniform(2.0, 8.0))

    async def _clients_cut(self) -> None:
        some = self._rng.sample(self._names(), self._rng.randint(1, len(self._names()) - 1))
        await self._bend("clients cut off", from_clients(some), CUT)

    # -- machines ---------------------------------------------------------------------------------------------

    async def _clock(self) -> None:
        member = self._cluster.members[self._rng.choice(self._names())]
        seconds = self._rng.choice((0.0, 0.5, -0.5, 30.0, -30.0, 86_400.0, -86_400.0))
        self._note("clock", f"{member.name} at {seconds:+g} s")
        member.set_clock(seconds)
        await asyncio.sleep(self._rng.uniform(0.0, 3.0))

    async def _checkpoint(self) -> None:
        member = self._cluster.members[self._rng.choice(self._names())]
        if member.running() and not member.stopped and member.is_ready():
            self._note("checkpoint", member.name)
            member.signal(signal.SIGUSR1)

    async def _full_disk(self) -> None:
        victim = await self._victim()
        if victim is None or victim.disk is None:
            return
        with self._hold(victim):
            seconds, leave = self._rng.uniform(1.0, 8.0), self._rng.choice((0, 50_000, 400_000))
            self._note("full disk", f"{victim.name} for {seconds:.1f} s, {leave} bytes left")
            victim.disk.fill(leave)
            try:
                await asyncio.sleep(seconds)
            finally:
                victim.disk.empty()

    # -- members ----------------------------------------------------------------------------------------------

    async def _transfer(self) -> None:
        target = self._rng.choice((None, *self._names()))
        ended = await asyncio.to_thread(membership.transfer, self._cluster, self._rng, target)
        self._note("transfer", f"to {target or 'anybody'}: {ended}")

    async def _visit(self) -> None:
        """Somebody joins, stays for a while, and is removed."""
        cluster = self._cluster
        self._visitors += 1
        visitor = cluster.add(f"v{self._visitors}")
        self._note("join", visitor.name)
        with self._hold(visitor):
            visitor.launch()
            voted = await asyncio.to_thread(membership.await_vote, visitor, VISIT_SECONDS)
            self._journal.event(f"{visitor.name} {'serves' if voted else 'does not serve yet'}")
        await asyncio.sleep(self._rng.uniform(0.0, 6.0))
        while visitor.name in self._taken:  # noqa: ASYNC110 - what holds it is in a set
            await asyncio.sleep(0.05)
        with self._hold(visitor):
            self._note("remove", visitor.name)
            problem = await asyncio.to_thread(membership.leave, cluster, self._rng, visitor)
            if problem is not None:
                self._journal.unexpected.append(problem)
        self._voters.discard(visitor.name)
        self._gone(visitor)

    def _is_complete(self) -> bool:
        """Tell whether all members vote: whoever takes the disk of one of two voters away has lost the cluster."""
        status = self._cluster.leader_status()
        voters = [row for row in status["members"] if row["role"] == "voter"] if status else []
        return len(voters) == len(self._cluster.members)

    def _gone(self, member: Member) -> None:
        self._logs[member.name] = member.errors()
        self._cluster.drop(member.name)

    async def _replace(self) -> None:
        """A member loses its disk: it is removed, and a new one comes in its place."""
        victim = await self._victim()
        if victim is None or not victim.is_ready():
            return
        with self._hold(victim):
            if not await asyncio.to_thread(self._is_complete):
                return
            self._note("replace", victim.name)
            self._voters.discard(victim.name)
            victim.kill()
            member = membership.identity(victim)
            await asyncio.to_thread(membership.remove, self._cluster, self._rng, member)
            self._journal.event(f"{victim.name} is removed and begins anew")
            victim.begin_anew(self._cluster.peers_but(victim.name))
            victim.launch()
