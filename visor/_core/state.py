"""How a client stands towards the registry."""

from __future__ import annotations

from enum import StrEnum

from visor._core.public import public


class ClientState(StrEnum):
    """What `Client.state` says, and what its listeners are told."""

    CONNECTED = "connected"
    """There is a connection to a node that has greeted."""
    SUSPENDED = "suspended"
    """There is none just now. Calls wait for the next one; leases and locks are held as long as their time lasts."""
    LOST = "lost"
    """There will be none any more, without `reopen`: closed, forked, or another cluster answers."""


public("visor", ClientState)
