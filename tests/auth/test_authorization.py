"""Who a client is and what it may do, as time goes on: tokens that expire, revs that become history."""

from __future__ import annotations

from typing import Any, Final

import pytest

from visor.protocol import codes, tokens, verbs
from visord.serving.authorization import PRESENT_MS, Authorization, Proven
from visord.state.auth.principal import author_of
from visord.state.command import encode
from visord.state.machine import Machine
from visord.state.refusal import Refusal

SECRET: Final = b"s" * 32
TOKEN: Final = tokens.write(b"laptop", SECRET)
ALL: Final = [verbs.SEL_TREE, "/"]


def id_of(text: str) -> str:
    found = tokens.read(text)
    assert found is not None
    return found.id


class World:
    """A machine and the time at a node. `ci` may read everything and write nothing; its token ends at `expires`."""

    def __init__(self, expires: int = 0) -> None:
        self.now = 0
        self.machine = Machine()
        self.authorization = Authorization(self.machine, lambda: self.now)
        self.write(verbs.AUTH, "set_role", {"name": "reader", "grants": [["read", ALL]]})
        self.write(verbs.AUTH, "set_user", {"name": "boss", "roles": ["root"]})
        self.write(verbs.AUTH, "set_user", {"name": "ci", "roles": ["reader"]})
        token = {"id": id_of(TOKEN), "user": "ci", "digest": tokens.digest(SECRET), "ttl": expires}
        self.write(verbs.AUTH, "add_token", token)
        self.write(verbs.AUTH, "set_user", {"name": "anonymous", "roles": []})

    def write(self, verb: int, *fields: Any) -> Any:
        frames = [[verb, 1, 0, *fields]]
        command = encode(self.now, [[None, "boss", frames, ""]])
        return self.machine.apply(self.machine.index + 1, 1, command)[0][0]

    def denied(self, *message: Any) -> str | None:
        principal = author_of("ci", id_of(TOKEN))
        rights = self.authorization.rights(principal)
        assert rights is not None
        denial = self.authorization.denial(rights, principal, list(message))
        return None if denial is None else denial.details["missing"]


def test_a_token_that_expires_changes_rights_once() -> None:
    world = World(expires=10_000)
    authorization = world.authorization
    assert authorization.applied()
    before = authorization.version
    assert not authorization.applied()
    world.now = 9_999
    assert not authorization.tick()
    assert authorization.prove(TOKEN) == Proven("ci", id_of(TOKEN))
    world.now = 10_000
    assert authorization.tick()
    assert authorization.version > before
    assert isinstance(authorization.prove(TOKEN), Refusal)
    assert world.denied(verbs.GET, 1, "/a") == "another token: the one shown has expired or was taken back"
    assert not authorization.tick()


def test_what_was_the_latest_a_moment_ago_is_no_history() -> None:
    world = World()
    for now in (1_000, 2_000, 3_000):
        world.now = now
        world.write(verbs.SET, "/a", b"%d" % now)
    world.now = 2_000 + PRESENT_MS - 1
    world.authorization.applied()
    for rev in (None, 1, 2, 3, 99):
        assert world.denied(verbs.GET, 1, "/a", rev) is None, rev
        assert world.denied(verbs.WATCH, 1, ALL, rev) is None, rev


@pytest.mark.parametrize("message", [[verbs.SCAN, 1, ALL], [verbs.LIST, 1, "/"], [verbs.WATCH, 1, ALL]])
def test_what_was_the_latest_long_ago_is_history(message: list[Any]) -> None:
    world = World()
    for now in (1_000, 2_000, 3_000):
        world.now = now
        world.write(verbs.SET, "/a", b"%d" % now)
    world.now = 2_500 + PRESENT_MS
    assert [world.denied(*message, rev) for rev in (None, 1, 2, 3, "x", 99)] == [
        None,
        "history on /**",
        None,  # it was the latest until 500 ms less than that ago
        None,
        "history on /**",  # it is no rev at all: who reads it may have another opinion
        None,
    ]


@pytest.mark.parametrize("verb", [verbs.LOG, verbs.DIFF])
def test_a_log_and_a_diff_are_always_history(verb: int) -> None:
    world = World()
    world.write(verbs.SET, "/a", b"")
    assert world.denied(verb, 1, ALL, 1, 1) == "history on /**"


def test_a_node_that_has_not_caught_up_cannot_tell_whether_there_is_a_token() -> None:
    machine, caught_up = Machine(), [False]
    authorization = Authorization(machine, lambda: 0, lambda: caught_up[0])
    token = tokens.write(bytes(tokens.NUMBER), bytes(tokens.SECRET))
    refused = authorization.prove(token)
    assert isinstance(refused, Refusal)
    assert codes.FAMILY[refused.code] == codes.UNAVAILABLE  # clients ask again
    nonsense = authorization.prove("vis_nonsense")
    assert isinstance(nonsense, Refusal)
    assert nonsense.code == "denied"  # that it is none, every node can tell
    caught_up[0] = True
    refused = authorization.prove(token)
    assert isinstance(refused, Refusal)
    assert refused.code == "denied"
