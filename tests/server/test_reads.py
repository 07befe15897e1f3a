"""Reads over the socket: at any rev, also one that is still to come, and answers in any order."""

from __future__ import annotations

import pytest

from tests.wire import Refused, Wire
from visor.protocol import verbs as v
from visord import embed

TREE = [v.SEL_TREE, "/r"]


def test_a_read_at_a_coming_rev_waits_for_it_and_for_nothing_else(node: embed.Embedded, wire: Wire) -> None:
    with Wire(node.address) as other:
        rev = other.set("/r/a", b"0")
        late = {
            v.GET: wire.ask(v.GET, "/r/a", rev + 2),
            v.STAT: wire.ask(v.STAT, "/r/a", rev + 2),
            v.LIST: wire.ask(v.LIST, "/r", rev + 2),
            v.SCAN: wire.ask(v.SCAN, TREE, rev + 2, v.STALE),
        }
        assert wire.get("/r/a") == b"0"  # answered first: replies come in any order
        other.set("/r/a", b"1")
        assert wire.silence(0.05)
        other.set("/r/a", b"2")
        assert wire.answer(late[v.GET]) == [rev + 2, [rev + 2, b"2", rev, 3, 0]]
        assert wire.answer(late[v.STAT])[:2] == [rev + 2, v.N_FILE]
        assert [row[0] for row in wire.answer(late[v.LIST])[1]] == ["a"]
        assert wire.answer(late[v.SCAN])[1] == [["/r/a", [rev + 2, b"2", rev, 3, 0]]]


def test_a_waiting_read_can_be_cancelled_and_its_id_is_free(node: embed.Embedded, wire: Wire) -> None:
    with Wire(node.address) as other:
        rev = other.set("/r/b", b"0")
        waiting = wire.ask(v.GET, "/r/b", rev + 1)
        assert wire.call(v.CANCEL, waiting) is None
        with pytest.raises(Refused) as refused:
            wire.answer(waiting)
        assert refused.value.code == "cancelled"
        wire.send([v.GET, waiting, "/r/b", rev + 2])
        other.set("/r/b", b"1")
        assert wire.silence(0.05)  # the cancelled read does not answer in place of the new one
        other.set("/r/b", b"2")
        assert wire.answer(waiting)[1][1] == b"2"
        assert wire.call(v.CANCEL, waiting) is None  # done already: nothing happens
        assert wire.call(v.CANCEL, 12345) is None
        assert wire.silence(0.05)


def test_one_id_waits_once(node: embed.Embedded, wire: Wire) -> None:
    """The second took the place of the first in the books, and a unit of the connection's room was lost."""
    with Wire(node.address) as other:
        rev = other.set("/r/c", b"0")
        waiting = wire.ask(v.GET, "/r/c", rev + 1)
        wire.send([v.GET, waiting, "/r/c", rev + 1])
        with pytest.raises(Refused) as refused:
            wire.answer(waiting)
        assert refused.value.code == "bad_request"
        other.set("/r/c", b"1")
        assert wire.answer(waiting)[1][1] == b"1"
        assert wire.silence(0.05)


def test_a_write_of_this_connection_ends_its_own_wait(node: embed.Embedded, wire: Wire) -> None:
    rev = wire.set("/r/d", b"0")
    wire.send([v.GET, 1000, "/r/d", rev + 1], [v.SET, 1001, 0, "/r/d", b"1"])
    assert wire.answer(1000)[1][1] == b"1"
    assert wire.answer(1001) == rev + 1


def test_reads_after_a_write_of_the_same_connection_see_it_once_it_is_answered(wire: Wire) -> None:
    for number in range(50):
        rev = wire.set("/r/e", b"%d" % number)
        assert wire.call(v.GET, "/r/e")[1][:2] == [rev, b"%d" % number]
        assert wire.rev() == rev


def test_what_others_wrote_is_there_when_they_are_answered(node: embed.Embedded, wire: Wire) -> None:
    with Wire(node.address) as other:
        for number in range(50):
            rev = other.set("/r/f", b"%d" % number)
            assert wire.rev() >= rev
            assert wire.get("/r/f") == b"%d" % number


@pytest.mark.parametrize(
    ("verb", "fields"),
    [
        (v.LOG, [TREE, 1, 1 << 40]),
        (v.DIFF, [TREE, 0, 1 << 40]),
        (v.REVERT, ["/r", 1 << 40]),
        (v.RETAIN, [None, None, 1 << 40]),
    ],
)
def test_what_does_not_wait_refuses_a_coming_rev(wire: Wire, verb: int, fields: list[object]) -> None:
    wire.set("/r/g", b"1")
    with pytest.raises(Refused) as refused:
        wire.call(verb, *fields)
    assert refused.value.code == "future_rev"


def test_a_pipeline_of_everything_is_answered_once_each(wire: Wire) -> None:
    requests = []
    for number in range(300):
        requests += [
            wire.ask(v.SET, f"/r/p/{number % 7}", b"%d" % number),
            wire.ask(v.GET, f"/r/p/{number % 7}"),
            wire.ask(v.TXN, [], [[v.T_SET, "/r/q", b"%d" % number], [v.T_GET, "/r/q"]]),
            wire.ask(v.SCAN, TREE),
            wire.ask(v.PING),
        ]
    seen = [wire.read()[1] for _ in requests]
    assert sorted(seen) == sorted(requests)
    assert wire.silence(0.05)
