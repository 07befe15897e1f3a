"""A closed-loop load generator: each connection keeps so many requests in flight, and sends the next when
one is answered. It runs in a process of its own and checks every answer.

    result = run(Load(address, "get", connections=64, in_flight=1, seconds=5))

What it costs itself limits what it can see: on the machine of `README.md` about one core at 150 000 requests
a second one by one, several times that with deep pipelines (`cpu_client` tells). The echo in `echo` is asked
by the same code, so ratios hold.
"""

from __future__ import annotations

import array
import asyncio
import gc
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from benchmarks import requests
from benchmarks.figures import latencies
from benchmarks.lines import BareLine, Line, SingleLine, Tally
from benchmarks.process import Child, ChildError, busy_seconds, cpu_seconds
from benchmarks.requests import Request
from benchmarks.wire import Address
from benchmarks.workload import Workload

GRACE = 10.0
"""Seconds that requests in flight have to be answered in after the last one was sent."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load: whom to ask, what, and for how long."""

    address: Address
    kind: str
    """get, set, mixed, or fill (`count` sets in key order, then done)."""
    connections: int = 1
    in_flight: int = 1
    seconds: float = 5.0
    warmup: float = 0.5
    keys: int = 10_000
    seed: int = 1
    at: int | None = None
    """The rev that gets read at; None reads the latest state."""
    count: int = 0
    bare: bool = False
    """The other side is the echo: it greets nobody, and its answers carry no id of ours."""


class Timed(Protocol):
    """What says how long a load is measured."""

    @property
    def kind(self) -> str: ...

    @property
    def seconds(self) -> float: ...

    @property
    def warmup(self) -> float: ...


def fill(address: Address, keys: int, count: int, seconds: float = 3600.0) -> Load:
    """Return the load that writes so many keys, one after another and around, `count` times, and is done."""
    return Load(address, "fill", 8, 128, seconds=seconds, warmup=0.0, keys=keys, count=count)


async def generate(load: Load, pid: int = 0) -> dict[str, Any]:
    """Run one load in this process; return ops, seconds, latencies, errors and CPU times."""
    tally = Tally(load.connections)
    lines = [await _connected(load, tally, plan) for plan in _plans(load)]
    gc.collect()
    gc.freeze()
    gc.disable()
    for line in lines:
        line.send(load.in_flight)
    try:
        return await measured(load, tally, pid)
    finally:
        for line in lines:
            line.close()


def _plans(load: Load) -> list[Iterator[Request]]:
    work = Workload(load.keys, load.seed)
    if load.bare:
        return [itertools.repeat(requests.example(load.kind))] * load.connections
    if load.kind == "fill":
        return [requests.filling(work, load.count)] * load.connections
    return requests.plans(load.kind, work, load.connections, load.at)


async def _connected(load: Load, tally: Tally, plan: Iterator[Request]) -> Line:
    kind = SingleLine if load.in_flight == 1 else BareLine if load.bare else Line
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(lambda: kind(tally, plan, load.bare), *load.address)
    await asyncio.wait_for(line.greeted, GRACE)
    return line


async def measured(load: Timed, tally: Tally, pid: int) -> dict[str, Any]:
    """Return what became of the requests that a tally is told of, once they were begun, and have all stop."""
    if load.kind != "fill":
        await asyncio.sleep(load.warmup)
    del tally.times[:]
    begun = clocks(pid)
    if load.kind == "fill":
        # A fill ends by itself; `seconds` bounds it.
        await asyncio.wait_for(tally.idle.wait(), load.seconds)
    else:
        await asyncio.sleep(load.seconds)
    spent = [after - before for after, before in zip(clocks(pid), begun, strict=True)]
    times = tally.times
    tally.times = array.array("d")
    tally.running = False
    await _drained(tally)
    return _result(tally, times, spent)


async def _drained(tally: Tally) -> None:
    try:
        await asyncio.wait_for(tally.idle.wait(), GRACE)
    except TimeoutError:
        tally.refused(f"{tally.active} connections had requests without an answer after {GRACE} s")


def clocks(pid: int) -> list[float]:
    """Return the time, and the CPU times of the process under test, of this one and of all."""
    return [time.perf_counter(), cpu_seconds(pid) if pid else 0.0, time.process_time(), busy_seconds()]


def _result(tally: Tally, times: array.array[float], spent: list[float]) -> dict[str, Any]:
    seconds, server, client, busy = spent
    ops = len(times)
    return {
        "ops": ops,
        "seconds": seconds,
        **latencies(times),
        "errors": tally.errors,
        "error": tally.error,
        "cpu_us": server / ops * 1e6 if ops else 0.0,
        "cpu_server": server / seconds,
        "cpu_client": client / seconds,
        "cpu_other": max(0.0, busy - server - client) / seconds,
    }


def run_fast(main: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run a coroutine on uvloop, or on asyncio's own loop where uvloop is missing."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    result: dict[str, Any] = uvloop.run(main)
    return result


def run(load: Load, pid: int = 0) -> dict[str, Any]:
    """Run one load in a process of its own and return its result.

    `pid` is the process under test, whose CPU time is measured (0: of none). Raises ChildError when the
    generator failed, or when any answer was missing or wrong.
    """
    return run_module("benchmarks.load", {**asdict(load), "pid": pid}, load.warmup + load.seconds + 3 * GRACE)


def run_module(module: str, spec: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Run `python -m module SPEC` (JSON) and return the JSON that it prints. Raises ChildError."""
    with Child([sys.executable, "-m", module, json.dumps(spec)]) as child:
        result: dict[str, Any] = json.loads(child.line("{", timeout))
    if result.get("errors"):
        raise ChildError(f"{result['errors']} wrong or missing answers, the first: {result['error']}")
    return result


def answer(generate: Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]) -> None:
    """Do what `run_module` has started this process for: print the result as JSON, and end."""
    spec = json.loads(sys.argv[1])
    for name in ("address", "streams"):
        if spec.get(name) is not None:
            spec[name] = tuple(spec[name])
    print(json.dumps(run_fast(generate(spec))), flush=True)
    # The connections are closed; what is left of the loop's shutdown would only cost time.
    os._exit(0)


def main() -> None:
    answer(lambda spec: generate(pid=spec.pop("pid"), load=Load(**spec)))


if __name__ == "__main__":
    main()
