"""The domain with 100 000 instances, on one node in a process of its own: times, and how many requests they took.

`rt` is requests (round trips) an operation, `ms` milliseconds an operation. Everything is asked by one client with one
request in flight, but for claims and starts, which 64 tasks make.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from random import Random

import visor
import visor.aio
from benchmarks.figures import Row
from benchmarks.registry import Registry as Node
from visor.aio.registry import Registry as AsyncRegistry
from visor.registry import Registry

INSTANCES, QUICK = 100_000, 2_000
HOSTS = 20
PART = 0.1
"""The share of the instances that is started, evenly on all hosts."""


class Requests:
    """Counts the requests of a client."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, verb: str, path: str | None, seconds: float, error: BaseException | None) -> None:
        self.count += 1


def rows(seconds: float, quick: bool = False) -> Iterator[Row]:
    """Yield filling, starting, every kind of listing and counting, scaling, claiming, and the events."""
    total = QUICK if quick else INSTANCES
    started = int(total * PART)
    with Node() as node:
        address = "{}:{}".format(*node.address)
        requests = Requests()
        with visor.dial(address, timeout=120, on_request=requests) as client:
            registry = Registry(client)
            first = _prepare(registry)
            yield _timed("domain: register by scale", total, requests, lambda: _fill(registry, total))
            begin = time.perf_counter()
            asyncio.run(_start(address, started))
            spent = time.perf_counter() - begin
            yield "domain: claim and start, 64 tasks", started, spent, {"rss_mb": node.memory()}
            yield from _reads(registry, requests, total, started, seconds)
            yield from _writes(registry, requests, seconds)
            yield from _events(registry, first, total)


def _prepare(registry: Registry) -> int:
    registry.init()
    for name in ("big", "small"):
        app = registry.register_app("", name=name)
        app.register_revision("v1")
        app.fast_forward().register_proc("worker")
    registry.scale("small", "v1", "worker", 10)
    return registry.client.rev() + 1


def _fill(registry: Registry, total: int) -> None:
    assert registry.scale("big", "v1", "worker", total, timeout=600).count == total


async def _start(address: str, count: int) -> None:
    """Claim and start so many instances of the big app."""
    async with visor.aio.dial(address, timeout=120) as client:
        registry = AsyncRegistry(client, random=Random(1))
        waiting = iter((await (await registry.snapshot()).instances("big"))[:count])

        async def one(number: int) -> None:
            for instance in waiting:
                claimed = await instance.claim(f"host{instance.id % HOSTS}")
                await claimed.started(port=8000)

        await asyncio.gather(*(one(number) for number in range(64)))


def _timed(name: str, ops: int, requests: Requests, act: Callable[[], object]) -> Row:
    """Do it once; `ops` is how many things it was about."""
    before, begin = requests.count, time.perf_counter()
    act()
    spent = time.perf_counter() - begin
    return name, ops, spent, {"ms": spent * 1000, "rt": requests.count - before}


def _repeated(name: str, requests: Requests, act: Callable[[], object], seconds: float) -> Row:
    """Do it again and again; the figures are for one."""
    before, begin, ops = requests.count, time.perf_counter(), 0
    while (spent := time.perf_counter() - begin) < seconds:
        act()
        ops += 1
    return name, ops, spent, {"ms": spent / ops * 1000, "rt": (requests.count - before) / ops}


def _reads(registry: Registry, requests: Requests, total: int, started: int, seconds: float) -> Iterator[Row]:
    view = registry.snapshot()
    everything = total + 10
    yield _timed("domain: instances()", everything, requests, lambda: _check(view.instances(), everything))
    yield _timed("domain: instances() of an app", 10, requests, lambda: _check(view.instances("small"), 10))
    each = len(view.host_instances("host0"))
    assert sum(len(view.host_instances(f"host{number}")) for number in range(HOSTS)) == started
    yield _repeated(
        f"domain: host_instances(), {each:,} of a host",
        requests,
        lambda: view.host_instances("host0"),
        seconds,
    )
    identity = view.host_instances("host0")[0].id
    yield _repeated("domain: instance(id)", requests, lambda: view.instance(identity), seconds)
    yield _repeated("domain: get_scale()", requests, lambda: view.get_scale("big", "v1", "worker"), seconds)
    yield _timed("domain: tickets()", total - started, requests, view.tickets)
    yield _timed("domain: verify()", everything, requests, lambda: _check(view.verify(), 0))


def _check(found: list[object], count: int) -> None:
    assert len(found) == count, f"{len(found)}, expected {count}"


def _writes(registry: Registry, requests: Requests, seconds: float) -> Iterator[Row]:
    group = ("big", "v1", "worker")
    yield _repeated("domain: scale +1", requests, lambda: registry.scale(*group, "+1"), seconds)
    yield _repeated("domain: scale -1", requests, lambda: registry.scale(*group, "-1"), seconds)
    yield _repeated("domain: claim one of the open tickets", requests, lambda: _claim(registry), seconds)


def _claim(registry: Registry) -> None:
    assert registry.claim_ticket("late") is not None


def _events(registry: Registry, first: int, total: int) -> Iterator[Row]:
    """Yield how fast history is read as events, and how soon an event follows its cause."""
    with registry.watch_event(first, types=["instance-register"]) as events:
        begin, seen = time.perf_counter(), 0
        while seen < total:
            seen += len(events.next_commit(timeout=60))
        yield "domain: events from history", seen, time.perf_counter() - begin, {}
    with registry.watch_event() as events:
        spent, count = 0.0, 100
        for _ in range(count):
            registry.scale("small", "v1", "worker", "+1")
            begin = time.perf_counter()
            events.next(timeout=60)
            spent += time.perf_counter() - begin
        yield "domain: event after its cause", count, spent, {"ms": spent / count * 1000}
