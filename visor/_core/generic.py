"""The type variables of the public classes, with what a type checker takes where none is written.

    client: visor.Client                 a client of bytes, as `dial()` makes it
    client: visor.Client[Config]         a client of a codec's values
    class Nodes(Follower): ...           a follower of whatever it is given

Python has defaults of type variables from 3.13 on, so they are said to type checkers alone, which bring the stubs of
`typing_extensions` with them: nobody needs to have it installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=bytes)
    F = TypeVar("F", default=Any)
    E = TypeVar("E", default=Any)
    E_co = TypeVar("E_co", covariant=True, default=Any)
    N = TypeVar("N", default=Any)
    N_contra = TypeVar("N_contra", contravariant=True, default=Any)
    B = TypeVar("B", default=Any)
    J = TypeVar("J", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")
    F = TypeVar("F")
    E = TypeVar("E")
    E_co = TypeVar("E_co", covariant=True)
    N = TypeVar("N")
    N_contra = TypeVar("N_contra", contravariant=True)
    B = TypeVar("B")
    J = TypeVar("J")

__all__ = ["B", "E", "E_co", "F", "J", "N", "N_contra", "T"]
