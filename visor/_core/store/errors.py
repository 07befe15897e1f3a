"""What the typed store refuses, and why; every refusal leaves no trace."""

# ruff: noqa: N818  # as in visor.errors: the names say what the caller may believe
from __future__ import annotations

from typing import ClassVar

from visor._core.public import public
from visor.errors import Conflict, Rejected


class StoreError(Rejected):
    """A transaction of the typed store was refused, and nothing of it happened."""

    code = "store"
    fields: ClassVar[tuple[str, ...]] = ("kind", "id")
    kind: str
    id: str


class ObjectExists(StoreError):
    """There is an object of this kind with this id already."""

    code = "object_exists"
    wording = "{kind} {id} exists already"


class ObjectMissing(StoreError):
    """There is no object of this kind with this id."""

    code = "object_missing"
    wording = "there is no {kind} {id}"


class ObjectDamaged(StoreError):
    """The file of this object cannot be read, so it is not written over: delete it first.

    `.path` is the file, `.why` what is wrong with it; `Transaction.delete` takes it away.
    """

    code = "object_damaged"
    fields = ("kind", "id", "path", "why")
    wording = "{kind} {id}: {path} cannot be read, and is not written over: {why}; delete it first"
    path: str
    why: str


class BadField(StoreError, TypeError):
    """A value does not fit the field that it is for: `.field`, `.expected`, `.actual` (as text)."""

    code = "bad_field"
    fields = ("kind", "id", "field", "expected", "actual")
    wording = "{kind} {id}: {field} must be {expected}, not {actual}"
    field: str
    expected: str
    actual: str


class SequenceConflict(Conflict):
    """The object was changed since the caller read it: read it again, decide again."""

    code = "sequence_conflict"
    fields = ("kind", "id", "expected", "actual")
    wording = "{kind} {id}: read at version {expected}, now at version {actual}"
    kind: str
    id: str
    expected: int


class NameConflict(StoreError):
    """Another object of this kind has this value in a field in which no two may have the same."""

    code = "name_conflict"
    fields = ("kind", "id", "field", "value", "holder")
    wording = "{kind} {id}: {field} {value!r} belongs to {holder} already"
    field: str
    value: str
    holder: str


class InvalidFind(StoreError):
    """The kind has no index for this selector: declare one."""

    code = "invalid_find"
    fields = ("kind", "selector")
    wording = "objects of kind {kind} cannot be found by {selector}: declare an index"
    selector: str


class Immutable(StoreError):
    """Objects of this kind are never changed."""

    code = "immutable"
    wording = "{kind} {id}: objects of this kind cannot be changed"


class Regressed(StoreError):
    """A field that only grows would have become smaller."""

    code = "regressed"
    fields = ("kind", "id", "field", "expected", "actual")
    wording = "{kind} {id}: {field} only grows, and is {expected!r} already, not {actual!r}"
    field: str


class NoKind(StoreError):
    """The object names another one that is not there."""

    code = "no_kind"
    fields = ("kind", "id", "field", "value", "target")
    wording = "{kind} {id}: its {field} {value!r} names no {target}"
    field: str
    value: str
    target: str


class InUse(StoreError):
    """Other objects name this one, so it cannot go."""

    code = "in_use"
    fields = ("kind", "id", "holder")
    wording = "{kind} {id} is in use by {holder}"
    holder: str


class UnknownKind(StoreError):
    """The store was not made for this kind of object."""

    code = "unknown_kind"
    fields = ("kind",)
    wording = "this store knows no kind {kind}"


class BadArchive(Rejected, ValueError):
    """What was to be restored is no saved store."""

    code = "bad_archive"
    fields = ("why",)
    wording = "not a saved store: {why}"
    why: str


public(
    "visor.store",
    StoreError,
    ObjectExists,
    ObjectMissing,
    ObjectDamaged,
    BadField,
    SequenceConflict,
    NameConflict,
    InvalidFind,
    Immutable,
    Regressed,
    NoKind,
    InUse,
    UnknownKind,
    BadArchive,
)
