"""Two clusters that were given as one: a client asks once who is at addresses that no member has, and tells."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.patience import PATIENCE
from visor._core.address import Address, parse
from visor._core.settings import Settings
from visor._drivers import clusters
from visor._drivers.environment import gather
from visord import embed


@pytest.fixture(autouse=True)
def _nothing_asked_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_asked", set())


@pytest.fixture
def nodes() -> Iterator[tuple[embed.Embedded, embed.Embedded]]:
    with embed.start() as one, embed.start() as other:
        yield one, other


def given(*addresses: str) -> Settings:
    return gather(addresses, None, PATIENCE, "me", None, None, None, {})


def at(node: embed.Embedded) -> Address:
    return parse(node.address)[0]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nodes asked for as long as it takes."""
    monkeypatch.setattr(clusters.cluster_at, "__defaults__", (PATIENCE,))


def looked(settings: Settings, cluster: str | None, *told: Address) -> bool:
    """Look, and wait until that is done; tell whether anybody was asked."""
    asking = clusters.look(settings, cluster, told, wait=0.0)
    if asking is not None:
        asking.join(PATIENCE)
    return asking is not None


def test_another_cluster_is_told_once(
    nodes: tuple[embed.Embedded, embed.Embedded], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "visor")
    one, other = nodes
    settings = given(one.address, other.address)
    own = clusters.cluster_at(at(one), settings)
    theirs = clusters.cluster_at(at(other), settings)
    assert own is not None and theirs is not None and own != theirs
    assert looked(settings, own, at(one))
    (record,) = caplog.records
    text = record.getMessage()
    assert text.startswith(f"{other.address} is of another cluster ({theirs}) than this client's ({own})")
    assert "--bootstrap" in text
    assert not looked(settings, own, at(one))  # of this process, once
    assert len(caplog.records) == 1


def test_another_name_of_a_member_is_no_news(
    nodes: tuple[embed.Embedded, embed.Embedded], caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = nodes
    alias = one.address.replace("127.0.0.1", "localhost")
    settings = given(one.address, alias)
    assert looked(settings, clusters.cluster_at(at(one), settings), at(one))
    assert caplog.records == []


def test_where_all_addresses_are_told_of_nobody_is_asked() -> None:
    settings = given("a:1", "b:1")
    assert not looked(settings, "c" * 32, *settings.addresses, Address("c", 1))
    assert not looked(given("a:1"), "c" * 32, Address("b", 1))
    assert not looked(settings, "c" * 32)  # a node that tells of no addresses
    assert not looked(settings, None, Address("a", 1))
    assert not looked(replace(settings, persistent=False), "c" * 32, Address("a", 1))


def test_who_does_not_answer_holds_nobody_up_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address("127.0.0.1", silent.getsockname()[1])
        began = time.monotonic()
        assert clusters.cluster_at(address, given("a:1"), 0.2) is None
        assert time.monotonic() - began >= 0.2
    assert clusters.cluster_at(address, given("a:1"), PATIENCE) is None  # refused


def test_somebody_else_there_is_no_cluster() -> None:
    for said in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xc1", b"\x93\x64\x01\xc0", b"\x90"):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = Address("127.0.0.1", server.getsockname()[1])

            def answer(server: socket.socket = server, said: bytes = said) -> None:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(said)

            thread = threading.Thread(target=answer)
            thread.start()
            assert clusters.cluster_at(address, given("a:1"), PATIENCE) is None
            thread.join(PATIENCE)
