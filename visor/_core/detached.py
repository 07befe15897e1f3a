"""What takes the client's place in an object that has none: whatever is wanted of it, it says so."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from visor.errors import Detached


class _Nobody:
    """No client. Any use of it raises Detached."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        raise Detached()

    def __repr__(self) -> str:
        return "<no client>"


NO_CLIENT: Final[Any] = _Nobody()
