"""A grant: one right on one selector.

read    tree /apps         ["read", [1, "/apps"]]       as it is stored and sent
write   /apps/*/web        ["write", [3, "/apps/*/web"]]
admin   tree /             ["admin", [1, "/"]]          all that no path is: members, retention, leases of others
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from visor.protocol.limits import Limits
from visor.protocol.verbs import SEL_GLOB, SEL_PATH, SEL_TREE
from visord.state.refusal import Refusal, bad_request
from visord.state.selector import Selector, parse

READ: Final = "read"
WRITE: Final = "write"
HISTORY: Final = "history"
ADMIN: Final = "admin"
RIGHTS: Final = (READ, WRITE, HISTORY, ADMIN)

KINDS: Final = frozenset((SEL_PATH, SEL_TREE, SEL_GLOB))
"""Selectors that can be granted."""


class Grant(NamedTuple):
    """One right on what a selector means."""

    right: str
    selector: Selector

    def __str__(self) -> str:
        return f"{self.right} on {shown(self.selector)}"

    @property
    def row(self) -> list[Any]:
        """The grant as it is stored and sent."""
        return [self.right, list(self.selector.form)]


def shown(selector: Selector) -> str:
    """Return a selector in words."""
    if selector.several is not None:
        return ", ".join(map(shown, selector.parts))
    if selector.kind == SEL_TREE:
        return f"{selector.base.rstrip('/')}/**"
    if selector.start is not None:
        return f"{selector.start} up to {selector.end or 'the end'}"
    if selector.globs:
        return selector.globs[0].text
    return selector.base if selector.kind == SEL_PATH else f"{selector.base.rstrip('/')}/*"


def parse_grant(row: Any, limits: Limits) -> Grant | Refusal:
    """Return the grant that a row holds, or what is wrong with it."""
    if type(row) is not list or len(row) != 2 or type(row[0]) is not str or row[0] not in RIGHTS:
        return bad_request("grant", f"[right, selector] with a right of {', '.join(RIGHTS)}", row)
    selector = parse(row[1], limits)
    if isinstance(selector, Refusal):
        return selector
    if selector.kind not in KINDS:
        return bad_request("grant", "a path, a tree or a glob", row[1])
    return Grant(row[0], selector)
