"""Members on real sockets: making them, waiting for them, and a proxy that stands between two."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tests.patience import PATIENCE
from visord.peers.messages import pack
from visord.peers.security import NOTHING, Security
from visord.peers.tcp import TcpPeers

SECRET = b"correct horse battery staple"
SECURED = Security(secrets=(SECRET,))


async def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something that no event tells."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.002)


class Member:
    """One member and what it heard."""

    def __init__(self, name: str, **options: Any) -> None:
        self.heard: list[tuple[str, list[Any]]] = []
        self.changes: list[tuple[str, bool]] = []
        options = {"cluster": "c1", "listen": "127.0.0.1:0", "rng": random.Random(name), **options}
        self.peers = TcpPeers(asyncio.get_running_loop(), member=name, **options)
        self.peers.receive = lambda member, message: self.heard.append((member, message))
        self.peers.changed = lambda member, reachable: self.changes.append((member, reachable))
        self.name = name

    @property
    def address(self) -> str:
        return self.peers.address

    def say(self, member: str, *message: Any) -> bool:
        return self.peers.send(member, pack(message))

    async def close(self) -> None:
        self.peers.close()
        await self.peers.wait_closed()


@asynccontextmanager
async def members(*names: str, security: Security = NOTHING, **options: Any) -> AsyncIterator[list[Member]]:
    """Members that know each other and are connected."""
    made = [Member(name, security=security, **options) for name in names]
    try:
        for member in made:
            await member.peers.start()
        for member in made:
            know(member, *made)
        await until(lambda: all(a.peers.reachable(b.name) for a in made for b in made if a is not b))
        yield made
    finally:
        for member in made:
            await member.close()


def know(member: Member, *others: Member) -> None:
    member.peers.set_members({other.name: other.address for other in others if other is not member})


class Proxy:
    """Stands before a member; can look at, change, hold and repeat what goes through it."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.forward: Callable[[bytes], list[bytes]] = lambda data: [data]
        """What becomes of each piece from the dialler to the accepter."""
        self.held = False
        self.seen = bytearray()
        """All that diallers sent."""
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.to_target: asyncio.StreamWriter | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # In a task of its own: one of the server's is not awaited, and 3.11 complains when it is cancelled at the end.
        self._begin(self._serve(reader, writer))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self._writers.append(up_writer)
        self.to_target = up_writer
        back = self._begin(self._pump(up_reader, writer, lambda data: [data]))
        await self._pump(reader, up_writer, self._forward)
        await back

    def _forward(self, data: bytes) -> list[bytes]:
        self.seen += data
        return self.forward(data)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        change: Callable[[bytes], list[bytes]],
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                while self.held:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                for piece in change(data):
                    if not writer.transport.is_closing():
                        writer.write(piece)
        except OSError:
            pass
        writer.close()

    def cut(self) -> None:
        """Break what is connected."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        self.held = False
        self._server.close()
        while self._tasks:
            self.cut()
            await asyncio.wait(self._tasks)
