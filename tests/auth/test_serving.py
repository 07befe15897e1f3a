"""Rights on the wire: who shows what, what is refused on every route, and what happens while a watch runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.wire import Closed, Refused, Wire, new_session
from visor.protocol import tokens, verbs
from visor.testing import Server, server

APPS: Final = [verbs.SEL_TREE, "/apps"]
ALL: Final = [verbs.SEL_TREE, "/"]
SECRETS: Final = {name: bytes([number]) * 32 for number, name in enumerate(("boss", "ci", "viewer"), 1)}
TOKENS: Final = {name: tokens.write(name.ljust(6).encode()[:6], secret) for name, secret in SECRETS.items()}


def number_of(name: str) -> str:
    found = tokens.read(TOKENS[name])
    assert found is not None
    return found.id


def change(wire: Wire, action: str, **arguments: Any) -> None:
    wire.call(verbs.AUTH, action, arguments)


def knows(wire: Wire, user: str, *roles: str) -> None:
    change(wire, "set_user", name=user, roles=list(roles))
    digest = tokens.digest(SECRETS[user])
    change(wire, "add_token", id=number_of(user), user=user, digest=digest)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Server]:
    """A registry with rights: boss may do everything, ci deploys, viewer reads; nobody else may do anything."""
    with server(data_dir=tmp_path / "data") as found:
        with Wire(found.address) as wire:
            wire.call(verbs.SET, "/apps/web", b"1")
            wire.call(verbs.SET, "/secret", b"1")
            change(wire, "set_role", name="deployer", grants=[["write", APPS], ["read", APPS]])
            change(wire, "set_role", name="viewer", grants=[["read", ALL]])
            knows(wire, "boss", "root")
            knows(wire, "ci", "deployer")
            knows(wire, "viewer", "viewer")
            change(wire, "set_user", name="anonymous", roles=[])
        yield found


def by(found: Server, name: str) -> Wire:
    return Wire(found.address, hello={"token": TOKENS[name]})


def refused(wire: Wire, verb: int, *fields: Any) -> str:
    with pytest.raises(Refused) as caught:
        wire.call(verb, *fields)
    return caught.value.code


def test_each_user_reads_and_writes_what_it_may(closed: Server) -> None:
    with by(closed, "ci") as ci, by(closed, "viewer") as viewer, by(closed, "boss") as boss:
        assert ci.call(verbs.GET, "/apps/web")[1][1] == b"1"
        assert refused(ci, verbs.GET, "/secret") == "denied"
        ci.call(verbs.SET, "/apps/web", b"2")
        assert refused(ci, verbs.SET, "/secret", b"2") == "denied"
        assert viewer.call(verbs.GET, "/secret")[1][1] == b"1"
        assert refused(viewer, verbs.SET, "/apps/web", b"3") == "denied"
        boss.call(verbs.SET, "/secret", b"3")
        boss.call(verbs.MEMBERS)
        assert refused(ci, verbs.MEMBERS) == "denied"


def test_who_shows_nothing_may_nothing_but_say_hello(closed: Server) -> None:
    with Wire(closed.address) as wire:
        wire.call(verbs.PING)
        for verb, *fields in (
            (verbs.GET, "/apps/web"),
            (verbs.SCAN, ALL),
            (verbs.LIST, "/"),
            (verbs.REV,),
            (verbs.WATCH, ALL),
            (verbs.STATUS,),
            (verbs.LEASES,),
            (verbs.SET, "/a", b""),
            (verbs.GRANT, 1000),
            (verbs.NOP,),
        ):
            assert refused(wire, verb, *fields) == "denied", verb


def test_whoever_may_nothing_writes_nothing_to_the_log(closed: Server) -> None:
    """Not even an entry that is refused: a stranger would fill the disks of all members."""
    with by(closed, "boss") as boss, Wire(closed.address, session=new_session()) as wire:
        before = boss.status()["applied"]
        for _ in range(20):
            assert refused(wire, verbs.SET, "/a", b"x" * 1000) == "denied"
            assert refused(wire, verbs.TXN, [], [[verbs.T_SET, "/a", b""]], []) == "denied"
            assert refused(wire, verbs.GRANT, 1000) == "denied"
            retry = [verbs.SET, wire.next_id(), 1, "/a", b""]
            assert refused(wire, verbs.RETRY, retry, 0) == "session_lost"
        assert boss.status()["applied"] == before


def test_whoever_may_nothing_any_more_is_told_what_became_of_a_write(closed: Server) -> None:
    with by(closed, "boss") as boss, Wire(closed.address, session=new_session()) as wire:
        change(boss, "set_user", name="anonymous", roles=["deployer"])
        rev = wire.call(verbs.SET, "/apps/web", b"2")
        change(boss, "set_user", name="anonymous", roles=[])
        done = [verbs.SET, 2, 2, "/apps/web", b"2"]
        assert wire.call(verbs.RETRY, done, 0) == rev
        other = [verbs.SET, 9, 2, "/apps/web", b"3"]
        assert refused(wire, verbs.RETRY, other, 0) == "denied", "it was never done"


@pytest.mark.parametrize(
    "token",
    ["", "vis_", TOKENS["ci"][:-1], tokens.write(b"nobody", bytes(32)), tokens.write(b"ci    ", bytes(32))],
)
def test_a_token_that_proves_nothing_is_told_so_and_nothing_more(closed: Server, token: str) -> None:
    with pytest.raises(Refused) as caught:
        Wire(closed.address, hello={"token": token})
    assert caught.value.code == "denied"
    assert "unknown, has expired or was taken back" in caught.value.text


def test_history_names_who_has_proven_it_and_what_it_says_of_itself(closed: Server) -> None:
    with by(closed, "ci") as ci, by(closed, "boss") as boss:
        ci.call(verbs.SET, "/apps/web", b"2")
        _, commits, _ = boss.call(verbs.LOG, APPS)
        assert commits[-1][2] == "ci/tester"


def test_who_proves_nothing_signs_as_nobody_else(closed: Server) -> None:
    with by(closed, "boss") as boss:
        change(boss, "set_user", name="anonymous", roles=["deployer"])
        with Wire(closed.address, hello={"actor": "ci/deploy"}) as wire:
            wire.call(verbs.SET, "/apps/web", b"2")
        _, commits, _ = boss.call(verbs.LOG, APPS)
        assert commits[-1][2] == "anonymous/ci/deploy"


def test_stat_of_a_directory_needs_all_that_is_below_it(closed: Server) -> None:
    """How much is in it, and when anything below has changed, is more than its name tells."""
    with by(closed, "boss") as boss, by(closed, "ci") as ci:
        exact = [["read", [verbs.SEL_PATH, "/apps"]], ["read", [verbs.SEL_PATH, "/apps/web"]]]
        change(boss, "set_role", name="deployer", grants=exact)
        assert ci.call(verbs.STAT, "/apps/web")[1] == verbs.N_FILE
        with pytest.raises(Refused) as caught:
            ci.call(verbs.STAT, "/apps")
        assert caught.value.details == {"missing": "read on /apps/**"}
        assert boss.call(verbs.STAT, "/apps")[1] == verbs.N_DIRECTORY


def test_a_running_watch_ends_where_its_right_is_taken_away(closed: Server) -> None:
    with by(closed, "boss") as boss, by(closed, "ci") as ci:
        watch = ci.ask(verbs.WATCH, APPS)
        ci.answer(watch)
        before = boss.call(verbs.SET, "/apps/web", b"2")
        assert ci.push()[2][-1][0] == before
        change(boss, "set_user", name="ci", roles=[])
        boss.call(verbs.SET, "/apps/web", b"after")
        ended = ci.push()
        assert ended[:3] == [verbs.ENDED, watch, "denied"]
        assert ended[4]["rev"] == before
        assert ended[4]["missing"] == "read on /apps/**"
        assert refused(ci, verbs.GET, "/apps/web") == "denied"


def test_a_token_that_is_taken_back_ends_what_was_begun_with_it(closed: Server) -> None:
    with by(closed, "boss") as boss, by(closed, "viewer") as viewer:
        watch = viewer.ask(verbs.WATCH, ALL)
        viewer.answer(watch)
        change(boss, "revoke_token", id=number_of("viewer"))
        assert viewer.push()[:3] == [verbs.ENDED, watch, "denied"]
        assert refused(viewer, verbs.GET, "/secret") == "denied"
    with pytest.raises((Refused, Closed)):
        by(closed, "viewer")


def test_a_token_that_is_taken_back_learns_nothing_more_of_its_user(closed: Server) -> None:
    with by(closed, "boss") as boss, by(closed, "ci") as ci:
        assert ci.call(verbs.ACCESS, "whoami", {})[1]["user"] == "ci"
        change(boss, "revoke_token", id=number_of("ci"))
        for question, arguments in (
            ("whoami", {}),
            ("can", {"right": "read", "selector": [1, "/"]}),
            ("narrow", {"rights": ["read"], "selector": [1, "/"]}),
        ):
            assert refused(ci, verbs.ACCESS, question, arguments) == "denied"
        assert ci.call(verbs.PING) is None


def test_rights_are_there_after_a_restart(closed: Server) -> None:
    closed.restart()
    with by(closed, "ci") as ci:
        assert refused(ci, verbs.GET, "/secret") == "denied"
        ci.call(verbs.SET, "/apps/web", b"4")
    with Wire(closed.address) as wire:
        assert refused(wire, verbs.GET, "/apps/web") == "denied"


def test_a_greeting_tells_nothing_of_the_registry_to_who_may_do_nothing(closed: Server) -> None:
    with Wire(closed.address) as nobody, by(closed, "viewer") as viewer:
        known = {name: viewer.welcome[name] for name in ("node", "leader", "addresses", "rev", "time")}
        assert known["rev"] > 0 and known["node"] and known["time"] > 0
        told = nobody.welcome
        assert [told[name] for name in ("node", "leader", "leader_address", "addresses")] == [
            "",
            None,
            None,
            [],
        ]
        assert [told[name] for name in ("rev", "floor", "time")] == [0, 0, 0]
        assert told["cluster"] == viewer.welcome["cluster"]
