"""What callers meet every day: what is not there, guards of values, how the client stands, errors that help."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

import visor
import visor.aio
from tests.client.proxy import Proxy
from tests.patience import GROWING, LONG_TTL, PATIENCE
from visor import codecs, errors, guard, op
from visor._core.state import ClientState
from visor._drivers.environment import gather
from visor.testing import Server


class TestWhatIsNotThere:
    def test_a_default_is_what_get_returns_then(self, visor_client: visor.Client[bytes]) -> None:
        assert visor_client.get("/nope", None) is None
        assert visor_client.get("/nope", "x") == "x"
        with pytest.raises(errors.NotFound):
            visor_client.get("/nope")
        visor_client.set("/d/a", b"1")
        assert visor_client.get("/d/a", None).mod_rev == 1
        assert visor_client.get("/d/a", None, at=1, codec=codecs.TEXT).value == "1"
        with pytest.raises(errors.IsDirectory):
            visor_client.get("/d", None)

    def test_in_a_snapshot_and_in_a_transaction_too(self, visor_client: visor.Client[bytes]) -> None:
        visor_client.set("/a", b"1")
        snapshot = visor_client.snapshot()
        assert snapshot.get("/nope", None) is None
        assert snapshot.get("/a", None).value == b"1"
        with visor_client.transaction() as tx:
            assert tx.get("/nope", None) is None
            tx.set("/b", b"2")
            assert tx.get("/b", None).value == b"2"
            tx.delete("/a")
            assert tx.get("/a", 5) == 5

    def test_a_directory_without_files_is_empty_for_who_says_so(
        self, visor_client: visor.Client[bytes]
    ) -> None:
        visor_client.set("/a", b"1")
        snapshot = visor_client.snapshot()
        for read in (visor_client.names, visor_client.ls, snapshot.names, snapshot.ls):
            assert read("/claims", missing_ok=True) == []
            with pytest.raises(errors.NotFound):
                read("/claims")
            with pytest.raises(errors.NotDirectory):
                read("/a", missing_ok=True)

    @pytest.mark.parametrize("missing_ok", [True, False])
    def test_that_a_directory_is_empty_is_guarded(
        self, visor_client: visor.Client[bytes], missing_ok: bool
    ) -> None:
        with pytest.raises(errors.Conflict), visor_client.transaction() as tx:
            if missing_ok:
                assert tx.names("/claims", missing_ok=True) == []
            else:
                with pytest.raises(errors.NotFound):
                    tx.ls("/claims")
            visor_client.set("/claims/one", b"mine")
            tx.set("/result", b"nobody claims anything")
        assert not visor_client.exists("/result")


class TestGuardsOfValues:
    def test_a_value_is_encoded_as_the_call_encodes_values(self, visor_server: Server) -> None:
        with visor_server.dial(codec=codecs.JSON) as client:
            client.set("/state", {"up": [1, 2]})
            client.set("/state", "down", guard=guard.value({"up": [1, 2]}))
            with pytest.raises(errors.RevMismatch):
                client.set("/state", "up", guard=guard.value({"up": [1, 2]}))
            client.set("/n", 5, codec=codecs.INT)
            client.set("/n", 6, codec=codecs.INT, guard=guard.value(5))
            assert client.txn({"/state": guard.value("down")}, then=[op.set("/state", "up")]).succeeded
            assert client.txn({"/n": guard.value(6)}, then=[op.set("/n", 7)], codec=codecs.INT).succeeded
            client.delete("/state", guard=guard.value("up"))

    def test_bytes_as_they_are_have_a_guard_of_their_own(self, visor_server: Server) -> None:
        with visor_server.dial(codec=codecs.JSON) as client:
            client.set("/a", [1])
            assert client.set("/a", [2], guard=guard.data(b"[1]")) == 2
            assert client.txn({"/a": guard.data(bytearray(b"[2]"))}).succeeded
        with pytest.raises(TypeError, match="a value must be bytes"):
            guard.data("text")  # type: ignore[arg-type]

    def test_locks_work_with_any_codec(self, visor_server: Server) -> None:
        with visor_server.dial(codec=codecs.JSON) as client, client.session(LONG_TTL) as session:
            with session.lock("/lock", delay=0.1) as lock:
                assert lock.txn({"/a": guard.missing()}, then=[op.set("/a", [1])]).succeeded
                assert lock.txn({"/a": guard.value([1])}, then=[op.set("/a", [2])]).succeeded
            with session.semaphore("/semaphore", 2):
                pass


class TestState:
    def test_listeners_hear_every_change_in_order(self, visor_server: Server) -> None:
        told: list[ClientState] = []
        lost = threading.Event()

        def listener(state: ClientState) -> None:
            told.append(state)
            if state is ClientState.LOST:
                lost.set()

        with Proxy(visor_server.address) as proxy:
            client = visor.dial(proxy.address, discover=False)
            assert client.state is ClientState.CONNECTED
            client.on_state(listener)
            client.set("/a", b"1")
            proxy.cut_all()
            client.set("/a", b"2")
            assert client.state is ClientState.CONNECTED
            client.close()
            assert client.state is ClientState.LOST
            assert lost.wait(PATIENCE)
        assert told == [ClientState.SUSPENDED, ClientState.CONNECTED, ClientState.LOST]

    def test_under_asyncio_also_while_nothing_is_asked(self, visor_server: Server) -> None:
        async def scenario(address: str, cut: Callable[[], None]) -> list[ClientState]:
            told: list[ClientState] = []
            changed = asyncio.Event()

            async def listener(state: ClientState) -> None:
                told.append(state)
                changed.set()

            client = await visor.aio.dial(address, discover=False)
            client.on_state(listener)
            cut()
            await asyncio.wait_for(changed.wait(), PATIENCE)
            assert client.state is ClientState.SUSPENDED
            await client.set("/a", b"1")
            await client.close()
            return told

        with Proxy(visor_server.address) as proxy:
            told = asyncio.run(scenario(proxy.address, proxy.cut_all))
        assert told == [ClientState.SUSPENDED, ClientState.CONNECTED, ClientState.LOST]

    def test_who_wants_to_hear_no_more_is_left_alone(self, visor_client: visor.Client[bytes]) -> None:
        told: list[ClientState] = []
        visor_client.on_state(told.append)
        visor_client.off_state(told.append)
        with pytest.raises(ValueError, match="not in list"):
            visor_client.off_state(told.append)
        visor_client.close()
        assert (told, visor_client.state) == ([], "lost")
        visor_client.reopen()
        assert visor_client.state == "connected"


class TestErrorsThatHelp:
    @pytest.mark.parametrize("name", ["lock", "read_lock", "write_lock", "semaphore", "election", "party"])
    def test_what_belongs_to_a_session_is_pointed_at(
        self, visor_client: visor.Client[bytes], name: str
    ) -> None:
        with pytest.raises(AttributeError, match=rf"client\.session\(\)\.{name}\(\.\.\.\)"):
            getattr(visor_client, name)
        assert not hasattr(visor_client, name)
        with pytest.raises(AttributeError, match="has no attribute 'lokc'"):
            _ = visor_client.lokc  # type: ignore[attr-defined]

    def test_a_mirror_that_was_not_started_says_so(self, visor_client: visor.Client[bytes]) -> None:
        visor_client.set("/a", b"1")
        mirror = visor.Mirror(visor_client, "/**")
        reads: list[Callable[[], Any]] = [
            lambda: mirror["/a"], lambda: mirror.get("/a"), lambda: mirror.value("/a"), lambda: "/a" in mirror,
            lambda: len(mirror), lambda: list(mirror), mirror.paths, mirror.files, mirror.names, mirror.snapshot,
        ]  # fmt: skip
        for read in reads:
            with pytest.raises(RuntimeError, match=r"this mirror is not started.*call start\(\)"):
                read()
        assert repr(mirror) == "<visor mirror, not started>"
        with mirror:
            assert list(mirror) == ["/a"]
        assert list(mirror) == ["/a"], "what it holds can still be read"

    @pytest.mark.parametrize(
        ("path", "says"),
        [
            (
                "/a b",
                r"holds U\+0020 at position 2, which is not allowed \(' '\): a name may hold letters and",
            ),
            ("/{a", r"\('\{'\): a name may hold letters and digits of all scripts, \. - _ ~ @"),
            ("/\u200b", r"U\+200B at position 1, which is not allowed: a name may hold"),
        ],
    )
    def test_a_character_that_is_not_allowed_is_told_with_those_that_are(
        self, visor_client: visor.Client[bytes], path: str, says: str
    ) -> None:
        with pytest.raises(errors.BadPath, match=says):
            visor_client.get(path)
        with visor.dial(visor_client.address, "/root") as rooted, pytest.raises(errors.BadPath, match=says):
            rooted.set(path, b"")

    def test_so_it_is_for_globs(self, visor_client: visor.Client[bytes]) -> None:
        with pytest.raises(errors.BadGlob, match=r"\('\['\): a name may hold .*, and a glob \? \* \*\*"):
            list(visor_client.scan("/[ab]"))
        assert "a name may hold" not in str(errors.BadPath(path="/a//b", why="has two slashes in a row"))


class Answering:
    """A port where something else than Visor answers: `says` (None: nothing), and then closes or not."""

    def __init__(self, says: bytes | None, *, closes: bool) -> None:
        self._says, self._closes = says, closes
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._kept: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            near.recv(65536)
            if self._says is not None:
                near.sendall(self._says)
            if self._closes:
                near.close()
            else:
                self._kept.append(near)

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(PATIENCE)
        for near in self._kept:
            near.close()


ODD_PORTS = {
    "http": (b"HTTP/1.1 400 Bad\r\n\r\n", True, "answers there, but it is not a Visor client port: it says HTTP"),
    "frames": (b"\x00\x00\x00\x09\x93\x01", False, "it is not a Visor client port"),
    "closing": (None, True, "the connection was closed before a greeting"),
    "silent": (None, False, r"does not greet: no Visor client port \(a peer's or the metrics port\?\)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD_PORTS)
@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
def test_a_port_that_is_no_clients_port_is_recognised(kind: str, colour: str) -> None:
    says, closes, text = ODD_PORTS[kind]
    with Answering(says, closes=closes) as port:
        for seconds in GROWING:
            settings = dataclasses.replace(
                gather(port.address, "/", seconds, "me", None, None, None, {}), connect_timeout=seconds / 3
            )
            with pytest.raises(errors.DeadlineExceeded) as caught:
                if colour == "asyncio":
                    asyncio.run(_connect(visor.aio.Client(settings, codecs.BYTES)))
                with contextlib.closing(visor.Client(settings, codecs.BYTES)) as client:
                    client.connect()
            if re.search(text, str(caught.value)):
                return
    pytest.fail(str(caught.value))


async def _connect(client: visor.aio.Client[bytes]) -> None:
    try:
        await client.connect()
    finally:
        await client.close()
