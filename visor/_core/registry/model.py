"""What is registered, as plain immutable records: no reading, no writing, no clock.

A record says what one file says. The objects that programs use (`App`, `Instance`, ...) are a record and the rev that
it was read at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final, TypeAlias

from visor._core.dataclass import dataclass
from visor._core.public import public
from visor._core.registry.states import LIVE, Operation, State, Status

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def nothing() -> Mapping[str, str]:
    """Return the empty map, as the default of a field."""
    return NOTHING


Port: TypeAlias = int
"""From 0 to 65535."""

CLAIMS_KEPT: Final = 64
"""Claims that are remembered one by one; `claim` counts all of them."""


@dataclass(frozen=True, slots=True)
class AppRecord:
    """An app. Its environment lies beside it, a file a variable."""

    name: str
    repo_url: str = ""
    stack: str = ""
    deploy_type: str = "lxc"
    head: str | None = None
    """The revision that is the latest."""
    registered: str | None = None


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """A build of an app."""

    app: str
    ref: str
    archive_url: str = ""
    registered: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process of a type may use."""

    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How the life of a process is watched; seconds."""

    interval: float = 30
    threshold: int = 2
    """Beats that may be missed."""
    initial_delay: float = 1


@dataclass(frozen=True, slots=True)
class ProcRecord:
    """A process type of an app."""

    app: str
    name: str
    port: Port | None = None
    """Claimed at registration, and its own until it is unregistered; None for a type without one."""
    command: str | None = None
    limits: Limits = Limits()
    heartbeat: Heartbeat = Heartbeat()
    max_restarts: int | None = None
    attrs: Mapping[str, str] = field(default_factory=nothing)
    registered: str | None = None


@dataclass(frozen=True, slots=True)
class EnvRecord:
    """An immutable environment."""

    app: str
    ref: str
    vars: Mapping[str, str] = field(default_factory=nothing)
    registered: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Who did something, when and why."""

    by: str
    reason: str
    time: str


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """An instance; its files follow from it (`placement.py`)."""

    id: int
    app: str
    revision: str
    proc: str
    env: str = ""
    state: State = State.PENDING
    host: str | None = None
    """The claimer."""
    ip: str | None = None
    port: Port | None = None
    hostname: str | None = None
    tele_port: Port | None = None
    fail_restarts: int = 0
    oom_restarts: int = 0
    registered: str | None = None
    claim: int = 0
    """How many claims there were."""
    claims: tuple[tuple[str, str], ...] = ()
    """The latest of them: (host, time)."""
    lease: int = 0
    """It lives as long as this lease; 0: until somebody says otherwise."""
    lock: Mark | None = None
    end: Mark | None = None

    @property
    def live(self) -> bool:
        """Whether it is there: not ended, not unregistered."""
        return self.state in LIVE

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Its group: app, revision, process type, environment."""
        return self.app, self.revision, self.proc, self.env


@dataclass(frozen=True, slots=True)
class TicketRecord:
    """A work order that stands for itself; that of an instance is the instance."""

    id: int
    op: Operation
    app: str
    revision: str
    proc: str
    env: str = ""
    status: Status = Status.UNCLAIMED
    host: str | None = None
    registered: str | None = None
    claim: int = 0
    claims: tuple[tuple[str, str], ...] = ()
    end: Mark | None = None


@dataclass(frozen=True, slots=True)
class IdRecord:
    """What an id belongs to, and after its end who ended it."""

    id: int
    app: str
    revision: str
    proc: str
    env: str = ""
    ticket: TicketRecord | None = None
    """The ticket itself, where it is no instance."""
    end: Mark | None = None


@dataclass(frozen=True, slots=True)
class ScaleRecord:
    """What `scale` was last told for a group."""

    target: int
    by: str
    time: str


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A service: a name for endpoints."""

    name: str
    registered: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """Where a service can be had, as an SRV record says it."""

    service: str
    addr: str
    """HOST:PORT as it was given: its identity."""
    host: str
    port: Port
    ip: str | None = None
    priority: int = 0
    """Lower ones first."""
    weight: int = 0
    """Among equals, the share of the clients."""
    registered: str | None = None


@dataclass(frozen=True, slots=True)
class RunnerRecord:
    """A runner: the process beside an instance that looks after it."""

    host: str
    port: Port
    instance: int
    registered: str | None = None


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A logger, a proxy or a process manager."""

    kind: str
    host: str
    port: Port | None = None
    version: str | None = None
    registered: str | None = None

    @property
    def addr(self) -> str:
        """HOST or HOST:PORT: its identity."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A host that lives as long as a lease."""

    lease: int
    host: str
    registered: str | None = None


@dataclass(frozen=True, slots=True)
class LockRecord:
    """A lock that programs agree on."""

    key: str
    value: str
    mark: Mark


public("visor.registry", Limits, Heartbeat, Mark)
