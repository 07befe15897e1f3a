"""Who has actions under way, and who gets the next place: none that asks much keeps out those that ask little.

An action has a place from when it is taken until it is answered, whatever it waits for. Places are counted by kind, so
that thousands who look, or compare, leave room for who would remove the attacker; and by who asks:

    CLIENT     an address ("10.0.0.7"), for what its clients ask, and for what nodes ask that join from there
    OPERATOR   a user at the Unix socket ("unix:1000"): some places of each kind are for these alone
    MEMBER     a member's id, for what it passes on: as much at once as an honest one passes (`PASSED`)
    OWN        what this node asks for itself: one action of a kind at a time, it needs no limit

Where all places are taken, the newest action that has no effect yet of the caller with most of them makes room for
one of a caller with fewer. What waits is gone on with in turns of callers, not of actions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from visord.members.actions import KINDS, LOOK

OWN: Final = "own"
CLIENT: Final = "client"
OPERATOR: Final = "operator"
MEMBER: Final = "member"

EACH: Final = {LOOK: 64}
"""Actions of a kind that one address, or one user, may have under way; `FEW` of the other kinds."""
FEW: Final = 16
PLACES: Final = {LOOK: 256}
"""Actions of a kind that all addresses and users may have under way together; `SOME` of the other kinds."""
SOME: Final = 64
KEPT: Final = 8
"""Places of each kind beyond those, for operators alone."""
PASSED: Final = 16
"""Actions of a kind that a member passes on at once; what is more waits in turn where it was taken."""
PASSED_KEPT: Final = 4
"""What it passes on beyond that for operators alone."""


class Caller(NamedTuple):
    """Who asks."""

    sort: str
    name: str = ""


ME: Final = Caller(OWN)


def of_client(owner: str) -> Caller:
    """Return the caller that a connection is (`serving/owners.py`)."""
    return Caller(OPERATOR if owner.partition(":")[0] == "unix" else CLIENT, owner)


class PlacedAction(Protocol):
    """An action that has a place."""

    @property
    def kind(self) -> str: ...

    @property
    def caller(self) -> Caller: ...

    @property
    def dispensable(self) -> bool:
        """It has had no effect yet, and will have none when it is answered now."""


T = TypeVar("T", bound=PlacedAction)


class Callers(Generic[T]):
    """See the module."""

    def __init__(self) -> None:
        self._parties: dict[tuple[str, Caller], list[T]] = {}
        """The actions of one kind and caller, the oldest first."""
        self._counts: Counter[str] = Counter()
        """The places of each kind that are taken by addresses and users."""
        self._turns: dict[Caller, int] = {}
        """How many actions of each caller that has any were gone on with."""
        self.refused = 0
        """Actions that found no place, or had to give theirs, since the start."""

    def __len__(self) -> int:
        return sum(map(len, self._parties.values()))

    def enter(self, action: T) -> T | None:
        """Give an action a place; return which one has none now: another, or this one itself."""
        kind, caller = action.kind, action.caller
        mine = len(self._parties.get((kind, caller), ()))
        victim = self._no_room(action, mine)
        if victim is not None:
            self.refused += 1
            if victim is action:
                return action
            self.leave(victim)
        self._parties.setdefault((kind, caller), []).append(action)
        self._turns.setdefault(caller, 0)
        if caller.sort in (CLIENT, OPERATOR):
            self._counts[kind] += 1
        return victim

    def _no_room(self, action: T, mine: int) -> T | None:
        kind, (sort, _) = action.kind, action.caller
        if sort == OWN:
            return None
        if sort == MEMBER:
            return action if mine >= PASSED + PASSED_KEPT else None
        if mine >= EACH.get(kind, FEW):
            return action
        kept = KEPT if sort == OPERATOR else 0
        if self._counts[kind] < PLACES.get(kind, SOME) + kept:
            return None
        return self._most_dispensable(kind, mine) or action

    def _most_dispensable(self, kind: str, mine: int) -> T | None:
        """Return the newest action that can go of the caller with most, when that has more than `mine` and one."""
        rows = [
            actions
            for (one, (sort, _)), actions in self._parties.items()
            if one == kind and sort == CLIENT and len(actions) > mine + 1
        ]
        for actions in sorted(rows, key=len, reverse=True):
            for action in reversed(actions):
                if action.dispensable:
                    return action
        return None

    def leave(self, action: T) -> bool:
        """Give an action's place back; tell whether it had one."""
        key = action.kind, action.caller
        actions = self._parties.get(key, [])
        if action not in actions:
            return False
        actions.remove(action)
        if not actions:
            del self._parties[key]
            if not any((kind, action.caller) in self._parties for kind in KINDS):
                self._turns.pop(action.caller, None)
        if action.caller.sort in (CLIENT, OPERATOR):
            self._counts[action.kind] -= 1
        return True

    def has(self, action: T) -> bool:
        """Tell whether an action is under way still."""
        return action in self._parties.get((action.kind, action.caller), ())

    def took_turn(self, action: T) -> None:
        """An action was gone on with: who else waits comes before the next one of its caller."""
        if action.caller in self._turns:
            self._turns[action.caller] += 1

    def in_turn(self, waiting: Iterable[T]) -> list[T]:
        """Return actions in the order in which they are gone on with: the first of each caller, the second, and so on.

        Whose turn it was less often comes first; of several such, who came first.
        """
        ahead: Counter[Caller] = Counter()
        ranked = []
        for action in waiting:
            ranked.append((self._turns.get(action.caller, 0) + ahead[action.caller], action))
            ahead[action.caller] += 1
        ranked.sort(key=lambda row: row[0])
        return [action for _, action in ranked]
