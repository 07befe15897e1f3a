"""What who may do, told the naive way: every path of a small world is tried, one by one.

Nothing here knows `visord/state/auth`. A selector is the set of paths that it means, a grant the set of `(right, path)`
that it gives, a message the set of `(right, path)` that it wants; what is wanted and not given is not allowed:

    given("ann")                        {("read", "/a"), ("read", "/a/b"), ...}
    wanted([SCAN, 1, [TREE, "/a"]])     {("read", "/a"), ("read", "/a/a"), ("read", "/a/z"), ...}

Names with a `z` in them are in no grant and in no request: they stand for all that is in none.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeAlias

import msgpack

from visor.protocol import verbs

WORDS: Final = ("a", "b", "ab")
"""Names that grants and requests hold."""
NAMES: Final = (*WORDS, "z", "az", "zb")
DEPTH: Final = 4
"""One more than the components of any grant or request."""
WORLD: Final = frozenset(
    ["/"]
    + [
        "/" + "/".join(parts)
        for length in range(1, DEPTH + 1)
        for parts in itertools.product(NAMES, repeat=length)
    ]
)

Want: TypeAlias = tuple[str, str]
"""A right, and one path that it is needed on."""


def order(path: str) -> tuple[str, ...]:
    """Return what paths are ordered by: their components."""
    return tuple(path.split("/")[1:]) if path != "/" else ()


def fits(glob: str, text: str) -> bool:
    """Tell whether a glob matches a text, letter by letter."""
    if not glob:
        return not text
    if glob.startswith("**"):
        return any(fits(glob[2:], text[start:]) for start in range(len(text) + 1))
    if glob.startswith("*"):
        name = text.split("/")[0]
        return any(fits(glob[1:], text[start:]) for start in range(len(name) + 1))
    if not text:
        return False
    return (glob[0] == text[0] or (glob[0] == "?" and text[0] != "/")) and fits(glob[1:], text[1:])


def means(selector: list[Any], path: str) -> bool:
    """Tell whether a selector means a path."""
    kind, *rest = selector
    if kind == verbs.SEL_ANY:
        return any(means(part, path) for part in rest[0])
    if kind == verbs.SEL_RANGE:
        return order(rest[0]) <= order(path) and (rest[1] is None or order(path) < order(rest[1]))
    text = rest[0]
    if kind == verbs.SEL_GLOB:
        return fits(text, path)
    if kind == verbs.SEL_PATH:
        return bool(path == text)
    above = order(text)
    inside = order(path)[: len(above)] == above
    if kind == verbs.SEL_TREE:
        return inside
    assert kind == verbs.SEL_CHILDREN
    return inside and len(order(path)) == len(above) + 1


@cache
def _paths(packed: bytes) -> frozenset[str]:
    selector = msgpack.unpackb(packed)
    return frozenset(path for path in WORLD if means(selector, path))


def paths(selector: list[Any]) -> frozenset[str]:
    """Return all paths of the world that a selector means."""
    return _paths(msgpack.packb(selector))


def tree(path: str) -> list[Any]:
    """Return the selector of all that is at and below a path."""
    return [verbs.SEL_TREE, path]


@dataclass
class World:
    """Who there is, what was granted to whom, and whose the leases are, with what is attached to them."""

    roles: dict[str, list[tuple[str, list[Any]]]] = field(default_factory=dict)
    users: dict[str, list[str]] = field(default_factory=dict)
    """User -> its roles. `anonymous` is everybody who proves nothing; what it may do everybody may."""
    leases: dict[int, str] = field(default_factory=dict)
    """Lease -> the user that it was granted to; an address where nobody was proven."""
    address: str = ""
    """Where those who prove nothing ask from."""
    attached: Mapping[int, Iterable[str]] = field(default_factory=dict)

    def grants(self, user: str) -> list[tuple[str, list[Any]]]:
        """Return the grants of a user."""
        names = [*self.users[user], *self.users["anonymous"]]
        return [grant for name in names for grant in self.roles[name]]

    def given(self, user: str) -> set[Want]:
        """Return all that a user may do."""
        return {(right, path) for right, selector in self.grants(user) for path in paths(selector)}

    def rules(self, user: str) -> bool:
        """Tell whether a user has admin on everything."""
        return {("admin", path) for path in WORLD} <= self.given(user)

    def allows(self, user: str, message: list[Any]) -> bool:
        """Tell whether a user may have a message executed."""
        wants = wanted(message)
        if wants.known and user == "anonymous" and not self.grants(user):
            return False
        if not wants.all <= self.given(user):
            return False
        return self.rules(user) or all(self._lease(user, message, lease) for lease in wants.leases)

    def named(self, message: list[Any]) -> set[str]:
        """Return the files that a message changes by name: what hangs on a lease of another user may hang there again,
        and what takes its place."""
        if message[0] == verbs.RETRY:
            return self.named(message[2])
        if message[0] == verbs.SET:
            return {message[3]}
        if message[0] != verbs.TXN:
            return set()
        operations = itertools.chain(*message[4:6])
        return {
            path
            for kind, path, *rest in operations
            if kind == verbs.T_SET or (kind == verbs.T_DELETE and not (rest and rest[0]))
        }

    def _lease(self, user: str, message: list[Any], lease: int) -> bool:
        """A lease is its user's. One of somebody unproven may everybody keep, whose number it knows; to end it takes
        what deleting its files takes, and to look at it what reading them does."""
        owner = self.leases.get(lease)
        if owner is None or owner == (self.address if user == "anonymous" else user):
            return True  # where there is none it is told so
        if owner in self.users:
            return not self.named(message).isdisjoint(self.attached.get(lease, ()))
        verb = message[2][0] if message[0] == verbs.RETRY else message[0]
        right = {verbs.REVOKE: "write", verbs.LEASE: "read"}.get(verb)
        return right is None or {(right, path) for path in self.attached.get(lease, ())} <= self.given(user)


@dataclass
class Wants:
    """What a message wants: all of it."""

    all: set[Want]
    leases: set[int] = field(default_factory=set)
    known: bool = True
    """Not for somebody who is nobody."""


def _on(selector: list[Any], *rights: str) -> set[Want]:
    return {(right, path) for right in rights for path in paths(selector)}


def _everything(right: str) -> Wants:
    return Wants(_on(tree("/"), right))


def _reads(selector: list[Any], rest: list[Any]) -> Wants:
    """`rest` begins with the rev that is read: nil or nothing is the latest."""
    at = rest[0] if rest else None
    return Wants(_on(selector, "read", "history") if at is not None else _on(selector, "read"))


def _guarded(kind: int, path: str) -> set[Want]:
    if kind == verbs.G_NONE:
        return set()
    return _on(tree(path) if kind == verbs.G_SINCE else [verbs.SEL_PATH, path], "read")


def _operated(operation: list[Any]) -> set[Want]:
    kind, path, *rest = operation
    if kind == verbs.T_SET:
        return {("write", path)}
    if kind == verbs.T_GET:
        return {("read", path)}
    if kind == verbs.T_LIST:
        return _on(tree(path), "read")
    assert kind == verbs.T_DELETE
    return _on(tree(path), "write") if rest and rest[0] else {("write", path)}


def _transaction(guards: list[Any], branches: list[list[Any]]) -> Wants:
    wants: set[Want] = set()
    for kind, path, _ in guards:
        wants |= _guarded(kind, path)
    leases = set()
    for operation in itertools.chain(*branches):
        wants |= _operated(operation)
        if operation[0] == verbs.T_SET and len(operation) > 3 and operation[3]:
            leases.add(operation[3])
    return Wants(wants, leases)


NOTHING: Final = frozenset((verbs.PING, verbs.CANCEL, verbs.UNWATCH, verbs.CREDIT, verbs.PROGRESS))
KNOWN: Final = frozenset((verbs.REV, verbs.AT, verbs.NOP, verbs.GRANT))


def wanted(message: list[Any]) -> Wants:
    """Return what a message wants: well formed, of any verb that a client may send."""
    verb, _, *rest = message
    if verb in NOTHING:
        return Wants(set(), known=False)
    if verb in KNOWN:
        return Wants(set())
    if verb in verbs.WRITES:
        return _wanted_to_write(verb, rest)
    if verb in (verbs.GET, verbs.STAT):
        return _reads([verbs.SEL_PATH, rest[0]], rest[1:])
    if verb == verbs.LIST:
        return _reads(tree(rest[0]), rest[1:])
    if verb in (verbs.SCAN, verbs.WATCH):
        return _reads(rest[0], rest[1:])
    if verb in (verbs.LOG, verbs.DIFF):
        return Wants(_on(rest[0], "read", "history"))
    if verb in (verbs.STATUS, verbs.LEASES, verbs.MEMBERS):
        return _everything("read")
    if verb == verbs.ACCESS:
        mine = rest[0] in ("whoami", "can", "narrow") and "user" not in rest[1]
        return Wants(set(), known=False) if mine else _everything("admin")
    if verb == verbs.PASSWORD:
        return Wants(set(), known=rest[0] != "prove")
    if verb == verbs.KEEPALIVE:
        return Wants(set(), set(rest[0]))
    if verb == verbs.LEASE:
        return Wants(set(), {rest[0]})
    assert verb == verbs.ADMIN, message
    return _everything("admin")


def filled(fields: list[Any], defaults: list[Any]) -> list[Any]:
    """Return the first fields, with their defaults for those that are left out."""
    return [*fields, *defaults[len(fields) :]][: len(defaults)]


def _wanted_to_write(verb: int, rest: list[Any]) -> Wants:
    if verb == verbs.RETRY:
        return wanted(rest[0])
    rest = rest[1:]  # `acked`
    if verb == verbs.SET:
        path, _, kind, _, lease = filled(rest, [None, None, verbs.G_NONE, 0, 0])
        return Wants({("write", path)} | _guarded(kind, path), {lease} - {0})
    if verb == verbs.DELETE:
        path, recursive, kind = filled(rest, [None, False, verbs.G_NONE])
        removed = _on(tree(path), "write") if recursive else {("write", path)}
        return Wants(removed | _guarded(kind, path))
    if verb == verbs.TXN:
        return _transaction(rest[0], rest[1:3])
    if verb == verbs.REVERT:
        return Wants(_on(tree(rest[0]), "write", "read", "history"))
    if verb == verbs.REVOKE:
        return Wants(set(), {rest[0]})
    if verb == verbs.REDACT:
        return Wants({("admin", rest[0])})
    assert verb in (verbs.RETAIN, verbs.AUTH), verb
    return _everything("admin")
