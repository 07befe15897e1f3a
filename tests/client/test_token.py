"""A token never leaves where somebody may listen, whoever asks for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import visor
import visor.aio
import visor.aio.registry
import visor.registry
import visor.testing
from tests.patience import PATIENCE
from visor import errors
from visor._core.address import Address
from visor._core.call import Call
from visor._core.client import ClientProtocol
from visor._core.token import may_be_told
from visor._drivers.environment import gather
from visor.blocking import Client
from visor.codecs import BYTES
from visor.protocol import verbs
from visor.protocol.frames import encode
from visord.server import Server as Node
from visord.settings import ListenSettings, Settings

TOKEN = "tok-5f0c1a"


class Ear:
    """Listens, says nothing, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                self.heard += b"connected" + connection.recv(1 << 16)
                connection.close()
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def ear() -> Iterator[Ear]:
    listening = Ear()
    yield listening
    listening.close()


FAR = "n1.example:8046"


def test_it_is_refused_before_anything_is_sent(ear: Ear) -> None:
    async def awaited() -> None:
        await visor.aio.dial([ear.address, FAR], token=TOKEN, timeout=1)

    async def awaited_registry() -> None:
        await visor.aio.registry.connect([ear.address, FAR], token=TOKEN)

    for dial in (
        lambda: visor.dial([ear.address, FAR], token=TOKEN, timeout=1),
        lambda: visor.dial(["unix:/nowhere", ear.address, FAR], token=TOKEN, timeout=1),
        lambda: visor.registry.connect([ear.address, FAR], token=TOKEN),
        lambda: asyncio.run(awaited()),
        lambda: asyncio.run(awaited_registry()),
    ):
        with pytest.raises(ValueError, match=rf"token would go to {FAR} in the clear.*nothing was sent"):
            dial()
    assert ear.heard == b""


def test_it_is_refused_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISOR_TOKEN", TOKEN)
    with pytest.raises(ValueError, match="VISOR_TOKEN"):
        visor.dial(FAR, timeout=1)
    with visor.testing.server() as server, server.dial() as client:  # a node of one's own asks for none
        assert client.rev() >= 0


def test_in_clear_only_what_was_given_and_is_on_this_machine_hears_it() -> None:
    unix, here, far = Address("", 0, "/run/visord.sock"), Address("127.0.0.1", 1), Address("n1.example", 8046)
    session = ClientProtocol(gather("unix:/run/visord.sock", None, None, None, TOKEN, None, None, {}))
    for address in (unix, here):
        assert may_be_told(address, guess=False, tls=None)
        assert TOKEN.encode() in session.hello(0.0, address)
    for address, guess in ((far, False), (far, True), (here, True), (unix, True), (None, False)):
        assert not may_be_told(address, guess=guess, tls=None)
        assert TOKEN.encode() not in session.hello(0.0, address, guess=guess)


def test_a_password_is_said_where_a_token_would_be_and_nowhere_else() -> None:
    unix, here, far = Address("", 0, "/run/visord.sock"), Address("127.0.0.1", 1), Address("n1.example", 8046)
    for address, guess in ((unix, False), (here, False), (far, False), (here, True)):
        session = ClientProtocol(gather("unix:/run/visord.sock", None, None, None, "", None, None, {}))
        call = Call([verbs.PASSWORD, 0, "prove", "ada", "correct horse"], False, 9.0, 9.0)
        session.submit(call, 0.0)  # before it is known where it goes
        session.hello(0.0, address, guess=guess)
        session.receive(encode([verbs.OK, session._hello_id, {"cluster": "c", "rev": 1}]), 0.0)
        assert (b"correct horse" in session.take()) is may_be_told(address, guess=guess, tls=None)
        again = Call([verbs.PASSWORD, 0, "digest", "correct horse"], False, 9.0, 9.0)
        if may_be_told(address, guess=guess, tls=None):
            session.submit(again, 0.0)
        else:
            assert isinstance(call.error, errors.Unsendable)
            with pytest.raises(errors.Unsendable, match="in the clear"):
                session.submit(again, 0.0)
            assert b"correct horse" not in session.take()


def test_no_error_shows_a_password() -> None:
    with visor.testing.server() as server, visor.dial(server.address) as client:
        for ask in (client.auth.login, client.auth.set_password):
            with pytest.raises(ValueError, match="surrogates") as wrong:
                ask("ada", "correct\udc80horse")
            assert "horse" not in f"{wrong.value!r}"


@pytest.mark.parametrize("given", [True, False])
def test_a_survey_says_it_to_no_address_that_only_a_node_told_of(ear: Ear, given: bool) -> None:
    """Each member is asked at the address that it advertises: who listens there may be anybody."""
    with visor.testing.server() as server:
        settings = gather([server.address, ear.address], None, PATIENCE, None, "", None, None, {})
        addresses = settings.addresses if given else settings.addresses[:1]
        mine = replace(settings, addresses=addresses, token=TOKEN)
        with Client(mine, BYTES) as client, pytest.raises(errors.VisorError):
            client.admin._status_at(settings.addresses[1:], PATIENCE)
    assert b"connected" in ear.heard
    assert (TOKEN.encode() in ear.heard) is given


def test_a_server_that_does_not_know_it_says_so(tmp_path: Path) -> None:
    """Over the Unix socket it arrives, and is refused with what to do; also where everybody may do everything."""
    path = tmp_path / "socket"

    async def scenario() -> None:
        node = Node(Settings(listen=ListenSettings(client="127.0.0.1:0", unix=path)), tmp_path / "data")
        await node.start()
        try:
            with pytest.raises(errors.Denied, match="ask for another one"):
                await visor.aio.dial(f"unix:{path}", token=TOKEN, timeout=PATIENCE)
            async with await visor.aio.dial(f"unix:{path}", timeout=PATIENCE) as client:
                assert await client.set("/a", b"1") == 1
        finally:
            await node.stop()

    asyncio.run(scenario())
