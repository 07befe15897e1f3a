"""Probes for threads, and what runs them: a few daemon threads, made when they are needed."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from visor._core.public import public
from visor._core.views.catalog import Reported
from visor._core.views.endpoint import Endpoint

Probe = Callable[[Endpoint, float], "Reported | None"]
"""Asks a server how it is, within so many seconds; raises when it is not well."""

AWAITED = False
"""What a probe returns is its report."""
AT_ONCE = 32
"""Probes under way at once."""
IDLE_SECONDS = 1.0
"""A thread that has nothing to do for so long ends."""


def tcp() -> Probe:
    """Return a probe that passes when the server accepts a connection."""

    def probe(endpoint: Endpoint, timeout: float) -> None:
        socket.create_connection((endpoint.host, endpoint.port or 0), timeout).close()

    return probe


def http(
    path: str = "/", *, scheme: str = "http", accept: Callable[[int], bool] | None = None, **options: Any
) -> Probe:
    """Return a probe that passes when GET `path` is answered with a status below 400, or one that `accept` likes.

    `options` are those of `httpx.Client` (verify, headers, ...). Needs httpx:
    `pip install 'visor-registry[probes]'`.
    """
    import httpx

    well = accept or (lambda status: status < 400)

    def probe(endpoint: Endpoint, timeout: float) -> None:
        with httpx.Client(timeout=timeout, **options) as client:
            answer = client.get(f"{scheme}://{endpoint.host_port}{path}")
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

    def probe(endpoint: Endpoint, timeout: float) -> None:
        address = endpoint.host_port
        channel = (
            grpc.insecure_channel(address)
            if credentials is None
            else grpc.secure_channel(address, credentials)
        )
        with channel:
            request = health_pb2.HealthCheckRequest(service=service)
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout)
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            raise ConnectionError(f"the health of {service or 'the server'} is {status}")

    return probe


Done = Callable[[str, int, "str | None", "Reported | None"], None]
"""Told how a probe ended: id, number, problem or None, report."""
Job = tuple[str, int, Endpoint]


class Prober:
    """Runs probes and tells how they ended; any number may be handed over, some run at once.

    A probe of the user's that does not keep to its time cannot be stopped: it is `overdue`, and keeps one of the
    threads busy until it ends.
    """

    def __init__(self, probe: Probe, seconds: float, done: Done) -> None:
        self._probe = probe
        self._seconds = seconds
        self._done = done
        self._changed = threading.Condition()
        """Guards all that follows; told of a job to do, and of the end."""
        self._jobs: deque[Job] = deque()
        self._threads = 0
        self._idle = 0
        """Threads that wait for a job. Counted under the lock that a job is taken under: a thread that has taken one
        may be busy with it for ever, and who is handed over next must not count on it."""
        self._since: dict[tuple[str, int], float] = {}
        """When each job was handed over."""
        self._closed = False

    def submit(self, id: str, number: int, endpoint: Endpoint) -> None:
        """Probe this server; never waits."""
        with self._changed:
            self._since[id, number] = time.monotonic()
            self._jobs.append((id, number, endpoint))
            self._changed.notify()
            if self._idle < len(self._jobs) and self._threads < AT_ONCE:
                self._threads += 1
                threading.Thread(target=self._work, name="visor probe", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._run(*job)

    def _next(self) -> Job | None:
        """Wait for something to do; None when there was nothing for a while, or it is all over."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs or self._closed, IDLE_SECONDS)
            self._idle -= 1
            if self._closed or not self._jobs:
                self._threads -= 1
                return None
            return self._jobs.popleft()

    def _run(self, id: str, number: int, endpoint: Endpoint) -> None:
        problem: str | None = None
        report: Reported | None = None
        try:
            report = self._probe(endpoint, self._seconds)
        except Exception as error:
            problem = told(error, self._seconds)
        with self._changed:
            self._since.pop((id, number), None)
        if not self._closed:
            self._done(id, number, problem, report)

    def overdue(self) -> Mapping[tuple[str, int], str]:
        """Return probes that do not end in time, with what to say of them."""
        now = time.monotonic()
        with self._changed:
            return {
                key: f"the probe has not ended within {2 * self._seconds:g} s"
                for key, since in self._since.items()
                if now - since > 2 * self._seconds
            }

    def close(self) -> None:
        """Start nothing more; what is under way ends by itself and is not told."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def told(error: Exception, seconds: float) -> str:
    """Return what to say of a probe that failed."""
    if isinstance(error, TimeoutError) and str(error) in ("", "timed out"):
        return f"no answer within {seconds:g} s"
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def spawn(run: Callable[[], None]) -> threading.Thread:
    """Run something in the background."""
    thread = threading.Thread(target=run, name="visor views", daemon=True)
    thread.start()
    return thread


def join(thread: threading.Thread) -> None:
    """Wait for it to end, but not for oneself, and not for ever."""
    if thread is not threading.current_thread():
        thread.join(1.0)


public("visor.views", grpc_health, http, tcp)
