"""`/v1/cluster`, `/v1/status`, `/v1/rev`, `/v1/whoami`: the registry itself, and who the caller is to it."""

from __future__ import annotations

import asyncio

from visor.aio import Client
from visor.auth import RIGHTS, Identity
from visor.cli.cluster import head, member_shape, survey_shape
from visor.gateway.documents import Document, time_of
from visor.gateway.problems import NotServed
from visor.gateway.visit import CALL_SECONDS, Answer, Visit


async def members(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: who belongs to it, as the leader knows."""
    found = await client.admin.members(stale=visit.stale, timeout=CALL_SECONDS)
    return Answer({**head(found), "members": [member_shape(one) for one in found.members]}, rev=found.rev)


async def health(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: every member asked by itself, and what is wrong, in words."""
    survey = await client.admin.survey()
    return Answer(survey_shape(survey.expecting(visit["expect"])))


async def status(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: what the node tells of itself that this gateway is connected to."""
    found = await client.status(timeout=CALL_SECONDS)
    return Answer(dict(found.told), rev=found.rev)


async def rev(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: the latest rev, the floor of history, and the time of the latest commit."""
    horizon = await client.horizon(stale=visit.stale, timeout=CALL_SECONDS)
    told = {"rev": horizon.rev, "floor": horizon.floor, "time": time_of(horizon.time)}
    return Answer(told, rev=horizon.rev)


async def whoami(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: who the caller is to the registry, and what it may do."""
    return Answer(identity_of(await client.auth.whoami(timeout=CALL_SECONDS)))


def identity_of(who: Identity) -> Document:
    """Return who somebody is."""
    expires = None if who.expires is None else time_of(who.expires)
    grants = [str(grant) for grant in who.grants]
    return {"user": who.user, "expires": expires, "roles": list(who.roles), "grants": grants}


async def can(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: whether the caller has a right on all these files, else what it would need; of each, where none is named."""
    right, files = visit["right"], visit["glob"]
    asked = RIGHTS if right is None else (right,)
    try:
        found = await asyncio.gather(*(client.auth.can(each, files, timeout=CALL_SECONDS) for each in asked))
    except ValueError as error:
        raise NotServed("usage", f"glob: {error}", field="glob") from None
    if right is not None:
        (verdict,) = found
        return Answer({"allowed": bool(verdict), "roles": list(verdict.roles), "missing": verdict.missing})
    verdicts = dict(zip(asked, found, strict=True))
    may = {right: bool(verdict) for right, verdict in verdicts.items()}
    missing = {right: verdict.missing for right, verdict in verdicts.items() if not verdict}
    return Answer({"may": may, "missing": missing})
