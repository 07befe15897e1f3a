"""How a node stops, so that its clients and the other members notice little of it.

    hand on     leadership goes to another voter; what still comes here is forwarded to it
    drain       no more writes are taken; those that were are answered
    send away   clients are told to go elsewhere (the server's part)
    checkpoint  the next start has no log to read
    hang up     the peers have a moment to take the last answers (the server's part)
    close

A node that has failed hands nothing on: its clients are sent away at once. The server and the simulation stop nodes by
this one sequence.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from visord.admission import CLOSING, Admission
from visord.raft.configuration import Configuration
from visord.state.refusal import Refusal

HAND_OVER_SECONDS: Final = 1.5
DRAIN_SECONDS: Final = 5.0
"""How long a stopping node waits for the writes it has accepted."""


class Writes(Protocol):
    """What of the proposer is used."""

    @property
    def idle(self) -> bool: ...

    def abandon_queue(self, refusal: Refusal) -> None: ...


class Route(Protocol):
    """What of forwarding is used."""

    @property
    def outstanding(self) -> list[Any]: ...


class Draining:
    """Whether all writes that a node has taken are answered, once it takes no more."""

    def __init__(self, admission: Admission, proposer: Writes, forwarding: Route) -> None:
        self._admission = admission
        self._proposer = proposer
        self._forwarding = forwarding
        self._drained = asyncio.Event()

    def tick(self) -> None:
        """An entry was applied, or what waited for too long was given up."""
        if self._proposer.idle and not self._forwarding.outstanding:
            self._drained.set()

    async def drain(self) -> None:
        """Accept no more writes; return when all that were accepted are answered."""
        self._admission.closing = True
        self._proposer.abandon_queue(CLOSING)  # what is queued and not on its way yet
        if not self._proposer.idle or self._forwarding.outstanding:
            await self._drained.wait()


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def is_leader(self) -> bool: ...

    @property
    def configuration(self) -> Configuration: ...


class Membership(Protocol):
    """What of the membership is used."""

    def act(self, name: str, arguments: list[Any], answer: Callable[[bool, Any], None], /) -> None: ...


class Maintenance(Protocol):
    """What of the maintenance is used."""

    async def last_checkpoint(self) -> None: ...


class Node(Protocol):
    """What of the node is used."""

    @property
    def engine(self) -> Consensus: ...

    @property
    def membership(self) -> Membership: ...

    @property
    def maintenance(self) -> Maintenance: ...

    @property
    def draining(self) -> Draining: ...

    def close(self) -> None: ...


async def hand_over(node: Node) -> None:
    """Give leadership to another voter, if there is one."""
    if node.engine.is_leader and len(node.engine.configuration.voters) > 1:
        done = asyncio.Event()
        node.membership.act("transfer", [None], lambda ok, result: done.set())
        await done.wait()


async def stop(
    node: Node,
    send_away: Callable[[], None],
    hang_up: Callable[[], Awaitable[None]],
    *,
    failed: Callable[[], bool] = lambda: False,
) -> None:
    """Stop a node: see the module.

    `send_away()` tells all clients; `hang_up()` returns when their sockets are cut; `failed()` is asked again while
    things take time.
    """
    if not failed():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hand_over(node), HAND_OVER_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(node.draining.drain(), DRAIN_SECONDS)
    send_away()
    if not failed():
        await node.maintenance.last_checkpoint()
    await hang_up()
    node.close()
