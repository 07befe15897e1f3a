"""Where everything lies. The one place that knows a path; `visor/docs/domain.md` draws the tree.

    /apps/web/app                                     the app itself
    /apps/web/env/DB_URL                              one variable of its environment, the bare text
    /apps/web/envs/prod                               an immutable environment
    /apps/web/revs/v1    /apps/web/procs/worker
    /apps/web/instances/v1/worker/prod/000000000812000    one instance, complete
    /apps/web/live/v1/worker/prod/000000000812000         counted by `scale`: pending, claimed or running
    /apps/web/stopping/v1/worker/prod/000000000812000     asked to stop
    /apps/web/epoch/v1/worker/prod                    rewritten whenever an entry of `live` comes or goes
    /apps/web/scale/v1/worker/prod                    what `scale` was last told
    /ids/000000000812000                              where an id's instance or ticket is; its tombstone afterwards
    /tickets/open/000000000812000                     to be claimed
    /tickets/claimed/HOST/000000000812000             claimed, or a running instance that should stop
    /hosts/HOST/000000000812000                       runs there
    /leases/7                                         attached to lease 7: gone when its host is
    /services/db/service    /services/db/endpoints/10.0.0.1:5432
    /runners/HOST/PORT   /loggers/ADDR   /proxies/HOST   /pms/HOST   /locks/KEY
    /internal/schema   /next-port   /free-ports/8003   /uid

Everything of one app lies below one directory: to unregister it deletes that, and to follow it watches that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from visor._core.registry.errors import BadRecord, BadValue
from visor._core.registry.names import quote, unquote
from visor._core.unfit import shown

SCHEMA: Final = "/internal/schema"
NEXT_PORT: Final = "/next-port"
FREE_PORTS: Final = "/free-ports"
UID: Final = "/uid"
APPS: Final = "/apps"
IDS: Final = "/ids"
OPEN: Final = "/tickets/open"
CLAIMED: Final = "/tickets/claimed"
TICKETS: Final = "/tickets"
HOSTS: Final = "/hosts"
LEASES: Final = "/leases"
SERVICES: Final = "/services"
RUNNERS: Final = "/runners"
LOGGERS: Final = "/loggers"
PROXIES: Final = "/proxies"
PMS: Final = "/pms"
LOCKS: Final = "/locks"

ROOTS: Final = (
    "/internal", NEXT_PORT, FREE_PORTS, UID, APPS, IDS, TICKETS, HOSTS, LEASES, SERVICES, RUNNERS, LOGGERS, PROXIES,
    PMS, LOCKS,
)  # fmt: skip
"""Everything that the domain keeps lies at or below one of these."""

NO_ENV: Final = "_"
"""Stands for "no environment" in a path; no environment can have that name."""

DIGITS: Final = 15
"""Digits of an id in a path, so that the order of paths is the order of ids."""


def number(identity: int) -> str:
    """Return an id as a component of a path. BadValue for what is no whole number from 0 on."""
    if type(identity) is not int or identity < 0:
        raise BadValue(field="id", expected="a whole number, 0 or more", actual=shown(identity))
    return f"{identity:0{DIGITS}d}"


def app_directory(app: str) -> str:
    return f"/apps/{app}"


def app(app: str) -> str:
    return f"/apps/{app}/app"


def variables(app: str) -> str:
    return f"/apps/{app}/env"


def variable(app: str, key: str) -> str:
    return f"/apps/{app}/env/{quote(key)}"


def variable_name(path: str) -> str:
    """Return the name of the variable at a path; ValueError when the path holds none."""
    return unquote(path[path.rfind("/") + 1 :])


def variable_text(path: str, data: bytes) -> tuple[str, str]:
    """Return name and value of the variable in a file; BadRecord when it holds none."""
    try:
        return variable_name(path), data.decode()
    except ValueError as error:
        raise BadRecord(path=path, why=f"not a variable: {error}", codec="record") from error


def envs(app: str) -> str:
    return f"/apps/{app}/envs"


def env(app: str, ref: str) -> str:
    return f"/apps/{app}/envs/{ref}"


def revisions(app: str) -> str:
    return f"/apps/{app}/revs"


def revision(app: str, ref: str) -> str:
    return f"/apps/{app}/revs/{ref}"


def procs(app: str) -> str:
    return f"/apps/{app}/procs"


def proc(app: str, name: str) -> str:
    return f"/apps/{app}/procs/{name}"


def group(app: str, kind: str, revision: str, proc: str | None = None, env: str | None = None) -> str:
    """Return the directory of a kind (`instances`, `live`, `stopping`, `epoch`, `scale`) for a group.

    The group is that of a revision, or of a process type of it, or of an environment of that ("" for none).
    """
    path = f"/apps/{app}/{kind}/{revision}"
    if proc is not None:
        path += f"/{proc}"
    if env is not None:
        path += f"/{env or NO_ENV}"
    return path


def instances(app: str | None = None) -> str:
    """Return the directory of an app's instances; without an app the glob of all instances."""
    return "/apps/*/instances/**" if app is None else f"/apps/{app}/instances"


def identity(number_: int) -> str:
    return f"/ids/{number(number_)}"


def open_ticket(number_: int) -> str:
    return f"/tickets/open/{number(number_)}"


def claimed_tickets(host: str) -> str:
    return f"/tickets/claimed/{quote(host)}"


def claimed_ticket(host: str, number_: int) -> str:
    return f"/tickets/claimed/{quote(host)}/{number(number_)}"


def host(host: str) -> str:
    return f"/hosts/{quote(host)}"


def host_entry(host: str, number_: int) -> str:
    return f"/hosts/{quote(host)}/{number(number_)}"


def lease(lease: int) -> str:
    return f"/leases/{lease}"


def lease_numbers(paths: Iterable[str]) -> frozenset[int]:
    """Return the leases that files below `/leases` are of; others are left out."""
    names = (path.rsplit("/", 1)[1] for path in paths)
    return frozenset(int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 20)


def service_directory(name: str) -> str:
    return f"/services/{name}"


def service(name: str) -> str:
    return f"/services/{name}/service"


def endpoints(name: str) -> str:
    return f"/services/{name}/endpoints"


def endpoint(name: str, addr: str) -> str:
    return f"/services/{name}/endpoints/{quote(addr)}"


def runners(host: str) -> str:
    return f"/runners/{quote(host)}"


def runner(host: str, port: int) -> str:
    return f"/runners/{quote(host)}/{port}"


def logger(addr: str) -> str:
    return f"/loggers/{quote(addr)}"


def proxy(host: str) -> str:
    return f"/proxies/{quote(host)}"


def pm(host: str) -> str:
    return f"/pms/{quote(host)}"


def lock(key: str) -> str:
    return f"/locks/{quote(key)}"


def free_port(port: int) -> str:
    return f"/free-ports/{port}"


MEMBER_PATHS: Final[dict[str, Callable[[str], str]]] = {"logger": logger, "proxy": proxy, "pm": pm}
"""Where a member is, by its kind."""
MEMBER_DIRECTORIES: Final[dict[str, str]] = {"logger": LOGGERS, "proxy": PROXIES, "pm": PMS}
"""Where all members of a kind are."""
