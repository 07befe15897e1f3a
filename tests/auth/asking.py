"""Random worlds, and random well-formed messages of every verb that are about what is in them.

    dice = Dice(7)
    message = dice.message(verbs.TXN)       [32, 1, 1, [[3, "/a/b", 4]], [[0, "/b", b"new"]], [[3, "/a"]]]
    world = dice.world([message])           roles whose grants are, mostly, nearly what it needs

What is nearly enough finds more than what has nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from tests.auth.oracle import WORDS, World
from visor.protocol import verbs
from visord.state.auth.grant import RIGHTS

USERS: Final = ("ann", "bob", "anonymous")
ROLES: Final = ("one", "two", "three")
ADDRESS: Final = "10.0.0.7"
"""Where those who prove nothing ask from."""
LEASES: Final = {1: "ann", 2: "bob", 3: ADDRESS, 4: "10.0.0.8"}
ATTACHED: Final = {1: ("/a/ab",), 2: ("/b/ab",), 3: ("/ab/a", "/ab/ab"), 4: ("/ab/a/b",)}
UNKNOWN: Final = 99
"""A lease that nobody has."""
REVS: Final = 9

_PIECES: Final = (*WORDS, *WORDS, "*", "?", "a*", "*b", "**", "**b")


def mentioned(content: Any) -> Iterator[list[Any]]:
    """Yield selectors that are about what a message names."""
    if type(content) is str and content.startswith("/"):
        tree = f"{content.rstrip('/')}/**"
        yield from ([verbs.SEL_GLOB, content], [verbs.SEL_GLOB, tree]) if content != "/" else ()
        if "*" not in content and "?" not in content:
            yield from ([verbs.SEL_PATH, content], [verbs.SEL_TREE, content])
    elif type(content) is list:
        for each in content:
            yield from mentioned(each)


class Dice(Random):
    """What is drawn depends on the seed alone."""

    # -- who there is ---------------------------------------------------------------------------------------

    def world(self, messages: list[list[Any]]) -> World:
        """Return roles that have to do with these messages, and who has them."""
        near = list(mentioned(messages))
        return World(
            roles={name: self.role(near) for name in ROLES},
            users={name: self.sample(ROLES, self.randrange(len(ROLES) + 1)) for name in USERS},
            leases=LEASES,
            address=ADDRESS,
            attached=ATTACHED,
        )

    def role(self, near: list[list[Any]]) -> list[tuple[str, list[Any]]]:
        """Return the grants of a role: one right on everything, or some that are near."""
        if self.random() < 0.15:
            return [(self.choice(RIGHTS), [verbs.SEL_TREE, "/"])]
        return [
            (self.choice(RIGHTS), self.choice(near) if near and self.random() < 0.8 else self.wide())
            for _ in range(self.randrange(8))
        ]

    def wide(self) -> list[Any]:
        """Return a selector that can be granted."""
        kind = self.choice((verbs.SEL_PATH, verbs.SEL_TREE, verbs.SEL_GLOB))
        return [kind, self.glob() if kind == verbs.SEL_GLOB else self.place()]

    # -- what is asked about ----------------------------------------------------------------------------------

    def path(self) -> str:
        """Return the path of a file, now and then one that hangs on a lease."""
        if self.random() < 0.1:
            return self.choice([path for paths in ATTACHED.values() for path in paths])
        return "/" + "/".join(self.choice(WORDS) for _ in range(self.randint(1, 3)))

    def place(self) -> str:
        """Return a path, which may be the root."""
        return "/" if self.random() < 0.1 else self.path()

    def glob(self) -> str:
        return "/" + "/".join(self.choice(_PIECES) for _ in range(self.randint(1, 3)))

    def single(self) -> list[Any]:
        """Return a selector that is not several."""
        kind = self.choice((verbs.SEL_CHILDREN, verbs.SEL_RANGE, None, None, None))
        if kind is None:
            return self.wide()
        if kind == verbs.SEL_CHILDREN:
            return [kind, self.place()]
        start = self.path()
        return [kind, start, self.choice((None, self.path(), f"{start}!", f"{start.rpartition('/')[0]}/ab!"))]

    def selector(self) -> list[Any]:
        if self.random() < 0.8:
            return self.single()
        return [verbs.SEL_ANY, [self.single() for _ in range(self.randint(1, 3))]]

    def rev(self) -> int | None:
        """Return a rev to read at, mostly the latest."""
        return self.randrange(REVS) if self.random() < 0.3 else None

    def lease(self) -> int:
        return self.choice((*LEASES, UNKNOWN))

    def perhaps_lease(self) -> int:
        return self.lease() if self.random() < 0.3 else 0

    def guard(self) -> list[Any]:
        """Return kind and argument of a SET's guard."""
        return [self.randint(verbs.G_NONE, verbs.G_EXISTS), self.randrange(REVS)]

    def condition(self) -> list[Any]:
        """Return a guard of a transaction."""
        kind = self.randint(verbs.G_NONE, verbs.G_ABOVE)
        return [kind, self.place(), b"x" if kind == verbs.G_VALUE else self.randrange(REVS)]

    def operation(self) -> list[Any]:
        kind = self.randint(verbs.T_SET, verbs.T_LIST)
        if kind == verbs.T_SET:
            return [kind, self.path(), b"new", *([self.lease()] if self.random() < 0.2 else [])]
        if kind == verbs.T_DELETE:
            return [kind, self.place(), *([self.random() < 0.5] if self.random() < 0.7 else [])]
        return [kind, self.place()]

    def branch(self) -> list[list[Any]]:
        return [self.operation() for _ in range(self.randrange(3))]

    # -- messages -----------------------------------------------------------------------------------------------

    def message(self, verb: int) -> list[Any]:
        """Return a message of a verb; what equals its default at the end may be left out."""
        least, draw = _DRAWN[verb]
        begin = [verb, 1, 1] if verb in verbs.WRITES - {verbs.RETRY} else [verb, 1]
        fields = draw(self)
        if self.random() < 0.5:
            fields = fields[: self.randint(min(least, len(fields)), len(fields))]
        return [*begin, *fields]

    def retried(self) -> list[Any]:
        """Return a write that may be tried again."""
        return self.message(self.choice(sorted(verbs.WRITES - {verbs.RETRY})))


_Draw = Callable[[Dice], list[Any]]

_SCANNED: Final[tuple[dict[str, bool], ...]] = ({}, {"keys": True}, {"count": True}, {"reverse": True})
_LOGGED: Final[tuple[dict[str, bool], ...]] = ({}, {"previous": True}, {"keys": True})
_QUESTIONS: Final = ("whoami", "can", "narrow", "roles", "users", "tokens")

_DRAWN: Final[dict[int, tuple[int, _Draw]]] = {
    verbs.PING: (0, lambda dice: []),
    verbs.CANCEL: (1, lambda dice: [5]),
    verbs.GET: (1, lambda dice: [dice.place(), dice.rev()]),
    verbs.STAT: (1, lambda dice: [dice.place(), dice.rev()]),
    verbs.LIST: (1, lambda dice: [dice.place(), dice.rev()]),
    verbs.SCAN: (
        1,
        lambda dice: [
            dice.selector(),
            dice.rev(),
            0,
            dice.choice((None, dice.path())),
            dice.randrange(4),
            dice.choice(_SCANNED),
        ],
    ),
    verbs.REV: (0, lambda dice: []),
    verbs.LOG: (1, lambda dice: [dice.selector(), dice.rev(), dice.rev(), 0, dice.choice(_LOGGED)]),
    verbs.DIFF: (3, lambda dice: [dice.selector(), dice.randrange(REVS), dice.randrange(REVS)]),
    verbs.AT: (1, lambda dice: [5]),
    verbs.STATUS: (0, lambda dice: []),
    verbs.LEASES: (0, lambda dice: []),
    verbs.PASSWORD: (2, lambda dice: dice.choice((["digest", "a password"], ["prove", "ann", "a password"]))),
    verbs.ACCESS: (2, lambda dice: [dice.choice(_QUESTIONS), dice.choice(({}, {"user": "ann"}))]),
    verbs.SET: (2, lambda dice: [dice.path(), b"new", *dice.guard(), dice.perhaps_lease()]),
    verbs.DELETE: (1, lambda dice: [dice.place(), dice.random() < 0.5, *dice.guard()]),
    verbs.TXN: (
        2,
        lambda dice: [
            [dice.condition() for _ in range(dice.randrange(3))],
            dice.branch(),
            dice.branch(),
        ],
    ),
    verbs.REVERT: (2, lambda dice: [dice.place(), dice.randrange(REVS), dice.rev()]),
    verbs.NOP: (0, lambda dice: []),
    verbs.RETAIN: (1, lambda dice: [1]),
    verbs.GRANT: (1, lambda dice: [10_000]),
    verbs.REVOKE: (1, lambda dice: [dice.lease()]),
    verbs.RETRY: (2, lambda dice: [dice.retried(), 0]),
    verbs.AUTH: (2, lambda dice: ["delete_user", {"name": "nobody"}]),
    verbs.REDACT: (1, lambda dice: [dice.path(), 1, dice.rev()]),
    verbs.WATCH: (1, lambda dice: [dice.selector(), dice.rev()]),
    verbs.UNWATCH: (1, lambda dice: [5]),
    verbs.CREDIT: (1, lambda dice: [10]),
    verbs.PROGRESS: (0, lambda dice: []),
    verbs.KEEPALIVE: (1, lambda dice: [[dice.lease() for _ in range(dice.randrange(3))]]),
    verbs.LEASE: (1, lambda dice: [dice.lease()]),
    verbs.MEMBERS: (0, lambda dice: []),
    verbs.ADMIN: (2, lambda dice: ["remove", ["n1"]]),
}
"""Verb -> how many fields it has at least behind those that all have, and what draws all of them."""

VERBS: Final = tuple(sorted(_DRAWN))
