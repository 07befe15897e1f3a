"""End to end: real processes, two managers, a scheduler, a killed host.

The processes under management are `sleep`s with a number that nobody else sleeps for, and are counted in /proc: what
the registry says and what runs must agree.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import visor.aio
from tests.patience import PATIENCE
from visor.aio.registry import Registry as AsyncRegistry
from visor.registry import Registry, State
from visor.registry.procman.manager import Manager
from visor.registry.procman.scheduler import Scheduler

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc"),
]


def sleeping(seconds: str) -> set[int]:
    """Return the ids of the processes that sleep so long."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cmdline").read_bytes() == f"sleep\0{seconds}\0".encode():
                    found.add(int(entry.name))
    return found


PAUSE = 0.05
"""Seconds until the scheduler replaces for the second time what keeps ending."""


def until(what: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


class Fleet:
    """Managers and schedulers in processes of their own; all of them are gone at the end."""

    def __init__(self, address: str, root: str) -> None:
        self._where = ["--addr", address, "--root", root]
        self._children: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "visor.registry.procman", *arguments, *self._where],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        self._children.append(child)
        return child

    @staticmethod
    def ready(*children: subprocess.Popen[str]) -> None:
        for child in children:
            assert child.stdout is not None
            assert "ready" in child.stdout.readline()

    def stop(self) -> None:
        for child in self._children:
            if child.poll() is None:
                child.terminate()
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(PATIENCE)
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()


@pytest.fixture
def seconds() -> Iterator[str]:
    """How long the processes of this test sleep; nobody sleeps any more when it is over."""
    chosen = f"9{random.randrange(10**6):06d}.{os.getpid()}"
    yield chosen
    until(lambda: not sleeping(chosen), 5)


@pytest.fixture
def ttl() -> float:
    """How long a host may be silent, in seconds."""
    return 1.5


@pytest.fixture
def lost_within(ttl: float) -> float:
    """The seconds in which a host that is killed must be lost, on a busy machine."""
    return ttl + PATIENCE


@pytest.fixture
def fleet(address: str, root: str, seconds: str) -> Iterator[Fleet]:
    fleet = Fleet(address, root)
    yield fleet
    fleet.stop()


def test_two_managers_and_a_killed_one(
    web: Registry, fleet: Fleet, seconds: str, ttl: float, lost_within: float
) -> None:
    web.app("web").proc("worker").store_attrs(command=f"sleep {seconds}")
    managers = {
        host: fleet.start("manager", "--host", host, "--capacity", "14", "--ttl", str(ttl), "--grace", "1")
        for host in ("10.0.0.1", "10.0.0.2")
    }
    scheduler = fleet.start("scheduler")
    fleet.ready(*managers.values(), scheduler)

    def states() -> Counter[str]:
        return Counter(each.state.value for each in web.instances())

    # 0 -> 20: all run, on both hosts, each once.
    web.scale("web", "v1", "worker", 20)
    until(lambda: states()["running"] == 20)
    by_host = Counter(each.host for each in web.instances())
    assert set(by_host) == set(managers)
    assert max(by_host.values()) <= 14
    assert len(sleeping(seconds)) == 20
    assert {each.claim_count for each in web.instances()} == {1}
    assert len({each.addr for each in web.instances()}) == 20

    # 20 -> 3: the lowest ids go, the three that stay keep running.
    stay = [each.id for each in web.instances()][-3:]
    before = sleeping(seconds)
    web.scale("web", "v1", "worker", 3)
    until(lambda: web.get_scale("web", "v1", "worker").total == 3)
    assert [each.id for each in web.instances() if each.state is State.RUNNING] == stay
    assert states() == {"running": 3, "exited": 17}
    until(lambda: len(sleeping(seconds)) == 3)
    assert sleeping(seconds) < before

    # 3 -> 8, and one host dies: its instances are lost within its lease, and replaced on the other one.
    web.scale("web", "v1", "worker", 8)
    until(lambda: states()["running"] == 8)
    victim = max(
        Counter(each.host for each in web.instances() if each.state is State.RUNNING).items(),
        key=lambda x: x[1],
    )[0]
    other = next(host for host in managers if host != victim)
    assert victim is not None
    doomed = {each.id for each in web.host_instances(victim)}
    with web.watch_event(types=["instance-lost"]) as events:
        began = time.monotonic()
        managers[victim].send_signal(signal.SIGKILL)
        lost = events.next_commit(timeout=lost_within)
        took = time.monotonic() - began
    assert {each.path.instance for each in lost} == doomed
    assert took < lost_within
    until(lambda: states()["running"] == 8)
    assert {each.host for each in web.instances() if each.state is State.RUNNING} == {other}
    assert states()["lost"] == len(doomed)
    until(lambda: len(sleeping(seconds)) == 8)
    assert web.verify() == []

    # A manager that is told to end reports what it ended; the scheduler waits for somebody to run them.
    managers[other].terminate()
    assert managers[other].wait(PATIENCE) == 0
    assert web.host_instances(other) == []
    assert sleeping(seconds) == set()
    until(lambda: states()["pending"] == 8)


def test_a_host_that_comes_back_finds_its_place_free(web: Registry, fleet: Fleet, seconds: str) -> None:
    """The lease of the former run is still alive when the manager is started again."""
    web.app("web").proc("worker").store_attrs(command=f"sleep {seconds}")
    manager = fleet.start("manager", "--host", "h", "--ttl", "60")
    fleet.ready(manager)
    web.scale("web", "v1", "worker", 2)
    until(lambda: len(web.host_instances("h")) == 2)
    former = {each.id for each in web.instances()}
    manager.kill()
    manager.wait()
    until(lambda: not sleeping(seconds))
    fleet.ready(fleet.start("scheduler"), fleet.start("manager", "--host", "h", "--ttl", "60"))
    until(lambda: len(web.host_instances("h")) == 2)
    assert not former & {each.id for each in web.host_instances("h")}
    assert {web.instance(each).state for each in former} == {State.LOST}


@pytest.fixture
def run(dial: Callable[[], visor.aio.Dialling[bytes]]) -> Callable[[Callable[[AsyncRegistry], object]], None]:
    """Run a body beside a manager in this process."""

    def runner(body: Callable[[AsyncRegistry], object]) -> None:
        async def main() -> None:
            async with AsyncRegistry(await dial()) as registry, AsyncRegistry(await dial()) as mine:
                manager = Manager(mine, "h", capacity=4, ttl=30, grace=0.5)
                work = asyncio.create_task(manager.run())
                await manager.attended()
                scheduler = Scheduler(registry, clock=time.monotonic, pause=PAUSE)
                planning = asyncio.create_task(scheduler.run())
                try:
                    await asyncio.wait_for(body(registry), PATIENCE)  # type: ignore[arg-type]
                finally:
                    planning.cancel()
                    manager.stop()
                    await asyncio.wait([work, planning])

        asyncio.run(main())

    return runner


def test_how_processes_end_is_reported(web: Registry, run: Callable[..., None]) -> None:
    async def body(registry: AsyncRegistry) -> None:
        app = await registry.app("web")
        for name, command in (
            ("good", "true"),
            ("bad", "sh -c 'exit 3'"),
            ("shot", "sh -c 'kill -9 $$'"),
            ("absent", "/no/such/program"),
            ("empty", ""),
            ("torn", "sh -c 'unclosed"),
        ):
            await (await app.fast_forward()).register_proc(name, command=command)
        ends = {}
        for name in ("good", "bad", "shot", "absent", "empty", "torn"):
            instance = await (await registry.snapshot()).register_instance("web", "v1", name)
            ended = await instance.wait(timeout=PATIENCE)
            ends[name] = (ended.state.value, ended.status_info.reason if ended.status_info else "")
        assert ends["good"] == ("exited", "exited")
        assert ends["bad"] == ("failed", "exit code 3")
        assert ends["shot"] == ("failed", "killed by SIGKILL")
        assert ends["absent"][0] == ends["empty"][0] == ends["torn"][0] == "failed"
        assert "/no/such/program" in ends["absent"][1]

    run(body)


def test_a_process_gets_its_environment(web: Registry, run: Callable[..., None], tmp_path: Path) -> None:
    web.app("web").set_environment_variable("A_B", "one two").register_env("prod", {"COLOUR": "red"})
    told = tmp_path / "told"
    web.app("web").proc("worker").store_attrs(
        command=f"sh -c 'echo \"$A_B|$COLOUR|$VISOR_APP|$VISOR_ENV|$PORT\" >> {told}; sleep 60'"
    )

    async def body(registry: AsyncRegistry) -> None:
        for env in (None, "prod"):
            scaled = await registry.scale("web", "v1", "worker", 1, env)
            instance = await scaled.instances[0].wait_started(timeout=PATIENCE)
            port = str(instance.port)
            await asyncio.to_thread(until, lambda: told.exists() and port in told.read_text())  # noqa: B023

    run(body)
    first, second = (line.split("|") for line in told.read_text().splitlines())
    assert first[:4] == ["one two", "", "web", ""]
    assert second[:4] == ["", "red", "web", "prod"]


def test_an_order_and_an_unregistration(web: Registry, run: Callable[..., None], seconds: str) -> None:
    """Tickets that stand for themselves, and the process of an instance that somebody takes out of the registry."""
    web.app("web").proc("worker").store_attrs(command=f"sleep {seconds}")

    async def body(registry: AsyncRegistry) -> None:
        start = await registry.create_ticket("start", "web", "v1", "worker")
        assert (await start.wait_processed(timeout=PATIENCE)).status == "done"
        await asyncio.to_thread(until, lambda: len(sleeping(seconds)) == 1)
        (instance,) = await registry.instances()
        running = await instance.wait_started(timeout=PATIENCE)
        async with await registry.watch_event(types=["instance-start"]) as events:
            await running.unregister(reason="by hand")
            event = await events.next(timeout=PATIENCE)
        assert event.path.instance not in (None, instance.id)  # the scheduler has had it replaced
        replacement = await registry.instance(event.path.instance or 0)
        stop = await registry.create_ticket("stop", "web", "v1", "worker")
        assert (await stop.wait_processed(timeout=PATIENCE)).status == "done"
        assert (await replacement.wait(timeout=PATIENCE)).state is State.EXITED
        assert not sleeping(seconds)
        assert (await registry.get_scale("web", "v1", "worker")).total == 0
        wrong = await registry.create_ticket("stop", "web", "v1", "worker")
        assert (await wrong.wait_processed(timeout=PATIENCE)).status == "dead"

    run(body)


def test_instances_that_keep_failing_are_replaced_more_and_more_slowly(
    web: Registry, run: Callable[..., None]
) -> None:
    web.app("web").proc("worker").store_attrs(command="false")

    async def body(registry: AsyncRegistry) -> None:
        began = time.monotonic()
        await registry.scale("web", "v1", "worker", 1)

        def failed() -> int:
            return sum(each.state is State.FAILED for each in web.instances())

        await asyncio.to_thread(until, lambda: failed() >= 5)
        found, took = failed(), time.monotonic() - began
        assert found <= 3 + math.log2(1 + took / PAUSE)  # the pauses are doubled

    run(body)
