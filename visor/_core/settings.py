"""How one client behaves: one frozen value that every layer reads. `visor._drivers.environment` makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from random import Random
from typing import TYPE_CHECKING

from visor._core.address import Address
from visor._core.backoff import Backoff
from visor._core.dataclass import dataclass
from visor._core.root import Root
from visor._version import __version__

if TYPE_CHECKING:
    from visor._core.tls import TLS

DEFAULT_BACKOFF = Backoff()

RequestHook = Callable[[str, "str | None", float, "BaseException | None"], None]
"""Called after each request: the verb's name, the path (or glob) that it is about, seconds, and the error or None."""

ReconnectHook = Callable[[str], None]
"""Called with the node's address after each connection but the first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one client behaves."""

    addresses: tuple[Address, ...]
    root: Root
    timeout: float
    actor: str
    clock: Callable[[], float]
    """Monotonic seconds."""
    random: Random
    session: Callable[[], bytes]
    """Makes the id of a session: 16 bytes that nobody can guess."""
    token: str | None = field(default=None, repr=False)
    """A secret: shown nowhere."""
    tls: TLS | None = None
    """How it speaks TLS; None: not at all."""
    backoff: Backoff = DEFAULT_BACKOFF
    ping_after: float = 5.0
    """Seconds of silence, while something is waited for, after which the client sends PING."""
    persistent: bool = True
    """Connecting goes on until its deadline; False: it fails once every address has failed."""
    discover: bool = True
    """When none of `addresses` answers, try those that the cluster's nodes told of."""
    dead_after: float = 10.0
    """Seconds of silence, while something is waited for, after which the connection is given up."""
    connect_timeout: float = 3.0
    """Seconds for one address to accept and greet, so that a silent one cannot use up the deadline."""
    keeps_ids: bool = False
    """A write that was not accepted goes out again under its own id: others may send it in the same session."""
    on_request: RequestHook | None = None
    on_reconnect: ReconnectHook | None = None
    name: str = f"visor-python/{__version__}"
