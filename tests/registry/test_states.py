"""The table of moves, every cell of it, against a real registry; and what protects a move besides the table."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from visor import errors
from visor.registry import MOVES, Instance, Move, Registry, State
from visor.registry.errors import AlreadyClaimed, BadValue, IllegalMove, Locked, NotClaimer, Unregistered

HOST = "10.0.0.1"

MAKE: dict[Move, Callable[[Instance], Instance]] = {
    Move.CLAIM: lambda each: each.claim(HOST),
    Move.UNCLAIM: lambda each: each.unclaim(HOST),
    Move.STARTED: lambda each: each.started(HOST, port=8001),
    Move.RESTARTED: lambda each: each.restarted("fail", 1, HOST),
    Move.STOP: lambda each: each.stop(),
    Move.EXITED: lambda each: each.exited(HOST),
    Move.FAILED: lambda each: each.failed(HOST, "out of memory"),
    Move.LOST: lambda each: each.lost("scheduler", "no heartbeat"),
    Move.LOCK: lambda each: each.lock("me", "debugging"),
    Move.UNLOCK: lambda each: each.unlock(),
    Move.UNREGISTER: lambda each: each.unregister("me", "tidying"),
}

WAY: dict[State, list[Move]] = {
    State.PENDING: [],
    State.CLAIMED: [Move.CLAIM],
    State.RUNNING: [Move.CLAIM, Move.STARTED],
    State.STOPPING: [Move.CLAIM, Move.STARTED, Move.STOP],
    State.EXITED: [Move.CLAIM, Move.STARTED, Move.EXITED],
    State.FAILED: [Move.CLAIM, Move.STARTED, Move.FAILED],
    State.LOST: [Move.CLAIM, Move.STARTED, Move.LOST],
    State.DONE: [Move.UNREGISTER],
}


def instance_in(registry: Registry, state: State) -> Instance:
    instance = registry.snapshot().register_instance("web", "v1", "worker")
    for move in WAY[state]:
        instance = MAKE[move](instance)
    assert instance.state is state
    return instance


@pytest.mark.parametrize("state", State)
def test_every_move_from_a_state_is_made_or_refused_as_the_table_says(web: Registry, state: State) -> None:
    for move in Move:
        instance = instance_in(web, state)
        wanted = MOVES.get((state, move))
        if state is State.RUNNING and move is Move.STARTED:
            assert MAKE[move](instance) is instance  # a no-op (`ancestors.md`, C5)
        elif move is Move.UNLOCK:
            assert MAKE[move](instance) is instance  # nobody has locked it
        elif wanted is None:
            before = web.client.rev()
            with pytest.raises((IllegalMove, AlreadyClaimed)) as caught:
                MAKE[move](instance)
            if isinstance(caught.value, IllegalMove):
                assert caught.value.state == state
                assert state in str(caught.value) and caught.value.wanted in str(caught.value)
            assert web.client.rev() == before
            assert instance.state is state
        else:
            after = MAKE[move](instance)
            assert (after.state, after.id) == (wanted, instance.id)
            assert instance.state is state  # the old object still answers with the old state
            if wanted is not State.DONE:
                assert web.instance(instance.id) == after
    assert web.verify() == []


@pytest.mark.parametrize("state", [State.CLAIMED, State.RUNNING, State.STOPPING, State.EXITED, State.DONE])
def test_a_move_that_somebody_else_made_first_is_refused_with_the_state_found(
    web: Registry, state: State
) -> None:
    """The object at hand is old: what is said is about the instance as it is now."""
    for move in (Move.CLAIM, Move.UNREGISTER):
        instance = web.snapshot().register_instance("web", "v1", "worker")
        now = instance
        for step in WAY[state]:
            now = MAKE[step](now)
        with pytest.raises(errors.VisorError) as caught:
            MAKE[move](instance)
        if state is State.DONE:
            assert isinstance(caught.value, Unregistered)
            assert (caught.value.by, caught.value.reason) == ("me", "tidying")
        elif move is Move.CLAIM:
            assert isinstance(caught.value, AlreadyClaimed | IllegalMove)
            assert HOST in str(caught.value) or state in str(caught.value)
        else:
            assert isinstance(caught.value, errors.RevMismatch)
            assert instance.fast_forward().unregister().state is State.DONE


def test_only_the_claimer_reports(web: Registry) -> None:
    claimed = instance_in(web, State.CLAIMED)
    running = instance_in(web, State.RUNNING)
    for refused in (
        lambda: claimed.unclaim("other"),
        lambda: claimed.started("other"),
        lambda: running.restarted("oom", 2, "other"),
        lambda: running.exited("other"),
        lambda: running.failed("other"),
        lambda: running.started("other"),
    ):
        with pytest.raises((NotClaimer, IllegalMove)) as caught:
            refused()
        if isinstance(caught.value, NotClaimer):
            assert (caught.value.host, caught.value.claimer) == ("other", HOST)
    assert running.lost().state is State.LOST
    assert claimed.stop().state is State.STOPPING


def test_a_former_claimer_cannot_finish_an_instance_that_was_claimed_again(web: Registry) -> None:
    former = instance_in(web, State.CLAIMED)
    theirs = former.unclaim().claim("10.0.0.2")
    for refused in (former.started, former.failed, former.exited, former.unclaim):
        with pytest.raises(errors.Rejected):
            refused()
        with pytest.raises(NotClaimer):
            refused(HOST)
    assert web.instance(former.id) == theirs
    # The same host again: its former claim is not the present one.
    again = theirs.unclaim().claim(HOST)
    with pytest.raises(errors.RevMismatch):
        former.started(HOST)
    assert again.started(HOST).state is State.RUNNING


def test_claims_are_remembered(web: Registry) -> None:
    instance = web.snapshot().register_instance("web", "v1", "worker")
    assert (instance.claims, instance.claim_count, instance.claimed) == ([], 0, None)
    for number in range(70):
        instance = instance.claim(f"host{number}").unclaim()
    assert instance.claim_count == 70
    assert [host for host, _ in instance.claims] == [f"host{number}" for number in range(6, 70)]
    assert instance.claimed is None
    claimed = instance.claim("last")
    assert claimed.claimed is not None
    assert claimed.claims[-1] == ("last", claimed.claimed)


def test_what_a_process_reports_is_kept(web: Registry) -> None:
    instance = instance_in(web, State.CLAIMED).started(
        port=8001, hostname="node-1", tele_port=9001, ip="192.168.0.7"
    )
    assert (instance.addr, instance.hostname, instance.tele_port) == ("192.168.0.7:8001", "node-1", 9001)
    instance = instance.restarted("fail", 2).restarted("oom").restarted("fail")
    assert instance.restarts == {"fail": 3, "oom": 1}
    with pytest.raises(BadValue, match="reason must be one of fail, oom, not 'boredom'"):
        instance.restarted("boredom")
    with pytest.raises(BadValue, match="count must be a whole number from 1 on, not 0"):
        instance.restarted("oom", 0)
    ended = instance.failed(reason="exit code 1")
    assert ended.status_info is not None
    assert (ended.status_info.by, ended.status_info.reason) == (HOST, "exit code 1")
    assert web.instance(instance.id).restarts == {"fail": 3, "oom": 1}


def test_a_lock_marks_and_forbids_nothing(web: Registry) -> None:
    instance = instance_in(web, State.RUNNING).lock("alice", "debugging")
    assert instance.is_locked
    assert instance.lock_info is not None
    assert (instance.lock_info.by, instance.lock_info.reason) == ("alice", "debugging")
    with pytest.raises(Locked) as caught:
        instance.lock("bob")
    assert (caught.value.by, caught.value.reason) == ("alice", "debugging")
    stopped = instance.stop().exited()
    assert stopped.is_locked
    assert not stopped.unlock().is_locked


def test_a_tombstone_stays(web: Registry) -> None:
    instance = instance_in(web, State.EXITED)
    assert not web.snapshot().is_done(instance.id)
    gone = instance.unregister("me", "tidying")
    assert web.snapshot().is_done(instance.id)
    with pytest.raises(Unregistered) as caught:
        web.instance(instance.id)
    assert (caught.value.by, caught.value.reason) == ("me", "tidying")
    assert caught.value.time
    with pytest.raises(Unregistered):
        instance.unregister()
    with pytest.raises(IllegalMove):
        gone.unregister()
    with pytest.raises(errors.NotFound):
        web.instance(instance.id + 1)
    assert not web.snapshot().is_done(instance.id + 1)


def test_the_table_of_the_documentation_is_the_table_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "visor" / "docs" / "domain.md").read_text()
    rows = re.findall(r"^\| ([a-z, ]+?) +\|(.*)\|$", text.split("## 3.")[1].split("## 4.")[0], re.MULTILINE)
    columns = [
        "claim",
        "unclaim",
        "started",
        "restarted",
        "stop",
        "exited, failed, lost",
        "lock, unlock",
        "unregister",
    ]
    seen = set()
    for names, cells in rows:
        for state in names.split(", "):
            found = dict(zip(columns, (cell.strip() for cell in cells.split("|")), strict=True))
            for column, cell in found.items():
                moves = column.split(", ")
                ends = cell.split(", ")
                for move, end in zip(moves, ends * (len(moves) // len(ends)), strict=True):
                    wanted = MOVES.get((State(state), Move(move)))
                    if (state, move) == ("running", "started"):
                        assert (cell, wanted) == ("(same)", None)
                        continue
                    assert (wanted or "") == (state if end == "(same)" else end), (state, move)
                    seen.add((state, move))
    assert len(seen) == len(list(itertools.product(State, Move))) - 1
