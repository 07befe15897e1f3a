"""Do all members hold the same? They compute a hash of the state at one rev, and the leader compares.

    leader: HASH n, rev -------> every member   (every `cluster.hash_seconds`, or when an operator asks)
    member: HASHED n, rev, digest               once its state has reached the rev, a millisecond at a time
    leader: VERDICT rev, digest of the majority, who differs ---> every member

A member that differs from a majority of the voters has a fault nobody knows the cause of: memory, disk, a defect here.
It stops serving for good, also after a restart (`divergence.py` keeps that), and stays up to be looked into; its log
is not in doubt, so it still votes. The others raise an alarm. Without a majority nobody can tell who is right: all
raise the alarm, nobody stops.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Protocol

from visord.environment import Loop, Timer
from visord.members.cluster import Answer, Service
from visord.peers import messages as msg
from visord.raft.configuration import Configuration
from visord.state.digest import digest
from visord.state.refusal import Refusal
from visord.state.store import Store

logger = logging.getLogger("visord.hashing")

SLICE: Final = 200
"""Files that are hashed at once: well below a millisecond."""
PAUSE_SECONDS: Final = 0.004
PATIENCE_SECONDS: Final = 240.0
"""For a whole comparison. A member that has not answered by then is left out."""
LAG_SECONDS: Final = 30.0
"""How long a member may take to reach the rev."""
KEPT: Final = 8
"""Own digests that are remembered until the verdict comes."""

Found = Callable[["str | None", str], None]
"""Gets a digest, or None and why there is none."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def member(self) -> str: ...

    @property
    def leader(self) -> str | None: ...

    @property
    def is_leader(self) -> bool: ...

    @property
    def reads_are_current(self) -> bool: ...

    @property
    def configuration(self) -> Configuration: ...


class Digests:
    """The digests of one node's store, computed one after another beside everything else."""

    def __init__(self, store: Callable[[], Store], loop: Loop) -> None:
        self._store = store
        self._loop = loop
        self._waiting: OrderedDict[int, tuple[list[Found], float]] = OrderedDict()
        """rev -> (who waits for its digest, until when the rev must have come)."""
        self._steps: Generator[None, None, str | Refusal] | None = None
        self._rev = 0
        """What is being computed."""
        self._timer: Timer | None = None
        self.known: OrderedDict[int, str] = OrderedDict()
        """rev -> digest, the newest last."""

    def compute(self, rev: int, found: Found) -> None:
        """Call `found` with the digest at `rev`, once the store is there."""
        if rev in self._waiting:
            self._waiting[rev][0].append(found)
        else:  # also when it is known: what was right a while ago is what is to be found out
            self._waiting[rev] = ([found], self._loop.time() + LAG_SECONDS)
            self.look()

    def look(self) -> None:
        """From time to time: begin what can be begun, give up what lags too much."""
        if self._steps is not None:
            return
        store, now = self._store(), self._loop.time()
        for rev, (_, until) in list(self._waiting.items()):
            if rev <= store.rev:
                self._rev, self._steps = rev, digest(store, rev, slice_size=SLICE)
                self._step()
                return
            if until <= now:
                self._settle(rev, None, f"at rev {store.rev} only")

    def _step(self) -> None:
        if self._steps is None:
            return
        try:
            next(self._steps)
        except StopIteration as done:
            self._steps = None
            result: str | Refusal = done.value
            if isinstance(result, Refusal):
                self._settle(self._rev, None, result.text)
            else:
                self.known[self._rev] = result
                while len(self.known) > KEPT:
                    self.known.popitem(last=False)
                self._settle(self._rev, result, "")
            self.look()
        except Exception as error:
            # What was walked was replaced by a checkpoint meanwhile: another time, then.
            logger.warning("no digest at rev %d: %s", self._rev, error, exc_info=error)
            self._steps = None
            self._settle(self._rev, None, f"failed: {type(error).__name__}")
        else:
            self._timer = self._loop.call_later(PAUSE_SECONDS, self._step)

    def _settle(self, rev: int, digest: str | None, why: str) -> None:
        for found in self._waiting.pop(rev)[0]:
            found(digest, why)

    def close(self) -> None:
        """Stop."""
        self._steps = None
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()


class _Comparison:
    """One question of the leader's to all members, and what they answered."""

    def __init__(self, number: int, rev: int, deadline: float, askers: Sequence[Answer]) -> None:
        self.number = number
        self.rev = rev
        self.deadline = deadline
        self.answers: dict[str, tuple[str | None, str]] = {}
        self.asked: set[str] = set()
        self.askers = list(askers)


class Hashing:
    """Comparing replicas: both sides of one node.

    `say(member, message)` sends; `diverged(rev, own, majority)` is called when this node is the one that differs;
    comparisons are numbered from `first`, which no other life of this node had.
    """

    def __init__(
        self,
        consensus: Consensus,
        store: Callable[[], Store],
        say: Callable[[str, list[Any]], bool],
        loop: Loop,
        every: float,
        diverged: Callable[[int, str, str], None],
        first: int,
    ) -> None:
        self._consensus = consensus
        self._store = store
        self._say = say
        self._loop = loop
        self._every = every
        self._diverged = diverged
        self._next = loop.time() + every
        self._last = first
        self._running: _Comparison | None = None
        self._digests = Digests(store, loop)
        self.differing: dict[str, int] = {}
        """Members that differed when all were compared last, and at which rev."""
        self.compared = 0
        """The rev at which replicas were compared last, and a majority was equal."""

    @property
    def service(self) -> Service:
        """For operators: the arguments are [rev or None]."""
        return Service(PATIENCE_SECONDS + LAG_SECONDS, self._asked)

    # -- the leader's side ----------------------------------------------------------------------------

    def look(self) -> None:
        """From time to time: compare when it is due, give up waiting."""
        self._digests.look()
        now, consensus = self._loop.time(), self._consensus
        if not consensus.is_leader:
            self._abandon()
            self._next = now + self._every
            return
        if self._running is not None and self._running.deadline <= now:
            for member in self._running.asked - self._running.answers.keys():
                self._running.answers[member] = (None, "no answer in time")
            self._conclude(self._running)
        if self._every and self._running is None and now >= self._next and consensus.reads_are_current:
            self._next = now + self._every
            if len(consensus.configuration.members) > 1:
                self._compare(self._store().rev)

    def _asked(self, arguments: list[Any], answer: Answer, again: Callable[[], None]) -> None:
        store = self._store()
        rev = store.rev if arguments[0] is None else arguments[0]
        refused = store.outside(rev)
        if refused is not None:
            answer(False, list(refused))
        elif self._running is None:
            self._compare(rev, answer)
        elif self._running.rev == rev:
            self._running.askers.append(answer)
        else:
            again()  # one after another

    def _compare(self, rev: int, *askers: Answer) -> None:
        self._last += 1
        number = self._last
        comparison = _Comparison(number, rev, self._loop.time() + PATIENCE_SECONDS, askers)
        self._running = comparison
        for one in self._consensus.configuration.members:
            comparison.asked.add(one.id)
            if one.id != self._consensus.member and not self._say(one.id, [msg.HASH, number, rev]):
                comparison.answers[one.id] = (None, "not reachable")
        me = self._consensus.member
        self._digests.compute(rev, lambda digest, why: self._note(me, number, digest, why))

    def on_hashed(self, member: str, message: list[Any]) -> None:
        """A member tells its digest."""
        _, number, _, found, why = message[:5]
        if found is None or type(found) is str:
            self._note(member, number, found, why)

    def lose(self, member: str) -> None:
        """The connection to a member broke: its answer will not come."""
        if self._running is not None:
            self._note(member, self._running.number, None, "not reachable")

    def _note(self, member: str, number: int, found: str | None, why: str) -> None:
        running = self._running
        if running is not None and running.number == number and member in running.asked:
            running.answers.setdefault(member, (found, why))
            self._conclude_when_done()

    def _conclude_when_done(self) -> None:
        running = self._running
        if running is not None and running.asked <= running.answers.keys():
            self._conclude(running)

    def _conclude(self, comparison: _Comparison) -> None:
        self._running = None
        configuration = self._consensus.configuration
        majority, differing = judge(configuration, {m: d for m, (d, _) in comparison.answers.items()})
        verdict = [msg.VERDICT, comparison.rev, majority, differing]
        for one in configuration.members:
            if one.id != self._consensus.member:
                self._say(one.id, verdict)
        names = {one.id: one.name for one in configuration.members}
        rows = [
            {"id": member, "name": names.get(member, member), "digest": found, "why": why}
            for member, (found, why) in sorted(comparison.answers.items())
        ]
        result = {"rev": comparison.rev, "equal": majority is not None and not differing, "digests": rows}
        for answer in comparison.askers:
            answer(True, result)
        self._judged(comparison.rev, majority, differing)

    def _abandon(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            for answer in running.askers:
                answer(False, ["lost_leadership", "the leader changed while replicas were compared", {}])

    # -- every member's side --------------------------------------------------------------------------

    def on_hash(self, member: str, message: list[Any]) -> None:
        """The leader asks for the digest at a rev."""
        _, number, rev = message[:3]
        self._digests.compute(
            rev, lambda found, why: self._tell(member, [msg.HASHED, number, rev, found, why])
        )

    def _tell(self, member: str, message: list[Any]) -> None:
        self._say(member, message)

    def on_verdict(self, member: str, message: list[Any]) -> None:
        """The leader tells who differs."""
        _, rev, majority, differing = message[:4]
        if member == self._consensus.leader and (majority is None or type(majority) is str):
            self._judged(rev, majority, [one for one in differing if type(one) is str])

    def _judged(self, rev: int, majority: str | None, differing: list[str]) -> None:
        me, own = self._consensus.member, self._digests.known.get(rev)
        self.differing = {member: rev for member in differing if member != me}
        if differing:
            logger.critical("replicas differ at rev %d: %s", rev, ", ".join(differing))
        elif majority is not None:
            self.compared = max(self.compared, rev)
        if me in differing and majority is not None and own is not None and own != majority:
            self._diverged(rev, own, majority)

    def close(self) -> None:
        """Stop."""
        self._running = None
        self._digests.close()


def judge(configuration: Configuration, digests: dict[str, str | None]) -> tuple[str | None, list[str]]:
    """Return (the digest of a majority of all voters, or None; the members that differ from it, or from each other).

    Without a majority, all that answered differ if any two do.
    """
    voters = configuration.voters
    votes = [digests.get(one) for one in voters]
    told = {member: found for member, found in digests.items() if found is not None}
    best = max(sorted(set(told.values())), key=votes.count, default=None)
    if best is not None and votes.count(best) > len(voters) // 2:
        return best, sorted(member for member, found in told.items() if found != best)
    return None, sorted(told) if len(set(told.values())) > 1 else []
