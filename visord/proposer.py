"""Group commit: all writes that arrive while the last command is being synced become the next one.

    connection A: [SET, SET]  --.
    connection B: [SET]       ---+--> one command --> one log record, one fdatasync --> one apply
    connection C: [TXN]       --'         (A, B and C get their answers in that apply)

At most one command is under way, and one more fills meanwhile: the fill time is the time to commit, so a slow disk or
network makes larger batches, not a longer queue. When it is committed, its writes are applied and answered, then the
next command is started with all that came meanwhile.

A node that does not lead sends its batches to the leader (`forwarding`): all that wait at once, and the next only when
those have a place. The leader puts them into its commands like its own and tells at which place; the node takes the
outcomes from its own apply of that entry:

    replica: FORWARD [7: [SET, SET]] ------------------> leader: one command, entry 40, batch 2
    replica: PLACED [7, index 40, term 3, position 2] <-'
    replica: applies entry 40 like all nodes -> outcomes[2] belong to batch 7

While there is no leader, batches wait a moment for the next one.

Owners of long commands pause between them while others write (`pacing`).

While there is no space (the disk is full, or the state takes the memory that it may), the leader refuses the writes
that let the state grow, and goes on with those that make room; `state/growth.py` tells them apart.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, Final, Protocol

from visor.protocol.frames import Message
from visor.protocol.verbs import RETRY
from visord.commit_times import CommitTimes
from visord.pacing import BYTES_OF_UNIT, HEAVY, HEAVY_BYTES, Pace, whose
from visord.queueing import FairQueue
from visord.state import cost
from visord.state.auth.principal import owner_of
from visord.state.command import Command, encode, too_deep, unfit
from visord.state.formats import FORMAT, OLDEST
from visord.state.growth import grows
from visord.state.refusal import NO_LEADER, Refusal

MAX_FRAMES = 4096
"""Writes in one command. How long an apply holds the loop is bounded by what they cost (`cost.COMMAND`: 10 ms)."""
MAX_BYTES = 2 << 20
"""Bytes in one command, with what they weigh in memory: 4096 small writes. One arrival may exceed it, and goes alone,
so that small writes of others do not have to travel with it."""
MAX_QUEUED_BYTES = 64 << 20
"""Bytes waiting to become commands, over all connections; beyond: `overloaded` for owners that have their share."""

TOO_DEEP = Refusal(
    "bad_request",
    "message: its fields are nested too deeply",
    {"field": "message", "expected": "the fields of a write"},
)
REPLACED = Refusal("not_leader", "another leader took over before this write was committed", {})
LOST = Refusal(
    "lost_leadership", "the leader changed while this write was under way: it may have happened", {}
)
_CONTENT: Final = attrgetter("content")
_FRAMES: Final = attrgetter("frames")
_JUDGED: Final = attrgetter("judged")

HOLD_SECONDS = 2.0
"""How long writes wait for a leader, and writes under way for news of them, before they fail."""


class Waiter(Protocol):
    """What waits for the outcomes of writes."""

    def complete(self, frames: list[Message], outcomes: list[Any]) -> None:
        """`outcomes[i]` is what became of `frames[i]`."""

    def fail(self, frames: list[Message], refusal: Refusal) -> None:
        """All of them met the same end."""


class Author(Waiter, Protocol):
    """What submits writes, and waits for their outcomes."""

    @property
    def session(self) -> bytes | None:
        """Its identity for exactly-once; None: a repeated write may be executed twice."""

    @property
    def actor(self) -> str:
        """Who is named in history."""

    @property
    def principal(self) -> str:
        """In whose name it writes, as the log has it (`state/auth/principal.py`); "" for the node itself."""


class Batch:
    """Writes of one author, in order: `content` is what the command will hold of them.

    `whole`: they have one place in one command, because another node waits for it. `judged`: a door of this node has
    seen how they are built.
    """

    __slots__ = ("author", "content", "frames", "judged", "size", "whole")

    def __init__(
        self,
        author: Waiter,
        content: list[Any],
        frames: list[Message],
        size: int,
        judged: bool = False,
        *,
        whole: bool = False,
    ) -> None:
        self.author = author
        self.content = content
        self.frames = frames
        self.size = size
        self.whole = whole
        self.judged = judged

    @property
    def owner(self) -> str:
        """Whose they are, for all that is counted."""
        return owner_of(self.content[3])

    def split(self, count: int) -> tuple[Batch, Batch]:
        """Return the first `count` writes, and the others, as batches of their own."""
        size = self.size * count // len(self.frames)
        return self._part(self.frames[:count], size), self._part(self.frames[count:], self.size - size)

    def _part(self, frames: list[Message], size: int) -> Batch:
        session, actor, _, *more = self.content
        return Batch(self.author, [session, actor, frames, *more], frames, size, self.judged)


class Admission(Protocol):
    """What is taken: see `visord.admission`."""

    def refusal(self) -> Refusal | None:
        """Why nothing can be accepted now; None when it can."""

    def growth(self) -> Refusal | None:
        """Why this leader takes nothing now that makes the state grow; None when it does."""

    def known(self, session: Any, frame: Message) -> bool:
        """The state tells what became of the write that this RETRY of a session asks for: nothing grows by it."""

    def full(self) -> Refusal | None:
        """Why the log gets no more room, beyond what is prepared for deletions and the like; None when it does."""


class Route(Protocol):
    """Where commands go: see `visord.members.forwarding`."""

    def leads(self) -> bool:
        """This node is the leader."""

    def forward(self, batches: list[Batch]) -> bool:
        """Send batches to the leader; False when there is none to send them to."""

    def placed(self, batches: list[Batch], index: int, term: int) -> None:
        """Batches of other nodes have a place in the log now: tell them."""

    def applies_long(self, index: int) -> None:
        """The entry at `index` will take long to apply."""


class Costs(Protocol):
    """What the state tells of writes: see `visord.state.estimate`."""

    def fitting(self, frames: list[Message], room: int, /) -> tuple[int, int]:
        """How many of the first of them cost at most `room` units together (at least one), and what they cost."""

    def hopeless(self, frame: Message, /) -> Refusal | None:
        """Why a write that would be applied to the state as it is now will be refused for its cost."""


class Cheap:
    """The costs where none are counted."""

    def fitting(self, frames: list[Message], room: int, /) -> tuple[int, int]:
        return len(frames), 0

    def hopeless(self, frame: Message, /) -> Refusal | None:
        return None


CHEAP: Final = Cheap()


class Proposer:
    """Turns submitted writes into commands and hands their outcomes back.

    `propose(command) -> (index, term) | None` appends to the log as leader; `has_room(size)` tells whether
    the log can take a command of that size now (if not, it makes room and `start_next` is called again);
    `call_soon(callback)` runs it in this turn of the loop, after all sockets were read; `clock_ms()` is wall-clock
    time, which the command carries; `time()` is monotonic seconds; `costs` tells what fits one command; `form()` is the
    format of the next command, for a leader; `call_later(seconds, callback)` ends pauses: without it there are none.
    `commits` hears of each command that this node proposes.
    """

    def __init__(
        self,
        propose: Callable[[Command], tuple[int, int] | None],
        has_room: Callable[[int], bool],
        admission: Admission,
        route: Route,
        call_soon: Callable[[Callable[[], None]], object],
        clock_ms: Callable[[], int],
        time: Callable[[], float],
        costs: Costs = CHEAP,
        form: Callable[[], int] = lambda: FORMAT,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
        commits: CommitTimes | None = None,
    ) -> None:
        self._costs = costs
        self.commits = commits or CommitTimes(time)
        self.form = form
        self._propose = propose
        self._has_room = has_room
        self._admission = admission
        self._route = route
        self._call_soon = call_soon
        self._clock_ms = clock_ms
        self._time = time
        self._call_later = call_later
        self._pace = Pace()
        self._long: tuple[int, str, float] | None = None
        """The command under way, where it is one owner's long one: (its index, the owner, since when)."""
        self._queue: FairQueue[Batch] = FairQueue()
        self._spent = 0
        """Units that what was taken last costs, by estimate."""
        self._encoded: tuple[list[Batch], Command] | None = None
        """Batches at the head of the queue as a command already, for which the log makes room."""
        self._scheduled = False
        self._syncing = False
        self._held_since: float | None = None
        """Since when the queue waits for a leader."""
        self._applied = 0
        self._waiting: dict[int, tuple[int, list[tuple[int, Batch]]]] = {}
        """What is in the log: index -> (term, [(position in the command, batch)])."""

    @property
    def idle(self) -> bool:
        """Nothing is queued and nothing is under way."""
        return not len(self._queue) and not self._waiting

    def refusal(self, author: str = "") -> Refusal | None:
        """Why a write of this author cannot be accepted now; None when it can."""
        size = self._queue.size
        if size and self._held_since is None and size <= MAX_QUEUED_BYTES:
            return None  # who came just before was accepted, and the queue is looked at again when it leaves
        if size > MAX_QUEUED_BYTES and self._queue.over_its_share(owner_of(author), MAX_QUEUED_BYTES):
            return Refusal(
                "overloaded",
                f"{size} bytes of writes wait already, the limit is {MAX_QUEUED_BYTES}",
                {"what": "queued bytes", "limit": MAX_QUEUED_BYTES, "actual": size},
            )
        if self._held_since is not None and self._time() - self._held_since > HOLD_SECONDS:
            return NO_LEADER
        return self._admission.refusal()

    def submit(self, author: Author, frames: list[Message], size: int) -> None:
        """Queue writes of one connection, which its door has judged; `author.complete` gets their outcomes."""
        principal = author.principal
        content = [author.session, author.actor, frames, principal]
        if principal != self._pace.last and (owner := owner_of(principal)) != self._pace.last:
            self._pace.came(owner, self._time())
        self._queue.append(Batch(author, content, frames, size, True))
        if not self._scheduled and not self._syncing:
            self._schedule()

    def submit_batches(self, batches: list[Batch]) -> None:
        """Queue batches that another node sent, or the node itself made."""
        for batch in batches:
            if batch.content[3] != self._pace.last:
                self._pace.came(batch.content[3], self._time())
            self._queue.append(batch)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._syncing:
            self._scheduled = True
            self._call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        self.start_next()

    def synced(self) -> None:
        """The leader has placed what was sent, or there is another one: start the next command."""
        self._syncing = False
        self.start_next()

    def start_next(self) -> None:
        """Propose or send on what is queued, unless something is on its way already."""
        if self._syncing or not len(self._queue):
            return
        refusal = self._admission.refusal()
        if refusal is not None:
            self.abandon_queue(refusal)  # what is paused, too
        elif not self._queue.ready:
            return
        elif self._route.leads():
            self._held_since = None
            self._start_command()
        else:
            self._start_forward()

    def _start_forward(self) -> None:
        batches = _refuse(self._take(), too_deep)  # else the leader could not read the others' with them
        if not batches:
            self._schedule()
            return
        if self._route.forward(batches):
            self._held_since = None
            self._syncing = True
            return
        # Nothing was sent, so nothing of it can have happened: the batches keep their place, and count from the first
        # try that failed, so that they are given up in time however often it is tried again.
        self._put_back(batches)
        if self._held_since is None:
            self._held_since = self._time()

    def _start_command(self) -> None:
        batches: list[Batch]
        command: Command | None
        growth = self._admission.growth()
        if growth is not None:
            self._encoded = None  # it may hold what is refused now
        encoded = self._take_encoded()
        if encoded is not None:
            batches, command = encoded
        else:
            batches = self._take()
            if not batches:  # all of it was refused
                self._schedule()
                return
            if growth is not None and any(True in self._growing(batch) for batch in batches):
                self._put_back(self._refuse_growing(batches, growth))
                self._schedule()
                return
            if self._refuse_hopeless(batches):
                return
            batches, command = self._encode(batches)
        if command is None:
            self._put_back(batches)
            self._schedule()
            return
        # `propose` gives None when leadership is being handed on, or went within this turn.
        position = self._propose(command) if self._has_room(len(command)) else None
        full = self._admission.full() if position is None else None
        if full is not None:  # and what was prepared is used up, or this grows
            for batch in batches:
                batch.author.fail(batch.frames, full)
            self._schedule()
            return
        if position is None:
            # As a rule room is being made for just these bytes: they are taken as they are when it is there.
            self._put_back(batches)
            self._encoded = (batches, command)
            return
        self._syncing = True
        index, term = position
        self.commits.begin(index)
        self._waiting[index] = (term, list(enumerate(batches)))
        self._note_long(batches, len(command), index)
        self._route.placed(batches, index, term)

    def _note_long(self, batches: list[Batch], size: int, index: int) -> None:
        """Remember whose long command this is, where it is one: that owner will have to pause."""
        if self._spent < HEAVY and size < HEAVY_BYTES:
            return
        self._route.applies_long(index)
        if self._call_later is None:
            return
        owners = {batch.owner for batch in batches}
        owner = owners.pop() if len(owners) == 1 else self._who_made_most(batches)
        if owner:
            self._long = (index, owner, self._time())

    def _who_made_most(self, batches: list[Batch]) -> str | None:
        work: dict[str, int] = {}
        for batch in batches:
            units = self._costs.fitting(batch.frames, sys.maxsize)[1] + batch.size // BYTES_OF_UNIT
            work[batch.owner] = work.get(batch.owner, 0) + units
        return whose(work)

    def _pause(self, index: int) -> None:
        """A command was applied: whose long one it was, has to pause while there are others."""
        assert self._long is not None
        long, owner, since = self._long
        if index < long:
            return
        self._long = None
        now = self._time()
        seconds = self._pace.pause(now - since, now)
        if seconds and self._call_later is not None:
            self._queue.pause(owner)
            self._call_later(seconds, partial(self._resume, owner))

    def _resume(self, owner: str) -> None:
        self._queue.resume(owner)
        self.start_next()

    def _encode(self, batches: list[Batch]) -> tuple[list[Batch], Command | None]:
        """Make the command of batches; None when some had to be refused first."""
        now = self._clock_ms()
        try:
            judged, contents = all(map(_JUDGED, batches)), list(map(_CONTENT, batches))
            return batches, encode(now, contents, judged=judged, form=self.form())
        except ValueError:
            # A client nested its fields deeper than can be packed, or read: it is refused, the others go on.
            return _refuse_unfit(batches, now), None

    def _take_encoded(self) -> tuple[list[Batch], Command] | None:
        """Take the batches that waited for room with their command, unless they have been answered meanwhile."""
        encoded, self._encoded = self._encoded, None
        return encoded if encoded is not None and self._queue.take(encoded[0]) else None

    def expect(self, index: int, term: int, position: int, batch: Batch) -> None:
        """The leader put a batch of ours at a place in the log."""
        known = self._waiting.get(index)
        if index <= self._applied:
            # Its outcomes came and went when nobody knew whose they were. A leader tells the place before it sends the
            # entry, so this takes a connection that broke in between, or a leader that lies.
            batch.author.fail(batch.frames, LOST)
        elif known is None:
            self._waiting[index] = (term, [(position, batch)])
        elif known[0] == term:
            known[1].append((position, batch))
        else:  # a place in a later term took this one's
            batch.author.fail(batch.frames, LOST)

    def requeue(self, batches: list[Batch]) -> None:
        """Batches that were sent on have certainly not been accepted: try again."""
        self._put_back(batches)

    def tick(self) -> None:
        """From time to time: try again what was held, and give it up when no leader comes."""
        if self._held_since is not None and self._time() - self._held_since > HOLD_SECONDS:
            self.abandon_queue(NO_LEADER)
        self.start_next()
        # Writes are refused without being queued by now, so nothing else would notice that there is a leader again.
        # Sending none tells.
        if (
            self._held_since is not None
            and not len(self._queue)
            and (self._route.leads() or self._route.forward([]))
        ):
            self._held_since = None

    def _take(self) -> list[Batch]:
        """Take what makes one command: a batch that costs too much is split, and its end waits for its next turn."""
        batches = self._take_all()
        if batches:
            return batches
        queue, fitting = self._queue, self._costs.fitting
        frames = size = total = 0
        room = cost.COMMAND
        while queue.ready and (not batches or (frames < MAX_FRAMES and size < MAX_BYTES and room > 0)):
            batch = queue.popleft()
            count, spent = fitting(batch.frames, room)
            # The first write goes in whatever it costs, or it never would. Behind others a batch waits for the next
            # command where not even its first write fits, or where it must not be split, or weighs too much.
            if batches and (
                spent > room
                or (batch.whole and count < len(batch.frames))
                or (batch.size > MAX_BYTES and size + batch.size > MAX_BYTES)
            ):
                queue.put_back([batch])
                room = 0
                break
            if count < len(batch.frames) and batch.whole and self._refuse_costly(batch):
                continue
            if count < len(batch.frames) and not batch.whole:
                batch, end = batch.split(count)
                queue.defer(end)
                room = min(room, spent)  # nothing of the same author may come before it
            batches.append(batch)
            frames += len(batch.frames)
            size += batch.size
            room -= spent
            total += spent
        self._spent = total
        if room <= 0:
            queue.line_up(batches)  # little may wait and cost much: all in turn from now on
        return batches

    def _take_all(self) -> list[Batch]:
        """Take all that waits, if it makes one command, as it does nearly always; else nothing."""
        queue = self._queue
        calm = queue.calm()
        if not calm:
            return []
        frames = list(chain.from_iterable(map(_FRAMES, calm)))
        if len(frames) > MAX_FRAMES or queue.size > MAX_BYTES:
            return []
        count, spent = self._costs.fitting(frames, cost.COMMAND)
        if count < len(frames) or spent > cost.COMMAND:
            return []
        self._spent = spent
        return queue.take_all()

    def _refuse_costly(self, batch: Batch) -> bool:
        """Refuse what another member sent as one, and should have split: to be a member is no licence."""
        if self.form() == OLDEST:
            return False  # members of the older version do not split
        most = 2 * cost.COMMAND  # its state was another one when it estimated
        if len(batch.frames) == 1 or self._costs.fitting(batch.frames, most)[0] == len(batch.frames):
            return False
        text = f"the writes of a member cost over {most} together, and have to have one place"
        batch.author.fail(batch.frames, Refusal("overloaded", text, {"what": "cost", "limit": most}))
        return True

    def _refuse_hopeless(self, batches: list[Batch]) -> bool:
        """Refuse a write that goes alone, and will be refused for its cost: nothing is under way, the state is the one
        that it would meet."""
        if len(batches) != 1 or len(batches[0].frames) != 1 or self._waiting:
            return False
        batch = batches[0]
        refusal = self._costs.hopeless(batch.frames[0])
        if refusal is None:
            return False
        batch.author.fail(batch.frames, refusal)
        self._schedule()  # not at once: finding out took time, too
        return True

    def _growing(self, batch: Batch) -> list[bool]:
        """Tell which of its writes let the state grow. What became of a write is told whatever room there is."""
        session, known = batch.content[0], self._admission.known
        return [grows(one) and not (one[0] == RETRY and known(session, one)) for one in batch.frames]

    def _refuse_growing(self, batches: list[Batch], why: Refusal) -> list[Batch]:
        """Refuse the writes that let the state grow; return the batches that have others.

        What another node sent is refused whole.
        """
        kept = []
        for batch in batches:
            growing = self._growing(batch)
            if not any(growing):
                kept.append(batch)
            elif batch.whole:
                batch.author.fail(batch.frames, why)
            else:
                _refuse_some(batch, growing, why)
                if batch.frames:
                    kept.append(batch)
        return kept

    def _put_back(self, batches: list[Batch]) -> None:
        self._queue.put_back(batches)

    def applied(self, index: int, term: int, outcomes: list[list[Any]]) -> None:
        """Hand out the outcomes of the entry at `index`, where this node waits for them."""
        self._applied = index
        self.commits.end(index)
        if self._long is not None:
            self._pause(index)
        waiting = self._waiting.pop(index, None)
        if waiting is None:
            return
        proposed_term, batches = waiting
        if proposed_term != term:
            # Another entry was committed at this index: ours cannot be any more, and is known not to have happened.
            for _, batch in batches:
                batch.author.fail(batch.frames, REPLACED)
            return
        for position, batch in batches:
            known = outcomes[position] if position < len(outcomes) else []
            if len(known) == len(batch.frames):
                batch.author.complete(batch.frames, known)
            else:  # this is not the entry, or not the place, that we were told of
                batch.author.fail(batch.frames, LOST)
        if self._syncing and self._route.leads():
            # What came meanwhile is the next command. To start it before this one was committed was measured, too:
            # more and smaller commands, and every member works more for the same writes.
            self._syncing = False
            self._schedule()

    def lose(self, index: int | None = None) -> None:
        """Nothing will be known of what is in the log up to `index` (None: at all): it may have happened."""
        self._applied = max(self._applied, index or 0)
        for place in [one for one in self._waiting if index is None or one <= index]:
            for _, batch in self._waiting.pop(place)[1]:
                batch.author.fail(batch.frames, LOST)

    def abandon_queue(self, refusal: Refusal) -> None:
        """Answer everything that was not proposed yet."""
        queue, self._queue = self._queue, FairQueue()
        for batch in queue:
            batch.author.fail(batch.frames, refusal)

    def abandon(self, queued: Refusal, under_way: Refusal) -> None:
        """Answer everything: what was not proposed with `queued`, what was with `under_way`."""
        self.abandon_queue(queued)
        waiting, self._waiting = self._waiting, {}
        for _, batches in waiting.values():
            for _, batch in batches:
                batch.author.fail(batch.frames, under_way)


def _refuse_some(batch: Batch, refused: list[bool], why: Refusal) -> None:
    """Refuse the writes of a batch that are marked, and take them out of it."""
    doomed = [frame for frame, yes in zip(batch.frames, refused, strict=True) if yes]
    batch.frames[:] = [frame for frame, yes in zip(batch.frames, refused, strict=True) if not yes]
    batch.author.fail(doomed, why)


def _refuse(batches: list[Batch], wrong: Callable[[Message], bool]) -> list[Batch]:
    """Refuse the writes that no command, or message to the leader, can carry; return the batches that have others."""
    kept = []
    for batch in batches:
        refused = list(map(wrong, batch.frames))
        if True in refused:
            _refuse_some(batch, refused, TOO_DEEP)
        if batch.frames or not refused:
            kept.append(batch)
    return kept


def _refuse_unfit(batches: list[Batch], now: int) -> list[Batch]:
    """Refuse at least one of these writes, which no command can carry together; return the batches that are left."""
    frames = sum(len(batch.frames) for batch in batches)
    batches = _refuse(batches, too_deep)  # nearly always, and much faster to tell
    if frames > sum(len(batch.frames) for batch in batches):
        return batches
    kept = []
    for batch in _refuse(batches, unfit):
        try:
            encode(now, [batch.content])
        except ValueError:
            batch.author.fail(batch.frames, TOO_DEEP)
        else:
            kept.append(batch)
    return kept
