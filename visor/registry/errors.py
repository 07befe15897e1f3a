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

from __future__ import annotations

from visor._core.registry.errors import (
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
from visor.errors import (
    Conflict,
    Denied,
    Exists,
    NotFound,
    Rejected,
    RevMismatch,
)

__all__ = [
    "AlreadyClaimed",
    "AlreadyRegistered",
    "BadName",
    "BadRecord",
    "BadValue",
    "Conflict",
    "Denied",
    "Exists",
    "IllegalMove",
    "InUse",
    "Locked",
    "NotClaimer",
    "NotFound",
    "Rejected",
    "RevMismatch",
    "SchemaMismatch",
    "Unregistered",
]


def __dir__() -> list[str]:
    return sorted(__all__)
