# Generated from visor/aio/registry/base.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""What all objects of the domain have in common: they are at a rev, and stay there."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from visor._core.harmless import json_text
from visor._core.registry import records

if TYPE_CHECKING:
    from visor.blocking.registry.access import Access
    from visor.blocking.registry.snapshot import Snapshot


class Registered:
    """An object at a rev. Immutable; what changes something returns a new object at the new rev.

    A write compares with what this object has seen: it fails when somebody else has changed the same thing since, and
    this object stays usable. `fast_forward` gives the object as it is now.
    """

    __slots__ = ("_mod_rev", "_record", "_view")

    def __init__(self, view: Snapshot, record: Any, mod_rev: int) -> None:
        self._view = view if view.access._hurry is None else view._unhurried()
        self._record = record
        self._mod_rev = mod_rev

    @property
    def rev(self) -> int:
        """The rev that it was read or written at."""
        return self._view.rev

    @property
    def snapshot(self) -> Snapshot:
        """The domain at that rev."""
        return self._view

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

    @property
    def access(self) -> Access:
        """How the objects of the domain ask and write. Not for applications."""
        return self._view.access

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
