"""Members of a cluster inside this process, on one thread with a loop of its own: quick, and open to look into.

None of them takes a standstill of the process for a silence of the others (`tests.steady_loop`).

with Members(tmp_path) as members:
    members.start("n1", "n2", "n3")             # n1 founds, the others join; returns when all may vote
    visor.dial(members.address("n1"))
    members.on_loop(lambda: members.node("n2").store.rev)
    members.stop("n2")                          # as SIGTERM would
    members.start("n2")                         # again, on the same data
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import visor
from tests.patience import PATIENCE
from tests.stable_ports import stable_port
from tests.steady_loop import SteadyLoop
from visord.members.joining import Start
from visord.node import Node
from visord.server import Server
from visord.settings import ListenSettings, LogSettings, NodeSettings, PeerSettings, Settings, StorageSettings

T = TypeVar("T")

STORAGE = StorageSettings(log_segment_bytes=4 << 20, log_chunk_bytes=256 << 10)


class Members:
    """See the module. `settings` are changes for all members, by section."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.join: tuple[str, ...] = ()
        """Peer addresses to join through, instead of those of the members here."""
        self._folder = folder
        self._sections = sections
        self._servers: dict[str, Server] = {}
        self._tasks: dict[str, concurrent.futures.Future[None]] = {}
        self._ports: dict[str, tuple[int, int]] = {}
        self._loop = SteadyLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="members", daemon=True)
        self._thread.start()

    # -- their life -----------------------------------------------------------------------------------

    def start(self, *names: str, learner: bool = False) -> None:
        """Start members: the very first founds the cluster. Returns when all of them serve, and may vote."""
        for name in names:
            self.launch(name, learner=learner)
        for name in names:
            self.until(lambda name=name: self._is_ready(name), f"{name} to be ready")
        if not learner:
            self.until(lambda: set(names) <= set(self.voters()), f"{names} to vote, only {self.voters()} do")

    def launch(self, name: str, *, learner: bool = False) -> None:
        """Start one and do not wait."""
        known = [one.node for one in self._servers.values() if one.node is not None]
        join = self.join or tuple(node.me.peer for node in known)
        fresh = not (self._folder / name).exists()
        start = Start(bootstrap=not join and fresh, join=join, learner=learner)
        server = Server(self.settings(name), self._folder / name, start)
        self._servers[name] = server
        self._tasks[name] = asyncio.run_coroutine_threadsafe(self._serve(server), self._loop)
        self.until(lambda: server.node is not None or self._tasks[name].done(), f"{name} to begin")

    def settings(self, name: str) -> Settings:
        """Return the settings of a member; a name gets the same ports again."""
        client, peer = self._ports.setdefault(name, (stable_port(), stable_port()))
        sections: dict[str, Any] = {
            "listen": ListenSettings(client=f"127.0.0.1:{client}"),
            "peers": PeerSettings(listen=f"127.0.0.1:{peer}"),
            "storage": STORAGE,
            "log": LogSettings(level="warning"),
            **self._sections,
        }
        return Settings(node=NodeSettings(name=name), **sections)

    async def _serve(self, server: Server) -> None:
        await server.start()
        await server.wait()
        await server.stop()

    def _is_ready(self, name: str) -> bool:
        if self._tasks[name].done():
            self._tasks[name].result()
            raise AssertionError(f"{name} has ended")
        node = self._servers[name].node
        return node is not None and node.readiness.reached

    def stop(self, name: str) -> None:
        """End it as SIGTERM does."""
        self._loop.call_soon_threadsafe(self._servers[name].shutdown)
        with contextlib.suppress(Exception):
            self._tasks[name].result(PATIENCE)
        del self._servers[name]

    def ended(self, name: str) -> BaseException | None:
        """Wait until a member has stopped by itself; return what its server failed with."""
        server = self._servers[name]
        self.until(lambda: server.failure is not None, f"{name} to fail")
        return server.failure

    def outcome(self, name: str) -> BaseException | None:
        """Wait until a member that cannot start has ended; return why."""
        with contextlib.suppress(Exception):
            self._tasks[name].result(PATIENCE)
        return self._tasks[name].exception()

    # -- looking --------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        node = self._servers[name].node
        if node is None and self._tasks[name].done():
            self._tasks[name].result()  # tells why it could not start
        assert node is not None
        return node

    def address(self, name: str) -> str:
        return self._servers[name].address

    def on_loop(self, function: Callable[[], T]) -> T:
        """Call a function on the members' thread."""

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(PATIENCE)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def voters(self) -> list[str]:
        leader = self.leader()
        if leader is None:
            return []
        return [one.name for one in self.node(leader).engine.configuration.members if one.voter]

    def leader(self) -> str | None:
        """The name of the member that leads in the highest term."""
        nodes = [(one.node.engine.term, name) for name, one in self._servers.items() if one.node is not None]
        leading = [(term, name) for term, name in nodes if self.node(name).engine.is_leader]
        return max(leading)[1] if leading else None

    def replicas(self) -> list[str]:
        leader = self.leader()
        return [name for name in self._servers if name != leader]

    def silent(self, name: str) -> float:
        """Seconds since the leader heard of a member."""
        leader = self.leader()
        rows = self.node(leader).membership.members() if leader is not None else []
        return max((row.get("silent", 0.0) for row in rows if row["name"] == name), default=0.0)

    def behind(self, name: str) -> int | None:
        """Entries that a member lacks; None before the leader heard of it."""
        leader = self.leader()
        rows = self.node(leader).membership.members() if leader is not None else []
        return next((row.get("behind") for row in rows if row["name"] == name), None)

    def why_not(self, name: str) -> str:
        """Why this member has failed, or else why the others are not reachable from it."""
        server = self._servers[name]
        task = self._tasks[name]
        if task.done():
            return str(task.exception())
        if server.failure is not None or server.node is None:
            return str(server.failure)
        peers: Any = server.node.peers
        return " ".join(peers.problem(one.id) for one in self.node(name).engine.configuration.members)

    def directory(self, name: str) -> Path:
        return self._folder / name

    def forget(self, name: str) -> None:
        """Empty the data directory of one that is stopped."""
        shutil.rmtree(self._folder / name)

    def until(self, true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait until something is true on the members' thread."""
        deadline = time.monotonic() + seconds
        while not self.on_loop(true):
            assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
            time.sleep(0.01)

    def dial(self, *names: str, **options: Any) -> visor.Client[bytes]:
        """Connect to these members and to no others."""
        return visor.dial([self.address(name) for name in names], **{"discover": False, **options})

    # -- the end --------------------------------------------------------------------------------------

    def close(self) -> None:
        for name in list(self._servers):
            with contextlib.suppress(AssertionError, TimeoutError):
                self.stop(name)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def __enter__(self) -> Members:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
