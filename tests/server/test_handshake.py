"""HELLO: what a server tells of itself, whom it sends away, and how."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire import Refused, Wire, connect, new_session
from visor.protocol import verbs as v
from visor.protocol.frames import encode
from visor.protocol.limits import DEFAULT
from visord import embed
from visord.serving import listener

GOOD: dict[str, Any] = {"versions": [1]}


def test_the_welcome_tells_what_a_client_needs(node: embed.Embedded) -> None:
    with Wire(node.address) as wire:
        rev = wire.set("/hello", b"1")
        with Wire(node.address) as second:
            welcome = second.welcome
    assert welcome["version"] == 1
    assert {"txn", "watch", "revert", "retain"} <= set(welcome["features"])
    assert welcome["server"].startswith("visord/")
    assert len(welcome["cluster"]) == 32
    assert welcome["node"] == welcome["leader"] == "n1"
    assert welcome["rev"] == rev
    assert welcome["floor"] == 0
    assert abs(welcome["time"] - time.time() * 1000) < 60_000
    assert welcome["limits"]["value"] == DEFAULT.value
    assert welcome["limits"]["frame"] == DEFAULT.frame


def test_requests_may_follow_hello_at_once(node: embed.Embedded) -> None:
    with Wire(node.address, hello=None) as wire:
        wire.send([v.HELLO, 1, GOOD], [v.SET, 2, 0, "/early", b"1"], [v.GET, 3, "/none"])
        answers = {message[1]: message for message in (wire.read(), wire.read(), wire.read())}
        assert answers[1][0] == answers[2][0] == v.OK
        assert answers[3][2][1] is None


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ([v.GET, 1, "/a"], "bad_request"),
        ([v.PING, 1], "bad_request"),
        ([99, 1], "bad_request"),
        ([v.HELLO], "bad_request"),
        ([v.HELLO, 1], "bad_request"),
        ([v.HELLO, 0, GOOD], "bad_request"),
        ([v.HELLO, -1, GOOD], "bad_request"),
        ([v.HELLO, "1", GOOD], "bad_request"),
        ([v.HELLO, 1, None], "bad_request"),
        ([v.HELLO, 1, [1]], "bad_request"),
        ([v.HELLO, 1, {}], "unsupported"),
        ([v.HELLO, 1, {"versions": []}], "unsupported"),
        ([v.HELLO, 1, {"versions": 1}], "unsupported"),
        ([v.HELLO, 1, {"versions": [2, 3]}], "unsupported"),
        ([v.HELLO, 1, {"versions": [True]}], "unsupported"),
        ([v.HELLO, 1, {"versions": ["1"]}], "unsupported"),
        ([v.HELLO, 1, {**GOOD, "session": b"short"}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "session": "x" * 16}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "actor": 5}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "actor": "x" * 257}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "client": None}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "min_rev": -1}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "min_rev": "1"}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "cluster": "0" * 32}], "wrong_cluster"),
        ([v.HELLO, 1, {**GOOD, "cluster": 5}], "wrong_cluster"),
        ([v.HELLO, 1, {**GOOD, "cluster": "x" * 3000}], "wrong_cluster"),
        ([v.HELLO, 1, {**GOOD, "cluster": "x" * 5000}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "cluster": "x" * 100_000}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "later": [1] * 60}], "bad_request"),
        ([v.HELLO, 1, {**GOOD, "later": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}], "bad_request"),
    ],
)
def test_a_wrong_beginning_is_answered_and_ended(node: embed.Embedded, first: list[Any], code: str) -> None:
    with Wire(node.address, hello=None) as wire:
        wire.send(first, [v.SET, 5, 0, "/never", b"1"])
        goaway = wire.end()
        assert goaway is not None
        assert goaway[0] == code
        assert goaway[1]
        assert len(goaway[1]) < 1000
    with Wire(node.address) as wire:
        assert wire.get("/never") is None


def test_a_wrong_cluster_is_told_as_an_answer_with_both_ids(node: embed.Embedded) -> None:
    with Wire(node.address) as wire:
        mine = wire.welcome["cluster"]
    with pytest.raises(Refused) as refused:
        Wire(node.address, hello={"cluster": "f" * 32})
    assert refused.value.code == "wrong_cluster"
    assert refused.value.details == {"expected": mine, "actual": "f" * 32}
    with Wire(node.address, hello={"cluster": mine}) as wire:
        assert wire.call(v.PING) is None


def test_unknown_keys_and_newer_versions_beside_ours_are_welcome(node: embed.Embedded) -> None:
    extra = {
        "versions": [9, 1],
        "color": "blue",
        "trace": "00-1-2-3",
        "token": None,
        "later": [1, {"a": None}],
    }
    with Wire(node.address, hello=extra) as wire:
        assert wire.welcome["version"] == 1


def test_a_token_that_proves_nothing_is_refused(node: embed.Embedded) -> None:
    for token, code in (("secret", "denied"), ("", "denied"), (b"x", "bad_request"), (0, "bad_request")):
        with pytest.raises(Refused) as refused:
            Wire(node.address, hello={"token": token})
        assert refused.value.code == code


def test_a_second_hello_is_refused_and_changes_nothing(node: embed.Embedded) -> None:
    with Wire(node.address, session=new_session(), hello={"actor": "first"}) as wire:
        with pytest.raises(Refused):
            wire.call(v.HELLO, {**GOOD, "actor": "second"})
        rev = wire.set("/who", b"1")
        assert wire.commits(rev, rev)[0][2] == "first"


def test_the_actor_is_written_into_history(node: embed.Embedded) -> None:
    with Wire(node.address, hello={"actor": "Ünal @ büro"}) as wire:
        rev = wire.set("/who", b"2")
        assert wire.commits(rev, rev)[0][2] == "Ünal @ büro"


def test_no_read_below_min_rev(node: embed.Embedded) -> None:
    """A client that saw a later rev elsewhere is not shown an older state."""
    with Wire(node.address) as wire:
        rev = wire.set("/seen", b"old")
        with Wire(node.address, hello={"min_rev": rev + 2}) as ahead:
            waiting = [
                ahead.ask(v.GET, "/seen"), ahead.ask(v.GET, "/seen", None, v.STALE), ahead.ask(v.REV),
                ahead.ask(v.SCAN, [v.SEL_TREE, "/seen"]), ahead.ask(v.LOG, [v.SEL_TREE, "/seen"]),
                ahead.ask(v.LIST, "/"), ahead.ask(v.STAT, "/seen"),
            ]  # fmt: skip
            assert ahead.call(v.PING) is None
            assert ahead.silence(0.05)
            wire.set("/seen", b"newer")
            assert ahead.silence(0.05)
            wire.set("/seen", b"newest")
            answers = [ahead.answer(request) for request in waiting]
            assert [answer[0] for answer in answers] == [rev + 2] * len(waiting)
            assert answers[0][1][1] == b"newest"


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(listener, "HELLO_SECONDS", 0.3)
    yield


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("said", [b"", encode([v.HELLO, 1, GOOD])[:-3]])
def test_a_connection_that_says_no_hello_is_closed(node: embed.Embedded, said: bytes) -> None:
    with Wire(node.address, hello=None) as wire:
        for byte in said:  # one by one: being slow does not buy time
            wire.send_bytes(bytes([byte]))
            time.sleep(0.01)
        goaway = wire.end()
        assert goaway is not None
        assert goaway[0] == "deadline"


@pytest.mark.usefixtures("_impatient")
def test_a_connection_that_said_hello_may_be_silent(node: embed.Embedded) -> None:
    with Wire(node.address) as wire:
        time.sleep(0.5)
        assert wire.call(v.PING) is None


def test_a_thousand_connections_that_come_and_go(node: embed.Embedded) -> None:
    for _ in range(10):
        socks = [connect(node.address) for _ in range(100)]
        for number, sock in enumerate(socks):
            if number % 3 == 0:
                sock.sendall(encode([v.HELLO, 1, GOOD]))
            sock.close()
    with Wire(node.address) as wire:
        assert wire.set("/still", b"here") > 0
