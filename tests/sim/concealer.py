"""Somebody who writes secrets where they do not belong, and has them redacted; at the end no disk holds any of them.

    Concealer ---SET /x/p secret-1f3a..., again and again---> registry ---REDACT /x/p---> "2 versions"
                            no file of any member has these bytes once nobody owes anything more   (`World.rest`)

What is redacted is in logs, in checkpoints, in kept outcomes and on its way between members when faults happen. A
secret that comes into the log again behind its redaction (a client's old connection is delivered late) is nobody's
fault, and left out.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.checkers.history import CONCEALED, Violation, Write
from tests.sim.rights import Quiet
from visor.protocol import verbs

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World

SHARE: Final = 0.25
"""Part of the seeds that has one."""
REDACTED: Final = "secrets redacted"
NAME: Final = "redaction"
MOST: Final = 8
"""Redactions of one seed."""
PATHS: Final = tuple(f"{CONCEALED}{name}" for name in "pq")


class Concealer:
    """See the module."""

    def __init__(self, world: World, rng: random.Random, end: float) -> None:
        self._world = world
        self._rng = rng
        self._end = end
        self._speaker = Quiet(world, len(world.clients), world.randoms.stream("concealer"))
        world.clients.append(self._speaker)
        self._written: dict[str, list[bytes]] = {path: [] for path in PATHS}
        """Secrets whose write was acknowledged, and that were not redacted yet."""
        self._redactions = 0
        self._after(0.0, 1.0, self._write)
        self._after(1.0, 4.0, self._redact)

    def _after(self, least: float, most: float, do: Any, *arguments: Any) -> None:
        self._world.scheduler.after(self._rng.uniform(least, most), do, *arguments)

    def _write(self) -> None:
        """Write a secret; what was there before comes back with the answer, and is kept for a retry."""
        if self._world.scheduler.now >= self._end:
            return
        self._after(0.1, 1.5, self._write)
        path = self._rng.choice(PATHS)
        secret = b"secret-" + self._rng.randbytes(12).hex().encode()
        token = self._speaker.token()
        value = secret * self._rng.choice((1, 1, 100))
        then: tuple[tuple[Any, ...], ...] = ((verbs.T_GET, path), (verbs.T_SET, path, value))
        frame = [verbs.TXN, 0, 0, [], [list(one) for one in then], [], token]
        self._speaker.ask(Write(token, (), then), frame, answer=partial(self._was_written, path, secret))

    def _was_written(self, path: str, secret: bytes, result: Any) -> None:
        if result is not None:
            self._written[path].append(secret)

    def _redact(self) -> None:
        if self._world.scheduler.now >= self._end or self._redactions >= MOST:
            return
        self._redactions += 1
        self._after(1.0, 4.0, self._redact)
        path = self._rng.choice(PATHS)
        secrets, self._written[path] = self._written[path], []
        name = b"redaction-" + self._rng.randbytes(12).hex().encode()
        frame = [verbs.REDACT, 0, 0, path, 1, None, name.decode()]
        write = Write(self._speaker.token(), (), ())
        self._speaker.ask(write, frame, answer=partial(self._was_redacted, secrets, name))

    def _was_redacted(self, secrets: list[bytes], name: bytes, result: Any) -> None:
        if result is not None:
            self._world.count(REDACTED)
            self._world.recorder.redacted(secrets, name)


def are_clean(hosts: list[Host]) -> bool:
    """Tell whether these members have applied the same redactions, and say that they are done with them."""
    nodes = [host.node for host in hosts if host.node is not None]
    applied = {node.store.redacted.count for node in nodes}
    return len(nodes) == len(hosts) and len(applied) == 1 and not any(node.scrubbing.owed for node in nodes)


def look(host: Host, secrets: list[bytes]) -> None:
    """Raise `Violation` where a file of this machine holds what was redacted."""
    for name, inode in host.disk.names.items():
        for secret in secrets:
            if secret in inode.seen:
                raise Violation(NAME, f"{name} of {host.name} holds {secret.decode()}, which was redacted")
