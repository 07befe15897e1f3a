"""Connections to the registry: one for each credential, made when it is first used, closed when nobody uses it.

Who asks a member by itself has one to that as well.
Whoever calls shares the connection of all who show the same token. A connection without one must be nobody's: where the
registry takes the gateway itself for somebody, as by a Unix socket, it is not lent out.
"""

from __future__ import annotations

import asyncio
import gc
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeAlias

from visor.aio import Client
from visor.errors import Denied, Unsupported
from visor.gateway.credential import Credential
from visor.gateway.problems import NotServed, proves_nothing

MOST: Final = 256
IDLE_SECONDS: Final = 60.0
CONNECTING: Final = 32
UNPROVEN: Final = 64
"""Connections of callers whose token nobody has looked at yet: made-up ones take no place from those that are good."""
ACTORS: Final = 32
"""Connections of one token, each for another name that its callers say of themselves (`Visor-Actor`)."""
COLLECTED: Final = 128
"""Connections that have ended before the collector is asked for: one that has failed is held by its own error, with all
that it was made of, and the collector counts objects, not bytes. Made-up tokens would have it hold 200 MB."""
MOST_REQUESTS: Final = 128
CONNECT_SECONDS: Final = 5.0
ANONYMOUS: Final = "anonymous"
Key: TypeAlias = tuple[bytes, str, str]
"""Whose a connection is: what stands for the token, what the caller says of itself, to which member."""


class Dial(Protocol):
    """Makes a client that is not connected yet; ValueError for a token that would go out in the clear."""

    def __call__(
        self, credential: Credential, session: bytes | None = None, member: str = ""
    ) -> Client[bytes]:
        """`session`: the id of the session that its writes belong to; one of its own without it.

        `member`: the one member to connect to; any of them without it.
        """


class Lent:
    """One connection, and who uses it."""

    __slots__ = ("client", "credential", "ready", "since", "streams", "users")

    def __init__(self, client: Client[bytes], credential: Credential, now: float) -> None:
        self.client = client
        self.credential = credential
        self.users = 0
        self.streams = 0
        self.since = now
        self.ready: asyncio.Task[None] | None = None


class Upstream:
    """All connections. `clock` is monotonic seconds."""

    def __init__(self, dial: Dial, clock: Callable[[], float]) -> None:
        self._dial = dial
        self._clock = clock
        self._lent: OrderedDict[Key, Lent] = OrderedDict()
        self._connecting = asyncio.Semaphore(CONNECTING)
        self._unproven = 0
        self._ended = 0
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._lent)

    @asynccontextmanager
    async def lend(self, credential: Credential, member: str = "") -> AsyncIterator[Lent]:
        """Give the connection of a credential, to any member or to the one at this address.

        NotServed where there are too many, Denied for a token that is none.
        """
        key = credential.key, credential.actor, member
        lent = self._lent.get(key) or self._add(key, credential)
        if lent.users >= MOST_REQUESTS + lent.streams:
            raise NotServed("too_many", f"{MOST_REQUESTS} requests of one caller are under way")
        self._lent.move_to_end(key)
        lent.users += 1
        try:
            await self._connected(key, lent)
            yield lent
        except Denied as error:
            if proves_nothing(error):
                self._drop(key, lent)  # the token is none any more: who comes with it next is judged anew
            raise
        finally:
            lent.users -= 1
            lent.since = self._clock()

    def _add(self, key: Key, credential: Credential) -> Lent:
        if self._unproven >= UNPROVEN:
            raise NotServed("crowded", f"{UNPROVEN} new callers are being looked at: try again")
        own = [each for each in self._lent if each[0] == key[0]]
        if len(own) >= ACTORS:
            self._make_room(
                own, NotServed("too_many", f"a caller has at most {ACTORS} names (Visor-Actor) at once")
            )
        elif len(self._lent) >= MOST:
            self._make_room(
                self._lent,
                NotServed("crowded", f"{MOST} callers are served at once: try again, or another gateway"),
            )
        try:
            client = self._dial(credential, member=key[2])
        except ValueError as error:
            raise NotServed("in_clear", str(error)) from None
        lent = self._lent[key] = Lent(client, credential, self._clock())
        self._unproven += 1
        return lent

    def _make_room(self, among: Iterable[Key], otherwise: NotServed) -> None:
        """End the one of these that was not used for longest."""
        idle = next((key for key in among if not self._lent[key].users), None)
        if idle is None:
            raise otherwise
        self._drop(idle, self._lent[idle])

    async def _connected(self, key: Key, lent: Lent) -> None:
        """Wait until it is connected; whoever comes meanwhile waits for the same attempt."""
        if lent.ready is None:
            lent.ready = asyncio.create_task(self._connect(lent))
            lent.ready.add_done_callback(_looked_at)
        try:
            await asyncio.shield(lent.ready)
        except Exception:
            self._drop(key, lent)
            raise

    async def _connect(self, lent: Lent) -> None:
        try:
            async with self._connecting:
                await lent.client.connect(timeout=CONNECT_SECONDS)
                if lent.credential.token is None:
                    await self._must_be_nobody(lent.client)
        finally:
            self._unproven -= 1

    async def _must_be_nobody(self, client: Client[bytes]) -> None:
        try:
            user = (await client.auth.whoami(timeout=CONNECT_SECONDS)).user
        except Unsupported:
            return  # a registry that knows no users
        if user != ANONYMOUS:
            raise NotServed(
                "not_signed_in",
                f"the registry takes the gateway itself for {user}, in whose name it does nothing: "
                "send a token of your own",
            )

    def _drop(self, key: Key, lent: Lent) -> None:
        if self._lent.get(key) is lent:
            del self._lent[key]
            self._end(lent.client)

    def _end(self, client: Client[bytes]) -> None:
        task = asyncio.ensure_future(client.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        self._ended += 1
        if self._ended % COLLECTED == 0:
            gc.collect()

    def sweep(self) -> None:
        """Close what nobody has used for a while; to be called from time to time."""
        now = self._clock()
        for key, lent in list(self._lent.items()):
            if not lent.users and now - lent.since >= IDLE_SECONDS:
                self._drop(key, lent)

    async def close(self) -> None:
        """Close all of them."""
        for key, lent in list(self._lent.items()):
            self._drop(key, lent)
        if self._ending:
            await asyncio.wait(self._ending, timeout=CONNECT_SECONDS)


def _looked_at(ready: asyncio.Task[None]) -> None:
    """Whoever waited for a connection may have gone before it failed: that is nobody's trouble then."""
    if not ready.cancelled():
        ready.exception()
