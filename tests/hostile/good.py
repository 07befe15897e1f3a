"""The well-behaved client beside an attack: a writer, a reader, a watcher and a lock holder, in a process of their own.

`python -m tests.hostile.good ADDRESS,ADDRESS` says `ready` when all four work, then answers one line of its stdin with
one line of JSON: `mark` tells the longest wait of each role since the last mark, `end` tells it too, with every write
that was acknowledged, and ends. What still waits counts with the time that it has waited so far.

Each wait is measured by this process's own clock, and a refusal that a caller would see is a failure: nobody may suffer
for what another client does. Before anything else one write is left unacknowledged: in the end it is asked for again,
and must not be forgotten.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import visor.aio
from tests.cluster.workload import dial
from tests.hostile.guarded import show_as_told
from tests.wire import Closed, Refused, Wire, new_session
from visor.errors import NoSpace, VisorError
from visor.protocol import verbs

PAUSE: Final = 0.01
"""Seconds between two requests of one role."""
STALL_STEP: Final = 0.005
HOLD: Final = 0.03
"""Seconds for which the lock is held each time."""
PATIENCE: Final = 40.0
"""Seconds after which even a patient caller gives up."""
FILES: Final = 64
"""What is read: files that are written in the beginning."""
SESSION_SECONDS: Final = 10.0


class Role:
    """One thing that the client does again and again: `longest` is its longest wait, in seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.longest = 0.0
        self.done = 0
        self.waits: list[float] = []
        self._since: float | None = None
        self.refused: list[str] = []
        """Why requests were refused that a recipe makes again by itself: it waits for space then, not for others."""

    @asynccontextmanager
    async def waits_for(self) -> AsyncIterator[None]:
        """What happens in here is one wait."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            if self._since is not None:
                self.took(time.monotonic() - self._since)
            self._since = None

    def answered(self, verb: str, path: str | None, seconds: float, error: BaseException | None) -> None:
        """A request was answered: note that there was no space for it."""
        if isinstance(error, NoSpace):
            self.refused.append(f"{self.name}: {type(error).__name__}: {error!s:.200}")
            self._since = None

    def took(self, seconds: float) -> None:
        """Note a wait."""
        self.longest = max(self.longest, seconds)
        self.waits.append(seconds)
        self.done += 1

    def begin(self, moment: float | None) -> None:
        """Something has been awaited since then; None: nothing is."""
        self._since = moment

    def mark(self) -> dict[str, Any]:
        """Return what happened since the last mark."""
        now = time.monotonic()
        waiting = 0.0 if self._since is None else now - self._since
        ordered = sorted(self.waits) or [0.0]
        told = {
            "longest": max(self.longest, waiting),
            "p99": ordered[len(ordered) * 99 // 100],
            "done": self.done,
        }
        self.longest, self.done, self.waits = 0.0, 0, []
        return told


class Good:
    """All four roles of one client."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses
        self.roles = {name: Role(name) for name in ("write", "read", "watch", "lock")}
        self.acknowledged: list[int] = []
        self.failures: list[str] = []
        self._sent: dict[int, float] = {}
        """When each write that the watch has not told yet was sent."""
        self._over = asyncio.Event()
        self._begun: dict[str, asyncio.Event] = {name: asyncio.Event() for name in self.roles}
        self._stall = 0.0
        self._session = new_session()
        self._kept_rev = self._leave_one_unacknowledged()

    def _leave_one_unacknowledged(self) -> int:
        with Wire(self._addresses[0], session=self._session) as wire:
            self._born = wire.welcome["rev"]
            rev: int = wire.call(verbs.SET, "/good/kept", b"once")
        return rev

    def still_known(self) -> str | None:
        """Ask for that write again; return what is wrong with the answer."""
        frame = [verbs.SET, 2, 2, "/good/kept", b"once"]
        try:
            with Wire(self._addresses[0], session=self._session, timeout=PATIENCE) as wire:
                rev = wire.call(verbs.RETRY, frame, self._born)
        except Refused as refused:
            return f"a write that was not acknowledged yet is forgotten: {refused.code}"
        except (Closed, OSError) as error:
            return f"nobody answered in the end: {type(error).__name__}: {error}"
        return None if rev == self._kept_rev else f"a retry was told rev {rev}, it was {self._kept_rev}"

    async def run(self) -> None:
        """Work until `end` is read, and answer meanwhile."""
        loop = asyncio.get_running_loop()
        roles = (self._write, self._read, self._watch, self._lock)
        tasks = [asyncio.create_task(self._go_on(role)) for role in roles]
        tasks.append(asyncio.create_task(self._feel_stalls()))
        for event in self._begun.values():
            await event.wait()
        print("ready", flush=True)
        while True:
            line = await loop.run_in_executor(None, sys.stdin.readline)
            told: dict[str, Any] = {name: role.mark() for name, role in self.roles.items()}
            told["stall"], self._stall = self._stall, 0.0
            for role in self.roles.values():
                self.failures += role.refused
                role.refused = []
            told["failures"], self.failures = self.failures[:20], []
            if line.strip() != "mark":
                break
            print(json.dumps(told), flush=True)
        self._over.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        told["acknowledged"] = self.acknowledged
        forgotten = self.still_known()
        if forgotten is not None:
            told["failures"].append(forgotten)
        print(json.dumps(told), flush=True)

    async def _go_on(self, role: Callable[[], Awaitable[None]]) -> None:
        """Begin a role again when it failed: each failure is one that a caller saw."""
        while not self._over.is_set():
            try:
                await role()
            except (VisorError, OSError) as error:
                self.failures.append(f"{role.__name__.strip('_')}: {type(error).__name__}: {error!s:.200}")
                await asyncio.sleep(0.05)

    async def _feel_stalls(self) -> None:
        """Note for how long this process did not run although it wanted to: the machine's doing, no server's."""
        while True:
            due = time.monotonic() + STALL_STEP
            await asyncio.sleep(STALL_STEP)
            self._stall = max(self._stall, time.monotonic() - due)

    async def _dial(self, name: str) -> visor.aio.Client[bytes]:
        role = self.roles[name]
        return await dial(self._addresses, f"good {name}", PATIENCE, role.answered)

    async def _write(self) -> None:
        role, number = self.roles["write"], (self.acknowledged or [0])[-1]
        async with await self._dial("write") as client:
            while True:
                number += 1
                self._sent[number] = time.monotonic()
                async with role.waits_for():
                    await client.set(f"/good/w/{number}", b"%d" % number)
                self.acknowledged.append(number)
                self._begun["write"].set()
                await asyncio.sleep(PAUSE)

    async def _read(self) -> None:
        role = self.roles["read"]
        async with await self._dial("read") as client:
            for number in range(FILES):
                await client.set(f"/good/r/{number}", b"r%d" % number)
            while True:
                number = (number + 7) % FILES
                async with role.waits_for():
                    file = await client.get(f"/good/r/{number}")
                if file.data != b"r%d" % number:
                    self.failures.append(f"read {file.data!r:.50} of /good/r/{number}")
                self._begun["read"].set()
                await asyncio.sleep(PAUSE)

    async def _watch(self) -> None:
        role = self.roles["watch"]
        async with await self._dial("watch") as client, await client.watch("/good/w/*") as watch:
            self._sent.clear()
            while True:
                role.begin(min(self._sent.values(), default=None))
                try:
                    commit = await watch.next(timeout=0.05)
                except visor.errors.DeadlineExceeded:
                    continue
                for change in commit.changes:
                    sent = self._sent.pop(int(change.path.rpartition("/")[2]), None)
                    if sent is not None:
                        role.took(time.monotonic() - sent)
                self._begun["watch"].set()

    async def _lock(self) -> None:
        role = self.roles["lock"]
        async with await self._dial("lock") as client, await client.session(SESSION_SECONDS) as session:
            lock = session.lock("/good/lock")
            while True:
                async with role.waits_for():
                    await lock.acquire(timeout=PATIENCE)
                await asyncio.sleep(HOLD)
                async with role.waits_for():
                    await lock.set("/good/locked", b"held")
                    await lock.release()
                self._begun["lock"].set()
                await asyncio.sleep(PAUSE)


def main() -> None:
    show_as_told()
    asyncio.run(Good(sys.argv[1].split(",")).run())


if __name__ == "__main__":
    main()
