"""Leases: files that go together when nobody keeps them.

    by_id      7 -> Lease(id 7, ttl 10 000 ms, files {/nodes/a, /locks/x/1})
    store      /nodes/a   (41, b"...", 41, 1, 7)       the version names its lease: `files` follows from the store
    news       [(7, 10_000)]                           what the command just applied granted (ttl) or ended (0)

How long a lease has left is not here: that is measured by the leader alone (`visord/leases/lessor.py`), because clocks
differ and replicated state must not. Here are the leases that exist, and what is attached to them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from itertools import chain, islice
from typing import Any, Final

from sortedcontainers import SortedList

from visor.protocol.limits import Limits
from visord.state import cost, fields, refusal
from visord.state.holders import Holders
from visord.state.lease import Lease
from visord.state.refusal import Refusal
from visord.state.tree import File
from visord.state.version import Write

LEAST_WANTED: Final = 1 << 48
"""The lowest id that a client may choose itself: below are the ones that the machine hands out, each once for ever, so
that nobody keeps alive by mistake what has become somebody else's."""
MAX_LEASES_PAGE: Final = cost.PAGE // (cost.VISIT + cost.ROW)
_SLICE: Final = 500


class Leases:
    """All leases. Belongs to the store, which tells it of every version that has, or had, a lease."""

    __slots__ = ("_limits", "_made", "by_id", "holders", "named", "news", "next", "order")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._made = 0
        self.by_id: dict[int, Lease] = {}
        """In the order in which they were made."""
        self.order: SortedList[int] = SortedList()
        """The ids, ascending: a page of them costs the same however many there are."""
        self.holders = Holders(limits)
        self.next = 1
        """The next id to hand out."""
        self.named: dict[str, None] = {}
        """Paths that imported versions attached to some lease: where `load_steps` has to look."""
        self.news: list[tuple[int, int]] = []
        """`(lease, ttl)` of what the last applied command granted, `(lease, 0)` of what it ended."""

    def __len__(self) -> int:
        return len(self.by_id)

    # -- leases come and go ---------------------------------------------------------------------------

    def grant(
        self, ttl: Any, wanted: Any, owner: str = "", session: bytes | None = None, *, by_owner: bool = True
    ) -> Lease | Refusal:
        """Make a lease of `ttl` ms: with the id `wanted`, or the next one where that is 0.

        When there are too many, one without files ends for it, or it is refused: see `holders.py`. Not `by_owner`:
        there is one limit, that of all.
        """
        limits = self._limits
        wrong = fields.integer("ttl", ttl, limits.lease_ttl_least, limits.lease_ttl_most)
        if wrong is None and wanted != 0:
            wrong = fields.integer("wanted", wanted, LEAST_WANTED)
        wrong = wrong or fields.integer("wanted", wanted)
        if wrong is not None:
            return wrong
        if wanted in self.by_id:
            return refusal.lease_exists(wanted)
        room = self.holders.room(owner, session) if by_owner else self.holders.full()
        if isinstance(room, Refusal):
            return room
        if room is not None:
            self.end(room)
        if wanted == 0:
            wanted, self.next = self.next, self.next + 1
        lease = self.by_id[wanted] = self._make(Lease(wanted, ttl, owner, session))
        self.order.add(wanted)
        self.news.append((wanted, ttl))
        return lease

    def _make(self, lease: Lease) -> Lease:
        self._made += 1
        lease.order = self._made
        self.holders.add(lease)
        return lease

    def end(self, lease: Lease) -> None:
        """Take out a lease; its files have been deleted already."""
        del self.by_id[lease.id]
        self.order.remove(lease.id)
        self.holders.remove(lease)
        self.news.append((lease.id, 0))

    def find(self, lease: Any) -> Lease | Refusal:
        """Return the lease of an id, or why there is none."""
        wrong = fields.integer("lease", lease, 1)
        if wrong is not None:
            return wrong
        return self.by_id.get(lease) or refusal.lease_not_found(lease)

    # -- files come and go ----------------------------------------------------------------------------

    def unknown(self, lease: int) -> Refusal | None:
        """Return why nothing can be attached to `lease`; 0, no lease, is always right."""
        return None if not lease or lease in self.by_id else refusal.lease_not_found(lease)

    def overfull(self, files: Mapping[str, File], writes: list[Write]) -> Refusal | None:
        """Return why these writes attach too much to one lease.

        What a lease holds must go in one rev, so it may hold what one transaction may change, and no more.
        """
        grown: dict[int, int] = {}
        for path, _, lease in writes:
            file = files.get(path)
            before = file.versions[-1][4] if file is not None and file.versions else 0
            if before != lease:
                grown[lease] = grown.get(lease, 0) + 1
                grown[before] = grown.get(before, 0) - 1
        limit = self._limits.lease_files
        for lease, more in grown.items():
            if lease and more > 0:
                count = len(self.by_id[lease].files) + more
                if count > limit:
                    return refusal.too_large(f"files of lease {lease}", limit, count)
        return None

    def move(self, path: str, before: int, lease: int) -> None:
        """The file at `path` had the lease `before` and has `lease` now (0: none)."""
        old = self.by_id.get(before)
        if old is not None:
            old.files.pop(path, None)
            if not old.files:
                self.holders.emptied(old)
        new = self.by_id.get(lease)
        if new is not None:
            new.files[path] = None

    # -- reading --------------------------------------------------------------------------------------

    def page(self, after: int, limit: int) -> tuple[list[list[int]], int | None]:
        """Return rows `[lease, ttl, how many files]` by id behind `after`, and behind which the next page starts."""
        most = min(limit or MAX_LEASES_PAGE, MAX_LEASES_PAGE)
        ids = list(islice(self.order.irange(after, inclusive=(False, True)), most + 1))
        rows = [[lease, self.by_id[lease].ttl, len(self.by_id[lease].files)] for lease in ids[:most]]
        return rows, ids[most - 1] if len(ids) > most else None

    # -- checkpoints ----------------------------------------------------------------------------------

    def export(self) -> list[Any]:
        """Return `[next id, [[lease, ttl, owner, session], ...]]`; what is attached follows from the store."""
        return [self.next, [lease.row() for lease in self.by_id.values()]]

    def load_steps(self, files: Mapping[str, File], exported: list[Any]) -> Generator[None, None, str | None]:
        """Take over what `export` gave, and look in the store's files for what is attached; return what does not fit.

        In slices; the leases are there after the last one.
        """
        by_id = {lease: Lease(lease, *rest) for lease, *rest in exported[1]}  # older rows have no owner
        attached = (path for lease in self.by_id.values() for path in lease.files)
        for count, path in enumerate(chain(self.named, attached)):
            file = files.get(path)
            if file is not None and file.versions and file.versions[-1][4]:
                lease = by_id.get(file.versions[-1][4])
                if lease is None:
                    return f"{path!r:.80} belongs to a lease that is not there"
                lease.files[path] = None
            if count % _SLICE == 0:
                yield
        holders = Holders(self._limits)
        for order, made in enumerate(by_id.values(), 1):
            made.order = order
            holders.add(made)
            if order % _SLICE == 0:
                yield
        self.next, self.by_id, self.order = exported[0], by_id, SortedList(by_id)
        self.holders, self._made = holders, len(by_id)
        self.named, self.news = {}, []
        return None
