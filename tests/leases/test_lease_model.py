"""Random schedules of leaders, clients and a slow network: who believes that he holds a lease does hold it.

The log, the machine, the lessor, the node's leases and the client's own count are the real ones. Leaders change with
proposals under way, deposed ones go on for a while, processes stand still, messages take their time.

    town.log      committed entries (term, frames)      every node applies them in order, sooner or later
    node.pending  what a leader appended; a change of leader commits some of it, in its old term, and drops the rest
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from visor._core.recipes.lease import LeaseTimer
from visor.protocol import verbs as v
from visor.protocol.limits import DEFAULT
from visord.leases.service import LeaseService
from visord.state import command
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.state.tables import export_tables

REFUSED = Refusal("no_quorum", "deposed", {})
PATHS = ["/a", "/b", "/c/d", "/c/e"]


class Node:
    """One member: its machine, and its leases on the town's clock."""

    def __init__(self, town: Town, machine: Machine | None = None) -> None:
        self.town = town
        self.machine = machine or Machine()
        self.term = 0  # in which it believes to lead
        self.standing_still = False
        self.pending: list[tuple[int, list[Any]]] = []
        self.confirming: list[Callable[[Refusal | None], None]] = []
        self.leases = LeaseService(
            self.machine,
            DEFAULT,
            lambda: self.term,
            self.wants_confirmation,
            self,
            lambda: town.now,
        )

    def wants_confirmation(self, callback: Callable[[Refusal | None], None]) -> None:
        self.confirming.append(callback)

    def refusal(self) -> Refusal | None:
        return None

    def submit(self, author: Any, frames: list[Any], size: int) -> None:
        self.pending.append((self.term, frames))

    def catch_up(self) -> None:
        while self.machine.index < len(self.town.log):
            term, frames = self.town.log[self.machine.index]
            data = command.encode(1000, [[None, "visord", frames, ""]])
            outcomes = self.machine.apply(self.machine.index + 1, term, data)[0]
            self.leases.applied()
            if frames[0][0] == v.EXPIRE_LEASE and (term, frames) in self.pending:
                self.pending.remove((term, frames))
                self.leases.complete(frames, outcomes)

    def settle_confirmations(self) -> None:
        """The leader gets its round; a deposed one learns that it is none."""
        leads = self.town.leader is self
        waiting, self.confirming = self.confirming, []
        for callback in waiting:
            callback(None if leads else REFUSED)


class Holder:
    """A client with one lease."""

    def __init__(self, lease: int, ttl: int, sent: float) -> None:
        self.lease = lease
        self.timer = LeaseTimer(ttl / 1000, sent)
        self.requests: list[float] = []  # on their way: when each was sent
        self.answers: list[tuple[float, Any]] = []


class Town(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.now = 10.0
        self.log: list[tuple[int, list[Any]]] = []
        self.nodes = [Node(self) for _ in range(3)]
        self.truth = Machine()
        self.holders: list[Holder] = []
        self.promised: dict[int, float] = {}  # lease -> the moment before which it must not go
        self.term = 0
        self.write = 0
        self.leader = self.nodes[0]
        self.elect(self.leader)
        for ttl in (1000, 2000):
            self.hand_out(ttl, 0.0)

    # -- the log --------------------------------------------------------------------------------------

    def commit(self, term: int, frames: list[Any]) -> list[Any]:
        self.log.append((term, frames))
        data = command.encode(1000, [[None, "visord", frames, ""]])
        before = {n: sorted(lease.files) for n, lease in self.truth.store.leases.by_id.items()}
        outcomes = self.truth.apply(len(self.log), term, data)[0]
        for frame, outcome in zip(frames, outcomes, strict=True):
            if frame[0] == v.EXPIRE_LEASE and type(outcome) is int and before[frame[3]]:
                (changes,) = [c[4] for c in self.truth.store.commits(outcome, outcome)]
                assert [change[:2] for change in changes] == [(v.EXPIRE, path) for path in before[frame[3]]]
        return outcomes

    def do(self, verb: int, *fields: Any) -> Any:
        self.write += 1
        (outcome,) = self.commit(self.term, [[verb, self.write, 0, *fields]])
        self.leader.catch_up()
        return outcome

    def elect(self, node: Node) -> None:
        self.term += 1
        self.leader = node
        self.do(v.NOP)  # an entry of its own term
        node.term = self.term
        node.standing_still = False
        node.leases.tick()
        for lease in self.truth.store.leases.by_id.values():
            self.promise(lease.id, lease.ttl)  # a new leader gives a full time

    def promise(self, lease: int, ttl: int) -> None:
        """The present leader has said, now, that the lease has its full time."""
        self.promised[lease] = max(self.promised.get(lease, 0.0), self.now + ttl / 1000)

    # -- what happens ---------------------------------------------------------------------------------

    @rule(ttl=st.sampled_from([1000, 2000, 5000]), ago=st.floats(0, 0.5))
    def grant(self, ttl: int, ago: float) -> None:
        if len(self.holders) < 4:
            self.hand_out(ttl, ago)

    def hand_out(self, ttl: int, ago: float) -> None:
        _, lease, granted = self.do(v.GRANT, ttl)
        self.holders.append(Holder(lease, granted, self.now - ago))
        self.promise(lease, granted)

    @rule(data=st.data(), path=st.sampled_from(PATHS), attach=st.booleans())
    def set(self, data: Any, path: str, attach: bool) -> None:
        lease = data.draw(st.sampled_from(self.holders)).lease if attach and self.holders else 0
        self.do(v.SET, path, b"", 0, 0, lease)

    @rule(data=st.data())
    def revoke(self, data: Any) -> None:
        if self.holders:
            holder = data.draw(st.sampled_from(self.holders))
            holder.timer.end(lost=False)
            self.promised.pop(holder.lease, None)
            self.do(v.REVOKE, holder.lease)
            self.holders.remove(holder)

    @rule(data=st.data())
    def ask(self, data: Any) -> None:
        if self.holders:
            data.draw(st.sampled_from(self.holders)).requests.append(self.now)

    @rule(data=st.data())
    def request_arrives(self, data: Any) -> None:
        """At the leader, or at somebody who takes himself for one."""
        waiting = [holder for holder in self.holders if holder.requests]
        if waiting:
            holder = data.draw(st.sampled_from(waiting))
            believers = [node for node in self.nodes if node.term]
            self.deliver(holder, data.draw(st.sampled_from([self.leader, *believers])))

    def deliver(self, holder: Holder, node: Node) -> None:
        sent = holder.requests.pop(0)

        def reply(answer: Any) -> None:
            holder.answers.append((sent, answer))
            if not isinstance(answer, Refusal) and answer[0][1]:
                assert node is self.leader, "kept by somebody who does not lead"
                self.promise(*answer[0])

        node.leases.request(v.KEEPALIVE, [[holder.lease]], reply)

    @rule(data=st.data(), pause=st.sampled_from([0.0, 0.0, 0.9, 1.9, 4.9]))
    def asks_and_is_heard(self, data: Any, pause: float) -> None:
        """The request is with the leader at once, which is sure to lead; the answer comes after a pause."""
        if self.holders:
            holder = data.draw(st.sampled_from(self.holders))
            holder.requests.insert(0, self.now)
            self.deliver(holder, self.leader)
            self.leader.settle_confirmations()
            self.run(pause, rounds=True, commits=True)
            while holder.answers:
                self.take(holder)

    @rule(data=st.data())
    def answer_arrives(self, data: Any) -> None:
        waiting = [holder for holder in self.holders if holder.answers]
        if waiting:
            self.take(data.draw(st.sampled_from(waiting)))

    def take(self, holder: Holder) -> None:
        sent, answer = holder.answers.pop(0)
        if isinstance(answer, Refusal):
            holder.timer.miss(sent, self.now)
        elif answer[0][1]:
            holder.timer.confirm(sent, answer[0][1] / 1000, self.now)
        else:
            assert holder.lease not in self.truth.store.leases.by_id, "told gone, but it is there"
            holder.timer.end(lost=True)

    @rule(
        seconds=st.sampled_from([0.05, 0.3, 0.9, 1.05, 2.05, 5.05]),
        rounds=st.booleans(),
        commits=st.booleans(),
    )
    def time_passes(self, seconds: float, rounds: bool, commits: bool) -> None:
        self.run(seconds, rounds, commits)

    def run(self, seconds: float, rounds: bool, commits: bool) -> None:
        until = self.now + seconds
        while self.now < until - 1e-6:
            self.now += 0.05
            for node in self.nodes:
                if not node.standing_still:
                    node.leases.tick()
                    if rounds:
                        node.settle_confirmations()
            if commits:
                self.commit_pending()

    @rule(data=st.data())
    def somebody_stands_still(self, data: Any) -> None:
        node = data.draw(st.sampled_from(self.nodes))
        node.standing_still = not node.standing_still

    @rule()
    def rounds_end(self) -> None:
        for node in self.nodes:
            node.settle_confirmations()

    @rule()
    def leader_commits(self) -> None:
        self.commit_pending()

    def commit_pending(self) -> None:
        for term, frames in list(self.leader.pending):
            if term == self.term:
                self.commit(term, frames)
        self.leader.catch_up()

    @rule(data=st.data(), kept=st.integers(0, 2), knows=st.booleans(), ripe=st.booleans())
    def another_leads(self, data: Any, kept: int, knows: bool, ripe: bool) -> None:
        old = self.leader
        if ripe:  # with expiries under way
            self.run(2.05, rounds=True, commits=False)
        for term, frames in old.pending[:kept]:
            if term == self.term:
                self.commit(term, frames)  # it had reached a majority
        left_over = [frames for term, frames in old.pending[kept:] if term == self.term]
        if knows:
            old.term = 0
        new = data.draw(st.sampled_from(self.nodes))
        if new is old:
            new.confirming.clear()
        new.catch_up()
        self.elect(new)
        if left_over and data.draw(st.booleans()):
            self.commit(self.term, left_over[0])  # what waited at the old one was passed on to the new one
            new.catch_up()

    @rule(data=st.data())
    def somebody_learns_that_it_does_not_lead(self, data: Any) -> None:
        for node in self.nodes:
            if node is not self.leader and node.term and data.draw(st.booleans()):
                node.term = 0
                node.catch_up()
                node.leases.tick()

    # -- what holds -----------------------------------------------------------------------------------

    @invariant()
    def who_believes_to_hold_a_lease_does(self) -> None:
        if hasattr(self, "holders"):
            for holder in self.holders:
                if holder.timer.left(self.now) > 0:
                    assert holder.lease in self.truth.store.leases.by_id, "it went too early"

    @invariant()
    def what_the_registry_promised_holds(self) -> None:
        for lease, until in getattr(self, "promised", {}).items():
            assert lease in self.truth.store.leases.by_id or self.now >= until - 1e-6, "it went too early"

    def teardown(self) -> None:
        """When all is well again and nobody keeps anything, everything goes, in good time."""
        if not hasattr(self, "holders"):
            return
        self.leader.standing_still = False
        for _ in range(int(12 / 0.05)):
            self.now += 0.05
            self.leader.leases.tick()
            self.leader.settle_confirmations()
            self.commit_pending()
        assert not self.truth.store.leases.by_id
        for node in self.nodes:
            node.catch_up()
            assert export_tables(node.machine) == export_tables(self.truth)


TestTown = Town.TestCase
TestTown.settings = settings(
    max_examples=int(150 * float(os.environ.get("VISOR_SOAK", "1"))), stateful_step_count=60
)
