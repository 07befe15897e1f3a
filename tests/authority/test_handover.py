"""The authority's key: each voter gets it, within TLS, to a certificate that names it; nobody else does."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from visord.audit.auditor import Silent
from visord.authority.authority_files import AuthorityFiles
from visord.authority.handover import PAUSE_SECONDS, Handover
from visord.authority.issuing import Authority, key_pem, new_key
from visord.peers.messages import KEY, KEY_IS, well_formed
from visord.raft.configuration import Configuration, Member
from visord.state.formats import OLDEST, SECRETS
from visord.storage.disk import OsDisk
from visord.storage.worker import Inline

NOW = datetime.datetime.now(datetime.UTC)
CLUSTER = "7f" * 16
N1, N2, N3, LEARNER = "1" * 16, "2" * 16, "3" * 16, "4" * 16


class Audit(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def record(self, event: str, **fields: Any) -> None:
        self.told.append(f"{event} {fields}")


class World:
    """Members that hear each other at once, as far as they show certificates."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority.found(CLUSTER, new_key(), NOW, 4)
        members = [Member(one, one, f"{one}:1", "", one != LEARNER, False) for one in (N1, N2, N3, LEARNER)]
        self.committed_configuration = Configuration(tuple(members))
        self.now, self.form = 0.0, SECRETS
        self.uncertified: set[str] = set()
        self.sent: list[tuple[str, str, list[Any]]] = []
        self.audit = Audit()
        self.files = {one: AuthorityFiles(OsDisk(), str(folder / one)) for one in (N1, N2, N3, LEARNER)}
        self.nodes = {one: self.node(one) for one in self.files}

    def node(self, me: str) -> Handover:
        files = self.files[me]
        files.make()
        files.keep_authority(self.authority.pem)
        key = self.authority.key_pem
        assert key is not None
        if me == N1:
            files.keep_key(key)
        consensus = SimpleNamespace(member=me, committed_configuration=self.committed_configuration)
        network = SimpleNamespace(certified=lambda member: member not in self.uncertified)
        return Handover(
            SimpleNamespace(authority=files.read()),  # type: ignore[arg-type]
            files,
            consensus,
            network,
            lambda to, message: self.send(me, to, message),
            lambda: self.now,
            1,
            Inline(),
            lambda: self.audit,
            lambda: self.form,
        )

    def send(self, me: str, to: str, message: list[Any]) -> bool:
        assert well_formed(message)
        self.sent.append((me, to, message))
        return True

    def turn(self) -> None:
        self.now += PAUSE_SECONDS
        for node in self.nodes.values():
            node.tick()
        while self.sent:
            me, to, message = self.sent.pop(0)
            self.nodes[to].handlers[message[0]](me, message)

    def holders(self) -> set[str]:
        found = {one: files.read() for one, files in self.files.items()}
        return {one for one, authority in found.items() if authority is not None and authority.signs}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_every_voter_gets_it_and_no_learner(world: World) -> None:
    for _ in range(3):
        world.turn()
    assert world.holders() == {N1, N2, N3}
    world.turn()
    assert world.sent == []
    assert len([line for line in world.audit.told if "key went to the voter" in line]) == 2
    assert (Path(world.files[N2].directory) / "ca-key.pem").stat().st_mode & 0o777 == 0o600


def test_a_learner_that_asks_gets_nothing(world: World) -> None:
    world.nodes[N1].on_question(LEARNER, [KEY, 7])
    assert world.sent == [(N1, LEARNER, [KEY_IS, 7, None])]
    world.nodes[N1].on_question("5" * 16, [KEY, 7])  # no member at all
    assert world.sent[1] == (N1, "5" * 16, [KEY_IS, 7, None])


def test_to_who_shows_no_certificate_that_names_it_nothing_is_said(world: World) -> None:
    world.uncertified = {N1, N2, N3}
    for _ in range(3):
        world.turn()
    world.nodes[N1].on_question(N2, [KEY, 7])
    assert world.sent == []
    assert world.holders() == {N1}


def test_it_is_asked_of_each_in_turn_until_one_has_it(world: World) -> None:
    world.uncertified = {N1}
    for _ in range(4):
        world.turn()
    assert world.holders() == {N1}
    world.uncertified = set()
    for _ in range(3):
        world.turn()
    assert world.holders() == {N1, N2, N3}


@pytest.mark.parametrize(
    "answer",
    [
        lambda world, number: (N1, [KEY_IS, number + 1, world.authority.key_pem]),
        lambda world, number: (N3, [KEY_IS, number, world.authority.key_pem]),
        lambda world, number: (N1, [KEY_IS, number, None]),
        lambda world, number: (N1, [KEY_IS, number, b"x"]),
        lambda world, number: (N1, [KEY_IS, number, key_pem(new_key())]),
    ],
)
def test_what_was_not_asked_for_or_is_another_key_is_not_kept(
    world: World, answer: Callable[[World, int], tuple[str, list[Any]]]
) -> None:
    world.now = 1.0
    world.nodes[N2].tick()
    ((_, to, question),) = world.sent
    member, message = answer(world, question[1])
    assert to in (N1, N3)
    if to == N3 and member == N1:
        return  # it asks the other one first: nothing to try here
    world.nodes[N2].on_answer(member, message)
    assert world.holders() == {N1}


def test_members_of_an_older_version_are_not_asked(world: World) -> None:
    world.form = OLDEST
    world.turn()
    assert world.sent == []
    assert world.holders() == {N1}
