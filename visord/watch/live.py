"""Live delivery: new commits to the groups that want them, encoded once, sent to every member.

A commit whose paths no watch wants costs a look-up or two for each change. A group gets all that one batch
holds for it in as few messages as `MESSAGE_BYTES` allows; the bytes behind the head are the same object for
all members, so that a thousand readers of a large message share it. Where a batch is for several groups, what one
connection gets as a member of several of them leaves together (`gathered`): each call of the system costs more than all
the rest of a small message.

A publication stops when it has done `PORTION` work, wherever it is, also within a commit or among the members of
one group, and goes on with the next call:

    publish        commit by commit: select, hold                 deliver        the rev of the last one
                             |       |                               |
    over PORTION             `-------`-- the rest of this commit ----`---- 0 until it is done, then its rev

A small commit is encoded at once for the groups that it may concern, and held for each group as long as the portion
lasts. A large one is measured and sent for one group after the other (`large`), so that what is held is never more than
a portion, and one message. A commit of so many changes for so many groups that the table of which wants which would
take too much memory (`PAIRS`) is left to history, where each watch reads for itself.

What is under way is one commit at most, taken out of the store; no later one is begun meanwhile. Members may leave
at any point: `reached` tells up to where one has been served. None may join (`under_way`): one that is new at that rev
would get the half of a commit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from visor.protocol import verbs
from visord.state.refusal import Refusal, too_large
from visord.watch.gathered import Gathered
from visord.watch.index import Index
from visord.watch.large import CHANGES, Gathering, LargeCommit
from visord.watch.messages import Change, Commit, CommitParts, Encoder, Payload, array_header
from visord.watch.sizes import most, small
from visord.watch.subscription import LIVE, NOT_ASKED, Group, GroupKey, Subscription

_T = TypeVar("_T")
Selected = dict[Group, list[int]]
"""For each group the positions of the changes that it wants."""
Wanted = Iterator[tuple[Group, list[int]]]

MESSAGE_BYTES = 64 << 10
"""A COMMITS message ends before the commit that would pass this; one commit alone may be larger."""
SHARED_BYTES = 16 << 10
"""Payloads from here on are handed over in a piece of their own, not copied behind each member's head."""
PORTION = 1024
"""Work of one publication: a unit is a change, a group that gets one, a member that is sent a message, 256 encoded
bytes, 4 KiB put together, 16 KiB or 8 pieces sent, or 16 us that matching globs may cost at most (it mostly costs a
tenth). About 5 ms."""
UNIT_BYTES = 256
UNIT_GATHERED = 4 << 10
UNIT_SENT = 16 << 10
UNIT_PIECES = 8
UNIT_COST = 16
RANGES = 256
"""Ranges that are looked for at once."""
PAIRS = 1 << 20
"""Pairs of a group and a change of one commit that are kept at once: about 10 MiB."""
QUIET_SECONDS = 10.0
"""A watch that has missed nothing but heard nothing for so long gets a MARK."""

_LEFT = Refusal("", "the commit is left to history", {})

Leave = Callable[[Subscription, int], None]
"""Called for a member that cannot take a message, with the rev from which it has to go on."""
End = Callable[[Subscription, int, Refusal], None]
"""Called for a member that cannot be served at all, with the rev up to which it was."""


class _Message:
    """What a batch holds for one group: a message of commits, or why one of them cannot be sent."""

    __slots__ = ("events", "first", "group", "large", "pieces", "refusal", "size", "until")

    def __init__(self, group: Group, rev: int, refusal: Refusal | None = None) -> None:
        self.group = group
        self.first = self.until = rev
        self.pieces: list[bytes] = []
        """Encoded commits, with their bytes and changes."""
        self.size = self.events = 0
        self.refusal = refusal
        self.large: Payload = ()
        """Instead of `pieces`: the payload with one large commit."""


class _Fan:
    """One message on its way to the many members of a group."""

    __slots__ = ("cost", "message", "payload", "waiting")

    def __init__(self, message: _Message, payload: Payload, cost: int) -> None:
        self.message = message
        self.payload = payload
        self.cost = cost
        """Work for each member."""
        self.waiting = message.group.members.copy()


class Live:
    """The groups of live subscriptions."""

    __slots__ = (
        "_count",
        "_encoder",
        "_end",
        "_fan",
        "_gathered",
        "_groups",
        "_index",
        "_largest",
        "_leave",
        "_pairs",
        "_quiet",
        "_rest",
        "_rev",
        "_telling",
        "_work",
        "delivered",
    )

    def __init__(self, encoder: Encoder, largest: int, leave: Leave, end: End) -> None:
        self._encoder = encoder
        self._largest = largest
        """Bytes that one commit may have in one message."""
        self._leave = leave
        self._end = end
        self._index = Index()
        self._groups: dict[GroupKey, Group] = {}
        self._quiet: OrderedDict[Group, None] = OrderedDict()
        """The groups by `quiet_from`: the one that has been quiet longest is first."""
        self._count = 0
        self._gathered: Gathered | None = None
        """What connections are to be sent, while there may be more for them; None where there is one message."""
        self._fan: _Fan | None = None
        self._rest: Iterator[None] | None = None
        """What is left of the publication under way, which ends at `_rev`."""
        self._rev = 0
        self._pairs = 0
        """Pairs of a group and a change that were found, since they were last none."""
        self._work = 0
        self._telling: tuple[Group, list[Subscription]] | None = None
        """A group whose members are being told a rev, and those that are left."""
        self.delivered = 0
        """Changes sent, once for each receiver."""

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __len__(self) -> int:
        return self._count

    @property
    def globs(self) -> Index:
        """The index, for what it counts."""
        return self._index

    @property
    def under_way(self) -> bool:
        """Whether a publication has stopped within a commit: no watch may join."""
        return self._rest is not None

    def some(self, most: int) -> list[Subscription]:
        """Return `most` live subscriptions at most."""
        return list(islice((member for group in self._groups.values() for member in group.members), most))

    # -- joining and leaving --------------------------------------------------------------------------

    def join(self, subscription: Subscription, now: float) -> None:
        """Make `subscription`, which has everything up to the last published rev, a member."""
        group = self._groups.get(subscription.key)
        if group is None:
            group = Group(subscription.key, subscription.selector, now)
            self._groups[group.key] = group
            self._quiet[group] = None
            self._index.add(group)
        group.members[subscription] = None
        self._count += 1
        subscription.group = group
        subscription.key, subscription.selector = group.key, group.selector  # the same, once for all
        subscription.state = LIVE

    def part(self, subscription: Subscription) -> None:
        """Take a member out; its `told` is brought up to date."""
        group = subscription.group
        assert group is not None
        subscription.told = max(subscription.told, self.reached(subscription, 0))
        if self._fan is not None:
            self._fan.waiting.pop(subscription, None)
        subscription.group = None
        subscription.quiet_from = group.quiet_from
        del group.members[subscription]
        self._count -= 1
        if not group.members:
            del self._groups[group.key]
            del self._quiet[group]
            self._index.remove(group)

    def reached(self, subscription: Subscription, rev: int) -> int:
        """Return the rev up to which a member was served everything, when all were served up to `rev`."""
        group, fan = subscription.group, self._fan
        assert group is not None
        if fan is not None and fan.message.group is group:
            return fan.message.first - 1 if subscription in fan.waiting else fan.message.until
        return max(rev, group.last)

    # -- publication ----------------------------------------------------------------------------------

    def publish(self, commits: Iterable[Commit], now: float) -> int:
        """Deliver `commits` in order; return the rev of the last one that was delivered.

        Stops early when it has done `PORTION` work, and takes at least one commit when there is one. Returns 0 when it
        stopped within one: then the next call goes on with that one, and takes no other.
        """
        self._work = self._index.cost = 0
        if self._rest is not None:
            self._gathered = Gathered()
            return self._go_on()
        rev = self._pairs = 0
        out: list[_Message] = []
        index = self._index
        for commit in commits:
            rev = commit[0]
            changes = commit[4]
            selected: Selected = {}
            looked = self._select(changes, 0, selected)
            if looked < len(changes) or index.more is not None:
                return self._stop(rev, self._selecting(commit, looked, selected, out, now))
            if selected:
                wanted = iter(selected.items())
                if not small(changes):
                    self._stop(rev, self._spreading(commit, wanted, len(selected), out, now))
                    return self._go_on()
                parts = CommitParts(self._encoder, commit)
                if not self._hold(rev, parts, wanted, out):
                    return self._stop(rev, self._holding(rev, parts, wanted, out, now))
            if self._work + index.cost // UNIT_COST >= PORTION:
                break
        if out:
            self._work = 0
            self._gathered = Gathered() if len(out) > 1 else None
            messages = iter(out)
            if not self._send(messages, now):
                return self._stop(rev, self._sending(messages, now))
        return rev

    def abandon(self) -> None:
        """Forget what is under way: no watch is there to get it."""
        self._rest = self._fan = self._index.more = None

    def _stop(self, rev: int, rest: Iterator[None]) -> int:
        self._rev, self._rest = rev, rest
        return 0

    def _go_on(self) -> int:
        assert self._rest is not None
        try:
            next(self._rest)
        except StopIteration:
            self._rest = None
            return self._rev
        return 0

    def _selecting(
        self, commit: Commit, looked: int, selected: Selected, out: list[_Message], now: float
    ) -> Iterator[None]:
        """Finish a commit of which `looked` changes are selected, pausing whenever a portion is done."""
        changes = commit[4]
        left: dict[Group, None] = {}
        while True:
            while self._index.more is not None:
                if self._work >= PORTION:
                    yield
                self._select_ranges(changes, looked - 1, selected)
            if self._pairs > PAIRS:
                # The groups found so far are left to history; of all others nothing is forgotten.
                left.update(dict.fromkeys(selected))
                selected.clear()
                self._pairs = 0
            if looked == len(changes):
                break
            if self._work + self._index.cost // UNIT_COST >= PORTION:
                yield
            looked = self._select(changes, looked, selected)
        if left:
            yield from self._sending(iter(out), now)
            out.clear()
            yield from self._sending((_Message(group, commit[0], _LEFT) for group in left), now)
        wanted = ((group, positions) for group, positions in selected.items() if group not in left)
        if small(changes):
            yield from self._holding(commit[0], CommitParts(self._encoder, commit), wanted, out, now)
        else:
            yield from self._spreading(commit, wanted, len(selected), out, now)

    def _holding(
        self, rev: int, parts: CommitParts, wanted: Wanted, out: list[_Message], now: float
    ) -> Iterator[None]:
        """Finish a small commit, never holding more than a portion of it."""
        wanted = ((group, positions) for group, positions in wanted if group.members)
        while not self._hold(rev, parts, wanted, out):
            yield from self._sending(iter(out), now)
            out.clear()
        yield from self._sending(iter(out), now)

    def _spreading(
        self, commit: Commit, wanted: Wanted, groups: int, out: list[_Message], now: float
    ) -> Iterator[None]:
        """Deliver a large commit, after what is held: to each group before anything is made for the next."""
        yield from self._sending(iter(out), now)
        out.clear()
        rev = commit[0]
        parts = LargeCommit(self._encoder, commit, keeps=groups > 1)
        fits = yield from self._fits(parts)
        for group, positions in wanted:
            if not group.members:
                continue
            message = _Message(group, rev)
            message.events = len(positions)
            whole = len(positions) == len(parts)
            known = parts.whole(group.shape) if whole else None
            if known is None:
                known = yield from self._put_together(parts, positions, group.shape, fits)
                if whole:
                    parts.keep_whole(group.shape, *known)
            size, message.large = known
            if message.large:
                message.size = size + UNIT_SENT // UNIT_PIECES * len(message.large)
            else:
                message.refusal = oversize(rev, size, self._largest)
            self._work += 1
            yield from self._sending(iter((message,)), now)

    def _fits(self, parts: LargeCommit) -> Generator[None, None, bool]:
        """Tell whether a message surely can have a large commit, whatever each group wants of it."""
        left = self._largest - len(parts.begin(len(parts)))
        for some in _chunks(parts.changes):
            if self._work >= PORTION:
                yield
            self._work += 1 + (len(some) >> 3)
            left -= most(some)
            if left < 0:
                return False
        return True

    def _put_together(
        self, parts: LargeCommit, positions: Sequence[int], shape: int, fits: bool
    ) -> Generator[None, None, tuple[int, Payload]]:
        """Return the size of a large commit for one group and its payload, () when a message cannot have it."""
        beginning = parts.begin(len(positions))
        if not fits:
            size = len(beginning) - 1
            for some in _chunks(positions):
                if self._work >= PORTION:
                    yield
                self._work += 1 + (len(some) >> 1)
                size += parts.measure(some, shape)
            if size > self._largest:
                return size, ()
        gathering = Gathering()
        gathering.add((beginning,))
        for some in _chunks(positions):
            if self._work + len(some) > PORTION:
                yield
            before = gathering.size
            parts.add(some, shape, gathering)
            self._work += len(some) + (gathering.size - before) // UNIT_GATHERED
        return gathering.size, gathering.done()

    def _sending(self, messages: Iterator[_Message], now: float) -> Iterator[None]:
        while not self._send(messages, now):
            yield

    def _select(self, changes: Sequence[Change], start: int, selected: Selected) -> int:
        """Find for the changes from `start` on who wants them; return the first that was not looked at.

        Stops when a portion is done, and behind a change that more ranges contain than are found at once.
        """
        index = self._index
        last = len(changes) - 1
        work, found = self._work, 0
        for position in range(start, last + 1):
            kind, path, _, _ = changes[position]
            groups = index.interested(path)
            found += len(groups)
            work += 1 + (len(groups) >> 4)
            for group in groups:
                if group.kinds >> kind & 1:
                    positions = selected.get(group)
                    if positions is None:
                        selected[group] = [position]
                    elif positions[-1] != position:  # another of its selectors was first
                        positions.append(position)
            if position < last and (index.more is not None or work + index.cost // UNIT_COST >= PORTION):
                break
        else:
            position = last
        self._work = work
        self._pairs += found
        return position + 1

    def _select_ranges(self, changes: Sequence[Change], position: int, selected: Selected) -> None:
        """Find more groups whose ranges contain the change at `position`."""
        kind, path = changes[position][:2]
        assert self._index.more is not None
        for group in self._index.ranges(path, self._index.more, RANGES):
            if group.kinds >> kind & 1:
                positions = selected.setdefault(group, [])
                if not positions or positions[-1] != position:
                    positions.append(position)
        self._work += RANGES >> 2
        self._pairs += RANGES

    def _hold(self, rev: int, parts: CommitParts, wanted: Wanted, out: list[_Message]) -> bool:
        """Add the commit to what each group is to get; return False when a portion is done before that."""
        work = self._work
        for group, positions in wanted:
            over = work >= PORTION
            piece = parts.encode(positions, group.shape)
            size = len(piece)
            work += 1 + size // UNIT_BYTES
            message = group.message
            if message is None or message.size + size > MESSAGE_BYTES:
                message = self._open(group, rev, size)
                out.append(message)
            message.pieces.append(piece)
            message.size += size
            message.events += len(positions)
            message.until = rev
            if over:
                self._work = work
                return False
        self._work = work
        return True

    def _open(self, group: Group, rev: int, size: int) -> _Message:
        """Return a new message for a group, of which the first commit has `size` bytes."""
        before = group.message
        message = group.message = _Message(group, rev)
        if before is not None and before.refusal is not None:
            message.refusal = before.refusal  # no watch is there any more when its turn comes
        elif size > self._largest:
            message.refusal = oversize(rev, size, self._largest)
        return message

    def _send(self, messages: Iterator[_Message], now: float) -> bool:
        """Send messages to the members of their groups; return False when a portion is done before that."""
        try:
            return self._send_some(messages, now)
        finally:
            if self._gathered is not None:
                self._gathered.scatter()

    def _send_some(self, messages: Iterator[_Message], now: float) -> bool:
        if self._fan is not None and not self._pour(self._fan, now):
            return False
        for message in messages:
            group = message.group
            group.message = None
            members = group.members
            pieces = message.pieces
            if len(pieces) == 1:
                payload: Payload = (b"\x91" + pieces[0],)
            else:
                payload = message.large or (array_header(len(pieces)) + b"".join(pieces),)
            each = 1 + message.size // UNIT_SENT
            cost = each * len(members)
            self._work += cost
            if self._work > PORTION:
                self._work -= cost
                self._fan = _Fan(message, payload, each)
                if not self._pour(self._fan, now):
                    return False
            elif members:
                self._deliver(message, payload, members, now)
        return True

    def _pour(self, fan: _Fan, now: float) -> bool:
        """Serve members that wait for a message until all are, or a portion is done."""
        waiting = fan.waiting
        while waiting:
            if self._work >= PORTION:
                return False
            some = list(islice(waiting, max(1, (PORTION - self._work) // fan.cost)))
            self._work += len(some) * fan.cost
            self._deliver(fan.message, fan.payload, some, now)
            for member in some:
                waiting.pop(member, None)
        self._fan = None
        return True

    def _deliver(
        self, message: _Message, payload: Payload, members: Iterable[Subscription], now: float
    ) -> None:
        """Send a message to some members; those that cannot take it leave."""
        gathered = self._gathered
        if message.refusal is not None:
            if gathered is not None:
                gathered.scatter()
            for member in list(members):
                if message.refusal is _LEFT:
                    self._leave(member, message.first)
                else:
                    self._end(member, message.first - 1, message.refusal)
            return
        group = message.group
        data = payload[0]
        size = len(data) if len(payload) == 1 else sum(map(len, payload))
        shared = len(payload) > 1 or size >= SHARED_BYTES
        stuck = []
        served = 0
        for member in members:
            sink = member.sink
            if member.room <= 0 or sink.blocked:
                stuck.append(member)
                continue
            served += 1
            head = member.head
            member.room -= size + len(head)
            if shared:
                if gathered is not None:
                    gathered.send(sink)
                sink.send_all((head, *payload))
            elif gathered is not None and len(member.reader.subscriptions) > 1:
                gathered.add(sink, head + data)
            else:
                sink.send(head + data)
        self.delivered += message.events * served
        if stuck and gathered is not None:
            gathered.scatter()
        for member in stuck:
            self._leave(member, message.first)
        group.last = message.until
        if group.members:
            group.quiet_from = now
            self._quiet.move_to_end(group)

    # -- progress -------------------------------------------------------------------------------------

    def tell_progress(self, subscription: Subscription, rev: int) -> None:
        """Tell that everything up to `rev` has been delivered."""
        subscription.told = rev
        subscription.progress_at = NOT_ASKED
        subscription.sink.send(self._encoder.message((verbs.MARK, subscription.watch, rev)))

    def tell_quiet(self, rev: int, now: float) -> bool:
        """Send a MARK to members that have heard nothing for `QUIET_SECONDS` and do not know of `rev`.

        Looks at a portion of them; returns whether there are more. Not while a publication is under way: some have
        been served what is above `rev`.
        """
        quiet, work = self._quiet, 0
        while work < PORTION:
            if self._telling is None:
                group = next(iter(quiet), None)
                if group is None or now - group.quiet_from < QUIET_SECONDS:
                    return False
                group.quiet_from = now
                quiet.move_to_end(group)
                self._telling = group, list(group.members)
            group, members = self._telling
            some = members[work - PORTION :]
            del members[work - PORTION :]
            for member in some:
                # It may have left meanwhile.
                if member.group is group and max(member.told, group.last) < rev and not member.sink.blocked:
                    self.tell_progress(member, rev)
            work += 1 + len(some)
            if not members:
                self._telling = None
        return True


def _chunks(things: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield some of them after the other."""
    for start in range(0, len(things), CHANGES):
        yield things[start : start + CHANGES]


def oversize(rev: int, size: int, largest: int) -> Refusal:
    """Return why the commit at `rev` cannot be sent."""
    refusal = too_large("bytes of a commit", largest, size)
    refusal.details["commit"] = rev
    return refusal
