"""What can be asked of a cluster, and with which arguments: one table for clients (ADMIN) and for members (CALL, JOIN).

An action is judged as a whole before anything is done for it: `problem(name, arguments)`. The one that asks may be a
client of any language or a member with a defect; an argument of another type must not raise in the middle of a turn,
where other actions would be lost by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

TOO_LONG: Final = 512
"""Characters of a name or an address in an action."""
MAX_REV: Final = 1 << 62

Check: TypeAlias = Callable[[Any], bool]


class Argument(NamedTuple):
    """One argument: what it is called, what is expected in words, and whether a value is that."""

    name: str
    expected: str
    fits: Check


def _text(value: Any) -> bool:
    return type(value) is str and len(value) <= TOO_LONG


def _rev(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value < MAX_REV)


_SHORT: Final = f"a text of at most {TOO_LONG} characters"
MEMBER: Final = Argument("member", _SHORT, _text)
NAME: Final = Argument("name", _SHORT, _text)
PEER: Final = Argument("peer", _SHORT, _text)
CLIENT: Final = Argument("client", _SHORT, _text)
VOTE: Final = Argument("wants_vote", "true or false", lambda value: type(value) is bool)
TARGET: Final = Argument("member", f"nil or {_SHORT}", lambda value: value is None or _text(value))
REV: Final = Argument("rev", "nil or a rev", _rev)

ARGUMENTS: Final[dict[str, tuple[Argument, ...]]] = {
    "add": (MEMBER, NAME, PEER, CLIENT, VOTE),
    "promote": (MEMBER,),
    "remove": (MEMBER,),
    "transfer": (TARGET,),
    "update": (MEMBER, PEER, CLIENT),
    "members": (),
    "hash": (REV,),
}
"""Everything that a leader does or tells."""
CHANGES: Final = frozenset(("add", "promote", "remove", "transfer", "update"))
"""Those that change who belongs to the cluster or leads it; the others are queries."""
LOOK: Final = "look"
COMPARE: Final = "compare"
COME: Final = "come"
CHANGE: Final = "change"
KINDS: Final = (LOOK, COMPARE, COME, CHANGE)
"""Of which actions there may be so many under way (`callers`): none of one kind keeps those of another out."""
KIND_OF: Final = {"members": LOOK, "hash": COMPARE, "add": COME, "update": COME}
"""All others are changes."""
OPERATORS: Final = ("promote", "remove", "transfer", "hash")
"""Those that a client may ask for: members are added and updated by themselves, and MEMBERS is a verb of its own."""
NAMING: Final = frozenset(("promote", "remove", "transfer"))
"""What is done to a member."""
OF_LEARNERS: Final = frozenset(("update", "members", "hash"))
"""What a learner may pass on for its clients, and for itself."""


def problem(name: str, arguments: list[Any]) -> str | None:
    """Return why this cannot be asked for; None when it can."""
    expected = ARGUMENTS.get(name)
    if expected is None:
        return f"unknown action {name!r:.80}, there are {', '.join(ARGUMENTS)}"
    if len(arguments) != len(expected):
        named = ", ".join(one.name for one in expected) or "nothing"
        return f"{name} takes {len(expected)} arguments ({named}), not {len(arguments)}"
    for argument, value in zip(expected, arguments, strict=True):
        if not argument.fits(value):
            return f"{name}: {argument.name} must be {argument.expected}, not {type(value).__name__}"
    return None


def passed_by(member: str, voter: bool, name: str, arguments: list[Any]) -> tuple[str, str] | None:
    """Return why `member` may not pass this action on, as code and text; None when it may.

    A member updates its own addresses only, and a learner changes nothing else: who asked it asks the next one.
    """
    if name == "update" and arguments[0] != member:
        return "bad_request", f"{member} may update its own addresses only"
    if not voter and name not in OF_LEARNERS:
        return "not_leader", f"{name}: ask a voter; {member} is a learner"
    return None


def is_view(result: Any) -> bool:
    """Tell whether this can be what a leader tells: a map, and where it tells of members, rows that name them."""
    if type(result) is not dict:
        return False
    rows = result.get("members", [])
    return type(rows) is list and all(
        type(row) is dict and type(row.get("id")) is str and type(row.get("peer")) is str for row in rows
    )
