"""Whether this node leads, for its leases: by its own word, and for sure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from visord.members.read_index import NO_QUORUM
from visord.state.refusal import Refusal


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def term(self) -> int: ...

    @property
    def reads_are_current(self) -> bool: ...

    def confirm(self, callback: Callable[[int | None], None], /) -> None: ...


class Leadership:
    """See the module. `applied()` is the index of the last entry that was applied."""

    def __init__(self, consensus: Consensus, applied: Callable[[], int]) -> None:
        self._consensus = consensus
        self._applied = applied

    def term(self) -> int:
        """Return the term in which this node leads and has applied all of before; 0 when it does not."""
        return self._consensus.term if self._consensus.reads_are_current else 0

    def confirm(self, callback: Callable[[Refusal | None], None]) -> None:
        """Call back with None once it is sure that this node led after the call, or with why that is not so."""
        self._consensus.confirm(
            lambda index: callback(NO_QUORUM if index is None or index > self._applied() else None)
        )
