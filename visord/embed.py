"""A node inside this process, on a thread with a loop of its own: for tests and for programs that bring their registry.

    with embed.start() as node:
        client = visor.dial(node.address)

It is the real server on a free loopback port. Without `data_dir` its data lies in a temporary folder (on memory-backed
`/dev/shm` where there is one) that goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from visord.server import Server
from visord.settings import ListenSettings, LogSettings, Settings, StorageSettings

START_SECONDS = 30.0
STOP_SECONDS = 15.0
MEMORY_FOLDER = Path("/dev/shm")

SMALL_STORAGE = StorageSettings(log_segment_bytes=4 << 20, log_chunk_bytes=256 << 10)
"""A node that opens in a few milliseconds."""


class Embedded:
    """A running node. `address` is HOST:PORT; `stop` ends it, once or many times, from any thread but its own."""

    def __init__(
        self,
        data_dir: str | Path | None = None,
        *,
        listen: str = "127.0.0.1:0",
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.address = ""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if data_dir is None:
            base = str(MEMORY_FOLDER) if MEMORY_FOLDER.is_dir() else None
            self._folder = tempfile.TemporaryDirectory(prefix="visord-", dir=base, ignore_cleanup_errors=True)
            data_dir = self._folder.name
        self._data_dir = Path(data_dir).resolve()
        self._settings = Settings(
            listen=ListenSettings.model_validate({**(settings or {}), "client": listen}),
            storage=SMALL_STORAGE,
            log=LogSettings(level="warning"),
        )
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._run, name="visord-embedded", daemon=True)

    def start(self) -> Embedded:
        """Return when the node serves. Raises what kept it from starting."""
        self._thread.start()
        if not self._started.wait(START_SECONDS):
            raise TimeoutError(f"the embedded node did not start within {START_SECONDS:g} s")
        if self._failure is not None:
            self._thread.join(STOP_SECONDS)
            raise self._failure
        return self

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            self._loop = runner.get_loop()
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = self._server = Server(self._settings, self._data_dir)
        try:
            await server.start()
            self.address = server.address
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._started.set()
        await server.wait()
        await server.stop()

    def stop(self) -> None:
        """End the node and remove its temporary data. Idempotent."""
        if self._thread.is_alive() and self._loop is not None and self._server is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                self._loop.call_soon_threadsafe(self._server.shutdown)
            self._thread.join(STOP_SECONDS)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Embedded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    data_dir: str | Path | None = None,
    *,
    listen: str = "127.0.0.1:0",
    settings: Mapping[str, object] | None = None,
) -> Embedded:
    """Start a node on `listen` (port 0 picks a free one) and return it when it serves.

    `settings`: what else is set in the section `listen`, as `tls_cert` is.
    """
    return Embedded(data_dir, listen=listen, settings=settings).start()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
