"""A client that was told of one member finds the others, and is never led astray by what it learned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import visor
import visor.aio
from tests.admin.members import Members
from tests.client.fake_server import FakeConnection, FakeServer
from tests.patience import PATIENCE
from visor import errors
from visor._core.address import learned
from visor.protocol import verbs


def greeting(server: FakeServer, addresses: list[Any]) -> Callable[[FakeConnection, list[Any]], None]:
    def greet(connection: FakeConnection, message: list[Any]) -> None:
        welcome = {"version": 1, "cluster": server.cluster, "node": "n1", "limits": {}}
        connection.ok(message, {**welcome, "addresses": addresses})

    return greet


@pytest.fixture
def pair() -> Iterator[tuple[FakeServer, FakeServer]]:
    with FakeServer() as one, FakeServer() as other:
        one.on(verbs.HELLO, greeting(one, [one.address, other.address]))
        yield one, other


def test_another_member_is_used_when_the_only_known_one_is_gone(pair: tuple[FakeServer, FakeServer]) -> None:
    one, other = pair
    with visor.dial(one.address, timeout=PATIENCE) as client:
        client.set("/a", b"1")
        one.stop()
        client.set("/a", b"2")
        assert client.address == other.address
    assert "/a" in other.files


def test_asyncio_does_the_same(pair: tuple[FakeServer, FakeServer]) -> None:
    one, other = pair

    async def scenario() -> str | None:
        async with visor.aio.dial(one.address, timeout=PATIENCE) as client:
            await client.rev()
            one.stop()
            await client.rev()
            return client.address

    assert asyncio.run(scenario()) == other.address


def test_the_own_addresses_come_first(pair: tuple[FakeServer, FakeServer]) -> None:
    one, other = pair
    with visor.dial(one.address, timeout=PATIENCE) as client:
        for _ in range(5):
            one.cut_all()
            client.rev()
            assert client.address == one.address
    assert other.accepted == 0


def test_it_can_be_switched_off(pair: tuple[FakeServer, FakeServer], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair
    monkeypatch.setenv("VISOR_DISCOVER", "0")
    with visor.dial(one.address) as client:
        one.stop()
        with pytest.raises(errors.Unavailable):
            client.rev(timeout=0.5)
    assert other.accepted == 0


def test_a_learned_address_that_leads_to_another_cluster_harms_nothing() -> None:
    """Members advertise addresses of their network; here 10.0.0.5 or localhost may be somebody else's registry."""
    with FakeServer() as one, FakeServer("somebody else's") as stranger:
        one.on(verbs.HELLO, greeting(one, [stranger.address]))
        with visor.dial(one.address, timeout=PATIENCE) as client:
            client.set("/a", b"1")
            one.stop_listening()
            one.cut_all()
            with pytest.raises(errors.Unavailable):
                client.rev(timeout=0.5)
            stranger.wait(lambda: stranger.accepted > 0)
            one.listen_again()
            assert client.get("/a").value == b"1"
        assert stranger.saw(verbs.GET) == []

        async def scenario() -> None:
            async with visor.aio.dial(one.address, timeout=PATIENCE) as client:
                await client.rev()
                one.stop_listening()
                one.cut_all()
                with pytest.raises(errors.Unavailable):
                    await client.rev(timeout=0.5)
                one.listen_again()
                await client.rev()

        asyncio.run(scenario())


@pytest.mark.parametrize("told", [None, 7, "a:1", [7, None, "unix:/x", "", "host:99999"], [["a:1"]]])
def test_nonsense_is_not_learned(told: Any) -> None:
    assert learned(told) == ()


def test_clients_hear_of_a_member_that_joins_while_they_are_connected(members: Members) -> None:
    members.start("n1")
    with visor.dial(members.address("n1"), timeout=PATIENCE) as client:
        client.set("/a", b"1")
        members.start("n2", "n3")
        client.rev()  # what the node sent before has arrived with the answer
        members.stop("n1")
        assert client.get("/a").value == b"1"
        assert client.address in (members.address("n2"), members.address("n3"))
