"""What an instance says of itself: its fields, and which state counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from visor._core.registry.model import InstanceRecord, Mark
from visor._core.registry.objects import Moment, Registered, moment
from visor._core.registry.states import State
from visor._core.registry.transitions import Seen


class BaseInstance(Registered):
    """The fields of an instance, and what its state is."""

    __slots__ = ("_lost",)
    _record: InstanceRecord

    def __init__(self, view: Moment, seen: Seen) -> None:
        super().__init__(view, seen.record, seen.mod_rev)
        self._lost = seen.lost

    @property
    def id(self) -> int:
        """Its number; lower ones are older."""
        return self._record.id

    @property
    def app(self) -> str:
        """The name of its app."""
        return self._record.app

    @property
    def revision(self) -> str:
        """The ref of its revision."""
        return self._record.revision

    @property
    def proc(self) -> str:
        """The name of its process type."""
        return self._record.proc

    @property
    def env(self) -> str:
        """The ref of its environment; "" without one."""
        return self._record.env

    @property
    def state(self) -> State:
        """What it is doing. A taken instance whose lease had ended by this rev is lost."""
        return self.seen.state

    @property
    def host(self) -> str | None:
        """Who has claimed it, or had when it ended."""
        return self._record.host

    @property
    def ip(self) -> str | None:
        """Where it runs."""
        return self._record.ip

    @property
    def port(self) -> int | None:
        """The port that it listens on."""
        return self._record.port

    @property
    def hostname(self) -> str | None:
        """The name of the machine it runs on."""
        return self._record.hostname

    @property
    def tele_port(self) -> int | None:
        """The port of its telemetry."""
        return self._record.tele_port

    @property
    def addr(self) -> str | None:
        """IP:PORT, None before it runs."""
        return None if self.ip is None or self.port is None else f"{self.ip}:{self.port}"

    @property
    def restarts(self) -> dict[str, int]:
        """How often it was started again, by reason: fail, oom."""
        return {"fail": self._record.fail_restarts, "oom": self._record.oom_restarts}

    @property
    def claims(self) -> list[tuple[str, datetime | None]]:
        """Who claimed it when, the latest claims only; `claim_count` tells how many there were."""
        return [(host, moment(time)) for host, time in self._record.claims]

    @property
    def claim_count(self) -> int:
        """How often it was claimed."""
        return self._record.claim

    @property
    def claimed(self) -> datetime | None:
        """When it was claimed last; None when it is not."""
        claims = self._record.claims
        return moment(claims[-1][1]) if self._record.host is not None and claims else None

    @property
    def lease(self) -> int:
        """The lease that it lives as long as; 0 for none."""
        return self._record.lease

    @property
    def lock_info(self) -> Mark | None:
        """Who has locked it, why and when; None when nobody has."""
        return self._record.lock

    @property
    def is_locked(self) -> bool:
        """Whether it is marked as somebody's own; the mark alone forbids nothing."""
        return self._record.lock is not None

    @property
    def status_info(self) -> Mark | None:
        """Who ended it, why and when; None before its end."""
        if self._lost:
            return Mark("lease", f"lease {self.lease} of {self.host} ended", "")
        return self._record.end

    @property
    def seen(self) -> Seen:
        """The record as it is stored, and whether its lease had ended."""
        return Seen(self._record, self._mod_rev, self._lost)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; `state` is the one that counts."""
        return {**super().to_dict(), "state": self.state.value}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self.seen == other.seen)

    def __hash__(self) -> int:
        return hash((self.id, self._mod_rev))

    def __repr__(self) -> str:
        where = f" on {self.host}" if self.host else ""
        return f"Instance({self.id} of {self.app} {self.revision} {self.proc}, {self.state}{where}, at rev {self.rev})"
