"""A watch that is used at once, however it is written: awaited, in `async with`, or in `async for`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from visor.aio.watch import Watch
    from visor.values import Commit

T = TypeVar("T")


class Opening(Coroutine[Any, Any, "Watch[T]"], Generic[T]):
    """What `Client.watch` returns.

        watch = await client.watch("/apps/**")              # established; close it yourself
        async with client.watch("/apps/**") as watch:       # closed at the end of the block
            async for commit in watch: ...
        async for commit in client.watch("/apps/**"): ...   # closed when the loop is left

    It is a coroutine, so tasks can be made of it, and Python warns when it was never awaited.
    """

    __slots__ = ("_opening", "_watch")

    def __init__(self, opening: Coroutine[Any, Any, Watch[T]]) -> None:
        self._opening = opening
        self._watch: Watch[T] | None = None

    def send(self, value: Any, /) -> Any:
        """Go on, as a coroutine does."""
        return self._opening.send(value)

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """Raise in it, as in a coroutine."""
        return self._opening.throw(typ) if val is None and tb is None else self._opening.throw(typ, val, tb)

    def close(self) -> None:
        """End it before it has begun, as a coroutine."""
        self._opening.close()

    def __await__(self) -> Generator[Any, None, Watch[T]]:
        return self._opening.__await__()

    async def __aenter__(self) -> Watch[T]:
        self._watch = await self._opening
        return self._watch

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            await self._watch.close()

    def __aiter__(self) -> AsyncIterator[Commit[T]]:
        return self

    async def __anext__(self) -> Commit[T]:
        if self._watch is None:
            self._watch = await self._opening
            aiter(self._watch)  # leaving the loop closes it
        return await self._watch.__anext__()


def opening(opening: Coroutine[Any, Any, Watch[T]]) -> Opening[T]:
    """Return the watch that this opens, for every way of using it."""
    return Opening(opening)
