"""Exactly once: RETRY after a lost answer, on a new connection, on a restarted node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.node_process import NodeProcess
from tests.wire import Refused, Wire, new_session
from visor.protocol import verbs as v
from visord import embed


def refusal(wire: Wire, verb: int, *fields: object) -> str:
    with pytest.raises(Refused) as refused:
        wire.call(verb, *fields)
    return refused.value.code


def retry(wire: Wire, write: list[object]) -> object:
    wire.send([v.RETRY, write[1], write])
    return wire.answer(int(str(write[1])))


def test_a_retry_on_a_new_connection_says_what_was_done(node: embed.Embedded) -> None:
    session = new_session()
    with Wire(node.address, session=session) as wire:
        write = [v.SET, 10, 1, "/s/a", b"1", v.G_MISSING]
        wire.send(write)
        rev = wire.answer(10)
        txn = [v.TXN, 11, 1, [], [[v.T_SET, "/s/b", b"1"], [v.T_GET, "/s/a"]]]
        wire.send(txn)
        result = wire.answer(11)
        refused = [v.SET, 12, 1, "/s/a", b"2", v.G_MISSING]
        wire.send(refused)
        with pytest.raises(Refused):
            wire.answer(12)
    with Wire(node.address) as other:
        other.call(v.DELETE, "/s/a")  # the refused one would succeed now
        before = other.rev()
    with Wire(node.address, session=session) as wire:
        assert retry(wire, write) == rev
        assert retry(wire, txn) == result
        with pytest.raises(Refused) as error:
            retry(wire, refused)
        assert error.value.code == "exists"
        # Sent plainly it is the same write still: the id names it.
        wire.send(write)
        assert wire.answer(10) == rev
        assert wire.rev() == before
        fresh = [v.SET, 13, 13, "/s/a", b"3"]
        assert retry(wire, fresh) == before + 1  # never arrived: done now
        assert retry(wire, fresh) == before + 1


def test_two_sessions_with_the_same_ids_do_not_meet(node: embed.Embedded) -> None:
    with Wire(node.address, session=new_session()) as one, Wire(node.address, session=new_session()) as two:
        one.send([v.SET, 5, 5, "/s/x", b"one"])
        two.send([v.SET, 5, 5, "/s/y", b"two"])
        assert one.answer(5) != two.answer(5)


def test_what_was_acknowledged_is_forgotten(node: embed.Embedded) -> None:
    with Wire(node.address, session=new_session()) as wire:
        old = [v.SET, 5, 5, "/s/c", b"1"]
        wire.send(old)
        wire.answer(5)
        wire.send([v.SET, 6, 6, "/s/c", b"2"])
        wire.answer(6)
        with pytest.raises(Refused) as refused:
            retry(wire, old)
        assert refused.value.code == "session_lost"
        assert wire.get("/s/c") == b"2"


def test_an_unknown_session_cannot_retry(node: embed.Embedded) -> None:
    with Wire(node.address, session=new_session()) as wire:
        with pytest.raises(Refused) as refused:
            retry(wire, [v.SET, 5, 5, "/s/d", b"1"])
        assert refused.value.code == "session_lost"
        assert wire.get("/s/d") is None
    with Wire(node.address) as wire:  # no session at all: nobody remembers
        with pytest.raises(Refused):
            retry(wire, [v.SET, 5, 5, "/s/d", b"1"])
        assert wire.get("/s/d") is None


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_restarted_node_still_knows(tmp_path: Path, end: str, checkpoint: bool) -> None:
    """From the log, or from the tables of a checkpoint."""
    session = new_session()
    write = [v.TXN, 10, 9, [], [[v.T_SET, "/s/a", b"1"], [v.T_SET, "/s/b", b"1"]], [], "once"]
    refused = [v.SET, 11, 9, "/s/a", b"2", v.G_REV, 77]
    with NodeProcess(tmp_path / "data") as node:
        with Wire(node.address, session=session) as wire:
            wire.send([v.NOP, 9, 9])
            wire.answer(9)
            wire.send(write)
            result = wire.answer(10)
            wire.send(refused)
            with pytest.raises(Refused) as first:
                wire.answer(11)
        if checkpoint:
            node.stop()
            node.start()
        if end == "kill":
            node.kill()
        else:
            node.stop()
        node.start()
        with Wire(node.address, session=session) as wire:
            assert retry(wire, write) == result
            with pytest.raises(Refused) as second:
                retry(wire, refused)
            assert (second.value.code, second.value.details) == (first.value.code, first.value.details)
            assert [commit[3] for commit in wire.commits()] == ["once"]


def test_a_session_on_two_connections_at_once_is_one_session(node: embed.Embedded) -> None:
    """A client that reconnects while its old connection is not yet seen as gone."""
    session = new_session()
    with Wire(node.address, session=session) as old, Wire(node.address, session=session) as new:
        write = [v.SET, 20, 20, "/s/twice", b"1"]
        old.send(write)
        new.send([v.RETRY, 20, write])
        assert {old.answer(20), new_answer(new)} <= {old.rev(), "session_lost"}
        assert len(old.commits(1, None, "/s/twice")) == 1


def new_answer(wire: Wire) -> object:
    try:
        return wire.answer(20)
    except Refused as refused:
        return refused.code


def test_writes_without_a_session_are_done_each_time(node: embed.Embedded) -> None:
    with Wire(node.address) as wire:
        wire.send([v.SET, 5, 0, "/s/e", b"1"], [v.SET, 5, 0, "/s/e", b"2"])
        first, second = wire.read(), wire.read()
        assert [first[0], second[0]] == [v.OK, v.OK]
        assert second[2] == first[2] + 1


def test_an_id_below_what_was_acknowledged_is_refused(node: embed.Embedded) -> None:
    with Wire(node.address, session=new_session()) as wire:
        wire.send([v.SET, 50, 50, "/s/f", b"1"])
        wire.answer(50)
        wire.send([v.SET, 49, 10, "/s/f", b"2"])
        with pytest.raises(Refused) as refused:
            wire.answer(49)
        assert refused.value.code == "bad_request"
        assert wire.get("/s/f") == b"1"
