# Generated from visor/aio/_asks.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""What handles ask of the client and of the session that they belong to: for type checkers alone.

A client makes watches, leases, sessions, locks; so these cannot know its type. They say here what they need of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from visor._core.generic import T
    from visor._core.recipes.holding import Holder
    from visor._drivers.blocking.opening import Opening
    from visor.blocking import snapshot
    from visor.codecs import Codec
    from visor.guard import Guard
    from visor.op import Op
    from visor.select import Selector
    from visor.values import Kind, LeaseInfo, Result

    U = TypeVar("U")

    class Asks(snapshot.Asks[T], Protocol[T]):
        """A client, as leases, sessions and recipes use it."""

        @overload
        def txn(
            self,
            guards: Mapping[str, Guard] | Iterable[tuple[str, Guard]] = ...,
            then: Sequence[Op] = ...,
            orelse: Sequence[Op] = ...,
            *,
            note: str | None = ...,
            timeout: float | None = ...,
        ) -> Result[snapshot.File[T]]: ...
        @overload
        def txn(
            self,
            guards: Mapping[str, Guard] | Iterable[tuple[str, Guard]] = ...,
            then: Sequence[Op] = ...,
            orelse: Sequence[Op] = ...,
            *,
            codec: Codec[U],
            note: str | None = ...,
            timeout: float | None = ...,
        ) -> Result[snapshot.File[U]]: ...

        @overload
        def watch(
            self,
            what: str | Selector = ...,
            rev: int | None = ...,
            *,
            kinds: Iterable[Kind | str] | None = ...,
            state: bool = ...,
            keys: bool = ...,
            timeout: float | None = ...,
        ) -> Opening[T]: ...
        @overload
        def watch(
            self,
            what: str | Selector = ...,
            rev: int | None = ...,
            *,
            codec: Codec[U],
            kinds: Iterable[Kind | str] | None = ...,
            state: bool = ...,
            keys: bool = ...,
            timeout: float | None = ...,
        ) -> Opening[U]: ...

        def lease_info(self, lease: int, *, timeout: float | None = ...) -> LeaseInfo:
            """Return what the registry knows of a lease."""

        def revoke(self, lease: int, *, note: str | None = ..., timeout: float | None = ...) -> int:
            """End a lease."""

    class Life(Holder, Protocol):
        """A session, as recipes use it."""

        _client: Asks[Any]

        def wait_over(self, timeout: float | None = ...) -> bool:
            """Wait until it is lost or ended."""

        def _ask(self, timeout: float) -> None:
            """Ask the registry whether it lives."""

        def _contender(self, kind: str) -> str:
            """Return a name that nobody else has."""

        def _leave_later(self, path: str) -> None:
            """Delete a file as soon as that can be done."""
