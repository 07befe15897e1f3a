"""`/v1/leases`: what is attached to one goes when nobody keeps it. The gateway keeps none: who was granted it does."""

from __future__ import annotations

from typing import Any

from visor._core.steps import MOST, Misspelt, only, whole
from visor.aio import Client
from visor.cli.moment import duration
from visor.errors import LeaseNotFound
from visor.gateway.paging import Page, paged
from visor.gateway.visit import CALL_SECONDS, Answer, Streamed, Visit
from visor.protocol import verbs


def lease_in(visit: Visit) -> int:
    """Return the lease that the URL names; LeaseNotFound for what can be none."""
    text = visit.names["lease"]
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or not 0 < int(text) <= MOST:
        raise LeaseNotFound(f"there is no lease {text[:40]!r}", lease=None)
    return int(text)


async def grant(visit: Visit, client: Client[bytes]) -> Answer:
    """POST: a lease of `ttl` seconds (or `"30s"`); `id` asks for one of one's own, 2^48 or more."""
    said = visit.json()
    only(said, "the body", ("ttl", "id"))
    lease = await client.lease(
        seconds(said, "ttl"), keep=False, wanted=whole(said, "id", "the body", 0), timeout=CALL_SECONDS
    )
    return Answer({"lease": lease.id, "ttl": lease.ttl}, 201, headers={"location": f"/v1/leases/{lease.id}"})


def seconds(said: dict[str, Any], key: str, default: float | None = None) -> float:
    """Return a duration of a body: a number of seconds, or text as `500ms`, `1h30m`."""
    value = said.get(key, default)
    if isinstance(value, str):
        try:
            return duration(value)
        except ValueError as error:
            raise Misspelt(f"the body.{key}: {error}") from None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e10:
        raise Misspelt(f'the body.{key} must be seconds, or a duration as "30s"')
    return float(value)


async def ls(visit: Visit, client: Client[bytes]) -> Answer | Streamed:
    """GET: all leases by id."""

    async def fetch(rev: int | None, mark: Any, limit: int) -> Page:
        read, rows, following = await client.channel.call([verbs.LEASES, 0, mark, limit], False, CALL_SECONDS)
        return (
            read,
            [{"lease": number, "ttl": ttl / 1000, "files": count} for number, ttl, count in rows],
            following,
        )

    return await paged(visit, client, fetch)


async def show(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: the time that one has left, and what is attached to it."""
    info = await client.lease_info(lease_in(visit), timeout=CALL_SECONDS)
    head = {"lease": info.id, "ttl": info.ttl, "left": info.left, "files": info.count}
    return Answer({**head, "rev": info.rev, "paths": list(info.files or ())}, rev=info.rev)


async def keep(visit: Visit, client: Client[bytes]) -> Answer:
    """POST: give it its full time again."""
    lease = lease_in(visit)
    left = (await client.keep_alive([lease], timeout=CALL_SECONDS))[lease]
    if not left:
        raise LeaseNotFound(lease=lease)
    return Answer({"lease": lease, "ttl": left})


async def revoke(visit: Visit, client: Client[bytes]) -> Answer:
    """DELETE: end it, with all that is attached to it in one rev."""
    lease = lease_in(visit)
    rev = await client.revoke(lease, note=visit.note, timeout=CALL_SECONDS)
    return Answer({"lease": lease, "rev": rev}, rev=rev)
