"""A manager that fails at an instance says that the instance failed: none seems to run for ever, none keeps others."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable

import pytest

import visor.aio
from tests.patience import PATIENCE
from visor.aio.registry import Instance
from visor.aio.registry import Registry as AsyncRegistry
from visor.errors import Unavailable
from visor.registry import Registry, State
from visor.registry.procman.child import Child
from visor.registry.procman.manager import Manager, _plain

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the keeper needs /proc")

Dial = Callable[[], visor.aio.Dialling[bytes]]


@contextlib.asynccontextmanager
async def managed(dial: Dial) -> AsyncIterator[tuple[AsyncRegistry, Manager]]:
    """Run a manager; it has to end well when it is stopped."""
    async with AsyncRegistry(await dial()) as registry, AsyncRegistry(await dial()) as mine:
        manager = Manager(mine, "h", capacity=8, ttl=30, grace=0.2)
        work = asyncio.create_task(manager.run())
        await asyncio.wait_for(manager.attended(), PATIENCE)
        try:
            yield registry, manager
        finally:
            manager.stop()
            await asyncio.wait_for(work, PATIENCE)


async def started(registry: AsyncRegistry, command: str = "sleep 600") -> Instance:
    """Register one more instance of a process type that runs `command`, and wait until it runs."""
    app = await (await registry.app("web")).fast_forward()
    name = f"p{len(await app.procs())}"
    await app.register_proc(name, command=command)
    return await (await registry.snapshot()).register_instance("web", "v1", name)


class Broken:
    """A child in which one method does not work; it is a real one otherwise."""

    def __init__(self, child: Child, **broken: Exception) -> None:
        self._child = child
        self._broken = broken
        self.pid, self.port = child.pid, child.port

    def _try(self, name: str) -> None:
        if name in self._broken:
            raise self._broken[name]

    async def wait(self) -> str | None:
        self._try("wait")
        return await self._child.wait()

    async def end(self, grace: float) -> None:
        self._try("end")
        await self._child.end(grace)

    def kill(self) -> None:
        self._child.kill()
        self._try("kill")


def breaks(monkeypatch: pytest.MonkeyPatch, **broken: Exception) -> list[Child]:
    """Have the next child break so, and no other; return where all that are started are put."""
    real, made = Child.start, []

    async def start(command: str, variables: dict[str, str]) -> Child | Broken:
        child = await real(command, variables)
        made.append(child)
        return Broken(child, **broken) if len(made) == 1 else child

    monkeypatch.setattr(Child, "start", start)
    return made


def test_a_defect_at_an_instance_is_its_failure(
    web: Registry, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = breaks(monkeypatch, wait=RuntimeError("a defect"))

    async def main() -> None:
        async with managed(dial) as (registry, _):
            ended = await (await started(registry)).wait(timeout=PATIENCE)
            assert ended.state is State.FAILED and ended.status_info is not None
            assert ended.status_info.reason == "its manager failed: RuntimeError: a defect"
            assert await asyncio.wait_for(made[0].wait(), PATIENCE) == "killed by SIGKILL"

    asyncio.run(main())


def test_a_registry_that_was_away_hears_of_it_later(
    web: Registry, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [Unavailable("no registry"), Unavailable("no registry")]

    async def start(self: Instance, **words: object) -> Instance:
        raise Unavailable("no registry")

    async def fail(self: Instance, **words: object) -> Instance:
        if failures:
            raise failures.pop()
        return await failed(self, **words)  # type: ignore[arg-type]

    failed = Instance.failed
    monkeypatch.setattr(Instance, "started", start)
    monkeypatch.setattr(Instance, "failed", fail)

    async def main() -> None:
        async with managed(dial) as (registry, manager):
            ended = await (await started(registry)).wait(timeout=PATIENCE)
            assert ended.state is State.FAILED and not failures
            assert ended.status_info is not None and "no registry" in ended.status_info.reason
            assert not manager.running

    asyncio.run(main())


@pytest.mark.parametrize("broken", ["end", "kill"])
def test_a_stop_ends_the_others_whatever_one_does(
    web: Registry, dial: Dial, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    made = breaks(monkeypatch, **{broken: RuntimeError("a defect")})

    async def main() -> None:
        async with managed(dial) as (registry, _):
            for _ in range(3):
                await (await started(registry)).wait_started(timeout=PATIENCE)
        assert len(made) == 3
        for child in made:
            assert await asyncio.wait_for(child.wait(), PATIENCE) is not None

    asyncio.run(main())
    assert {each.state for each in web.instances()} <= {State.EXITED, State.FAILED, State.LOST}


def test_a_stop_ends_what_is_being_started(
    web: Registry, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = Child.start, []

    async def start(command: str, variables: dict[str, str]) -> Child:
        stop()
        await asyncio.sleep(0.1)
        made.append(await real(command, variables))
        return made[0]

    stop: Callable[[], None]
    monkeypatch.setattr(Child, "start", start)

    async def main() -> None:
        nonlocal stop
        async with managed(dial) as (registry, manager):
            stop = manager.stop
            ended = await (await started(registry)).wait(timeout=PATIENCE)
            assert ended.state in (State.EXITED, State.FAILED)

    asyncio.run(main())
    assert len(made) == 1


@pytest.mark.parametrize("number", [35, 50, 63])
def test_an_end_by_a_signal_without_a_name_is_reported(web: Registry, dial: Dial, number: int) -> None:
    async def main() -> None:
        async with managed(dial) as (registry, _):
            ended = await (await started(registry, f"sh -c 'kill -{number} $$'")).wait(timeout=PATIENCE)
            assert ended.state is State.FAILED and ended.status_info is not None
            assert ended.status_info.reason == f"killed by signal {number}"

    asyncio.run(main())


def test_a_reason_is_short_and_can_be_stored() -> None:
    assert _plain("no \udcff here") == "no \\udcff here"
    assert len(_plain("x" * 10**6)) == 1000
