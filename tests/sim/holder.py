"""One lease of a simulated client: granted, attached to files, kept alive for a while, then revoked or let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.checkers.history import Lease, Write
from visor.protocol import codes, verbs

if TYPE_CHECKING:
    from tests.sim.workload import Workload

TTLS_MS: Final = (1000, 1500, 3000)
FILES: Final = ("one", "two", "three")


class Holder:
    """See the module."""

    def __init__(self, client: Workload) -> None:
        rng = client.rng
        self._client = client
        self._ttl = rng.choice(TTLS_MS)
        self._lease: Lease | None = None
        self._sent = 0.0
        self._next = 0.0
        self._rest = rng.choice((0.0, 1.0, 3.0, 8.0, 30.0))
        """Seconds until it is kept no longer."""
        self._end = 0.0
        self._revokes = rng.random() < 0.4
        self._asking = False
        """A keep-alive is under way."""
        begun = client.now
        frame = [verbs.GRANT, 0, 0, self._ttl]
        client.ask(Write(client.token(), (), ()), frame, answer=lambda result: self._granted(begun, result))

    def _granted(self, begun: float, result: Any) -> None:
        if result is None:
            self._done()
            return
        client = self._client
        _, number, ttl = result
        self._lease = Lease(number, ttl / 1000, [begun])
        client.world.history.leases.append(self._lease)
        self._end = client.now + self._rest
        for name in client.rng.sample(FILES, client.rng.randint(0, 3)):
            token = client.token()
            path, value = f"/l/{number}/{name}", f"{token}.".encode()
            then = ((verbs.T_SET, path, value, number),)
            client.ask(Write(token, (), then, (), True), [verbs.SET, 0, 0, path, value, 0, 0, number, token])

    def _done(self) -> None:
        if self in self._client.holders:
            self._client.holders.remove(self)

    def tick(self) -> None:
        """From time to time: keep the lease alive, or end it."""
        client, lease = self._client, self._lease
        if lease is None or client.now < self._next:
            return
        if client.now >= self._end or client.closing:
            if self._revokes:
                self._revokes = False
                self._revoke(lease.lease)
            self._done()
        elif not self._asking:
            self._sent = client.now
            self._asking = client.keep(lease.lease, self._heard)
            self._next = client.now + lease.ttl / 4

    def _revoke(self, number: int) -> None:
        token = self._client.token()
        write = Write(token, (), (), (), True, number)
        self._client.ask(write, [verbs.REVOKE, 0, 0, number, token])

    def _heard(self, refusal: str | None, result: Any) -> None:
        """The answer to a keep-alive."""
        self._asking = False
        if self not in self._client.holders:
            return  # it has ended the lease itself since
        lease, world = self._lease, self._client.world
        assert lease is not None
        if refusal is not None:
            world.count(f"keep-alive: {refusal}")
            if codes.FAMILY.get(refusal, codes.UNAVAILABLE) != codes.UNAVAILABLE:
                world.broken(f"a keep-alive was refused: {refusal}", None)
            return
        [[number, ttl]] = result
        if ttl:
            world.count("keep-alive: kept")
            lease.renewed.append(self._sent)
        else:
            world.count("keep-alive: gone")
            world.recorder.expired(number)
            self._done()
