"""A registry in memory, as far as streams ask one; and a gateway before it, called without a socket.

Nothing here waits: what would is told at once that nothing came in time. So a stream is the same bytes every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tests.watch.watch_promises import selected
from visor._core.root import Root
from visor.codecs import BYTES
from visor.errors import ClientClosed, Compacted, DeadlineExceeded
from visor.gateway.application import Gateway
from visor.gateway.once import Once
from visor.gateway.router import Router
from visor.gateway.routes import ROUTES
from visor.gateway.upstream import Upstream
from visor.protocol import verbs
from visor.values import Commit, commit_from_wire

Version = list[Any]


class Model:
    """Commits, and the files that they make."""

    def __init__(self, cluster: str = "c1") -> None:
        self.cluster = cluster
        self.floor = 0
        self.leader = True
        """Whether anybody can say how far the registry is."""
        self.commits: list[list[Any]] = []
        self.states: list[dict[str, Version]] = [{}]

    @property
    def rev(self) -> int:
        return len(self.commits)

    def write(self, changes: dict[str, bytes | None]) -> int:
        """Write files, and delete those that are None, at one rev."""
        rev, files, rows = self.rev + 1, dict(self.states[-1]), []
        for path, value in sorted(changes.items()):
            before = files.pop(path, None)
            if value is not None:
                version = [rev, value, before[2] if before else rev, before[3] + 1 if before else 1, 0]
                files[path] = version
                rows.append([verbs.UPDATE if before else verbs.CREATE, path, version])
            elif before is not None:
                rows.append([verbs.REMOVE, path, [rev, None, 0, 0, 0]])
        self.commits.append([rev, 1_700_000_000_000 + rev, "somebody", f"n{rev}", rows])
        self.states.append(files)
        return rev

    def matching(self, selector: list[Any], first: int) -> list[list[Any]]:
        """Return the commits from a rev on, cut down to what matches."""
        found = []
        for rev, time, actor, note, rows in self.commits[first - 1 :]:
            kept = [row for row in rows if selected(selector, row[1])]
            if kept:
                found.append([rev, time, actor, note, kept])
        return found


class ModelWatch:
    """A watch of it."""

    def __init__(self, model: Model, selector: list[Any], first: int) -> None:
        self._model, self._selector = model, selector
        self.rev = first - 1
        self._closed = False
        self._check()

    def _check(self) -> None:
        if self.rev < self._model.floor:
            raise Compacted(rev=self.rev + 1, floor=self._model.floor)

    async def next(self, *, timeout: float | None = None) -> Commit[bytes]:  # noqa: ASYNC109
        await asyncio.sleep(0)
        if self._closed:
            raise ClientClosed("the watch is closed")
        self._check()
        found = self._model.matching(self._selector, self.rev + 1)
        if not found:
            raise DeadlineExceeded("nothing happened", seconds=0.0)
        self.rev = found[0][0]
        return commit_from_wire(found[0], lambda path: path, BYTES)

    async def progress(self, *, timeout: float | None = None) -> int:  # noqa: ASYNC109
        await asyncio.sleep(0)
        if not self._model.leader:
            raise DeadlineExceeded("nobody leads", seconds=0.0)
        self._check()
        if not self._model.matching(self._selector, self.rev + 1):
            self.rev = self._model.rev
        return self.rev

    async def close(self) -> None:
        self._closed = True


class _Driver:
    """What it has heard so far."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def rev(self) -> int:
        return self._model.rev


class ModelClient:
    """What handlers ask of a client."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.cluster = model.cluster
        self.channel = SimpleNamespace(root=Root("/"), driver=_Driver(model), call=self._call)
        self.auth = SimpleNamespace(whoami=self._whoami)

    async def connect(self, **_: Any) -> None:
        return None

    async def close(self) -> None:
        return None

    async def _whoami(self, **_: Any) -> Any:
        return SimpleNamespace(user="anonymous")

    async def rev(self, **_: Any) -> int:
        return self._model.rev

    async def watch(self, what: Any, first: int, **_: Any) -> ModelWatch:
        return ModelWatch(self._model, self.channel.root.selector(what), first)

    async def _call(self, message: list[Any], *_: Any) -> list[Any]:
        verb, _, selector, rev, _, mark, limit, _ = message
        assert verb == verbs.SCAN
        found = [row for row in sorted(self._model.states[rev].items()) if selected(selector, row[0])]
        begin = mark or 0
        return [rev, found[begin : begin + limit], begin + limit if begin + limit < len(found) else None]


def gateway(model: Callable[[], Model]) -> Gateway:
    """Return a gateway before whatever registry there is just now."""

    def dial(credential: Any, session: bytes | None = None, member: Any = None) -> Any:
        return ModelClient(model())

    return Gateway(Router(ROUTES), Upstream(dial, lambda: 0.0), Once(dial), pages={})


async def ask(
    app: Gateway,
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    enough: Callable[[bytes], bool] = lambda data: False,
) -> tuple[int, bytes]:
    """Return status and body of an answer; its reader goes as soon as it has `enough`, in the middle of whatever."""
    path, _, query = url.partition("?")
    sent: dict[str, Any] = {"status": 0, "body": b""}
    gone = asyncio.Event()
    asked = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent["status"] = message.get("status", sent["status"])
        if not gone.is_set():
            sent["body"] += message.get("body", b"")
        if enough(sent["body"]):
            gone.set()

    rows = {"host": "localhost", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in rows.items()],
    }
    await app(scope, receive, send)
    return sent["status"], sent["body"]
