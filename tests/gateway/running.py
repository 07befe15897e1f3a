"""A gateway on a thread of this process: the real sockets, the real application, and a registry that is given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.patience import PATIENCE
from visor._drivers.environment import gather
from visor.gateway.process import Listening, Serving, bind, server


class Running:
    """One that runs. `seconds`: for a request to arrive, and for a handshake; `tls`: certificate and key."""

    def __init__(
        self,
        address: str,
        *,
        seconds: float = PATIENCE,
        names: frozenset[str] = frozenset(),
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.url = ""
        self._started = threading.Event()
        settings = gather(address, "/", PATIENCE, "http", "", None, None, tls=False)
        files = (None, None) if tls is None else (str(tls[0]), str(tls[1]))
        listening = Listening(port=port, names=names, certificate=files[0], key=files[1])
        self._socket = bind(listening)
        self.server: Serving = server(settings, listening, self._ready)
        self.server.handshake_seconds = seconds
        protocol: Any = self.server.config.http
        protocol.seconds = seconds
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def _run(self) -> None:
        asyncio.run(self.server.serve(sockets=[self._socket]))

    def _ready(self, url: str) -> None:
        self.url = url
        self._started.set()

    def start(self) -> Running:
        """Return when it listens."""
        self._thread.start()
        assert self._started.wait(PATIENCE)
        return self

    def stop(self) -> None:
        """End it."""
        self.server.should_exit = True
        self._thread.join(PATIENCE)
        self._socket.close()

    @property
    def place(self) -> tuple[str, int]:
        """Where it listens."""
        url = httpx.URL(self.url)
        assert url.port is not None
        return url.host, url.port


@contextmanager
def gateway(address: str, **more: Any) -> Iterator[Running]:
    """Run one for the block."""
    running = Running(address, **more).start()
    try:
        yield running
    finally:
        running.stop()


class Caller(httpx.Client):
    """Calls a gateway, with all the patience that there is."""

    def __init__(self, url: str, **headers: str) -> None:
        super().__init__(base_url=url, timeout=PATIENCE, headers=headers, trust_env=False)

    def problem(self, method: str, url: str, **more: Any) -> tuple[int, str]:
        """Return status and code of what must be a problem."""
        answer = self.request(method, url, **more)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        told = answer.json()
        assert told["status"] == answer.status_code
        assert told["type"] == f"/docs/problems/{told['code']}"
        return answer.status_code, told["code"]

    def put(self, url: str, value: bytes | str = b"", **more: Any) -> httpx.Response:  # type: ignore[override]
        """Write a file; it must work."""
        answer = self.request("PUT", url, content=value, **more)
        assert answer.status_code in (200, 201), answer.text
        return answer
