"""Who may do what: roles, users, tokens and what is asked of them, as immutable values.

    client.auth.set_role("deployer", [Grant("read", "/apps/**"), Grant("write", "/apps/**")])
    client.auth.set_user("ci", ["deployer"])
    token = client.auth.add_token("ci", ttl=90 * 86400, purpose="the build machine")     # shown this once
    if client.auth.can("write", "/apps/web", user="ci"): ...

A grant is one right on some files. What is granted adds up; nothing is allowed without a grant, and nothing takes one
away. Paths are those of the whole registry, whatever the root of the client that says them.

    read      values, lists, scans, watches, guards        history   past revs, logs, diffs, reverts: beside `read`
    write     sets, deletes                                admin     members, retention, leases of others, rights
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from visor._core.dataclass import dataclass
from visor._core.root import Root
from visor._core.shown import shown
from visor.protocol import verbs
from visor.select import Selector, any_of, glob, path, tree
from visor.values import instant

READ: Final = "read"
WRITE: Final = "write"
HISTORY: Final = "history"
ADMIN: Final = "admin"
RIGHTS: Final = (READ, WRITE, HISTORY, ADMIN)

_WILD: Final = frozenset("*?")
_WHOLE: Final = Root("/")


@dataclass(frozen=True, slots=True)
class Grant:
    """One right on some files: a path, a tree or a glob.

    >>> Grant("write", "/apps/**")            # the path /apps and all that is below it
    >>> Grant("read", "/apps/*/web")          # a glob
    >>> Grant("read", "/limit")               # one file
    >>> Grant("read", select.tree("/apps"))   # the same as the first, of another right

    ValueError for a right that there is not, TypeError for what selects no files. Which selectors can be granted is
    told by `set_role`.
    """

    right: str
    files: str | Selector

    def __post_init__(self) -> None:
        if self.right not in RIGHTS:
            raise ValueError(f"a right is one of {', '.join(RIGHTS)}, not {shown(self.right)}")
        if not isinstance(self.files, str | Selector):
            raise TypeError(
                f"a path, a glob or a selector (visor.select) is expected, not {shown(self.files)}"
            )

    def __str__(self) -> str:
        return f"{self.right} on {self.where}"

    @property
    def selector(self) -> Selector:
        """The files as a selector: plain text is a path, a tree (`/a/**`) or another glob."""
        text = self.files
        if isinstance(text, Selector):
            return text
        above = text.removesuffix("/**")
        if above != text and _WILD.isdisjoint(above) and "{" not in above:
            return tree(above or "/")
        return path(text) if _WILD.isdisjoint(text) and "{" not in text else glob(text)

    @property
    def where(self) -> str:
        """The files in words: `/apps/**`."""
        chosen = self.selector
        return f"{chosen.text.rstrip('/')}/**" if chosen.kind == verbs.SEL_TREE else chosen.text

    @property
    def row(self) -> list[Any]:
        """The grant as it is sent."""
        return [self.right, _WHOLE.selector(self.selector)]


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of grants. `root` is always there, has all of them, and cannot be changed."""

    name: str
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody, or some program. `anonymous` is always there: everybody who proves nothing."""

    name: str
    roles: tuple[str, ...]
    has_password: bool = False


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token as it is listed; what it says is known to nobody but its owner."""

    id: str
    user: str
    created: datetime
    expires: datetime | None
    """UTC; None: never."""
    purpose: str


@dataclass(frozen=True, slots=True)
class RevokedCertificate:
    """A certificate, of a user or a member, that proves nothing any more."""

    fingerprint: str
    """SHA-256 of it, 64 small hexadecimal digits."""
    at: datetime
    """When it was taken back, in UTC."""
    purpose: str
    """What was said of it."""


@dataclass(frozen=True, slots=True)
class JoinTokenInfo:
    """A token that lets one machine become a member, once, as it is listed."""

    id: str
    name: str
    """What the member will be called; "": as it likes."""
    hosts: tuple[str, ...]
    """To which its certificate may be made out; none: to those that no other member has."""
    learner: bool
    """The member will get no vote by itself."""
    created: datetime
    by: str
    """The user who made it."""
    expires: datetime
    """Until when it can be used, or whom it was used for be taken in."""
    member: str
    """The id of the member that it was used for; "": of none yet."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is to the registry, and what it may do."""

    user: str
    credential: str
    """What has proven it, by its id; "" where nothing had to."""
    expires: datetime | None
    """When that proves nothing any more, in UTC; None: never."""
    roles: tuple[str, ...]
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether somebody may do something; true and false as a condition."""

    allowed: bool
    roles: tuple[str, ...]
    """The role that grants it, or those that do together."""
    missing: str | None
    """What would have to be granted."""

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Granted:
    """What of some files is granted; true and false as a condition: whether anything is."""

    selector: Selector | None
    """What to ask for in their place: all of it that is granted; None: nothing is."""
    whole: bool
    """It is all that was asked for."""
    left_out: bool
    """There may be more that is granted, which no selector says: ask for it by name."""

    def __bool__(self) -> bool:
        return self.selector is not None


# -- from the wire ----------------------------------------------------------------------------------------
def grant_from_wire(row: list[Any]) -> Grant:
    """Return the grant that a row tells."""
    right, (kind, text, *_) = row
    return Grant(right, Selector(kind, text))


def role_from_wire(row: list[Any]) -> Role:
    """Return the role that a row tells."""
    name, grants = row
    return Role(name, tuple(map(grant_from_wire, grants)))


def user_from_wire(row: list[Any]) -> User:
    """Return the user that a row tells."""
    name, roles, has_password = row
    return User(name, tuple(roles), has_password)


def token_from_wire(row: list[Any]) -> TokenInfo:
    """Return what a row tells of a token."""
    number, user, expires, created, purpose = row
    return TokenInfo(number, user, instant(created), _when(expires), purpose)


def revoked_from_wire(row: list[Any]) -> RevokedCertificate:
    """Return what a row tells of a certificate that was taken back."""
    fingerprint, at, purpose = row
    return RevokedCertificate(fingerprint, instant(at), purpose)


def join_token_from_wire(row: list[Any]) -> JoinTokenInfo:
    """Return what a row tells of a token to join."""
    number, name, hosts, learner, expires, created, by, member = row
    return JoinTokenInfo(number, name, tuple(hosts), learner, instant(created), by, instant(expires), member)


def identity_from_wire(told: dict[str, Any]) -> Identity:
    """Return the answer to `whoami`."""
    grants = tuple(map(grant_from_wire, told["grants"]))
    return Identity(told["user"], told["credential"], _when(told["expires"]), tuple(told["roles"]), grants)


def verdict_from_wire(told: dict[str, Any]) -> Verdict:
    """Return the answer to `can`."""
    return Verdict(told["allowed"], tuple(told["roles"]), told["missing"])


def granted_from_wire(told: dict[str, Any], root: Root) -> Granted:
    """Return the answer to `narrow`, with the paths that a client of this root says."""
    parts = [_part(raw, root) for raw in told["selectors"]]
    selector = any_of(*parts) if len(parts) > 1 else parts[0] if parts else None
    return Granted(selector, told["whole"], told["left_out"])


def _part(raw: list[Any], root: Root) -> Selector:
    kind, text, *rest = raw
    if kind == verbs.SEL_ANY:
        return any_of(*(_part(each, root) for each in text))
    end = rest[0] if rest else None
    return Selector(
        kind,
        root.relative(text),
        None if end is None or not end.startswith(f"{root.text.rstrip('/')}/") else root.relative(end),
    )


def _when(ms: int) -> datetime | None:
    return instant(ms) if ms else None


def grant_rows(grants: Iterable[Grant]) -> list[list[Any]]:
    """Return grants as they are sent. TypeError for what is none."""
    rows = []
    for each in grants:
        if not isinstance(each, Grant):
            raise TypeError(f"a grant (visor.auth.Grant) is expected, not {shown(each)}")
        rows.append(each.row)
    return rows


__all__ = [
    "Grant",
    "Granted",
    "Identity",
    "JoinTokenInfo",
    "RIGHTS",
    "RevokedCertificate",
    "Role",
    "TokenInfo",
    "User",
    "Verdict",
]


def __dir__() -> list[str]:
    return sorted(__all__)
