"""Members are always authenticated, also on one machine: who is another user does not join, whatever he says."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from tests.admin.command import visor as command
from tests.admin.members import Members
from tests.patience import PATIENCE
from visord import embed
from visord.peers import messages as msg
from visord.peers.asking import ask
from visord.peers.errors import PeerRefusedError
from visord.peers.handshake import Introduction
from visord.peers.keeping import NAME
from visord.peers.network import Alone
from visord.peers.security import Security
from visord.serving.health import alarms
from visord.settings import PeerSettings


def test_a_cluster_of_one_user_needs_no_settings_and_has_no_alarm(three: Members) -> None:
    secrets = {(three.directory(name) / NAME).read_bytes() for name in ("n1", "n2", "n3")}
    assert len(secrets) == 1
    for name in ("n1", "n2", "n3"):
        assert three.on_loop(lambda name=name: alarms(three.node(name))) == []
    three.stop("n2")
    three.start("n2")  # with what it kept


def test_who_does_not_know_the_secret_is_refused_at_the_door(members: Members) -> None:
    members.start("n1")
    address = members.node("n1").me.peer
    join = msg.pack([msg.JOIN, "ab" * 8, "n2", "127.0.0.1:1", "127.0.0.1:2", True])
    me = Introduction("ab" * 8, None, "127.0.0.1:1")

    async def ask_without() -> None:
        loop, rng = asyncio.get_running_loop(), random.Random(1)
        for secrets in ((), (b"another secret of 32 characters.",)):
            security = Security(secrets=secrets)
            with pytest.raises(PeerRefusedError) as refused:
                await ask(loop, address, join, me=me, security=security, rng=rng, timeout=PATIENCE)
            assert refused.value.code == "secret"

    members.run(ask_without())
    assert len(members.node("n1").engine.configuration.members) == 1


def test_names_and_addresses_of_who_joins_are_checked_although_he_knows_the_secret(members: Members) -> None:
    members.start("n1")
    address = members.node("n1").me.peer
    security = Security(secrets=((members.directory("n1") / NAME).read_bytes().strip(),))
    me = Introduction("ab" * 8, None, "127.0.0.1:1")

    async def ask_with(name: str, peer: str, client: str) -> Any:
        join = msg.pack([msg.JOIN, "ab" * 8, name, peer, client, False])
        loop, rng = asyncio.get_running_loop(), random.Random(1)
        return await ask(loop, address, join, me=me, security=security, rng=rng, timeout=PATIENCE)

    for fields in (
        ("n2\x1b]0;pwned\x07\nMAINPID=1", "127.0.0.1:1", "127.0.0.1:2"),
        ("n2", "127.0.0.1:1\x1b[2J", "127.0.0.1:2"),
        ("n2", "127.0.0.1:1", "0.0.0.0:1"),
    ):
        kind, ok, (code, _, _) = members.run(ask_with(*fields))
        assert (kind, ok, code) == (msg.JOINED, False, "bad_request")
    assert len(members.node("n1").engine.configuration.members) == 1
    assert members.run(ask_with("n2", "127.0.0.1:1", "127.0.0.1:2"))[1] is True


def test_a_cluster_that_was_left_open_says_so(folder: Path) -> None:
    with Members(folder, peers=PeerSettings(listen="127.0.0.1:0", insecure=True)) as members:
        members.start("n1")
        told = members.on_loop(lambda: alarms(members.node("n1")))
        assert [one.partition(":")[0] for one in told] == ["peers open"]
        health = command(members.address("n1"), "cluster", "health")
        assert (health.code, "peers open" in health.out) == (1, True)
        assert not (members.directory("n1") / NAME).exists()


def test_a_node_for_development_opens_no_port_for_members() -> None:
    with embed.start() as node:
        assert node._server is not None
        assert node._server.node is not None
        assert type(node._server.node.peers) is Alone
