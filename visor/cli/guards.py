"""Which guard of a transaction does not hold, and why: the registry only says that one does not.

guard rev /leader 17        /leader has rev 23
guard missing /lock         /lock is there, at rev 5
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from visor._core.harmless import harmless
from visor.errors import GuardFailed, VisorError
from visor.protocol import verbs
from visor.values import Node, Stat

if TYPE_CHECKING:
    from visor.blocking import Client
    from visor.guard import Guard

NAMES = {
    verbs.G_REV: "rev",
    verbs.G_MISSING: "missing",
    verbs.G_EXISTS: "exists",
    verbs.G_SINCE: "since",
    verbs.G_VALUE: "value",
    verbs.G_BELOW: "below",
    verbs.G_ABOVE: "above",
}
SHOWN = 40
"""Characters of a guard's value in a message."""


class Unmet(NamedTuple):
    """A guard that does not hold."""

    path: str
    guard: Guard
    rev: int
    """What the path has instead: the rev of its last change, 0 when there is nothing."""
    found: str


def first_unmet(client: Client[bytes], guards: Iterable[tuple[str, Guard]], at: int) -> Unmet | None:
    """Return the first guard that does not hold at rev `at`, by looking at each; None when that cannot be told."""
    try:
        for path, guard in guards:
            stat = client.stat(path, at=at)
            same = guard.kind == verbs.G_VALUE and stat.kind is Node.FILE
            data = client.get(path, at=at).data if same else None
            found = judge(guard, stat, data)
            if found is not None:
                return Unmet(path, guard, _actual(stat), found)
    except VisorError:  # forgotten meanwhile, or no time: that one failed is all that can be said
        return None
    return None


def _actual(stat: Stat) -> int:
    return stat.mod_rev if stat.kind is Node.FILE else 0


def judge(guard: Guard, stat: Stat, data: bytes | None) -> str | None:
    """Say what is there in place of what the guard asks for; None when it holds. `data` is the file's value."""
    actual = _actual(stat)
    if guard.kind == verbs.G_SINCE:
        changed = stat.mod_rev
        return f"was changed at rev {changed}" if isinstance(guard.arg, int) and changed > guard.arg else None
    if guard.kind == verbs.G_REV:
        return None if actual == guard.arg else f"has rev {actual}" if actual else _absent(stat)
    if guard.kind == verbs.G_MISSING:
        return f"is there, at rev {actual}" if actual else None
    if not actual:
        return _absent(stat)
    if guard.kind == verbs.G_VALUE:
        return None if data == guard.arg else f"has another value, at rev {actual}"
    assert isinstance(guard.arg, int)
    if guard.kind == verbs.G_BELOW and actual >= guard.arg:
        return f"has rev {actual}"
    if guard.kind == verbs.G_ABOVE and actual <= guard.arg:
        return f"has rev {actual}"
    return None


def _absent(stat: Stat) -> str:
    return "is a directory" if stat.kind is Node.DIRECTORY else "is not there"


def words(path: str, guard: Guard) -> str:
    """Write a guard as a transaction file does."""
    arg = guard.arg
    if guard.kind in (verbs.G_MISSING, verbs.G_EXISTS):
        return f"guard {NAMES[guard.kind]} {path}"
    if isinstance(arg, bytes):
        text = harmless(arg.decode("utf-8", "backslashreplace"))
        arg_text = text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
        return f"guard {NAMES[guard.kind]} {path} {arg_text!r}"
    return f"guard {NAMES.get(guard.kind, guard.kind)} {path} {arg}"


def failure(unmet: Unmet | None) -> GuardFailed:
    """Return the error of a transaction that was refused."""
    if unmet is None:
        return GuardFailed("a guard of the transaction does not hold: nothing was changed")
    path, guard, rev, found = unmet
    return GuardFailed(
        f"{words(path, guard)} does not hold: {path} {found}; nothing was changed",
        path=path,
        guard=NAMES.get(guard.kind, str(guard.kind)),
        expected=guard.arg if guard.kind not in (verbs.G_MISSING, verbs.G_EXISTS) else None,
        actual=rev,
    )
