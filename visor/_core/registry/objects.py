"""What the objects of the domain say of themselves: no line here asks the registry.

Each class is the colourless half of one that a user sees. `visor/aio/registry` adds what asks and writes:

    class App(Registered, BaseApp)      `Registered` there gives the way to the registry, `BaseApp` here the fields
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, Self

from visor._core.harmless import json_text
from visor._core.registry import layout, records
from visor._core.registry.model import (
    NOTHING,
    AppRecord,
    EndpointRecord,
    EnvRecord,
    Heartbeat,
    Limits,
    LockRecord,
    MemberRecord,
    ProcRecord,
    RevisionRecord,
    RunnerRecord,
    ServiceRecord,
)
from visor._core.registry.names import member_kind


class Moment(Protocol):
    """The domain at a rev, as far as its objects know it here."""

    @property
    def rev(self) -> int:
        """The rev."""

    def _lasting(self) -> Self:
        """Return it without the deadline of the call that made it: what a call returns lives on after that."""


class Registered:
    """An object at a rev. Immutable; what changes something returns a new object at the new rev.

    A write compares with what this object has seen: it fails when somebody else has changed the same thing since, and
    this object stays usable. `fast_forward` gives the object as it is now.
    """

    __slots__ = ("_mod_rev", "_record", "_view")

    def __init__(self, view: Moment, record: Any, mod_rev: int) -> None:
        self._view = view._lasting()
        self._record = record
        self._mod_rev = mod_rev

    @property
    def rev(self) -> int:
        """The rev that it was read or written at."""
        return self._view.rev

    @property
    def mod_rev(self) -> int:
        """The rev that last wrote it; 0 when it is not registered."""
        return self._mod_rev

    @property
    def registered(self) -> datetime | None:
        """When it was registered, UTC; None when it is not."""
        return moment(self._record.registered) if self._mod_rev else None

    @property
    def is_registered(self) -> bool:
        """Whether it is registered at its rev."""
        return self._mod_rev > 0

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json_text(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values, with the rev it is at."""
        document = json.loads(records.encode(self._record))
        del document["v"]
        return {"rev": self.rev, **document}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self._record == other._record and self._mod_rev == other._mod_rev)

    def __hash__(self) -> int:
        return hash((type(self), self._mod_rev))


def moment(text: str | None) -> datetime | None:
    """Return an RFC 3339 time as a datetime; None when there is none or it is not one."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


class BaseApp(Registered):
    """The fields of an app."""

    __slots__ = ("_given",)
    _record: AppRecord

    def __init__(
        self, view: Moment, record: AppRecord, mod_rev: int, given: Mapping[str, str] = NOTHING
    ) -> None:
        super().__init__(view, record, mod_rev)
        self._given = given

    @property
    def name(self) -> str:
        """Its name."""
        return self._record.name

    @property
    def repo_url(self) -> str:
        """Where its source is."""
        return self._record.repo_url

    @property
    def stack(self) -> str:
        """What it runs on."""
        return self._record.stack

    @property
    def deploy_type(self) -> str:
        """How it is deployed."""
        return self._record.deploy_type

    @property
    def head(self) -> str | None:
        """The revision that is the latest, as `set_head` said it."""
        return self._record.head

    def __repr__(self) -> str:
        word = "" if self.is_registered else ", not registered"
        return f"App({self.name} at rev {self.rev}{word})"


class BaseRevision(Registered):
    """The fields of a revision."""

    __slots__ = ()
    _record: RevisionRecord

    @property
    def app(self) -> str:
        """The name of its app."""
        return self._record.app

    @property
    def ref(self) -> str:
        """Its name: a hash, a tag."""
        return self._record.ref

    @property
    def archive_url(self) -> str:
        """Where its build is."""
        return self._record.archive_url

    @property
    def _path(self) -> str:
        return layout.revision(self.app, self.ref)

    @property
    def _what(self) -> str:
        return f"revision {self.app} {self.ref}"

    def __repr__(self) -> str:
        return f"Revision({self.app} {self.ref} at rev {self.rev})"


class BaseProcType(Registered):
    """The fields of a process type."""

    __slots__ = ()
    _record: ProcRecord

    @property
    def app(self) -> str:
        """The name of its app."""
        return self._record.app

    @property
    def name(self) -> str:
        """Its name: letters and digits."""
        return self._record.name

    @property
    def port(self) -> int | None:
        """Its port, nobody else's; None for one without, and before it is registered."""
        return self._record.port or None

    @property
    def command(self) -> str | None:
        """How its processes are started."""
        return self._record.command

    @property
    def limits(self) -> Limits:
        """What its processes may use."""
        return self._record.limits

    @property
    def heartbeat(self) -> Heartbeat:
        """How the life of its processes is watched."""
        return self._record.heartbeat

    @property
    def max_restarts(self) -> int | None:
        """How often a process may be started again; None for no bound."""
        return self._record.max_restarts

    @property
    def attrs(self) -> Mapping[str, str]:
        """Whatever else its users want to keep with it."""
        return self._record.attrs

    @property
    def _path(self) -> str:
        return layout.proc(self.app, self.name)

    @property
    def _what(self) -> str:
        return f"proc {self.app} {self.name}"

    def __repr__(self) -> str:
        return f"ProcType({self.app} {self.name} at rev {self.rev})"


class BaseEnv(Registered):
    """The fields of an environment."""

    __slots__ = ()
    _record: EnvRecord

    @property
    def app(self) -> str:
        """The name of its app."""
        return self._record.app

    @property
    def ref(self) -> str:
        """Its name."""
        return self._record.ref

    @property
    def vars(self) -> Mapping[str, str]:
        """The variables."""
        return self._record.vars

    def __repr__(self) -> str:
        return f"Env({self.app} {self.ref} at rev {self.rev})"


class BaseService(Registered):
    """The fields of a service."""

    __slots__ = ()
    _record: ServiceRecord

    @property
    def name(self) -> str:
        """Its name."""
        return self._record.name

    @property
    def _path(self) -> str:
        return layout.service(self.name)

    def __repr__(self) -> str:
        return f"Service({self.name} at rev {self.rev})"


class BaseEndpoint(Registered):
    """The fields of an endpoint."""

    __slots__ = ()
    _record: EndpointRecord

    @property
    def service(self) -> str:
        """The name of its service."""
        return self._record.service

    @property
    def addr(self) -> str:
        """HOST:PORT as it was registered."""
        return self._record.addr

    @property
    def host(self) -> str:
        """The host."""
        return self._record.host

    @property
    def ip(self) -> str | None:
        """The address that the host had when it was registered; None when it had none."""
        return self._record.ip

    @property
    def port(self) -> int:
        """The port."""
        return self._record.port

    @property
    def priority(self) -> int:
        """Lower ones first."""
        return self._record.priority

    @property
    def weight(self) -> int:
        """Among equals, the share of the clients."""
        return self._record.weight

    def __repr__(self) -> str:
        return f"Endpoint({self.addr} of {self.service} at rev {self.rev})"


class BaseRunner(Registered):
    """The fields of a runner."""

    __slots__ = ()
    _record: RunnerRecord

    @property
    def host(self) -> str:
        """Where it runs."""
        return self._record.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._record.port

    @property
    def addr(self) -> str:
        """HOST:PORT."""
        return f"{self.host}:{self.port}"

    @property
    def instance(self) -> int:
        """The id of its instance."""
        return self._record.instance

    def __repr__(self) -> str:
        return f"Runner({self.addr} of instance {self.instance} at rev {self.rev})"


class BaseMember(Registered):
    """The fields of a logger, a proxy or a process manager."""

    __slots__ = ()
    _record: MemberRecord

    @property
    def kind(self) -> str:
        """What it is: logger, proxy or pm."""
        return self._record.kind

    @property
    def addr(self) -> str:
        """HOST, or HOST:PORT."""
        return self._record.addr

    @property
    def host(self) -> str:
        """Where it is."""
        return self._record.host

    @property
    def port(self) -> int | None:
        """Its port, where it has one."""
        return self._record.port

    @property
    def version(self) -> str | None:
        """What it said that it is."""
        return self._record.version

    @property
    def _path(self) -> str:
        return layout.MEMBER_PATHS[member_kind(self.kind)](self.addr)

    def __repr__(self) -> str:
        return f"Member({self.kind} {self.addr} at rev {self.rev})"


class BaseLock(Registered):
    """The fields of a lock."""

    __slots__ = ()
    _record: LockRecord

    @property
    def key(self) -> str:
        """What is locked."""
        return self._record.key

    @property
    def value(self) -> str:
        """What its holder wrote into it."""
        return self._record.value

    @property
    def by(self) -> str:
        """Who holds it."""
        return self._record.mark.by

    def __repr__(self) -> str:
        return f"Lock({self.key} of {self.by} at rev {self.rev})"
