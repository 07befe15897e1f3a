"""A registry for tests: a real node inside the process, on a free port, gone afterwards.

    with visor.testing.server() as server:
        with server.dial() as client:
            client.set("/a", b"1")

With pytest the plug-in gives the same as fixtures, fresh for every test and without configuration:

    def test_mine(visor_client):
        visor_client.set("/a", b"1")

Needs the server: `pip install 'visor-registry[test]'`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from visor import aio
from visor._core.generic import T
from visor._embedded import Node, start
from visor.codecs import BYTES, Codec

if TYPE_CHECKING:
    from visor.blocking.client import Client


class Server:
    """A running node; made by `server`."""

    def __init__(self, data_dir: str | Path | None) -> None:
        self._data_dir = data_dir
        self._node: Node = start(data_dir)
        self.address = self._node.address
        """HOST:PORT, for any client."""

    @overload
    def dial(self, root: str = "/", *, timeout: float | None = None) -> Client[bytes]: ...
    @overload
    def dial(self, root: str = "/", *, codec: Codec[T], timeout: float | None = None) -> Client[T]: ...
    def dial(
        self, root: str = "/", *, codec: Codec[Any] = BYTES, timeout: float | None = None
    ) -> Client[Any]:
        """Return a blocking client of it, to be closed by the caller."""
        from visor._dial import dial

        return dial(self.address, root, codec=codec, timeout=timeout, token="")

    @overload
    def dial_async(self, root: str = "/", *, timeout: float | None = None) -> aio.Dialling[bytes]: ...
    @overload
    def dial_async(
        self, root: str = "/", *, codec: Codec[T], timeout: float | None = None
    ) -> aio.Dialling[T]: ...
    def dial_async(
        self, root: str = "/", *, codec: Codec[Any] = BYTES, timeout: float | None = None
    ) -> aio.Dialling[Any]:
        """Return what to await for an asyncio client of it."""
        return aio.dial(self.address, root, codec=codec, timeout=timeout, token="")

    def stop(self) -> None:
        """End the node; idempotent."""
        self._node.stop()

    def restart(self) -> None:
        """End the node and start it again on the same address and data; ValueError without `data_dir`."""
        if self._data_dir is None:
            raise ValueError("a node on temporary data cannot be restarted: give server() a data_dir")
        self._node.stop()
        self._node = start(self._data_dir, listen=self.address)

    def __repr__(self) -> str:
        return f"<visor server for tests at {self.address}>"


@contextmanager
def server(data_dir: str | Path | None = None) -> Iterator[Server]:
    """Run a fresh node for the block; its data is temporary unless `data_dir` says where to keep it.

    ModuleNotFoundError says what to install when the server is not there.
    """
    running = Server(data_dir)
    try:
        yield running
    finally:
        running.stop()


__all__ = ["Server", "server"]


def __dir__() -> list[str]:
    return sorted(__all__)
