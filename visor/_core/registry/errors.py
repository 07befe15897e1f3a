"""What the domain refuses, below the tree of `visor.errors`: one family each, by what the caller may believe.

    Conflict        AlreadyClaimed, IllegalMove, InUse, Locked      somebody was first: look again
                    and Exists (AlreadyRegistered), RevMismatch of `visor.errors`
    Denied          NotClaimer                                      not yours
    NotFound        Unregistered                                    it was there and is gone for good
    Unsupported     SchemaMismatch
    DecodeError     BadRecord                                       a file holds something else
    Rejected        BadName                                         the name breaks the grammar
    BadRequest      BadValue                                        a value does not fit the field it is for

Whatever is raised, the object that was used stays as it was and can be used again.
"""

# ruff: noqa: N818  # the names say what the caller may believe; they are part of the API
from __future__ import annotations

from typing import ClassVar

from visor._core.public import public
from visor.errors import (
    BadRequest,
    Conflict,
    DecodeError,
    Denied,
    Exists,
    NotFound,
    Rejected,
    Unsupported,
)


class BadName(Rejected):
    """A name that breaks the grammar."""

    code = "bad_name"
    fields: ClassVar[tuple[str, ...]] = ("name", "what")
    name: str
    what: str


class IllegalMove(Conflict):
    """The state forbids the move: `.state` is the one found, `.wanted` the one asked for."""

    code = "illegal_move"
    fields: ClassVar[tuple[str, ...]] = ("instance", "state", "wanted", "move")
    wording = "instance {instance} is {state}: it cannot become {wanted}"
    instance: int
    state: str
    wanted: str
    move: str


class AlreadyClaimed(Conflict):
    """Somebody claimed it first: `.claimer`, None when that is not known."""

    code = "already_claimed"
    fields: ClassVar[tuple[str, ...]] = ("ticket", "claimer")
    wording = "{ticket} is claimed by {claimer}"
    ticket: int
    claimer: str | None


class NotClaimer(Denied):
    """Only the present claimer may do that."""

    code = "not_claimer"
    fields: ClassVar[tuple[str, ...]] = ("ticket", "host", "claimer")
    wording = "{ticket} is claimed by {claimer}, not by {host}"
    ticket: int
    host: str
    claimer: str | None


class InUse(Conflict):
    """It has running instances, or is named by some: `.count` of them."""

    code = "in_use"
    fields: ClassVar[tuple[str, ...]] = ("what", "count")
    wording = "{what} is in use by {count} instances"
    what: str
    count: int


class AlreadyRegistered(Exists):
    """It is registered, and was not to be."""

    # A plain 'visor set', which is the advice for a file that exists, would damage the record.
    advice = "look at it with 'show', or take another name"


class Locked(Conflict):
    """Somebody holds the lock: `.by`, `.reason`."""

    code = "locked"
    fields: ClassVar[tuple[str, ...]] = ("what", "by", "reason")
    wording = "{what} is locked by {by}: {reason}"
    what: str
    by: str
    reason: str


class Unregistered(NotFound):
    """It was registered and has been unregistered (`done`): `.by`, `.reason`, `.time` where they are known."""

    code = "unregistered"

    @property
    def by(self) -> object:
        """Who unregistered it."""
        return self.details.get("by")

    @property
    def reason(self) -> object:
        """Why."""
        return self.details.get("reason")

    @property
    def time(self) -> object:
        """When, RFC 3339."""
        return self.details.get("time")


class SchemaMismatch(Unsupported):
    """The tree was laid out by another version: both numbers."""

    code = "schema_mismatch"
    wording = "the registry has schema {actual}, this library schema {expected}"

    @property
    def expected(self) -> object:
        """The schema of this library."""
        return self.details.get("expected")

    @property
    def actual(self) -> object:
        """The schema of the registry."""
        return self.details.get("actual")


class BadRecord(DecodeError):
    """A file does not hold what its path promises: `.path`, `.why`."""

    code = "bad_record"
    wording = "{path}: {why}"

    @property
    def why(self) -> str:
        """What is wrong."""
        return str(self.details.get("why"))


class BadValue(BadRequest):
    """A value does not fit the field that it is for: `.field`, `.expected`, `.actual` (as text). Nothing was stored."""

    code = "bad_value"


public(
    "visor.registry.errors",
    AlreadyClaimed,
    AlreadyRegistered,
    BadName,
    BadRecord,
    BadValue,
    IllegalMove,
    InUse,
    Locked,
    NotClaimer,
    SchemaMismatch,
    Unregistered,
)
