"""A request as handlers see it, and what they answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final

from visor._core.dataclass import dataclass
from visor.aio import Client
from visor.errors import DeadlineExceeded, FutureRev
from visor.gateway import accept, bodies
from visor.gateway.credential import Credential
from visor.gateway.params import At
from visor.gateway.problems import NotServed
from visor.gateway.upstream import Lent

CALL_SECONDS: Final = 10.0
"""How long the registry may take for one call."""
POLL_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back in one piece: a document, or a value as it is. `rev`: what it is true at; `lasting`: for ever."""

    document: Any = None
    status: int = 200
    rev: int | None = None
    raw: bytes | None = None
    headers: Mapping[str, str] | None = None
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Streamed:
    """What goes back piece by piece, in a form that was chosen. `end` is called when nobody reads any more."""

    form: str
    pieces: AsyncIterator[bytes]
    rev: int | None = None
    end: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, let in and read. `names`: what stood in the URL's path; `path`: that of the registry in it."""

    method: str
    url: str
    query: Sequence[tuple[str, str]]
    names: Mapping[str, str]
    path: str
    values: Mapping[str, Any]
    headers: Mapping[str, str]
    body: bytes
    credential: Credential
    now: datetime
    member: Callable[[str], AbstractAsyncContextManager[Lent]]
    """Lends a connection to the member at an address, with the same credential."""

    def __getitem__(self, name: str) -> Any:
        """Return a parameter of the query."""
        return self.values[name]

    @property
    def note(self) -> str | None:
        """What history keeps beside a change."""
        return self.headers.get("visor-note")

    def form(self, *offered: str) -> str:
        """Return the form that the caller likes best."""
        return accept.choose(self.headers.get("accept"), offered)

    def json(self) -> dict[str, Any]:
        """Return the body, which must be an object; NotServed for anything else."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != accept.JSON:
            raise NotServed(
                "media_type", f"the body must be {accept.JSON}, not {kind[:60] or 'of no type'!r}"
            )
        return bodies.read(self.body)

    async def at(self, client: Client[bytes], name: str = "at") -> int | None:
        """Return the rev of the state to read, None for the latest, once `min_rev` is there."""
        least = self.values.get("min_rev")
        if least is not None:
            await _reached(client, least, stale=self.stale)
        asked: At | None = self.values[name]
        if asked is None:
            return None
        if asked.time is not None:
            return await client.rev_at(asked.time, timeout=CALL_SECONDS)
        await there(client, asked.rev or 0)
        return asked.rev

    @property
    def stale(self) -> bool:
        """Whether what one node has will do."""
        return self.values.get("consistency") == "stale"

    @property
    def lasting(self) -> bool:
        """Whether the answer can never be another one: a rev was named."""
        asked = self.values.get("at")
        return isinstance(asked, At) and asked.rev is not None


async def first_of(asked: At | None, client: Client[bytes]) -> int | None:
    """Return the first rev that a `from` means: after a time, the next one; None where nothing is said."""
    if asked is None:
        return None
    if asked.time is not None:
        return await client.rev_at(asked.time, timeout=CALL_SECONDS) + 1
    return max(1, asked.rev or 0)


async def there(client: Client[bytes], rev: int) -> None:
    """Raise FutureRev for a rev that is not there yet: the registry would wait for it, and so would a connection."""
    if rev > client.channel.driver.rev:
        latest = await client.rev(timeout=CALL_SECONDS)
        if rev > latest:
            raise FutureRev(rev=latest, asked=rev)


async def _reached(client: Client[bytes], rev: int, *, stale: bool) -> None:
    """Wait until a rev is there: who has just written by another gateway reads what it wrote. FutureRev for none."""
    await there(client, rev)
    if not stale:
        return  # what is read is not older than what was just told
    deadline = client.channel.driver.deadline(CALL_SECONDS)
    while (latest := await client.rev(stale=True, timeout=CALL_SECONDS)) < rev:
        if not deadline.left():
            raise DeadlineExceeded(f"rev {rev} is not at this node: it has {latest}", seconds=CALL_SECONDS)
        await asyncio.sleep(POLL_SECONDS)


Handler = Callable[[Visit, Client[bytes]], Awaitable[Answer | Streamed]]
