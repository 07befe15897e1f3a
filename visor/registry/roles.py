"""Ready roles of the domain: what each needs for its whole job, and nothing that the tree can keep apart from it.

    client.auth.set_role("deployer-web", roles.deployer("web"))
    client.auth.set_user("ci", ["deployer-web"])

    viewer            sees the domain, what is announced among it; no past revs
    operator          does everything in the domain; nothing outside of it, no members, no rights
    deployer(APP)     everything of one app: revisions, process types, variables, scaling; its history
    host(NAME)        runs instances on one host (the process manager), and announces what runs there
    scheduler         replaces instances that ended

What all instances share lies together for all apps: ids, tickets, ports, what runs on a host, the leases of hosts. Who
works with instances writes there, so these roles keep apart records of apps and hosts, not every entry of an index;
`visor/docs/domain.md`, section 5, says what that means. Pure: values in, grants out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from visor import paths
from visor._core.registry import layout, names
from visor._core.registry.errors import BadValue
from visor._core.root import Root
from visor.auth import HISTORY, READ, WRITE, Grant

DOMAIN: Final = layout.ROOTS
"""What the domain keeps lies at or below one of these."""
ANNOUNCED: Final = "/views"
"""Where `visor.views.announce` puts what is announced."""

_SHARED: Final = (layout.UID, f"{layout.IDS}/**", f"{layout.OPEN}/**")
"""What is written for every new instance or ticket."""
_INDEXES: Final = ("instances", "live", "epoch")
"""What comes and goes with an instance, below its app."""


def viewer(*, root: str = "/") -> tuple[Grant, ...]:
    """Return what is needed to see all of the domain, as it is now."""
    return _grants(root, {READ: _everything()})


def operator(*, root: str = "/") -> tuple[Grant, ...]:
    """Return what is needed for everything in the domain: what all commands of the domain do."""
    domain = _everything()[:-1]
    return _grants(root, {READ: _everything(), WRITE: domain, HISTORY: domain})


def deployer(app: str, *, root: str = "/") -> tuple[Grant, ...]:
    """Return what is needed to deploy one app, registered or not. BadName."""
    own = f"{layout.app_directory(names.name('app', app))}/**"
    ports = (layout.NEXT_PORT, f"{layout.FREE_PORTS}/**")
    taken = (f"{layout.CLAIMED}/**", f"{layout.HOSTS}/**")
    return _grants(
        root,
        {
            READ: (own, layout.SCHEMA, *ports, f"{layout.LEASES}/**", f"{layout.IDS}/**"),
            WRITE: (own, *ports, *_SHARED, *taken),
            HISTORY: (own,),
        },
    )


def host(name: str, *, root: str = "/") -> tuple[Grant, ...]:
    """Return what is needed to run instances of any app on one host, and to announce what runs there. BadName."""
    names.host(name)
    at, announced = paths.name(layout.logger(name)), f"{ANNOUNCED}/{_announced(name)}"
    own = (f"{layout.claimed_tickets(name)}/**", f"{layout.host(name)}/**", f"{layout.runners(name)}/**")
    members = (layout.pm(name), layout.proxy(name), layout.logger(name), f"{layout.LOGGERS}/{at}:*")
    services = (f"{layout.SERVICES}/*/endpoints/{at}:*", announced, f"{announced}:*")
    read = (layout.APPS, layout.TICKETS, layout.IDS, layout.LEASES, layout.SERVICES, ANNOUNCED)
    kinds = (*_INDEXES, "stopping", "scale")
    return _grants(
        root,
        {
            READ: (*(f"{each}/**" for each in (*read, *layout.MEMBER_DIRECTORIES.values())), *own),
            WRITE: (
                *(f"{layout.APPS}/*/{kind}/**" for kind in kinds),
                *_SHARED,
                f"{layout.LEASES}/*",
                *own,
                *members,
                *services,
            ),
        },
    )


def scheduler(*, root: str = "/") -> tuple[Grant, ...]:
    """Return what is needed to replace the instances that have ended, of all apps."""
    return _grants(
        root,
        {
            READ: (f"{layout.APPS}/**", f"{layout.LEASES}/**", f"{layout.IDS}/**"),
            WRITE: (*(f"{layout.APPS}/*/{kind}/**" for kind in _INDEXES), *_SHARED),
        },
    )


_FOR_ALL: Final[dict[str, Callable[..., tuple[Grant, ...]]]] = {
    "viewer": viewer,
    "operator": operator,
    "scheduler": scheduler,
}
_FOR_ONE: Final[dict[str, Callable[..., tuple[Grant, ...]]]] = {"deployer": deployer, "host": host}
KINDS: Final = (*_FOR_ALL, *_FOR_ONE)
"""The ready roles there are."""


def ready(kind: str, of: str | None = None, *, root: str = "/") -> tuple[Grant, ...]:
    """Return the grants of a ready role; `of`: of which app, or which host.

    BadValue for a kind that there is not, or that lacks its app or host; BadName for what can be no app or host.
    """
    if kind in _FOR_ALL and of is None:
        return _FOR_ALL[kind](root=root)
    if kind in _FOR_ONE and of is not None:
        return _FOR_ONE[kind](of, root=root)
    expected = f"one of {', '.join(_FOR_ALL)} alone, or {' or '.join(_FOR_ONE)} with a name"
    raise BadValue(field="role", expected=expected, actual=" ".join(filter(None, (kind, of))))


def _everything() -> tuple[str, ...]:
    """Return all of the domain, and what is announced."""
    return (*(f"{each}/**" for each in DOMAIN), f"{ANNOUNCED}/**")


def _announced(name: str) -> str:
    """Return how the files of a host's announcements begin: an IPv6 address has brackets."""
    from visor._core.views.endpoint import file_name

    return file_name(f"[{name}]" if ":" in name else name)


def _grants(root: str, wanted: dict[str, Iterable[str]]) -> tuple[Grant, ...]:
    whole = Root(root)
    return tuple(Grant(right, whole.path(files)) for right, each in wanted.items() for files in each)


__all__ = ["DOMAIN", "KINDS", "deployer", "host", "operator", "ready", "scheduler", "viewer"]


def __dir__() -> list[str]:
    return sorted(__all__)
