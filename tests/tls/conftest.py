"""An authority, and nodes and connections that speak TLS with what it made."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.wire import Wire
from visor.testing.authority import Authority
from visord import embed

Files = tuple[Path, Path]
"""A certificate, and its key."""


class SecureWire(Wire):
    """A bare connection within TLS."""

    def __init__(
        self, address: str, context: ssl.SSLContext, *, name: str = "127.0.0.1", **more: object
    ) -> None:
        self._context, self._name = context, name
        super().__init__(address, **more)  # type: ignore[arg-type]

    def _connect(self, address: str, timeout: float, source: str | None, first_id: int) -> None:
        super()._connect(address, timeout, source, first_id)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._name)


def client_context(authority: Authority, files: Files | None = None) -> ssl.SSLContext:
    """Return what a client needs that trusts the authority, and shows a certificate."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if files is not None:
        context.load_cert_chain(*files)
    return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server_files(authority: Authority) -> Files:
    return authority.issue("server", hosts=("127.0.0.1", "localhost"))


@contextmanager
def secure_node(files: Files, **settings: object) -> Iterator[embed.Embedded]:
    """Run a node that shows a certificate; `settings` are those of `listen`, without `tls_`."""
    more = {f"tls_{name}": value for name, value in settings.items()}
    with embed.start(settings={"tls_cert": files[0], "tls_key": files[1], **more}) as node:
        yield node


@pytest.fixture(scope="module")
def node(server_files: Files) -> Iterator[embed.Embedded]:
    """A node that asks for no certificates."""
    with secure_node(server_files) as running:
        yield running


Dial = Callable[..., SecureWire]


@pytest.fixture
def dial(authority: Authority) -> Iterator[Dial]:
    """Return what dials a node, with a certificate or without."""
    opened: list[SecureWire] = []

    def dialled(address: str, files: Files | None = None, **more: object) -> SecureWire:
        opened.append(SecureWire(address, client_context(authority, files), **more))  # type: ignore[arg-type]
        return opened[-1]

    yield dialled
    for wire in opened:
        wire.close()
