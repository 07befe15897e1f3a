"""The registry over HTTP, kept running beside a node: `visor gateway`, a process of its own, for `listen.console`.

    visord --starts--> visor gateway <--HTTP-- browsers, curl
       ^                    |
       +---- Unix socket ---+        a client like all others, and nobody: what it asks is in its callers' names

HTTP costs this node's loop nothing, and what a parser has to suffer there ends another process. One that ends is
started again after a pause. It ends when the pipe to it does, so also when this process is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from visord.settings import ListenSettings

logger = logging.getLogger("visord")

PAUSES: Final = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before it is started again, the first time, the second, and so on; after a minute of service anew."""
SERVED_SECONDS: Final = 60.0
END_SECONDS: Final = 3.0
MOST_LINE: Final = 4096


def command(listen: ListenSettings, path: Path) -> list[str]:
    """Return what is started: a gateway for the Unix socket at `path`."""
    assert listen.console is not None
    words = [sys.executable, "-m", "visor", "gateway", "--addr", f"unix:{path}", "--listen", listen.console]
    words += ["--until-eof", "-o", "json"]
    for name in listen.console_names:
        words += ["--host", name]
    if listen.tls_cert is not None:
        words += ["--tls-cert", str(listen.tls_cert), "--tls-key", str(listen.tls_key)]
    return words


def environment(given: Mapping[str, str], listen: ListenSettings) -> dict[str, str]:
    """Return the environment for it: without what programs are told of registries, tokens above all.

    Within TLS it looks at the other members by itself: the authority's own certificate is behind this node's.
    """
    kept = {name: value for name, value in given.items() if not name.startswith(("VISOR_", "VISORD_"))}
    return kept if listen.tls_cert is None else {**kept, "VISOR_CACERT": str(listen.tls_cert)}


class Console:
    """One gateway, started again when it ends. `tell(url)` is called when it listens."""

    def __init__(self, listen: ListenSettings, tell: Callable[[str], None]) -> None:
        self._listen = listen
        self._tell = tell
        self._folder = Path(tempfile.mkdtemp(prefix="visord-console-"))
        self.path = self._folder / "registry.sock"
        """The Unix socket by which it comes; this node listens there for it alone."""
        self._process: asyncio.subprocess.Process | None = None
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it, and again whenever it ends."""
        self._running = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        failed = 0
        while True:
            began = loop.time()
            code = await self._once()
            failed = 0 if loop.time() - began > SERVED_SECONDS else failed
            pause = PAUSES[min(failed, len(PAUSES) - 1)]
            logger.warning("the console has ended with code %d; it is started again in %g s", code, pause)
            failed += 1
            await asyncio.sleep(pause)

    async def _once(self) -> int:
        """Run it until it ends, and return its exit code."""
        pipe = asyncio.subprocess.PIPE
        words = command(self._listen, self.path)
        # In a session of its own: what a terminal sends to all of a group is this process's to hear.
        process = self._process = await asyncio.create_subprocess_exec(
            *words,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=environment(os.environ, self._listen),
            limit=MOST_LINE,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        await asyncio.gather(
            _lines(process.stdout, self._said),
            _lines(process.stderr, lambda line: logger.warning("console: %s", line)),
        )
        return await process.wait()

    def _said(self, line: str) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            url = json.loads(line)["url"]
            logger.info("console on %s", url)
            self._tell(url)

    def leave(self) -> None:
        """Ask it to end, and start it no more; `close` waits for that."""
        if self._running is not None:
            self._running.cancel()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def close(self) -> None:
        """Wait until it has ended, for a moment; then end it."""
        self.leave()
        if self._running is not None:
            await asyncio.wait((self._running,))
        process = self._process
        if process is not None and process.returncode is None:
            try:
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


async def _lines(stream: asyncio.StreamReader, each: Callable[[str], object]) -> None:
    """Give each line on; one that is too long is left out."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue
        if not line:
            return
        each(line.decode("utf-8", "replace").rstrip())
