"""One run: workload, watches, leases, locks and a nemesis on one cluster, then the verdict and a report."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from tests.checkers.history import OK, Goal, Violation
from tests.cluster.chances import longest_wait
from tests.cluster.contenders import Contender
from tests.cluster.followers import PATHS, Follower, Tenant
from tests.cluster.journal import Journal
from tests.cluster.onlookers import Onlooker
from tests.cluster.processes import Cluster
from tests.cluster.verdict import await_equal, check_directories, collect, judge
from tests.cluster.workload import Worker
from tests.wire import Closed, Refused

WAIT_SECONDS: Final = 5.0
"""How long nothing may be acknowledged while a majority of the members is undisturbed."""
REST_SECONDS: Final = 30.0
"""How long everybody may take to come to rest once faults have stopped."""
NEW_LOOP: Callable[[], asyncio.AbstractEventLoop]
try:
    import uvloop
except ModuleNotFoundError:
    NEW_LOOP = asyncio.new_event_loop
else:
    NEW_LOOP = uvloop.new_event_loop


@dataclass(frozen=True, slots=True)
class Load:
    """How much clients do."""

    workers: int = 9
    depth: int = 4
    """Requests of one worker under way."""
    rate: float = 600.0
    """Operations a second that all workers together aim at."""
    followers: int = 5
    tenants: int = 3
    contenders: int = 4
    onlookers: int = 2


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    seed: int
    seconds: float
    journal: Journal
    violations: list[Violation] = field(default_factory=list)
    caught_up: float | None = None
    judged: float = 0.0
    waited: tuple[float, float] = (0.0, 0.0)
    """The longest time without an acknowledged write while a majority was undisturbed, and when it began."""
    terms: tuple[int, int] = (0, 0)

    @property
    def passed(self) -> bool:
        """Nothing was broken."""
        return not self.violations


Disturb = Callable[[Cluster, Journal, float], Awaitable[None]]
"""Disturbs a cluster until a moment (monotonic seconds), and has everything healed and running when it returns."""


def run(cluster: Cluster, seed: int, seconds: float, load: Load, disturb: Disturb) -> Outcome:
    """Run on a started cluster. Ends with all members stopped."""
    with _without_collecting(), asyncio.Runner(loop_factory=NEW_LOOP) as runner:
        outcome = runner.run(_Run(cluster, seed, load).run(seconds, disturb))
    began = time.monotonic()
    journal = outcome.journal
    try:
        collect(cluster, journal)
    except (OSError, Refused, Closed) as error:
        journal.unexpected.append(f"the history cannot be read: {error!r}")
        journal.history.operations.clear()  # nothing can be said of them
    problems = check_directories(list(cluster.members.values()))
    journal.unexpected += problems
    outcome.violations = judge(journal)
    outcome.judged = time.monotonic() - began
    return outcome


@contextlib.contextmanager
def _without_collecting() -> Iterator[None]:
    """What is recorded is never garbage: to walk through it again and again would stop the clients for seconds."""
    before = gc.get_threshold()
    gc.set_threshold(10_000, 10, 1_000_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Run:
    def __init__(self, cluster: Cluster, seed: int, load: Load) -> None:
        self._cluster = cluster
        self._seed = seed
        self._load = load
        self._journal = Journal()
        self._rng = random.Random(seed)
        self._workers: list[Worker] = []
        self._followers: list[Follower | Onlooker] = []
        self._tenants: list[Tenant] = []
        self._contenders: list[Contender] = []

    async def run(self, seconds: float, disturb: Disturb) -> Outcome:
        journal, cluster = self._journal, self._cluster
        asyncio.get_running_loop().set_exception_handler(self._task_failed)
        first = await asyncio.to_thread(cluster.leader_status)
        journal.began = time.monotonic()
        tasks = self._start()
        listener = asyncio.create_task(self._listen_to_itself())
        await disturb(cluster, journal, journal.began + seconds)
        healed = time.monotonic()
        outcome = Outcome(self._seed, healed - journal.began, journal)
        outcome.waited = waited, began = longest_wait(journal.chances, journal.writes_ended)
        name = f"writes go on from {journal.since(began):.1f} s on, while a majority is undisturbed"
        journal.history.goals.append(Goal(name, began + WAIT_SECONDS, began + waited))
        listener.cancel()
        await asyncio.sleep(2.0)  # some work without faults
        await self._finish(tasks, healed)
        began = time.monotonic()
        took = await asyncio.to_thread(await_equal, cluster, REST_SECONDS)
        outcome.caught_up = None if took is None else round(took, 2)
        self._goal("all members are equal", began, took)
        await self._finish_followers(tasks)
        journal.unexpected += cluster.faults()
        last = await asyncio.to_thread(cluster.leader_status)
        if first is not None and last is not None:
            outcome.terms = (first["term"], last["term"])
        return outcome

    def _task_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something inside a client died, and nobody was told."""
        loop.default_exception_handler(context)
        self._journal.unexpected.append(f"{context['message']}: {context.get('exception')!r}")

    def _start(self) -> list[asyncio.Task[None]]:
        load, rng = self._load, self._rng
        addresses = self._cluster.addresses
        pause = load.workers * load.depth / load.rate
        tasks = []
        for number in range(load.workers):
            worker = Worker(self._journal, number, random.Random(rng.random()), pause)
            self._workers.append(worker)
            # Some stay with one member whatever happens, so that each always has clients.
            where = [addresses[number // 3 % len(addresses)]] if number % 3 == 0 else addresses
            tasks.append(asyncio.create_task(worker.run(where, load.depth)))
        for number in range(load.followers):
            path = PATHS[number % len(PATHS)]
            follower = Follower(self._journal, number, path, random.Random(rng.random()))
            self._followers.append(follower)
            tasks.append(asyncio.create_task(follower.run(addresses)))
        for number in range(load.onlookers):
            onlooker = Onlooker(self._journal, number, random.Random(rng.random()))
            self._followers.append(onlooker)
            tasks.append(asyncio.create_task(onlooker.run(addresses)))
        for number in range(load.tenants):
            tenant = Tenant(self._journal, number, random.Random(rng.random()))
            self._tenants.append(tenant)
            tasks.append(asyncio.create_task(tenant.run(addresses)))
        for number in range(load.contenders):
            contender = Contender(self._journal, number, random.Random(rng.random()))
            self._contenders.append(contender)
            tasks.append(asyncio.create_task(contender.run(addresses)))
        return tasks

    async def _listen_to_itself(self) -> None:
        """Note for how long these clients stood still themselves."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            self._journal.stall = max(self._journal.stall, time.monotonic() - began)

    async def _finish(self, tasks: list[asyncio.Task[None]], healed: float) -> None:
        """Let all but the followers end by themselves; leases run out."""
        for one in (*self._workers, *self._tenants, *self._contenders):
            one.stopping = True
        ending = [*tasks[: len(self._workers)], *tasks[len(self._workers) + len(self._followers) :]]
        done, late = await asyncio.wait(ending, timeout=REST_SECONDS)
        for task in late:
            task.cancel()
        for task in done:
            task.result()
        self._goal("workers end", healed, None if late else time.monotonic() - healed)
        await self._await_expiries()

    async def _await_expiries(self) -> None:
        """What nobody keeps alive any more must go."""
        began = time.monotonic()
        left: list[str] = ["?"]
        while left and time.monotonic() - began < REST_SECONDS:
            left = await asyncio.to_thread(self._leased_files)
            await asyncio.sleep(0.2)
        self._goal("leases end", began, None if left else time.monotonic() - began)

    def _leased_files(self) -> list[str]:
        for member in self._cluster.members.values():
            with contextlib.suppress(Exception), member.wire() as wire:
                return [row[0] for row in wire.call(13, [1, "/leases"])[1]]
        return ["?"]

    async def _finish_followers(self, tasks: list[asyncio.Task[None]]) -> None:
        """All watches must come to the end of the history."""
        began = time.monotonic()
        leader = await asyncio.to_thread(self._cluster.leader_status)
        last = int(leader["rev"]) if leader is not None else 0
        for follower in self._followers:
            follower.last = last
        following = tasks[len(self._workers) : len(self._workers) + len(self._followers)]
        if not following:
            return
        done, late = await asyncio.wait(following, timeout=REST_SECONDS)
        for task in late:
            task.cancel()
        for task in done:
            task.result()
        where = ", ".join(one.path for one in self._followers if not one.reached.is_set())
        name = f"watches and mirrors reach rev {last}" + (f" ({where} did not)" if where else "")
        self._goal(name, began, None if late else time.monotonic() - began)

    def _goal(self, name: str, began: float, took: float | None) -> None:
        reached = None if took is None else began + took
        self._journal.history.goals.append(Goal(name, began + REST_SECONDS + 1.0, reached))


def report(outcome: Outcome) -> str:
    """Return everything that somebody wants to know of a run."""
    journal, seconds = outcome.journal, outcome.seconds
    operations, commits = journal.history.operations, journal.history.commits
    answered = sum(count for (_, what), count in journal.outcomes.items() if what == OK)
    gap, when = journal.longest_gap(journal.began, journal.began + seconds)
    lines = [
        f"seed {outcome.seed}: {seconds:.0f} s, {len(operations)} operations ({len(operations) / seconds:.0f}/s), "
        f"{answered} answered, {len(commits)} commits, term {outcome.terms[0]} to {outcome.terms[1]}",
        _waits(journal.waits),
        f"longest time without an acknowledged write: {gap:.2f} s, from {journal.since(when):.1f} s on "
        f"(the clients' own process stood still for {journal.stall:.2f} s at most)",
        f"of it while a majority was undisturbed, which it was for {_chances(journal.chances):.0f} s: "
        f"{outcome.waited[0]:.2f} s at most, from {journal.since(outcome.waited[1]):.1f} s on",
        "watches: " + ", ".join(_watch(watch) for watch in journal.history.watches),
        f"leases: {len(journal.history.leases)}, "
        f"expired {sum(lease.expired_at is not None for lease in journal.history.leases)}, "
        f"revoked {journal.revoked}",
        "locks: " + (", ".join(f"{what} {count}" for what, count in journal.locks.items()) or "none"),
        "errors: " + (", ".join(f"{code} {count}" for code, count in journal.errors.most_common()) or "none"),
        "faults: " + (", ".join(f"{name} {count}" for name, count in journal.faults.most_common()) or "none"),
        f"equal {outcome.caught_up} s after the work ended, judged in {outcome.judged:.0f} s",
    ]
    table = _table(journal)
    verdict = [f"VIOLATION {violation}" for violation in outcome.violations] or ["every promise was kept"]
    return "\n".join([*lines, *table, *verdict])


def _chances(chances: list[tuple[float, bool]]) -> float:
    return sum(ended - began for (began, yes), (ended, _) in pairwise(chances) if yes)


def _waits(waits: list[float]) -> str:
    if len(waits) < 2:
        return "nothing was answered"
    cuts = statistics.quantiles(waits, n=1000)
    shown = ", ".join(
        f"{name} {cuts[at] * 1000:.1f}" for name, at in (("50 %", 499), ("99 %", 989), ("99.9 %", 998))
    )
    return f"milliseconds until answered: {shown}, most {max(waits) * 1000:.0f}"


def _watch(watch: Any) -> str:
    moves = sum(event.kind in ("resumed", "state") for event in watch.events)
    commits = sum(event.kind == "commit" for event in watch.events)
    return f"{watch.path} {commits} commits, moved {moves} times"


def _table(journal: Journal) -> list[str]:
    kinds: dict[str, dict[str, int]] = {}
    for (kind, what), count in journal.outcomes.items():
        kinds.setdefault(kind, {})[what] = count
    return [
        f"  {kind:16} " + "  ".join(f"{what} {count}" for what, count in sorted(found.items()))
        for kind, found in sorted(kinds.items())
    ]
