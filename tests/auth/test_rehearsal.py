"""`auth.mode = log`: what closing a registry will deny is told while everything still works, and nothing is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin.members import Members
from tests.auth.test_audit import lines
from tests.auth.test_serving import TOKENS, change, knows, refused
from tests.wire import Wire
from visor.protocol import verbs
from visord.serving.clearance import Clearance
from visord.serving.health import alarms
from visord.settings import AuthSettings
from visord.state.auth.auth_store import NOTHING, AuthStore
from visord.state.auth.effort import BATCH, Effort
from visord.state.auth.rights import Rights

ALL: list[Any] = [verbs.SEL_TREE, "/"]


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    with Members(tmp_path, auth=AuthSettings(mode="log")) as running:
        running.start("n1")
        yield running


def test_each_kind_of_request_is_told_and_done(members: Members, tmp_path: Path) -> None:
    address = members.address("n1")
    with Wire(address) as boss:
        boss.call(verbs.SET, "/c", b"1")
        knows(boss, "boss", "root")
        change(boss, "set_role", name="reader", grants=[["read", [verbs.SEL_TREE, "/a"]]])
        knows(boss, "ci", "reader")
        with Wire(address, hello={"token": TOKENS["ci"]}) as ci:
            ci.call(verbs.GET, "/a/x")  # granted: not told
            ci.call(verbs.GET, "/b")
            ci.call(verbs.SCAN, ALL)
            ci.call(verbs.SET, "/a/x", b"a secret")
            ci.call(verbs.TXN, [], [[verbs.T_DELETE, "/c"]])
            ci.call(verbs.WATCH, ALL, None, 0)
        members.until(lambda: len(told(tmp_path, "ci")) >= 5, "what would be denied to be told")
        assert told(tmp_path, "ci") == [
            ("GET", "needs read on /b"),
            ("SCAN", "needs read on /**"),
            ("SET", "needs write on /a/x"),
            ("TXN", "needs write on /c"),
            ("WATCH", "needs read on /**"),
        ]
        assert lines(tmp_path, "denied") == []
        assert boss.call(verbs.GET, "/a/x")[1][1] == b"a secret"
        with Wire(address, hello={"token": TOKENS["boss"]}) as root:
            root.call(verbs.SET, "/b", b"1")
            change(root, "set_user", name="anonymous", roles=[])
        assert refused(boss, verbs.GET, "/b") == "denied"  # closed: from here on both modes are one
    assert not [line for line in lines(tmp_path, "would_deny") if line.get("user") == "boss"]
    assert b"a secret" not in b"".join(file.read_bytes() for file in (tmp_path / "n1" / "audit").iterdir())


def told(folder: Path, user: str) -> list[tuple[str, str]]:
    return [
        (line["verb"], line["reason"]) for line in lines(folder, "would_deny") if line.get("user") == user
    ]


def test_what_would_hold_is_what_holds_once_it_is_closed() -> None:
    table = AuthStore()
    for name in ("reader", "writer"):
        grants = [[name.removesuffix("er").replace("writ", "write"), ALL]]
        assert table.change("set_role", {"name": name, "grants": grants}, 0) is None
    for name, roles in (("ci", ["reader"]), ("boss", ["root"]), ("anonymous", ["writer", "root"])):
        assert table.change("set_user", {"name": name, "roles": roles}, 0) is None
    before = {name: table.rights_if_closed(name) for name in ("ci", "boss", "anonymous", "unknown")}
    assert table.change("set_user", {"name": "anonymous", "roles": ["writer"]}, 0) is None
    for name, rights in before.items():
        now = table.rights(name if name != "unknown" else "anonymous")
        for right in ("read", "write", "history", "admin"):
            assert rights.may(right, "/a") == now.may(right, "/a"), (name, right)


def test_writes_that_are_dear_to_judge_share_what_judging_may_cost() -> None:
    judged: list[Any] = []

    class Dear:
        rehearsing, version = True, 0

        def rights_if_closed(self, principal: str) -> Rights:
            return NOTHING

        def denial(self, rights: Rights, principal: str, message: Any, effort: Effort) -> None:
            judged.append(message)
            effort.left -= BATCH // 2

    nobody: Any = None
    dear: Any = Dear()
    Clearance(dear, nobody, nobody).rehearse([[verbs.NOP, number, 0] for number in range(1, 65)])
    assert len(judged) == 3


def test_what_would_be_granted_is_kept_once_for_all_connections_of_a_user() -> None:
    table = AuthStore()
    change_of: list[tuple[str, dict[str, Any]]] = [
        ("set_role", {"name": "reader", "grants": [["read", [verbs.SEL_TREE, "/a"]]]}),
        ("set_user", {"name": "ci", "roles": ["reader"]}),
    ]
    assert [table.change(*each, 1) for each in change_of] == [None, None]
    first = table.rights_if_closed("ci")
    assert table.rights_if_closed("ci") is first


def test_an_open_registry_that_others_reach_is_an_alarm(members: Members) -> None:
    node = members.node("n1")
    assert members.on_loop(lambda: alarms(node)) == []  # on loopback alone
    node.reachable = True
    assert [one.partition(":")[0] for one in members.on_loop(lambda: alarms(node))] == ["rights open"]
    with Wire(members.address("n1")) as boss:
        change(boss, "set_user", name="boss", roles=["root"])
        change(boss, "set_user", name="anonymous", roles=[])
    assert members.on_loop(lambda: alarms(node)) == []
