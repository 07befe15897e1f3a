"""What a node needs of the network between members. `tcp` is the real one; a simulation brings its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from visord.state.formats import OLDEST


class Peers(Protocol):
    """Connections to the other members. Everything happens on the loop's thread; nothing blocks or raises."""

    receive: Callable[[str, list[Any]], None]
    """Set by the node: `receive(member, message)` gets every whole message, in the order it was sent on one
    connection. Messages may be lost when a connection breaks; none is altered or repeated."""
    changed: Callable[[str, bool], None]
    """Set by the node: `changed(member, reachable)`."""

    def set_members(self, addresses: Mapping[str, str]) -> None:
        """Keep a connection to each of these, and to no others: id -> advertised HOST:PORT, without this node."""

    def send(self, member: str, data: bytes) -> bool:
        """Send one packed message. False: it was dropped, because the member is away or too much waits."""

    def queued(self, member: str) -> int:
        """Return the bytes for this member that still wait in this process."""

    def reachable(self, member: str) -> bool:
        """Tell whether what is sent now may arrive."""

    def hang_up(self, member: str) -> None:
        """Close the connection that this member dialled; it may dial again after a while."""

    def reads(self, member: str) -> int:
        """Return the newest format of commands that this member has said it reads, the oldest while nothing is known.

        What it said last counts, also while it is away."""

    def require(self, form: int) -> None:
        """Have no connection any more, either way, to a member that does not read this format of commands."""

    def certified(self, member: str) -> bool:
        """Tell whether what is sent to this member goes within TLS, to who has shown a certificate that names it."""

    def close(self) -> None:
        """Hang up everywhere. Idempotent."""


class Alone:
    """The network of a node that is its cluster's only member."""

    receive: Callable[[str, list[Any]], None]
    changed: Callable[[str, bool], None]

    def set_members(self, addresses: Mapping[str, str]) -> None:
        pass

    def send(self, member: str, data: bytes) -> bool:
        return False

    def queued(self, member: str) -> int:
        return 0

    def reachable(self, member: str) -> bool:
        return False

    def hang_up(self, member: str) -> None:
        pass

    def reads(self, member: str) -> int:
        return OLDEST

    def require(self, form: int) -> None:
        pass

    def certified(self, member: str) -> bool:
        return False

    def close(self) -> None:
        pass
