"""What each message needs: an example of every verb, all verbs enumerated, and the executor's own reading as judge."""

from __future__ import annotations

from typing import Any, Final

import pytest

from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visord.state.auth.needs import Needs, needs
from visord.state.refusal import Refusal

Row = tuple[str, list[Any], list[str], tuple[int, ...], bool]

TREE: Final = [verbs.SEL_TREE, "/a"]
ROWS: Final[list[Row]] = [
    ("ping", [verbs.PING, 1], [], (), False),
    ("cancel", [verbs.CANCEL, 1, 2], [], (), False),
    ("get", [verbs.GET, 1, "/a"], ["read on /a"], (), True),
    ("get at a rev", [verbs.GET, 1, "/a", 7], ["read on /a", "history on /a"], (), True),
    ("stat", [verbs.STAT, 1, "/a"], ["read on /a"], (), True),
    ("list", [verbs.LIST, 1, "/a"], ["read on /a/**"], (), True),
    ("list at a rev", [verbs.LIST, 1, "/a", 7], ["read on /a/**", "history on /a/**"], (), True),
    ("scan", [verbs.SCAN, 1, [verbs.SEL_GLOB, "/a/*/b"]], ["read on /a/*/b"], (), True),
    ("scan at a rev", [verbs.SCAN, 1, TREE, 7], ["read on /a/**", "history on /a/**"], (), True),
    ("rev", [verbs.REV, 1], [], (), True),
    ("log", [verbs.LOG, 1, TREE], ["read on /a/**", "history on /a/**"], (), True),
    ("diff", [verbs.DIFF, 1, TREE, 1, 2], ["read on /a/**", "history on /a/**"], (), True),
    ("at", [verbs.AT, 1, 5], [], (), True),
    ("status", [verbs.STATUS, 1], ["read on /**"], (), True),
    ("leases", [verbs.LEASES, 1], ["read on /**"], (), True),
    ("who am I", [verbs.ACCESS, 1, "whoami"], [], (), False),
    ("may I", [verbs.ACCESS, 1, "can", {"right": "read", "selector": TREE}], [], (), False),
    ("what of it", [verbs.ACCESS, 1, "narrow", {"rights": ["read"], "selector": TREE}], [], (), False),
    ("may somebody", [verbs.ACCESS, 1, "can", {"user": "ci"}], ["admin on /**"], (), True),
    ("prove by a password", [verbs.PASSWORD, 1, "prove", "ci", "it"], [], (), False),
    ("digest of a password", [verbs.PASSWORD, 1, "digest", "it"], [], (), True),
    ("tokens", [verbs.ACCESS, 1, "tokens", {}], ["admin on /**"], (), True),
    ("set", [verbs.SET, 1, 1, "/a", b""], ["write on /a"], (), True),
    (
        "set with a guard",
        [verbs.SET, 1, 1, "/a", b"", verbs.G_REV, 3],
        ["write on /a", "read on /a"],
        (),
        True,
    ),
    (
        "set since",
        [verbs.SET, 1, 1, "/a", b"", verbs.G_SINCE, 3],
        ["write on /a", "read on /a/**"],
        (),
        True,
    ),
    ("set with a lease", [verbs.SET, 1, 1, "/a", b"", 0, 0, 9], ["write on /a"], (9,), True),
    ("delete", [verbs.DELETE, 1, 1, "/a"], ["write on /a"], (), True),
    ("delete below", [verbs.DELETE, 1, 1, "/a", True], ["write on /a/**"], (), True),
    (
        "transaction",
        [
            verbs.TXN,
            1,
            1,
            [[verbs.G_VALUE, "/g", b"x"], [verbs.G_SINCE, "/h", 1]],
            [[verbs.T_SET, "/a", b"", 9], [verbs.T_GET, "/b"], [verbs.T_DELETE, "/c"]],
            [[verbs.T_LIST, "/d"], [verbs.T_DELETE, "/e", True]],
        ],
        [
            "read on /g",
            "read on /h/**",
            "write on /a",
            "read on /b",
            "write on /c",
            "read on /d/**",
            "write on /e/**",
        ],
        (9,),
        True,
    ),
    (
        "revert",
        [verbs.REVERT, 1, 1, "/a", 3],
        ["write on /a/**", "read on /a/**", "history on /a/**"],
        (),
        True,
    ),
    ("nop", [verbs.NOP, 1, 1], [], (), True),
    ("retain", [verbs.RETAIN, 1, 1, 5], ["admin on /**"], (), True),
    ("grant", [verbs.GRANT, 1, 1, 1000], [], (), True),
    ("revoke", [verbs.REVOKE, 1, 1, 9], [], (9,), True),
    ("retry", [verbs.RETRY, 1, [verbs.DELETE, 1, 1, "/a", True], 0], ["write on /a/**"], (), True),
    ("redact", [verbs.REDACT, 1, 1, "/a", 1, 1], ["admin on /a"], (), True),
    ("auth", [verbs.AUTH, 1, 1, "delete_user", {"name": "x"}], ["admin on /**"], (), True),
    ("watch", [verbs.WATCH, 1, TREE], ["read on /a/**"], (), True),
    ("watch from a rev", [verbs.WATCH, 1, TREE, 5], ["read on /a/**", "history on /a/**"], (), True),
    ("unwatch", [verbs.UNWATCH, 1, 2], [], (), False),
    ("credit", [verbs.CREDIT, 2, 10], [], (), False),
    ("progress", [verbs.PROGRESS, 2], [], (), False),
    ("keep alive", [verbs.KEEPALIVE, 1, [3, 4]], [], (3, 4), True),
    ("lease", [verbs.LEASE, 1, 3], [], (3,), True),
    ("members", [verbs.MEMBERS, 1], ["read on /**"], (), True),
    ("admin", [verbs.ADMIN, 1, "remove", ["x"]], ["admin on /**"], (), True),
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_message_needs_what_it_does(row: Row) -> None:
    _, message, grants, leases, known = row
    found = needs(message, DEFAULT)
    assert isinstance(found, Needs)
    assert list(map(str, found.grants)) == grants
    assert found.leases == leases
    assert found.known == known


def test_every_verb_of_a_client_has_a_row() -> None:
    numbers = {
        value
        for name, value in vars(verbs).items()
        if name.isupper() and type(value) is int and "_" not in name and name not in NO_VERBS
    }
    of_clients = {number for number in numbers if number < verbs.OK} - {verbs.HELLO, verbs.JOIN}
    assert {row[1][0] for row in ROWS} == of_clients
    for verb in range(128):
        answer = needs([verb, 1], DEFAULT)
        assert verb in of_clients or isinstance(answer, Refusal)


NO_VERBS: Final = {"VERSION", "WRITES", "LINEARIZABLE", "STALE", "CREATE", "UPDATE", "REMOVE", "EXPIRE"}

UNREADABLE: Final = [
    [verbs.GET, 1],
    [verbs.GET, 1, "a"],
    [verbs.SCAN, 1, [9, "/a"]],
    [verbs.SET, 1, 1, 5, b""],
    [verbs.SET, 1, 1, "/a", b"", 0, 0, "lease"],
    [verbs.TXN, 1, 1, [[1]], [], []],
    [verbs.TXN, 1, 1, [], [[9, "/a"]], []],
    [verbs.TXN, 1, 1, [], [[0]], []],
    [verbs.TXN, 1, 1, [], "ops", []],
    [verbs.RETRY, 1, [verbs.RETRY, 1, []]],
    [verbs.RETRY, 1, [verbs.GET, 1, "/a"]],
    [verbs.RETRY, 1, "write"],
    [verbs.KEEPALIVE, 1, 5],
    [verbs.EXPIRE_LEASE, 1, 1, 5],
    [verbs.HELLO, 1, {}],
]


@pytest.mark.parametrize("message", UNREADABLE, ids=str)
def test_what_cannot_be_read_is_refused_and_never_needs_nothing(message: list[Any]) -> None:
    assert isinstance(needs(message, DEFAULT), Refusal)
