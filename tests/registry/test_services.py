"""Services and endpoints, runners, loggers, proxies, process managers; locks, ids, schema."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import visor
from tests.patience import PATIENCE
from tests.registry.conftest import Apart
from visor import errors
from visor._core.registry import control
from visor._core.registry.model import EndpointRecord
from visor._core.registry.srv import pick
from visor.aio.registry import Registry as AsyncRegistry
from visor.registry import Registry, Runner
from visor.registry.errors import BadName, BadRecord, Locked, SchemaMismatch


# -- services -----------------------------------------------------------------------------------------
def test_services_have_endpoints(registry: Registry) -> None:
    service = registry.snapshot().new_service("db").register()
    with pytest.raises(errors.Exists):
        service.register()
    with pytest.raises(errors.Exists):
        registry.snapshot(service.rev - 1).new_service("db").register()
    low = service.register_endpoint("127.0.0.1:5432", priority=2, weight=9)
    high = service.register_endpoint("[::1]:5432", priority=1, weight=1)
    assert (low.ip, low.port, low.host, low.addr) == ("127.0.0.1", 5432, "127.0.0.1", "127.0.0.1:5432")
    assert (high.ip, high.host) == ("::1", "::1")
    with pytest.raises(errors.Exists):
        service.register_endpoint("127.0.0.1:5432")
    assert service.endpoints() == []
    service = service.fast_forward()
    assert service.endpoints() == [high, low]
    assert service.pick() == high
    assert service.endpoint("127.0.0.1:5432") == low
    assert [each.name for each in registry.snapshot().services()] == ["db"]
    assert registry.snapshot().service("db") == service
    high.unregister()
    with pytest.raises(errors.NotFound):
        high.unregister()
    with pytest.raises(errors.NotFound):
        service.fast_forward().unregister_endpoint("[::1]:5432")
    gone = service.unregister()
    assert registry.snapshot().services() == []
    assert registry.snapshot().endpoints("db") == []
    with pytest.raises(errors.NotFound):
        gone.register_endpoint("127.0.0.1:1")
    with pytest.raises(errors.NotFound):
        gone.pick()


def test_a_name_is_looked_up_when_the_endpoint_is_made(registry: Registry) -> None:
    service = registry.snapshot().new_service("db").register()
    assert service.register_endpoint("localhost:1").ip == "127.0.0.1"
    assert service.register_endpoint("no-such-host.invalid:1", ip="10.0.0.1").ip == "10.0.0.1"
    assert service.register_endpoint("no-such-host.invalid:2").ip is None


@pytest.mark.parametrize(
    "addr", ["", "host", ":80", "host:", "host:0", "host:65536", "::1:80", "a b:80", "host:٣"]
)
def test_an_address_is_host_and_port(registry: Registry, addr: str) -> None:
    service = registry.snapshot().new_service("db").register()
    with pytest.raises(BadName):
        service.register_endpoint(addr)
    with pytest.raises(BadName):
        registry.snapshot().new_runner(addr, 1)


def test_picking_follows_priority_and_weight() -> None:
    def endpoint(priority: int, weight: int) -> EndpointRecord:
        return EndpointRecord("db", "h:1", "h", 1, None, priority, weight)

    dice = random.Random(7)
    endpoints = [endpoint(1, 10), endpoint(0, 30), endpoint(0, 10), endpoint(0, 0)]
    drawn = Counter(pick(endpoints, dice) for _ in range(4000))
    assert drawn[0] == 0
    assert 2.5 < drawn[1] / drawn[2] < 3.5
    assert 0 <= drawn[3] < 40
    even = Counter(pick([endpoint(0, 0)] * 4, dice) for _ in range(4000))
    assert min(even.values()) > 800
    with pytest.raises(ValueError, match="no endpoint"):
        pick([], dice)


# -- members ------------------------------------------------------------------------------------------
def test_runners_belong_to_an_address(registry: Registry) -> None:
    view = registry.snapshot()
    runner = view.new_runner("10.0.0.1:9000", 812000).register()
    assert (runner.addr, runner.instance) == ("10.0.0.1:9000", 812000)
    with pytest.raises(errors.Exists):
        view.new_runner("10.0.0.1:9000", 812001).register()
    other = view.new_runner("10.0.0.2:9000", 812001).register()
    now = registry.snapshot()
    assert now.runners() == [runner, other]
    assert now.runners("10.0.0.2") == [other]
    assert now.runner("10.0.0.1:9000") == runner
    runner.unregister()
    with pytest.raises(errors.NotFound):
        runner.unregister()
    with pytest.raises(errors.NotFound):
        registry.snapshot().runner("10.0.0.1:9000")


def test_runners_are_followed_by_host(registry: Registry) -> None:
    with registry.watch_runner("10.0.0.1") as changes:
        registry.snapshot().new_runner("10.0.0.2:9000", 1).register()
        runner = registry.snapshot().new_runner("10.0.0.1:9000", 2).register()
        assert changes.next(timeout=PATIENCE) == ("start", runner)
        runner.unregister()
        what, gone = changes.next(timeout=PATIENCE)
        assert (what, gone.addr, gone.instance) == ("stop", "10.0.0.1:9000", 2)


@pytest.mark.parametrize(("kind", "port"), [("logger", 514), ("proxy", None), ("pm", None)])
def test_members_register_list_and_go(registry: Registry, kind: str, port: int | None) -> None:
    view = registry.snapshot()
    member = view.new_member(kind, "10.0.0.1", port, "1.2").register()
    assert (member.addr, member.version) == ("10.0.0.1" if port is None else "10.0.0.1:514", "1.2")
    with pytest.raises(errors.RevMismatch):
        view.new_member(kind, "10.0.0.1", port, "1.3").register()  # from before it was there
    newer = registry.snapshot().new_member(kind, "10.0.0.1", port, "1.3").register()  # overwrites
    lists = {"logger": "loggers", "proxy": "proxies", "pm": "process_managers"}
    assert getattr(registry.snapshot(), lists[kind])() == [newer]
    with pytest.raises(errors.RevMismatch):
        member.unregister()
    newer.unregister()
    assert registry.snapshot().members(kind) == []


# -- locks --------------------------------------------------------------------------------------------
def test_a_lock_is_held_by_one(registry: Registry) -> None:
    view = registry.snapshot()
    lock = view.lock("deploy/web", "v2")
    with pytest.raises(Locked) as caught:
        registry.snapshot().lock("deploy/web", "v3")
    assert (caught.value.by, caught.value.reason) == (lock.by, "v2")
    with pytest.raises(Locked):
        view.lock("deploy/web")
    after = lock.unlock()
    with pytest.raises(errors.RevMismatch):
        lock.unlock()
    with pytest.raises(errors.RevMismatch):
        view.lock("deploy/web")  # it came and went since: look first
    assert after.lock("deploy/web").value == ""
    registry.client.delete("/locks", recursive=True)


# -- ids ----------------------------------------------------------------------------------------------
def test_ids_are_unique_among_many_callers(registry: Registry, address: str, root: str) -> None:
    found: list[int] = []

    def ask() -> None:
        with visor.dial(address, root, timeout=PATIENCE) as client:
            other = Registry(client)
            found.extend(other.getuid() for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 600
    assert registry.getuid() > max(found)


# -- schema -------------------------------------------------------------------------------------------
def test_init_is_idempotent_and_writes_what_is_missing(registry: Registry) -> None:
    with pytest.raises(errors.NotFound):
        registry.verify_schema()
    assert registry.init() == registry.verify_schema() == 4
    assert registry.client.get("/next-port").value == b"8000"
    rev = registry.client.rev()
    assert registry.init() == 4
    assert registry.client.rev() == rev


def test_init_keeps_the_ports(registry: Registry) -> None:
    registry.register_app("", name="web").register_proc("worker")
    registry.init()
    assert registry.client.get("/next-port").value == b"8001"


@pytest.mark.parametrize("other", [b"3", b"5"])
def test_another_schema_is_told_with_both_numbers(registry: Registry, other: bytes) -> None:
    registry.client.set("/internal/schema", other)
    for refused in (registry.init, registry.verify_schema):
        with pytest.raises(SchemaMismatch) as caught:
            refused()
        assert (caught.value.expected, caught.value.actual) == (4, int(other))
    registry.client.set("/internal/schema", b"four")
    with pytest.raises(BadRecord):
        registry.verify_schema()


def test_the_schema_is_watched(registry: Registry) -> None:
    versions = registry.watch_schema()
    assert next(versions) == 0
    registry.init()
    assert next(versions) == 4
    registry.client.set("/internal/schema", b"5")
    assert next(versions) == 5
    registry.client.delete("/internal/schema")
    assert next(versions) == 0
    versions.close()


def test_who_watches_the_schema_goes_on_when_history_went_on_without_him(apart: Apart) -> None:
    proxy, cut_off, client = apart
    versions = cut_off.watch_schema()
    assert next(versions) == 0
    proxy.miss_history(client)
    client.set("/internal/schema", b"5")
    assert next(versions) == 5
    proxy.miss_history(client)
    client.set("/internal/schema", b"6")
    assert next(versions) == 6
    versions.close()


def test_reset_takes_the_domain_and_nothing_else(web: Registry) -> None:
    web.scale("web", "v1", "worker", 2)
    web.client.set("/elsewhere", b"x")
    web.reset()
    assert [file.path for file in web.client.scan("/**")] == ["/elsewhere"]
    web.reset()
    assert web.apps() == []


# -- what runners are asked ---------------------------------------------------------------------------
class Answering(threading.Thread):
    """A runner: one line in, one line out, on each connection."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.start()

    def run(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line, line.makefile("rw", newline="\n") as stream:
                stream.write(self._answers.get(stream.readline().strip(), ""))
                stream.flush()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join()


@pytest.fixture
def runner(registry: Registry) -> Iterator[Runner]:
    answers = {
        "status": "up 6 0\n",
        "pid": "4711\n",
        "kill": "OK\n",
        "down": "no\n",
        "echo ü": "ü",
        "odd": "x y\n",
    }
    answering = Answering(answers)
    yield registry.snapshot().new_runner(f"127.0.0.1:{answering.port}", 1).register()
    answering.close()
    registry.client.delete("/runners", recursive=True)


def test_a_runner_answers_line_by_line(runner: Runner, dial: Callable[[], visor.aio.Dialling[bytes]]) -> None:
    assert runner.status() == ("up", 6, 0)
    assert runner.pid() == 4711
    runner.kill()
    with pytest.raises(errors.Rejected, match="'no'"):
        runner.down()
    assert runner.raw("echo ü") == "ü"
    with pytest.raises(errors.Unavailable, match="without an answer"):
        runner.raw("nothing")
    with pytest.raises(ValueError, match="STATE SECONDS RESTARTS"):
        control.status(runner.raw("odd"))
    with pytest.raises(ValueError, match="one line"):
        runner.raw("a\nb")

    async def asked() -> None:
        async with AsyncRegistry(await dial()) as registry:
            same = await (await registry.snapshot()).runner(runner.addr)
            assert await same.status() == ("up", 6, 0)
            with pytest.raises(errors.Unavailable, match="without an answer"):
                await same.raw("nothing")

    asyncio.run(asked())


def test_a_runner_that_is_not_there_is_unavailable(
    registry: Registry, dial: Callable[[], visor.aio.Dialling[bytes]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
        silent = registry.snapshot().new_runner(f"127.0.0.1:{port}", 1).register()
        with pytest.raises(errors.Unavailable, match="did not answer"):
            silent.raw("status", timeout=0.1)

        async def asked() -> None:
            async with AsyncRegistry(await dial()) as other:
                same = await (await other.snapshot()).runner(silent.addr)
                with pytest.raises(errors.Unavailable, match="did not answer"):
                    await same.raw("status", timeout=0.1)

        asyncio.run(asked())
    with pytest.raises(errors.Unavailable, match="cannot be reached"):
        silent.raw("status")
    silent.unregister()
