"""Who stands in a directory, now and after every change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from visor import select
from visor._core.recipes.queue import Contender, in_order, queue_at
from visor.aio.watch import Watch
from visor.codecs import BYTES
from visor.errors import Compacted
from visor.values import Commit, Kind

if TYPE_CHECKING:
    from visor.aio._asks import Asks


class Roll:
    """The contenders of a directory. `timeout` is for the beginning; then it waits for ever. To be closed.

    It is begun with WrongQueue when the directory is the queue of something else.
    """

    def __init__(self, client: Asks[Any], directory: str, queue: str, timeout: float | None) -> None:
        self._client = client
        self._directory = directory
        self._queue = queue
        self._timeout = timeout
        self._watch: Watch[bytes] | None = None
        self._standing: dict[str, Contender] = {}

    async def next(self) -> list[Contender]:
        """Return who stands there, in order: at the first call at once, then when a commit has touched them."""
        while True:
            if self._watch is None:
                await self._begin()
                break
            try:
                self._apply(await self._watch.next())
                break
            except Compacted:
                # History went on while nothing could be heard. Only who stands there now was asked for.
                await self.close()
        return sorted(self._standing.values(), key=lambda one: one.fence)

    async def close(self) -> None:
        """End it. Idempotent."""
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.close()

    async def _begin(self) -> None:
        what = select.children(self._directory)
        self._watch = await self._client.watch(what, codec=BYTES, state=True, timeout=self._timeout)
        files = self._watch.state.values()
        self._standing = {one.path: one for one in queue_at(self._directory, files, self._queue)}

    def _apply(self, commit: Commit[bytes]) -> None:
        for change in commit.changes:
            self._standing.pop(change.path, None)
            if change.kind not in (Kind.DELETE, Kind.EXPIRE):
                standing = in_order([change], data=True)
                self._standing.update({one.path: one for one in standing if one.queue == self._queue})
