"""Live delivery: new commits to the groups that want them, encoded once, sent to every member.

A commit whose paths interest nobody costs a look-up or two for each change. A group gets all that one batch
holds for it in as few messages as `MESSAGE_BYTES` allows; the bytes behind the head are the same object for
all members, so that a thousand readers of a large message share it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from visor.protocol import verbs
from visord.state.refusal import Refusal, too_large
from visord.watch.index import Index
from visord.watch.messages import Change, Commit, CommitParts, Encoder, array_header
from visord.watch.subscription import LIVE, NO_MARK, Group, GroupKey, Subscription

MESSAGE_BYTES = 64 << 10
"""A COMMITS message ends before the commit that would pass this; one commit alone may be larger."""
SHARED_BYTES = 16 << 10
"""Payloads from here on are handed over in a piece of their own, not copied behind each member's head."""
PORTION = 1024
"""Work of one publication: a unit is a change, a group that gets one, or 256 encoded bytes. About 5 ms."""
UNIT_BYTES = 256
MARK_SECONDS = 10.0
"""A watch that has missed nothing but heard nothing for so long gets a MARK."""

Leave = Callable[[Subscription, int], None]
"""Called for a member that cannot take a message, with the rev from which it has to go on."""
End = Callable[[Subscription, int, Refusal], None]
"""Called for a member that cannot be served at all, with the rev up to which it was."""


class Live:
    """The groups of live subscriptions."""

    __slots__ = ("_encoder", "_end", "_groups", "_index", "_largest", "_leave", "_quiet", "delivered")

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
        self.delivered = 0
        """Changes sent, once for each receiver."""

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __len__(self) -> int:
        return sum(len(group.members) for group in self._groups.values())

    def members(self) -> list[Subscription]:
        """Return all live subscriptions."""
        return [member for group in self._groups.values() for member in group.members]

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
        subscription.group = group
        subscription.state = LIVE

    def part(self, subscription: Subscription) -> None:
        """Take a member out; its `told` is brought up to date."""
        group = subscription.group
        assert group is not None
        subscription.group = None
        subscription.told = max(subscription.told, group.last)
        subscription.quiet_from = group.quiet_from
        del group.members[subscription]
        if not group.members:
            del self._groups[group.key]
            del self._quiet[group]
            self._index.remove(group)

    # -- publication ----------------------------------------------------------------------------------

    def publish(self, commits: Iterable[Commit], now: float) -> int:
        """Deliver `commits` in order; return the rev of the last one that was taken.

        Stops early when it has done `PORTION` work. Takes at least one commit when there is one, else
        returns 0.
        """
        rev = work = 0
        active: dict[Group, None] = {}
        for commit in commits:
            rev = commit[0]
            work += len(commit[4])
            selected = self._select(commit[4])
            if selected:
                work += len(selected) + self._hold(commit, selected, active, now) // UNIT_BYTES
            if work >= PORTION:
                break
        for group in active:
            if group.pieces:
                self._deliver(group, now)
        return rev

    def _select(self, changes: Sequence[Change]) -> dict[Group, list[int]]:
        """Return for each group the positions of the changes that it wants."""
        selected: dict[Group, list[int]] = {}
        interested = self._index.interested
        for position, change in enumerate(changes):
            for group in interested(change[1]):
                if group.kinds >> change[0] & 1:
                    wanted = selected.get(group)
                    if wanted is None:
                        selected[group] = [position]
                    else:
                        wanted.append(position)
        return selected

    def _hold(
        self, commit: Commit, selected: dict[Group, list[int]], active: dict[Group, None], now: float
    ) -> int:
        """Add the commit to what each group is to get; return the bytes of it."""
        parts = CommitParts(self._encoder, commit)
        rev = commit[0]
        total = 0
        for group, positions in selected.items():
            piece = parts.encode(positions, group.shape)
            size = len(piece)
            total += size
            if size > self._largest:
                self._refuse(group, rev, size, now)
                continue
            if group.pieces and group.size + size > MESSAGE_BYTES:
                self._deliver(group, now)
            if not group.pieces:
                group.first = rev
                active[group] = None
            group.pieces.append(piece)
            group.size += size
            group.events += len(positions)
            group.until = rev
        return total

    def _refuse(self, group: Group, rev: int, size: int, now: float) -> None:
        """End the members: the commit at `rev` does not fit a message."""
        if group.pieces:
            self._deliver(group, now)
        refusal = oversize(rev, size, self._largest)
        for member in list(group.members):
            self._end(member, rev - 1, refusal)

    def _deliver(self, group: Group, now: float) -> None:
        """Send what the group holds to its members; those that cannot take it leave."""
        payload = array_header(len(group.pieces)) + b"".join(group.pieces)
        size = len(payload)
        shared = size >= SHARED_BYTES
        stuck = []
        for member in group.members:
            sink = member.sink
            if member.room <= 0 or sink.blocked:
                stuck.append(member)
                continue
            head = member.head
            member.room -= size + len(head)
            if shared:
                sink.send(head)
                sink.send(payload)
            else:
                sink.send(head + payload)
        self.delivered += group.events * (len(group.members) - len(stuck))
        for member in stuck:
            self._leave(member, group.first)
        group.last = group.until
        group.pieces = []
        group.size = group.events = 0
        if group.members:
            group.quiet_from = now
            self._quiet.move_to_end(group)

    # -- progress -------------------------------------------------------------------------------------

    def mark(self, subscription: Subscription, rev: int) -> None:
        """Tell that everything up to `rev` has been delivered."""
        subscription.told = rev
        subscription.mark_at = NO_MARK
        subscription.sink.send(self._encoder.message((verbs.MARK, subscription.watch, rev)))

    def mark_quiet(self, rev: int, now: float) -> None:
        """Send a MARK to the members that have heard nothing for `MARK_SECONDS` and do not know of `rev`."""
        quiet = self._quiet
        while quiet:
            group = next(iter(quiet))
            if now - group.quiet_from < MARK_SECONDS:
                break
            for member in group.members:
                if max(member.told, group.last) < rev and not member.sink.blocked:
                    self.mark(member, rev)
            group.quiet_from = now
            quiet.move_to_end(group)


def oversize(rev: int, size: int, largest: int) -> Refusal:
    """Return why the commit at `rev` cannot be sent."""
    refusal = too_large("bytes of a commit", largest, size)
    refusal.details["commit"] = rev
    return refusal
