"""What a conversation may ask of the node behind it: what a read waits for, who is woken, how a watch is begun."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from visor.protocol import verbs as v
from visord.serving.backend import CONFIRMATION, Backend, UntilRev
from visord.state.auth.auth_store import AuthStore
from visord.state.refusal import Refusal

NOW = 42.0
LINEARIZABLE, STALE = v.LINEARIZABLE, v.STALE
SELECTOR = [v.SEL_TREE, "/"]


class Client:
    """Notes for which requests it was woken."""

    blocked = False

    def __init__(self) -> None:
        self.woken: list[int] = []

    def wake(self, request: int) -> None:
        self.woken.append(request)

    def send(self, data: bytes) -> None: ...

    def send_all(self, pieces: Sequence[bytes]) -> None: ...


class World:
    """A node at rev 10."""

    def __init__(self, *, readable: bool = False) -> None:
        self.calls: list[Any] = []
        self.hub_refuses: Refusal | None = None
        hub = SimpleNamespace(
            watched_by=lambda client: False,
            drop=lambda client: self.calls.append(("drop", client)),
            subscribe=self._subscribe,
            unsubscribe=lambda client, watch: self.calls.append(("unsubscribe", watch)),
            credit=lambda client, watch, size: self.calls.append(("credit", watch, size)),
            progress=lambda client, watch: self.calls.append(("progress", watch)),
            resume=lambda client: self.calls.append(("resume",)),
            judge_again=lambda: self.calls.append("judged again"),
        )
        self.node: Any = SimpleNamespace(
            hub=hub,
            pump=SimpleNamespace(wake=lambda: self.calls.append("pump")),
            cluster="c" * 32,
            me=SimpleNamespace(id="me"),
            store=SimpleNamespace(rev=10),
            pages=None,
            cold_reads=SimpleNamespace(forget=lambda client, request: None),
            shares=None,
            admission=SimpleNamespace(diverged=None),
            audit=None,
            readiness=SimpleNamespace(readable=readable),
            proposer=None,
            read_index=SimpleNamespace(ask=None),
            lease_questions=SimpleNamespace(ask=None),
            membership=None,
            environment=SimpleNamespace(loop=SimpleNamespace(time=lambda: NOW), clock_ms=lambda: 0),
            machine=SimpleNamespace(auth=AuthStore()),
            on_applied=None,
        )
        self.backend = Backend(self.node)

    def _subscribe(self, client: Client, *fields: Any) -> int | Refusal:
        self.calls.append(fields)
        return self.hub_refuses or 11

    def reaches(self, rev: int) -> None:
        self.node.store.rev = rev
        self.node.on_applied()


def expected(at: Any, mode: int, min_rev: int, readable: bool) -> Any:
    """For what a read at rev 10 waits, said once more: a rev to come, what the client has seen, or a confirmation."""
    if type(at) is int and at > 10:
        return UntilRev(at)
    if min_rev > 10:
        return UntilRev(min_rev)
    if at is not None or mode == STALE or readable:
        return None
    return CONFIRMATION


@pytest.mark.parametrize("verb", [v.GET, v.STAT, v.LIST, v.SCAN])
def test_reads_with_a_rev_and_a_mode_wait_for_what_these_say(verb: int) -> None:
    for at, mode, min_rev, readable in product(
        (None, 9, 10, 11, "x"), (LINEARIZABLE, STALE), (0, 10, 12), (False, True)
    ):
        found = World(readable=readable).backend.wait([verb, 1, "/a", at, mode], min_rev)
        assert found == expected(at, mode, min_rev, readable), (at, mode, min_rev, readable)


@pytest.mark.parametrize("verb", [v.GET, v.STAT, v.LIST, v.SCAN])
def test_fields_that_are_left_out_mean_now_and_linearizable(verb: int) -> None:
    world = World()
    assert world.backend.wait([verb, 1, "/a"], 0) is CONFIRMATION
    assert world.backend.wait([verb, 1, "/a", None], 0) is CONFIRMATION
    assert world.backend.wait([verb, 1, "/a", 11], 0) == UntilRev(11)


def test_rev_has_its_mode_where_others_have_their_path() -> None:
    world = World()
    assert world.backend.wait([v.REV, 1], 0) is CONFIRMATION
    assert world.backend.wait([v.REV, 1, LINEARIZABLE], 0) is CONFIRMATION
    assert world.backend.wait([v.REV, 1, STALE], 0) is None
    assert world.backend.wait([v.REV, 1, STALE], 12) == UntilRev(12)


@pytest.mark.parametrize("verb", [v.LOG, v.DIFF, v.AT, v.LEASES])
def test_other_reads_need_a_confirmation_whatever_stands_where_a_rev_might(verb: int) -> None:
    assert World().backend.wait([verb, 1, SELECTOR, 99, STALE], 0) is CONFIRMATION


def test_who_waits_is_woken_when_the_rev_is_reached_in_the_order_of_the_revs() -> None:
    world, one, two = World(), Client(), Client()
    world.backend.wake_at(13, one, 1)
    world.backend.wake_at(12, two, 1)
    world.backend.wake_at(12, one, 2)
    world.reaches(11)
    assert (one.woken, two.woken) == ([], [])
    world.reaches(12)
    assert (one.woken, two.woken) == ([2], [1])
    world.reaches(20)
    assert one.woken == [2, 1]


def test_who_waits_no_more_is_not_woken() -> None:
    world, one = World(), Client()
    world.backend.wake_at(12, one, 1)
    world.backend.wake_at(12, one, 2)
    world.backend.stop_waiting(one, 1)
    world.reaches(12)
    assert one.woken == [2]


def test_a_conversation_that_has_ended_is_forgotten_with_its_watches_and_requests() -> None:
    world, one = World(), Client()
    for request in (1, 2):
        world.backend.wake_at(12, one, request)
    world.backend.forget(one, [1, 2])
    world.reaches(12)
    assert one.woken == []
    assert world.calls == [("drop", one)]


def test_a_watch_has_defaults_for_what_is_left_out_and_the_hub_is_woken() -> None:
    world, one = World(), Client()
    assert world.backend.watch(one, [v.WATCH, 3, SELECTOR]) == 11
    assert world.calls == [(3, SELECTOR, None, 0, v.ALL_KINDS, 0, NOW), "pump"]
    world.calls.clear()
    world.backend.watch(one, [v.WATCH, 4, SELECTOR, 7, 1, 2, 1000])
    assert world.calls == [(4, SELECTOR, 7, 1, 2, 1000, NOW), "pump"]


@pytest.mark.parametrize("message", [[v.WATCH, 3], [v.WATCH, 3, SELECTOR, 7, 1, 2, 1000, "more"]])
def test_a_watch_of_too_few_or_too_many_fields_is_refused(message: list[Any]) -> None:
    world = World()
    refusal = world.backend.watch(Client(), message)
    assert isinstance(refusal, Refusal) and refusal.code == "bad_request"
    assert world.calls == []


def test_a_node_that_differs_begins_no_watch() -> None:
    world = World()
    world.node.admission.diverged = Refusal("diverged", "", {})
    assert world.backend.watch(Client(), [v.WATCH, 3, SELECTOR]) is world.node.admission.diverged
    assert world.calls == []


def test_what_may_let_the_hub_deliver_wakes_it() -> None:
    world, one = World(), Client()
    world.backend.credit(one, 3, 100)
    world.backend.progress(one, 3)
    world.backend.resume(one)
    world.backend.unwatch(one, 3)
    assert world.calls == [
        ("credit", 3, 100), "pump", ("progress", 3), "pump", ("resume",), "pump", ("unsubscribe", 3),
    ]  # fmt: skip


def test_watches_are_judged_again_when_rights_have_changed_and_only_then() -> None:
    world = World()
    world.reaches(11)
    world.node.machine.auth.version = 1
    world.reaches(12)
    world.reaches(13)
    assert world.calls == ["judged again"]
