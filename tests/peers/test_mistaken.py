"""A port that is another one's is recognised on both sides: members dial clients' ports, clients dial members'."""

from __future__ import annotations

import asyncio
import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

import visor.aio
from tests.patience import PATIENCE
from tests.peers.conftest import Run
from tests.peers.world import SECURED, Member
from visor.errors import VisorError
from visor.protocol import verbs
from visord import embed
from visord.peers.errors import PeerUnavailableError
from visord.peers.frames import frame
from visord.peers.handshake import ASK, Dialler, Introduction
from visord.peers.messages import WHO, pack
from visord.peers.mistaken import CLIENT_PORT, FOR_CLIENTS, HTTP_PORT, TLS_PORT, what_answers, what_dials


@pytest.mark.parametrize(
    "data,what",
    [
        (msgpack.packb([verbs.GOAWAY, "bad_request", "no HELLO"]), CLIENT_PORT),
        (msgpack.packb([verbs.ERROR, 1, "unsupported", "no", {}]), CLIENT_PORT),
        (b"HTTP/1.1 400 Bad Request\r\n", HTTP_PORT),
        (b"\x15\x03\x03\x00\x02\x02\x28", TLS_PORT),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None),
        (b"\x93", None),
        (b"", None),
        (msgpack.packb(["text"]), None),
    ],
)
def test_who_answers_is_told_by_the_first_bytes(data: bytes, what: str | None) -> None:
    assert what_answers(data) == what


@given(st.binary(max_size=64))
def test_whatever_comes_is_looked_at_without_a_fault(data: bytes) -> None:
    for looked_at in (data, b"\x93" + data, b"\x9f\xdd" + data):
        assert what_answers(looked_at) in (CLIENT_PORT, HTTP_PORT, TLS_PORT, None)
        what_dials(looked_at)


def test_a_member_is_never_taken_for_a_client() -> None:
    me = Introduction("a" * 16, "c" * 32, "127.0.0.1:1")
    hello = Dialler(me, expect=None, purpose=ASK, secret=b"x" * 32, nonce=b"n" * 32).hello
    assert what_dials(frame(hello)) is None
    assert what_answers(frame(hello)) is None


def test_a_member_that_dials_a_clients_port_says_so(run: Run) -> None:
    with embed.start() as node:

        async def main() -> None:
            a = Member("a", security=SECURED)
            with pytest.raises(PeerUnavailableError, match="that is a client \\(not a peer\\) address"):
                await a.peers.ask(node.address, pack([WHO]), 5)
            await a.close()

        run(main())


def test_a_client_that_dials_a_members_port_is_told_at_once(run: Run) -> None:
    async def main() -> None:
        a = Member("a", security=SECURED)
        await a.peers.start()
        host, _, port = a.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(msgpack.packb([verbs.HELLO, 1, {"versions": [1], "client": "c"}]))
        answer = msgpack.unpackb(await asyncio.wait_for(reader.read(4096), PATIENCE))
        assert answer == [verbs.GOAWAY, "unsupported", FOR_CLIENTS]
        assert await asyncio.wait_for(reader.read(1), PATIENCE) == b""
        writer.close()
        await a.close()

    run(main())


def test_a_real_client_raises_it_without_waiting_for_its_deadline(run: Run) -> None:
    async def main() -> None:
        a = Member("a", security=SECURED)
        await a.peers.start()
        with pytest.raises(VisorError, match="members of a cluster connect"):
            async with asyncio.timeout(20):
                await visor.aio.dial(a.address, timeout=PATIENCE)
        await a.close()

    run(main())


def test_strangers_that_are_neither_are_hung_up_on_without_a_word(run: Run) -> None:
    async def main() -> None:
        a = Member("a", security=SECURED)
        await a.peers.start()
        host, _, port = a.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(4096), PATIENCE) == b""
        writer.close()
        await a.close()

    run(main())
