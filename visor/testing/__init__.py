"""A registry for tests: a real node inside the process, on a free port, gone afterwards.

    with visor.testing.server() as server:
        with server.dial() as client:
            client.set("/a", b"1")

With pytest the plug-in gives the same as fixtures, fresh for every test and without configuration:

    def test_mine(visor_client):
        visor_client.set("/a", b"1")

With TLS the node shows a certificate of an authority that is made for it, and takes those of users:

    with visor.testing.server(tls=True) as server:
        server.dial()                                               # over TLS
        visor.dial(server.address, tls=server.tls_of("ci"))         # with a certificate of the user ci

Needs the server: `pip install 'visor-registry[test]'`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from visor import aio
from visor._core.generic import T
from visor._dial.inside import Node, start
from visor.codecs import BYTES, Codec

if TYPE_CHECKING:
    from visor._core.tls import TLS
    from visor.blocking.client import Client


class Server:
    """A running node; made by `server`."""

    def __init__(self, data_dir: str | Path | None, authority: _Authority | None = None) -> None:
        self._data_dir = data_dir
        self._authority = authority
        self.tls: TLS | None = None if self._authority is None else self._authority.client()
        """What a client needs to speak TLS with it; None: it speaks none."""
        self._settings = {} if self._authority is None else self._authority.settings()
        self._node: Node = start(data_dir, settings=self._settings)
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

        return dial(self.address, root, codec=codec, timeout=timeout, token="", tls=self.tls or False)

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
        tls = self.tls or False
        return aio.dial(self.address, root, codec=codec, timeout=timeout, token="", tls=tls)

    def tls_of(self, user: str) -> TLS:
        """Return what a client needs that shows a certificate of `user`; ValueError when the node speaks no TLS."""
        if self._authority is None:
            raise ValueError("this node speaks no TLS: use server(tls=True)")
        return self._authority.client(user)

    def stop(self) -> None:
        """End the node; idempotent."""
        self._node.stop()

    def restart(self) -> None:
        """End the node and start it again on the same address and data; ValueError without `data_dir`."""
        if self._data_dir is None:
            raise ValueError("a node on temporary data cannot be restarted: give server() a data_dir")
        self._node.stop()
        self._node = start(self._data_dir, listen=self.address, settings=self._settings)

    def __repr__(self) -> str:
        return f"<visor server for tests at {self.address}>"


class _Authority:
    """Makes the certificates of one node for tests and of its clients, in a temporary folder."""

    def __init__(self) -> None:
        from tempfile import TemporaryDirectory

        from visor.testing.authority import Authority

        self._folder = TemporaryDirectory(prefix="visor-tls-", ignore_cleanup_errors=True)
        self._authority = Authority(Path(self._folder.name))

    def settings(self) -> dict[str, object]:
        """Return the settings of the node's section `listen`."""
        cert, key = self._authority.issue("node", hosts=("localhost", "127.0.0.1", "::1"))
        ca = self._authority.certificate
        return {"tls_cert": cert, "tls_key": key, "tls_client_ca": ca, "tls_client_cert": "optional"}

    def client(self, user: str | None = None) -> TLS:
        """Return what a client needs, with the certificate of a user or without."""
        from visor._core.tls import TLS

        if user is None:
            return TLS(str(self._authority.certificate))
        cert, key = self._authority.issue(f"user-{user}", user=user)
        return TLS(str(self._authority.certificate), str(cert), str(key))

    def close(self) -> None:
        """Forget them."""
        self._folder.cleanup()


@contextmanager
def server(data_dir: str | Path | None = None, *, tls: bool = False) -> Iterator[Server]:
    """Run a fresh node for the block; its data is temporary unless `data_dir` says where to keep it.

    With `tls` it speaks TLS, and so do the clients that it dials: see `Server.tls` and `Server.tls_of`.
    ModuleNotFoundError says what to install when the server is not there.
    """
    authority = _Authority() if tls else None
    try:
        running = Server(data_dir, authority)
        try:
            yield running
        finally:
            running.stop()
    finally:
        if authority is not None:
            authority.close()


__all__ = ["Server", "server"]


def __dir__() -> list[str]:
    return sorted(__all__)
