"""The order in which writes become commands: as they came, until much waits; then all in turn.

While little waits, order is first in, first out, and costs nothing. Above `CALM` bytes those who come then stand in a
line each, and are taken round robin: by owner (the address they came from), then by author, so that neither a flood of
one connection nor a thousand connections of one address make others wait for more than their turn:

    first      a1                       what was put back, or came while it was calm
    lines      10.0.0.1  [a2 a3 a4] [b1 b2]          taken: a1, a2, c1, b1, a3, b2, a4
               10.0.0.2  [c1]

What one author (a session, or a connection without one) has submitted keeps its order. An owner may be paused: what
waits of it, and what comes, stays where it is until it is resumed, and others are taken.
"""

from __future__ import annotations

import operator
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from visord.state.auth.principal import owner_of

CALM: Final = 256 * 1024
"""Bytes of waiting writes up to which no owner is told from others: about what one command takes."""


class Item(Protocol):
    """Writes of one author."""

    size: int
    author: Any
    content: list[Any]
    """`[session or None, actor, frames, principal]`."""


T = TypeVar("T", bound=Item)


class FairQueue(Generic[T]):
    """See the module. `size`: bytes of all that waits."""

    __slots__ = ("_by_owner", "_count", "_first", "_kept", "_lines", "_paused", "size")

    def __init__(self) -> None:
        self.size = 0
        self._count = 0
        self._first: deque[T] = deque()
        self._lines: OrderedDict[str, OrderedDict[Any, deque[T]]] = OrderedDict()
        """owner -> author -> what waits; the first of each is taken next."""
        self._by_owner: dict[str, int] = {}
        """Bytes that wait in lines."""
        self._paused: dict[str, OrderedDict[Any, deque[T]]] = {}
        self._kept = 0
        """How many items wait of those who are paused."""

    def __len__(self) -> int:
        return self._count

    @property
    def ready(self) -> bool:
        """There is something to take: not all that waits is of those who are paused."""
        return self._count > self._kept

    def __iter__(self) -> Iterator[T]:
        """Yield everything; what is taken next and was put back, or came while it was calm, in order."""
        yield from self._first
        for authors in (*self._lines.values(), *self._paused.values()):
            for line in authors.values():
                yield from line

    def append(self, item: T) -> None:
        """Add what is submitted."""
        self._count += 1
        self.size += item.size
        if self.size <= CALM and not self._lines and not self._paused:
            self._first.append(item)
            return
        self._line(item).append(item)

    def _line(self, item: T) -> deque[T]:
        """Return the line of an item's author, which is about to get it."""
        owner, author = _whose(item)
        authors = self._paused.get(owner)
        if authors is not None:
            self._kept += 1
        else:
            authors = self._lines.get(owner)
            if authors is None:
                authors = self._lines[owner] = OrderedDict()
        line = authors.get(author)
        if line is None:
            line = authors[author] = deque()
        self._by_owner[owner] = self._by_owner.get(owner, 0) + item.size
        return line

    def defer(self, item: T) -> None:
        """Have the rest of an item that was just taken come first of its author's, but after the turn of others."""
        self._count += 1
        self.size += item.size
        self.line_up()  # they came later
        self._line(item).appendleft(item)
        self._step_back(item)

    def _step_back(self, item: T) -> None:
        """Have the author of an item, and its owner, wait until all others had a turn."""
        owner, author = _whose(item)
        if author in self._lines.get(owner, ()):
            self._lines[owner].move_to_end(author)
            self._lines.move_to_end(owner)

    def line_up(self, taken: Iterable[T] = ()) -> None:
        """Have all that would be taken in the order in which it came stand in lines; who has just had a turn with what
        was `taken` stands behind the others."""
        first, self._first = self._first, deque()
        fronts: dict[int, tuple[deque[T], list[T]]] = {}
        for item in first:
            line = self._line(item)
            fronts.setdefault(id(line), (line, []))[1].append(item)
        for line, items in fronts.values():  # what stands there already came later
            line.extendleft(reversed(items))
        for item in taken:
            self._step_back(item)

    def pause(self, owner: str) -> None:
        """Let nothing of this owner be taken until `resume`. Idempotent."""
        if owner not in self._paused:
            self.line_up()
            authors = self._paused[owner] = self._lines.pop(owner, OrderedDict())
            self._kept += sum(map(len, authors.values()))

    def resume(self, owner: str) -> None:
        """Let this owner's turn come again, behind the others. Idempotent."""
        authors = self._paused.pop(owner, None)
        if authors:
            self._kept -= sum(map(len, authors.values()))
            self._lines[owner] = authors

    def popleft(self) -> T:
        """Take what is next. Raises KeyError or IndexError when nothing is ready."""
        item = self._first.popleft() if self._first else self._next_in_line()
        self._count -= 1
        self.size -= item.size
        return item

    def calm(self) -> deque[T] | None:
        """Return all that waits, in its order, while no owner is told from others; None when one is."""
        return self._first if not self._lines and not self._paused else None

    def take_all(self) -> list[T]:
        """Take all that waits, while it is `calm`."""
        items = list(self._first)
        self._first.clear()
        self._count = self.size = 0
        return items

    def take(self, items: Sequence[T]) -> bool:
        """Take these if they are what was put back, in this order, and no owner has been told from others since."""
        first = self._first
        if len(first) < len(items) or any(map(operator.is_not, items, first)):
            return False
        for item in items:
            first.popleft()
            self.size -= item.size
        self._count -= len(items)
        return True

    def _next_in_line(self) -> T:
        owner, authors = self._lines.popitem(last=False)
        author, line = authors.popitem(last=False)
        item = line.popleft()
        if line:
            authors[author] = line
        if authors:
            self._lines[owner] = authors
            self._by_owner[owner] -= item.size
        else:
            del self._by_owner[owner]
        return item

    def put_back(self, items: Sequence[T]) -> None:
        """Have items that were taken come first again, in this order."""
        self._first.extendleft(reversed(items))
        self._count += len(items)
        self.size += sum(item.size for item in items)

    def over_its_share(self, owner: str, limit: int) -> bool:
        """Tell whether so much waits that `owner` may add nothing: all have at most `limit`, or twice that where each
        has only its share of it."""
        if self.size <= limit:
            return False
        mine = self._by_owner.get(owner, 0)
        return self.size > 2 * limit or mine * max(1, len(self._by_owner)) >= limit


def _whose(item: Item) -> tuple[str, Any]:
    """Return the owner and the author of an item."""
    session, _, _, principal = item.content
    return owner_of(principal), id(item.author) if session is None else session
