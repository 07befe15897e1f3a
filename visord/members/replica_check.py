"""Do all members hold the same? They tell what they hold at one entry of the log, and the leader compares.

    leader: SAMPLE n, index, ... ---> every member   (every `cluster.compare_seconds`: cheap, see `samples`)
    member: SAMPLED n, index, sample                 once it has applied the entry
    leader: HASH n, index, rev -----> every member   (samples differ, every `cluster.hash_seconds`, for an operator)
    member: HASHED n, index, rev, digest             of all its files, a millisecond at a time
    leader: VERDICT index, rev, what the majority holds, who differs ---> every member
    who differs: DIGEST n, index, rev ---> the voters       "what did you tell of this entry?"
    voter:       TOLD n, what it told

An entry, not a rev, is what all have in common: a member that applied it to another state may have the same rev with
other files, or fewer revs than the leader and never reach its rev. So a member tells the rev that *it* had at the
entry, and a digest at that rev; both must be equal. It tells what it has when it does not get to the entry in time.

No member stops by the leader's word alone: one that is said to differ asks the voters what they told, and judges that.
A member that differs from a majority of the voters has a fault nobody knows the cause of: memory, disk, a defect here.
It stops serving for good, also after a restart (`divergence.py` keeps that), and stays up to be looked into; its log
is not in doubt, so it still votes. The others raise an alarm. Without a majority nobody can tell who is right: all
raise the alarm, nobody stops.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from visord.environment import Loop, Timer
from visord.logs import about
from visord.members import samples
from visord.members.membership import Answer, Query
from visord.members.samples import Point, Points, Question
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.raft.configuration import Configuration
from visord.state.digest import digest
from visord.state.machine import Machine
from visord.state.refusal import Refusal

logger = logging.getLogger("visord.hashing")

SLICE: Final = 200
"""Files that are hashed at once: well below a millisecond."""
PAUSE_SECONDS: Final = 0.004
PATIENCE_SECONDS: Final = 240.0
"""For a whole comparison. A member that has not answered by then is left out."""
LAG_SECONDS: Final = 8.0
"""How long a member may take to reach the entry."""
KEPT: Final = 8
"""Own digests that are remembered until the verdict comes."""
MOST_WAITING: Final = 16
"""Digests and samples that a member may be asked for at once."""
REPEAT_SECONDS: Final = 1.0
"""A member that has not answered is asked again: one that has just joined may not follow this leader yet."""
OTHERS_SECONDS: Final = 10.0
"""Where an operator waits, and a majority has answered: the others get so long, or as long again as that took."""
SAMPLE_SECONDS: Final = 10.0
"""How long a sample may take; a member that lags more is compared with a later one."""
SUSPECT_SECONDS: Final = 30.0
"""Between two comparisons of everything because of samples: where they find nothing, one is enough for a while."""


class Content(NamedTuple):
    """What a member holds at an entry: the rev that it had there, and the digest of its files at a rev."""

    rev: int | None
    digest: str | None
    why: str = ""

    @property
    def told(self) -> str | None:
        """What is compared; None when the member could not tell."""
        return None if self.digest is None else f"{self.digest} at rev {self.rev}"


Found = Callable[[Content], None]


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


class _Wanted:
    """A digest that is waited for."""

    __slots__ = ("found", "index", "rev", "until")

    def __init__(self, index: int, rev: int | None, until: float) -> None:
        self.index = index
        self.rev = rev
        self.found: dict[str, Found] = {}
        """By member: one that asks again is answered once."""
        self.until = until


class Digests:
    """The digests of one node's store, computed one after another beside everything else."""

    def __init__(self, machine: Callable[[], Machine], places: Points, loop: Loop) -> None:
        self._machine = machine
        self._places = places
        self._loop = loop
        self._waiting: OrderedDict[tuple[int, int | None], _Wanted] = OrderedDict()
        self._steps: Generator[None, None, str | Refusal] | None = None
        self._now: tuple[_Wanted, Point]
        """What is being computed: (wanted, where the machine stood at its entry)."""
        self._timer: Timer | None = None
        self._hashed = 0
        """Files of it that are done, about."""
        self.known: OrderedDict[tuple[int, int | None], str] = OrderedDict()
        """(index, rev that was asked for) -> what this node told of it, the newest last."""

    def compute(self, asker: str, index: int, rev: int | None, found: Found) -> None:
        """Call `found` with what is held at the entry `index`, once it is applied; `rev`: hash that rev instead."""
        key = (index, rev)
        if key in self._waiting:
            self._waiting[key].found[asker] = found
        elif len(self._waiting) >= MOST_WAITING:
            found(Content(None, None, f"{MOST_WAITING} comparisons are under way already"))
        else:  # also when it is known: what was right a while ago is what is to be found out
            wanted = self._waiting[key] = _Wanted(index, rev, self._loop.time() + LAG_SECONDS)
            wanted.found[asker] = found
            self.tick()

    def tick(self) -> None:
        """From time to time: begin what can be begun, give up what lags too much."""
        if self._steps is not None:
            return
        machine, now = self._machine(), self._loop.time()
        for wanted in list(self._waiting.values()):
            if wanted.index > machine.index:
                if wanted.until <= now:
                    have = f"at entry {machine.index} only, which left rev {machine.store.rev}"
                    self._answer(wanted, Content(machine.store.rev, None, have))
                continue
            place = self._places.at(wanted.index)
            if place is None:
                self._answer(wanted, Content(None, None, f"entry {wanted.index} was applied too long ago"))
                continue
            rev = place.rev if wanted.rev is None else wanted.rev
            self._now = (wanted, place)
            self._steps = digest(machine.store, rev, slice_size=SLICE)
            self._hashed = 0
            self._step()
            return

    def _step(self) -> None:
        if self._steps is None:
            return
        wanted, place = self._now
        at = place.rev
        try:
            next(self._steps)
        except StopIteration as done:
            self._steps = None
            result: str | Refusal = done.value
            if isinstance(result, Refusal):
                self._answer(wanted, Content(at, None, result.text))
            else:
                held = Content(at, place.with_rights(result))
                self.known.pop((wanted.index, wanted.rev), None)
                self.known[wanted.index, wanted.rev] = held.told or ""
                while len(self.known) > KEPT:
                    self.known.popitem(last=False)
                self._answer(wanted, held)
            self.tick()
        except Exception as error:
            # What was walked was replaced by a checkpoint meanwhile: another time, then.
            logger.warning("no digest at entry %d: %s", wanted.index, error, exc_info=error)
            self._steps = None
            self._answer(wanted, Content(at, None, f"failed: {type(error).__name__}"))
        else:
            self._hashed += SLICE
            self._timer = self._loop.call_later(PAUSE_SECONDS, self._step)

    @property
    def progress(self) -> tuple[int, int] | None:
        """How many files are hashed, of about how many; None while nothing is."""
        if self._steps is None:
            return None
        files = len(self._machine().store.files)
        return min(self._hashed, files), files

    def _answer(self, wanted: _Wanted, held: Content) -> None:
        self._waiting.pop((wanted.index, wanted.rev), None)
        for found in wanted.found.values():
            found(held)

    def close(self) -> None:
        """Stop."""
        self._steps = None
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()


class _Comparison:
    """One question of the leader's to all members, and what they answered."""

    def __init__(
        self, number: int, index: int, rev: int, hashed: int | None, now: float, askers: Sequence[Answer]
    ) -> None:
        self.number = number
        self.began = now
        self.repeat = now + REPEAT_SECONDS
        self.index = index
        self.rev = rev
        """The leader's, at the entry, or the one that is asked for."""
        self.hashed = hashed
        """The rev that is asked for; None: each member's own at the entry."""
        self.deadline = now + PATIENCE_SECONDS
        self.answers: dict[str, Content] = {}
        self.asked: set[str] = set()
        self.askers = list(askers)
        self.pressed = False
        """A majority has answered: the deadline is that of the others."""


class _Accusation:
    """A leader said that this node differs, and it asks the voters."""

    def __init__(self, number: int, asked: tuple[int, int | None], own: str, rev: int) -> None:
        self.number = number
        self.asked = asked
        """The entry, and the rev that was asked for."""
        self.own = own
        self.rev = rev
        self.answers: dict[str, str | None] = {}


class _Sampling:
    """One sample that the leader asked all members for."""

    def __init__(self, number: int, question: Question, own: str, member: str, deadline: float) -> None:
        self.number = number
        self.question = question
        self.answers: dict[str, str | None] = {member: own}
        self.asked = {member}
        self.deadline = deadline


class ReplicaCheck:
    """Comparing replicas: both sides of one node.

    `send(member, message)` sends; `diverged(rev, own, majority)` is called when this node is the one that differs;
    comparisons are numbered from `first_id`, which no other life of this node had.
    """

    def __init__(
        self,
        consensus: Consensus,
        machine: Callable[[], Machine],
        send: Callable[[str, list[Any]], bool],
        loop: Loop,
        every: tuple[float, float],
        diverged: Callable[[int, str, str], None],
        first_id: int,
    ) -> None:
        self._consensus = consensus
        self._machine = machine
        self._send = send
        self._loop = loop
        self._every, self._sample_every = every
        self._diverged = diverged
        now = loop.time()
        self._next = now + self._every
        self._next_sample = now + self._sample_every
        self._suspected = -SUSPECT_SECONDS
        self._last = first_id
        self._running: _Comparison | None = None
        self._sampling: _Sampling | None = None
        self._sampled_up_to: str | None = None
        """The last path of the sample before: the next one goes on behind it."""
        self._accused: _Accusation | None = None
        self._owed: list[tuple[str, int, Question, float]] = []
        """Samples of entries that are not applied here yet: (who asked, number, what, until when)."""
        self._answered: tuple[str, int, list[Any]] = ("", -1, [])
        """What was told last of all files: (who asked, number, answer)."""
        self.places = Points()
        self._digests = Digests(machine, self.places, loop)
        self.differing: dict[str, int] = {}
        """Members that differed when all were compared last, and at which rev."""
        self.compared = 0
        """The rev at which replicas were compared last, and a majority was equal."""
        self.sampled = 0
        """The rev of the last sample that all members had."""

    @property
    def handlers(self) -> dict[int, Handler]:
        """What is heard here, by kind."""
        return {
            msg.HASH: self.on_hash,
            msg.HASHED: self.on_hashed,
            msg.VERDICT: self.on_verdict,
            msg.SAMPLE: self.on_sample,
            msg.SAMPLED: self.on_sampled,
            msg.DIGEST: self.on_digest,
            msg.TOLD: self.on_told,
        }

    @property
    def query(self) -> Query:
        """For operators: the arguments are [rev or None]."""
        return Query(PATIENCE_SECONDS + LAG_SECONDS, self._asked)

    @property
    def progress(self) -> tuple[int, int] | None:
        """How many files of this node's state are hashed, of about how many; None while nothing is compared."""
        return self._digests.progress

    def applied(self) -> None:
        """An entry has just been applied."""
        self.places.note(self._machine())
        if self._owed:
            self._pay()

    # -- the leader's side ----------------------------------------------------------------------------

    def tick(self) -> None:
        """From time to time: compare when it is due, give up waiting."""
        self._digests.tick()
        if self._owed:
            self._pay()
        now, consensus = self._loop.time(), self._consensus
        if not consensus.is_leader:
            self._abandon()
            self._next = now + self._every
            self._next_sample = now + self._sample_every
            return
        if self._sampling is not None and self._sampling.deadline <= now:
            self._sampling = None  # a member that lags so much is compared with a later one
        if self._running is not None:
            self._press(self._running, now)
        if self._running is not None and self._running.deadline <= now:
            for member in self._running.asked - self._running.answers.keys():
                self._running.answers[member] = Content(None, None, "no answer in time")
            self._conclude(self._running)
        if self._running is not None or not consensus.reads_are_current:
            return
        alone = len(consensus.configuration.members) < 2
        if self._every and now >= self._next:
            self._next = now + self._every
            if not alone:
                self._compare(None)
        elif self._sample_every and now >= self._next_sample:
            self._next_sample = now + self._sample_every
            if not alone:
                self._sample(now)

    def _press(self, running: _Comparison, now: float) -> None:
        """Ask those again that have not answered; let none hold up an operator to whom a majority could tell."""
        missing = running.asked - running.answers.keys()
        if now >= running.repeat:
            running.repeat = now + REPEAT_SECONDS
            for member in missing - {self._consensus.member}:
                self._send(member, [msg.HASH, running.number, running.index, running.hashed])
        voters = self._consensus.configuration.voters
        answered = sum(one in running.answers for one in voters)
        if running.askers and not running.pressed and answered > len(voters) // 2:
            running.pressed = True
            running.deadline = min(running.deadline, now + max(OTHERS_SECONDS, now - running.began))

    def _asked(self, arguments: list[Any], answer: Answer, again: Callable[[], None]) -> None:
        (rev,) = arguments
        refused = None if rev is None else self._machine().store.outside(rev)
        if refused is not None:
            answer(False, list(refused))
        elif self._running is None or not self._running.askers:
            self._compare(rev, answer)  # in the place of one for which nobody waits
        elif self._running.hashed == rev and (
            rev is not None or self._running.index == self._machine().index
        ):
            # Nothing was applied since it began: all that wait get one answer.
            self._running.askers.append(answer)
        else:
            again()  # one after another

    def _compare(self, rev: int | None, *askers: Answer) -> None:
        self._last += 1
        number, machine = self._last, self._machine()
        index = machine.index
        if self.places.at(index) is None:
            self.places.note(machine)  # a checkpoint was loaded, and nothing applied since
        at = machine.store.rev if rev is None else rev
        comparison = _Comparison(number, index, at, rev, self._loop.time(), askers)
        self._running = comparison
        for one in self._consensus.configuration.members:
            comparison.asked.add(one.id)
            if one.id != self._consensus.member and not self._send(one.id, [msg.HASH, number, index, rev]):
                comparison.answers[one.id] = Content(None, None, "not reachable")
        me = self._consensus.member
        self._digests.compute(me, index, rev, lambda held: self._note(me, number, held))

    def on_hashed(self, member: str, message: list[Any]) -> None:
        """A member tells what it holds."""
        _, number, _, rev, found, why = message[:6]
        self._note(member, number, Content(rev, found, why))

    def lose(self, member: str) -> None:
        """The connection to a member broke: its answer will not come."""
        if self._running is not None:
            self._note(member, self._running.number, Content(None, None, "not reachable"))

    def _note(self, member: str, number: int, held: Content) -> None:
        running = self._running
        if running is not None and running.number == number and member in running.asked:
            running.answers.setdefault(member, held)
            self._conclude_when_done()

    def _conclude_when_done(self) -> None:
        running = self._running
        if running is not None and running.asked <= running.answers.keys():
            self._conclude(running)

    def _conclude(self, comparison: _Comparison) -> None:
        self._running = None
        configuration = self._consensus.configuration
        majority, differing = judge(configuration, {m: held.told for m, held in comparison.answers.items()})
        verdict = [msg.VERDICT, comparison.index, comparison.rev, majority, differing]
        for one in configuration.members:
            if one.id != self._consensus.member:
                self._send(one.id, verdict)
        names = {one.id: one.name for one in configuration.members}
        rows = [
            {
                "id": member,
                "name": names.get(member, member),
                "rev": held.rev,
                "digest": held.digest,
                "why": held.why,
            }
            for member, held in sorted(comparison.answers.items())
        ]
        result = {
            "index": comparison.index,
            "rev": comparison.rev,
            "equal": majority is not None and not differing,
            "digests": rows,
        }
        for answer in comparison.askers:
            answer(True, result)
        self._judged(comparison.index, comparison.rev, majority, differing)
        me = self._consensus.member
        own = comparison.answers[me].told if me in comparison.answers else None
        if me in differing and majority is not None and own is not None:
            self._diverged(comparison.rev, own, majority)  # told by each of them to this node itself

    # -- samples, as leader -----------------------------------------------------------------------------

    def _sample(self, now: float) -> None:
        """Ask all where they stood at the entry that this node applied last."""
        machine = self._machine()
        place = self.places.at(machine.index)
        made = None if place is None else samples.ask(machine, place, self._sampled_up_to)
        if made is None:
            return
        question, own = made
        self._sampled_up_to = question.upto
        self._last += 1
        sampling = self._sampling = _Sampling(
            self._last, question, own, self._consensus.member, now + SAMPLE_SECONDS
        )
        for one in self._consensus.configuration.members:
            if one.id != self._consensus.member and self._send(one.id, [msg.SAMPLE, self._last, *question]):
                sampling.asked.add(one.id)

    def on_sampled(self, member: str, message: list[Any]) -> None:
        """A member tells where it stood."""
        _, number, _, sample = message[:4]
        sampling = self._sampling
        if sampling is None or sampling.number != number or member not in sampling.asked:
            return
        sampling.answers.setdefault(member, sample)
        told = {one for one in sampling.answers.values() if one is not None}
        if len(told) > 1:
            self._sampling = None
            self._suspect(sampling)
        elif sampling.asked <= sampling.answers.keys():
            self._sampling = None
            if None not in sampling.answers.values() and len(sampling.asked) > 1:
                place = self.places.at(sampling.question.entry)
                self.sampled = self.sampled if place is None else max(self.sampled, place.rev)

    def _suspect(self, sampling: _Sampling) -> None:
        """Two stood elsewhere at the same entry: find out who is right, from all that they hold."""
        named, entry = self._consensus.configuration.named, sampling.question.entry
        told = "; ".join(f"{named(member)}: {sample}" for member, sample in sorted(sampling.answers.items()))
        logger.error("members differ at entry %d: %s", entry, told, extra=about(index=entry))
        now = self._loop.time()
        if self._running is None and now - self._suspected >= SUSPECT_SECONDS:
            self._suspected = now
            self._compare(None)

    def _abandon(self) -> None:
        running, self._running, self._sampling = self._running, None, None
        if running is not None:
            for answer in running.askers:
                answer(False, ["lost_leadership", "the leader changed while replicas were compared", {}])

    # -- every member's side --------------------------------------------------------------------------

    def on_hash(self, member: str, message: list[Any]) -> None:
        """The leader asks for what is held at an entry, perhaps again: the answer is not worked out twice."""
        _, number, index, rev = message[:4]
        if (member, number) == self._answered[:2]:
            self._tell(member, self._answered[2])
            return

        def found(held: Content) -> None:
            answer = [msg.HASHED, number, index, held.rev, held.digest, held.why]
            self._answered = member, number, answer
            self._tell(member, answer)

        self._digests.compute(member, index, rev, found)

    def on_sample(self, member: str, message: list[Any]) -> None:
        """The leader asks where this node stood at an entry, or will stand."""
        _, number, index, first, after, upto = message[:6]
        if len(self._owed) >= MOST_WAITING:
            self._tell(
                member, [msg.SAMPLED, *self._owed.pop(0)[1:2], index, None, "others were asked for meanwhile"]
            )
        until = self._loop.time() + SAMPLE_SECONDS
        self._owed.append((member, number, Question(index, first, after, upto), until))
        self._pay()

    def _pay(self) -> None:
        """Tell the samples of entries that are applied now, and give up those that will not come in time."""
        machine, now = self._machine(), self._loop.time()
        owed, self._owed = self._owed, []
        for member, number, question, until in owed:
            if question.entry > machine.index and now < until:
                self._owed.append((member, number, question, until))
                continue
            place = self.places.at(question.entry)
            sample = None if place is None else samples.answer(machine, place, question)
            why = "" if sample is not None else f"at entry {machine.index}, rev {machine.store.rev}"
            self._tell(member, [msg.SAMPLED, number, question.entry, sample, why])

    def _tell(self, member: str, message: list[Any]) -> None:
        self._send(member, message)

    def on_verdict(self, member: str, message: list[Any]) -> None:
        """The leader tells who differs."""
        _, index, rev, majority, differing = message[:5]
        if member != self._consensus.leader:
            return
        self._judged(index, rev, majority, differing)
        if self._consensus.member in differing and majority is not None:
            self._ask_voters(index, rev)

    def _judged(self, index: int, rev: int, majority: str | None, differing: list[str]) -> None:
        me = self._consensus.member
        self.differing = {member: rev for member in differing if member != me}
        if differing:
            named = ", ".join(map(self._consensus.configuration.named, differing))
            known = about(index=index, rev=rev)
            logger.critical("replicas differ at entry %d, rev %d: %s", index, rev, named, extra=known)
        elif majority is not None:
            self.compared = max(self.compared, min(rev, self._machine().store.rev))

    # -- who is said to differ ------------------------------------------------------------------------

    def _ask_voters(self, index: int, rev: int) -> None:
        """This node is said to differ at an entry: ask each voter what it told, of just what this node told."""
        asked = next((one for one in reversed(self._digests.known) if one[0] == index), None)
        if asked is None:
            return  # it was not asked
        self._last += 1
        self._accused = _Accusation(self._last, asked, self._digests.known[asked], rev)
        for voter in self._consensus.configuration.voters:
            if voter != self._consensus.member:
                self._send(voter, [msg.DIGEST, self._last, *asked])

    def on_digest(self, member: str, message: list[Any]) -> None:
        """A member that is said to differ asks what this one told."""
        _, number, index, rev = message[:4]
        self._send(member, [msg.TOLD, number, self._digests.known.get((index, rev))])

    def on_told(self, member: str, message: list[Any]) -> None:
        """A voter says what it told: it counts for itself, and a majority of all decides."""
        _, number, told = message[:3]
        accused, me = self._accused, self._consensus.member
        configuration = self._consensus.configuration
        if accused is None or accused.number != number or member not in configuration.voters:
            return
        accused.answers[member] = told
        majority, differing = judge(configuration, {**accused.answers, me: accused.own})
        if majority is not None:
            self._accused = None
            if me in differing:
                self._diverged(accused.rev, accused.own, majority)

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
