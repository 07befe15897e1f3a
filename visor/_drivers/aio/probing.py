"""Probes under asyncio, and what runs them: tasks."""

# ruff: noqa: ASYNC109  # a probe is told how long it may take
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from visor._core.public import public
from visor._core.views.catalog import Reported
from visor._core.views.endpoint import Endpoint

Probe = Callable[[Endpoint, float], Awaitable["Reported | None"]]
"""Asks a server how it is, within so many seconds; raises when it is not well."""

AWAITED = True
"""What a probe returns is awaited."""
AT_ONCE = 64
"""Probes under way at once."""


def tcp() -> Probe:
    """Return a probe that passes when the server accepts a connection."""

    async def probe(endpoint: Endpoint, timeout: float) -> None:
        _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        writer.close()
        with contextlib.suppress(OSError):  # that it was reset after it had been accepted is no matter
            await writer.wait_closed()

    return probe


def http(
    path: str = "/", *, scheme: str = "http", accept: Callable[[int], bool] | None = None, **options: Any
) -> Probe:
    """Return a probe that passes when GET `path` is answered with a status below 400, or one that `accept` likes.

    `options` are those of `httpx.AsyncClient` (verify, headers, ...). Needs httpx:
    `pip install 'visor-registry[probes]'`.
    """
    import httpx

    well = accept or (lambda status: status < 400)

    async def probe(endpoint: Endpoint, timeout: float) -> None:
        async with httpx.AsyncClient(timeout=timeout, **options) as client:
            answer = await client.get(f"{scheme}://{endpoint.host_port}{path}")
        if not well(answer.status_code):
            raise ConnectionError(f"GET {path} was answered with {answer.status_code}")

    return probe


def grpc_health(service: str = "", *, credentials: Any = None) -> Probe:
    """Return a probe that passes when the server's `grpc.health.v1.Health` says that `service` is SERVING.

    `credentials` are those of a channel (default: an insecure one). Needs grpcio and grpcio-health-checking:
    `pip install 'visor-registry[probes]'`.
    """
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async def probe(endpoint: Endpoint, timeout: float) -> None:
        address = endpoint.host_port
        channel = (
            grpc.aio.insecure_channel(address)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials)
        )
        async with channel:
            request = health_pb2.HealthCheckRequest(service=service)
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout)
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            raise ConnectionError(f"the health of {service or 'the server'} is {status}")

    return probe


Done = Callable[[str, int, "str | None", "Reported | None"], None]
"""Told how a probe ended: id, number, problem or None, report."""


class Prober:
    """Runs probes and tells how they ended; any number may be handed over, some run at once."""

    def __init__(self, probe: Probe, seconds: float, done: Done) -> None:
        self._probe = probe
        self._seconds = seconds
        self._done = done
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)

    def submit(self, id: str, number: int, endpoint: Endpoint) -> None:
        """Probe this server; never waits."""
        task = asyncio.get_running_loop().create_task(self._run(id, number, endpoint), name="visor probe")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, id: str, number: int, endpoint: Endpoint) -> None:
        problem: str | None = None
        report: Reported | None = None
        try:
            async with self._room, asyncio.timeout(self._seconds):
                report = await self._probe(endpoint, self._seconds)
        except Exception as error:
            problem = told(error, self._seconds)
        self._done(id, number, problem, report)

    def overdue(self) -> Mapping[tuple[str, int], str]:
        """Return probes that do not end, with what to say of them; under asyncio they do end."""
        return {}

    async def close(self) -> None:
        """Give up what is under way."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)


def told(error: Exception, seconds: float) -> str:
    """Return what to say of a probe that failed."""
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer within {seconds:g} s"
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def spawn(run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """Run something in the background."""
    return asyncio.get_running_loop().create_task(run(), name="visor views")


async def join(task: asyncio.Task[None]) -> None:
    """Wait for it to end, but not for oneself, and not for ever."""
    if task is not asyncio.current_task():
        await asyncio.wait((task,), timeout=1.0)


public("visor.aio.views", grpc_health, http, tcp)
