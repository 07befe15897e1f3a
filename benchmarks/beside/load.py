"""The load: one operation again and again, as many at once as the shape says, in a process of its own.

A closed loop: what is answered is asked anew. Every value that is read is checked.
"""

from __future__ import annotations

import array
import asyncio
import importlib
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.beside.clients import Awaited, Blocking
from benchmarks.figures import latencies
from benchmarks.load import run_fast, run_module
from benchmarks.process import busy_seconds, cpu_seconds, rss_mb
from benchmarks.workload import KEYS_BELOW_DIRECTORY, Workload, key, number_of

KEYS = 10_000
PLANNED = 4096
GRACE = 60.0
DIRECTORY = key(0).rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Load:
    """Whom to ask, what, and for how long."""

    peer: str
    client: str
    op: str
    """One of `shapes.OPS`, or fill: all keys once."""
    in_flight: int
    port: int
    pid: int
    seconds: float = 0.0
    warmup: float = 0.0
    fast: bool = False
    """On uvloop instead of asyncio's own loop."""


class WrongError(Exception):
    """An answer was not the one that had to come."""


class Tally:
    """How long each operation took, between `begin` and `end`."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.times: array.array[float] = array.array("d")
        self.running = True

    def begin(self) -> None:
        self.times = array.array("d")
        self._clocks = self._read()
        self.began = self._clocks[0]

    def end(self) -> dict[str, Any]:
        """Return what was measured; whoever still runs does not count any more."""
        times, after = self.times, self._read()
        self.running = False
        self.times = array.array("d")
        seconds, server, client, busy = (b - a for a, b in zip(self._clocks, after, strict=True))
        if not times:
            raise WrongError(f"no {self._load.op} was answered within {seconds:.1f} s")
        return {
            "ops": len(times),
            "seconds": seconds,
            **latencies(times),
            "cpu_server_us": server / len(times) * 1e6,
            "cpu_client_us": client / len(times) * 1e6,
            "cpu_other": max(0.0, busy - server - client) / seconds,
            "rss_mb": rss_mb(self._load.pid),
        }

    def _read(self) -> tuple[float, float, float, float]:
        return time.perf_counter(), cpu_seconds(self._load.pid), time.process_time(), busy_seconds()


def check_all(values: list[bytes]) -> None:
    if len(values) != KEYS_BELOW_DIRECTORY or sorted(map(number_of, values)) != list(range(len(values))):
        raise WrongError(f"{len(values)} values came instead of the {KEYS_BELOW_DIRECTORY} of the directory")


class Plan:
    """What one of the many in flight asks for, in order: keys that nobody else writes where that matters."""

    def __init__(self, load: Load, work: Workload, names: list[Any], place: int) -> None:
        own = load.op in ("cas", "watch")
        keys = KEYS_BELOW_DIRECTORY if own else KEYS
        draw = [n % keys for n in work.draw(PLANNED, place)]
        if own:
            draw = [n - n % load.in_flight + place for n in draw]
            draw = [n for n in draw if n < keys]
        writes = work.mix(len(draw), place) if load.op == "mixed" else [load.op != "get"] * len(draw)
        self.steps: Iterator[tuple[int, Any, bool, bytes]] = itertools.cycle(
            [(n, names[n], write, work.value(n)[:8]) for n, write in zip(draw, writes, strict=True)]
        )
        """Number, name, whether it is written, and what its value begins with."""
        turns, value = itertools.count(1), work.value
        self.new: Callable[[int], bytes] = lambda number: value(number, next(turns))
        """Makes another value for the key of that number."""


# -- asyncio ----------------------------------------------------------------------------------------------


async def awaited(load: Load, client: Awaited) -> dict[str, Any]:
    """Keep so many requests of an asyncio client in flight."""
    work, tally = Workload(KEYS), Tally(load)
    names = [client.name(key(n)) for n in range(KEYS)]
    seen: dict[Any, asyncio.Future[None]] = {}
    watching = await _watching(client, seen) if load.op == "watch" else None
    asking = [
        asyncio.create_task(_ask(load, client, tally, Plan(load, work, names, place), seen))
        for place in range(load.in_flight)
    ]
    try:
        await _until_failed(asking, watching, load.warmup)
        tally.begin()
        await _until_failed(asking, watching, load.seconds)
        patience = tally.began + load.seconds + GRACE
        while (
            not tally.times and time.perf_counter() < patience
        ):  # one that takes longer than that, or a standstill
            await _until_failed(asking, watching, 0.1)
        result = tally.end()
        async with asyncio.timeout(GRACE):
            await asyncio.gather(*asking)
    finally:
        for task in (*asking, watching):
            if task is not None:
                task.cancel()
    return result


async def _until_failed(
    asking: list[asyncio.Task[None]], watching: asyncio.Task[None] | None, wait: float
) -> None:
    tasks = [*asking, watching] if watching is not None else asking
    done, _ = await asyncio.wait(tasks, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _watching(client: Awaited, seen: dict[Any, asyncio.Future[None]]) -> asyncio.Task[None]:
    changes = await client.watch(DIRECTORY)

    async def tell() -> None:
        async for name in changes:
            if (waiting := seen.pop(name, None)) is not None:
                waiting.set_result(None)

    return asyncio.create_task(tell())


async def _ask(load: Load, client: Awaited, tally: Tally, plan: Plan, seen: dict[Any, Any]) -> None:
    """Be one of the many in flight. The loop is written out: calls in it would cost as much as what is measured."""
    clock, steps, new, put = time.perf_counter, plan.steps, plan.new, client.put
    now = clock()
    if load.op in ("put", "get", "mixed"):
        get, value_of = client.get, client.value_of
        while tally.running:
            number, name, write, mark = next(steps)
            if write:
                await put(name, new(number))
            elif not (value := value_of(await get(name))).startswith(mark):
                raise WrongError(f"{name!r} came back with {value[:16]!r}")
            begin, now = now, clock()
            tally.times.append(now - begin)
        return
    step = _step(load, client, plan, seen)
    while tally.running:
        await step()
        begin, now = now, clock()
        tally.times.append(now - begin)


def _step(load: Load, client: Awaited, plan: Plan, seen: dict[Any, Any]) -> Callable[[], Awaitable[None]]:
    steps, new, put, held = plan.steps, plan.new, client.put, dict[Any, Any]()
    if load.op == "cas":
        cas = client.cas

        async def step() -> None:
            number, name, *_ = next(steps)
            if name not in held:
                held[name] = await client.held(name)
            held[name] = await cas(name, new(number), held[name])

    elif load.op == "watch":
        loop = asyncio.get_running_loop()

        async def step() -> None:
            number, name, *_ = next(steps)
            seen[name] = waiting = loop.create_future()
            await put(name, new(number))
            await waiting

    else:

        async def step() -> None:
            check_all(await client.many(DIRECTORY))

    return step


# -- blocking ---------------------------------------------------------------------------------------------


def blocking(load: Load, client: Blocking) -> dict[str, Any]:
    """Ask a blocking client one by one."""
    tally = Tally(load)
    step = _blocking_step(load, client)
    _repeat(tally, step, load.warmup)
    tally.begin()
    _repeat(tally, step, load.seconds)
    return tally.end()


def _repeat(tally: Tally, step: Callable[[], None], seconds: float) -> None:
    clock = time.perf_counter
    now = clock()
    end = now + seconds
    while now < end:
        begin = now
        step()
        now = clock()
        tally.times.append(now - begin)


def _blocking_step(load: Load, client: Blocking) -> Callable[[], None]:
    plan = Plan(load, Workload(KEYS), [client.name(key(n)) for n in range(KEYS)], 0)
    steps, new, held = plan.steps, plan.new, dict[Any, Any]()
    if load.op in ("put", "get", "mixed"):
        put, get, value_of = client.put, client.get, client.value_of

        def step() -> None:
            number, name, write, mark = next(steps)
            if write:
                put(name, new(number))
            elif not (value := value_of(get(name))).startswith(mark):
                raise WrongError(f"{name!r} came back with {value[:16]!r}")

    elif load.op == "cas":

        def step() -> None:
            number, name, *_ = next(steps)
            if name not in held:
                held[name] = client.held(name)
            held[name] = client.cas(name, new(number), held[name])

    elif load.op == "watch":
        changes = client.watch(DIRECTORY)

        def step() -> None:
            number, name, *_ = next(steps)
            client.put(name, new(number))
            while next(changes) != name:
                pass

    else:

        def step() -> None:
            check_all(client.many(DIRECTORY))

    return step


# -- callbacks --------------------------------------------------------------------------------------------


def called(load: Load, client: Any) -> dict[str, Any]:
    """Keep so many requests of a client with callbacks in flight: each answer asks for the next thing."""
    tally, work = Tally(load), Workload(KEYS)
    names = [client.name(key(n)) for n in range(KEYS)]
    rested = threading.Semaphore(0)
    failed: list[BaseException] = []
    for place in range(load.in_flight):
        _Caller(load, client, tally, Plan(load, work, names, place), rested, failed).ask()
    time.sleep(load.warmup)
    tally.begin()
    time.sleep(load.seconds)
    result = tally.end()
    for _ in range(load.in_flight):
        if not rested.acquire(timeout=GRACE):
            raise WrongError(f"a request had no answer after {GRACE:.0f} s")
    if failed:
        raise failed[0]
    return result


class _Caller:
    """One of the many in flight."""

    def __init__(
        self,
        load: Load,
        client: Any,
        tally: Tally,
        plan: Plan,
        rested: threading.Semaphore,
        failed: list[BaseException],
    ) -> None:
        self._op, self._client, self._tally, self._plan = load.op, client, tally, plan
        self._rested, self._failed = rested, failed
        # Versions are read before the clock starts: whoever asked here would wait within a callback.
        own = {name for _, name, *_ in itertools.islice(plan.steps, PLANNED)} if load.op == "cas" else ()
        self._held = {name: client.held(name) for name in own}

    def ask(self) -> None:
        self._number, self._name, self._write, self._mark = next(self._plan.steps)
        self._begin = time.perf_counter()
        if not self._write:
            sent = self._client.get(self._name)
        elif self._op == "cas":
            sent = self._client.cas(self._name, self._plan.new(self._number), self._held[self._name])
        else:
            sent = self._client.put(self._name, self._plan.new(self._number))
        sent.rawlink(self._answered)

    def _answered(self, sent: Any) -> None:
        try:
            answer = sent.get()
            self._tally.times.append(time.perf_counter() - self._begin)
            if not self._write:
                if not (value := self._client.value_of(answer)).startswith(self._mark):
                    raise WrongError(f"{self._name} came back with {value[:16]!r}")
            elif self._op == "cas":
                self._held[self._name] = self._client.version(answer)
            if self._tally.running:
                self.ask()
                return
        except Exception as error:  # in kazoo's thread: it comes to light in the one that measures
            self._failed.append(error)
        self._rested.release()


# -- filling, and the process -----------------------------------------------------------------------------


async def fill(client: Awaited) -> dict[str, Any]:
    """Write all keys once, many at a time."""
    work = Workload(KEYS)
    for start in range(0, KEYS, 500):
        await asyncio.gather(
            *(client.put(client.name(key(n)), work.value(n)) for n in range(start, start + 500))
        )
    return {"ops": KEYS}


def measure(load: Load) -> dict[str, Any]:
    """Run one load in this process, and return what was measured."""
    made = importlib.import_module(f"benchmarks.beside.clients.{load.peer}")
    kind = {"asyncio": "Awaited", "blocking": "Blocking"}[load.client]
    if load.client == "asyncio" and not hasattr(made, kind):
        kind = "Called"
    client = getattr(made, kind)("127.0.0.1", load.port)
    if kind == "Awaited":
        return _within(load, _opened(load, client))
    client.open()
    try:
        if load.op == "fill":
            return {"ops": client.fill(Workload(KEYS))}
        return called(load, client) if kind == "Called" else blocking(load, client)
    finally:
        client.close()


async def _opened(load: Load, client: Awaited) -> dict[str, Any]:
    await client.open()
    try:
        return await (fill(client) if load.op == "fill" else awaited(load, client))
    finally:
        await client.close()


def _within(load: Load, main: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    return run_fast(main) if load.fast else asyncio.run(main)


def run(load: Load) -> dict[str, Any]:
    """Run one load in a process of its own. Raises ChildError when it failed, or an answer was wrong."""
    return run_module("benchmarks.beside.load", asdict(load), load.warmup + load.seconds + 3 * GRACE)


if __name__ == "__main__":
    print(json.dumps(measure(Load(**json.loads(sys.argv[1])))), flush=True)
    # What the clients' threads and loops would still do at the end costs only time.
    os._exit(0)
