"""One watch of one reader, the reader's connection, and the groups of live watches that get the same bytes.

A subscription is in exactly one state, and each state keeps it in exactly one place:

    AHEAD      its start lies in the future             hub's waiting table, by start
    BEHIND     it reads history (first the files, if    its reader's queue; the hub serves readers whose
               asked to), from `cursor` on              socket takes bytes in turn, the others rest
    LIVE       it got everything up to the hub's rev    a group
    LAGGING    its window is used up: only `cursor`     hub's lagging table, by cursor
               is kept until its reader credits
    ENDED      it was told why                          nowhere

       subscribe          AHEAD  -- the store reaches start --> BEHIND
                          BEHIND -- nothing left to read -----> LIVE
                          BEHIND, LIVE -- window used up -----> LAGGING -- credit --> BEHIND
                          LIVE   -- socket full --------------> BEHIND
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from visord.state.refusal import Refusal
from visord.state.selector import Selector
from visord.watch.load import Load
from visord.watch.partial import Partial

AHEAD: Final = "ahead"
BEHIND: Final = "behind"
LIVE: Final = "live"
LAGGING: Final = "lagging"
ENDED: Final = "ended"

NOT_ASKED: Final = -1


Verdicts: TypeAlias = Callable[[list[Any]], Refusal | None]


class Sink(Protocol):
    """A reader's connection, as the hub sees it. Compared by identity."""

    @property
    def blocked(self) -> bool:
        """Whether it holds as many unsent bytes as it may; tells at once, also after a `send`."""

    @property
    def send(self) -> Callable[[bytes], None]:
        """Take an encoded message. Never raises or calls the hub. Look it up for each message: it may change."""

    def send_all(self, pieces: Sequence[bytes]) -> None:
        """The same of a message that is in pieces, which others may be sent too."""

    def judge_again(self) -> Verdicts | None:
        """Return what tells of a selector, as it came, why a watch of it must not go on; None: all may, as before."""


GroupKey: TypeAlias = tuple[tuple[Any, ...], int, int]
"""`(selector as it came, shape, kinds)`: who agrees in it is sent the same commits in the same bytes."""


class Reader:
    """One connection with its watches."""

    __slots__ = ("behind", "load", "selectors", "sink", "subscriptions")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.subscriptions: dict[int, Subscription] = {}
        self.selectors = 0
        """How many they have together."""
        self.behind: OrderedDict[Subscription, None] | None = None
        """Those in state BEHIND; the first is served next. None where there is none, as mostly."""
        self.load: Load | None = None
        """What its globs cost a changed path; made with the first one."""


class Subscription:
    """One watch. The hub alone changes it."""

    __slots__ = (
        "cursor",
        "group",
        "head",
        "key",
        "page",
        "partial",
        "progress_at",
        "quiet_from",
        "reader",
        "room",
        "selector",
        "sink",
        "start",
        "state",
        "told",
        "watch",
        "window",
    )

    def __init__(
        self,
        reader: Reader,
        watch: int,
        selector: Selector,
        key: GroupKey,
        start: int,
        window: int,
        head: bytes,
        now: float,
    ) -> None:
        self.reader = reader
        self.sink = reader.sink
        self.watch = watch
        self.selector = selector
        self.key = key
        self.start = start
        self.window = window
        self.head = head
        """What its COMMITS messages begin with."""
        self.state = AHEAD
        self.cursor = start
        """The first rev that has not been delivered. Not kept up while LIVE: then it is the hub's rev + 1."""
        self.room = window
        """Bytes that may still be sent. Below zero when the last message passed the window."""
        self.page: str | None = None
        """With W_STATE, the path behind which the files at rev `start` - 1 are still to be sent, "" before
        the first; None when they are delivered."""
        self.partial: Partial | None = None
        """How far the commit at the cursor was looked at, when that takes long; see `history`."""
        self.told = start - 1
        """The last rev in a message to it, while BEHIND or when it became LIVE."""
        self.quiet_from = now
        """When it last got a message, while BEHIND; seconds of the hub's clock."""
        self.progress_at = NOT_ASKED
        """The rev from which on it is owed a MARK (PROGRESS), or NOT_ASKED."""
        self.group: Group | None = None

    @property
    def weight(self) -> int:
        """How many selectors it has: in an index and in a portion of work each counts."""
        several = self.selector.several
        return 1 if several is None else len(several.all)


class Group:
    """Live subscriptions with one key, and the message that the current batch fills for them."""

    __slots__ = ("key", "kinds", "last", "members", "message", "quiet_from", "selector", "shape")

    def __init__(self, key: GroupKey, selector: Selector, now: float) -> None:
        self.key = key
        self.selector = selector
        _, self.shape, self.kinds = key
        self.members: dict[Subscription, None] = {}
        self.message: Any = None
        """Of `live`: the last message for it that has not been begun to be sent."""
        self.last = 0
        """The rev of the last commit that was sent to all members."""
        self.quiet_from = now
        """When something was last sent, by the hub's clock."""
