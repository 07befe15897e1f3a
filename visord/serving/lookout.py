"""Looks at a node once a second for its operator: logs what `vigil` makes of it, and sees how full the disk is.

lookout = Lookout(loop, lambda: server.node)
lookout.start()                # also before there is a node, and while it starts
lookout.close()
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from visord.environment import Environment
from visord.logs import about
from visord.members.install import Install
from visord.serving import health, status
from visord.serving.vigil import LOOK_SECONDS, Other, Sight, Space, Vigil, Work

logger = logging.getLogger("visord.vigil")

SPACE_SECONDS: Final = 5.0
"""Between two looks at how full the disk is."""


class Node(status.Node, Protocol):
    """What of a node is looked at, and the one thing that is told to it."""

    space: Space | None

    @property
    def environment(self) -> Environment: ...

    @property
    def install(self) -> Install: ...


class Lookout:
    """See the module. `node()` returns the node, None while there is none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, node: Callable[[], Node | None]) -> None:
        self._loop = loop
        self._node = node
        self._vigil = Vigil()
        self._timer: asyncio.TimerHandle | None = None
        self._next_space = 0.0
        self._measuring = False

    def start(self) -> None:
        """Begin to look."""
        self._timer = self._loop.call_later(LOOK_SECONDS, self.start)
        node, now = self._node(), self._loop.time()
        for line in self._vigil.tick(now, None if node is None else sight(node)):
            logger.log(line.level, "%s", line.text, extra=about(**line.fields))
        if node is not None and not self._measuring and now >= self._next_space:
            self._next_space = now + SPACE_SECONDS
            self._measure(node)

    def _measure(self, node: Node) -> None:
        """See how full the disk is, on the thread: a file system of the network may take its time."""
        path = node.directory.path
        self._measuring = True

        def measured(found: Space | None, error: BaseException | None) -> None:
            self._measuring = False
            if error is None:
                node.space = found

        node.environment.background.submit(lambda: _space(path), measured)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()


def _space(path: str) -> Space:
    found = os.statvfs(path)
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def sight(node: Node) -> Sight:
    """Return what is to be seen of a node now."""
    engine = node.engine
    return Sight(
        tuple(health.alarms(node)),
        engine.leader,
        node.me.id in engine.configuration.voters,
        node.readiness.reached,
        tuple(_others(node)),
        tuple(_work(node)),
    )


def _others(node: Node) -> Iterator[Other]:
    problem = getattr(node.peers, "problem", lambda member: "")
    for one in node.engine.configuration.members:
        if one.id != node.me.id:
            progress = node.engine.progress(one.id) if node.engine.is_leader else None
            silent = None if progress is None else progress[1]
            reachable = node.peers.reachable(one.id)
            yield Other(one.id, one.name, one.peer, one.voter, reachable, problem(one.id), silent)


def _work(node: Node) -> Iterator[Work]:
    install = node.install.status()
    if install is not None and install["of"]:  # else it is not known yet what there is to fetch
        doing = "loading" if install["installing"] else "fetching"
        what = f"{doing} a checkpoint of {node.names.told(install['from'])}"
        yield Work(what, install["bytes"], install["of"], "MB")
    hashed = node.replica_check.progress
    if hashed is not None:
        yield Work("hashing the state", *hashed, "files")
