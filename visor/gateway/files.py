"""`/v1/files/{path}`: the body *is* the value, the entity tag is the rev that wrote it, conditions are guards."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from visor import paths
from visor.aio import Client
from visor.errors import Compacted, Denied, IsDirectory, NotFound
from visor.gateway import accept, etags
from visor.gateway.documents import Document, file_of, time_of
from visor.gateway.problems import NotServed
from visor.gateway.visit import CALL_SECONDS, Answer, Visit
from visor.protocol import verbs
from visor.select import path as selected
from visor.values import Node

HARMLESS: Final = {
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
}
"""Whatever a value is, no browser runs it."""
HEADERS: Final = ("visor-mod-rev", "visor-created", "visor-count", "visor-lease")


async def read(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: the value as it is, or with `Accept: application/json` what there is to know of the file."""
    form = visit.form(accept.RAW, accept.JSON, accept.MSGPACK)
    at = await visit.at(client)
    call = client.channel.call
    message = [verbs.GET, 0, client.channel.path(visit.path), at, int(visit.stale)]
    rev, version = await call(message, False, CALL_SECONDS)
    if version is None:
        raise NotFound(path=visit.path, rev=at)
    rev = rev if at is None else at
    tag = etags.of_rev(version[0])
    _check_conditions(visit, tag)
    headers = {"etag": tag, "vary": "accept, authorization"}
    if etags.fresh(tag, visit.headers.get("if-none-match")):
        return Answer(None, 304, rev, headers=headers, lasting=visit.lasting)
    if form == accept.RAW:
        return Answer(
            None, 200, rev, version[1], {**headers, **_raw_headers(visit.path, version)}, visit.lasting
        )
    document = await described(client, visit.path, list(version), rev)
    return Answer(document, 200, rev, headers=headers, lasting=visit.lasting)


async def described(client: Client[bytes], path: str, version: list[Any], rev: int) -> Document:
    """Return what there is to know of a file: its value, and when, by whom and why it was written."""
    return {**file_of(path, version, rev), **await _written(client, path, version[0])}


async def head(visit: Visit, client: Client[bytes]) -> Answer:
    """HEAD: the same without the value, which is not read."""
    at = await visit.at(client)
    stat = await client.stat(visit.path, at=at, stale=visit.stale, timeout=CALL_SECONDS)
    if stat.kind is Node.DIRECTORY:
        raise IsDirectory(path=visit.path)
    if stat.kind is Node.MISSING:
        raise NotFound(path=visit.path, rev=at)
    tag = etags.of_rev(stat.mod_rev)
    _check_conditions(visit, tag)
    version = [stat.mod_rev, None, stat.created, stat.count, stat.lease]
    headers = {"etag": tag, "vary": "accept, authorization", **_raw_headers(visit.path, version)}
    fresh = etags.fresh(tag, visit.headers.get("if-none-match"))
    headers["content-length"] = str(stat.size)
    return Answer(None, 304 if fresh else 200, stat.rev if at is None else at, b"", headers, visit.lasting)


def _check_conditions(visit: Visit, tag: str) -> None:
    if not etags.holds(tag, visit.headers.get("if-match")):
        raise NotServed(
            "guard_failed_here", f"the file is {tag}, which If-Match does not name", path=visit.path
        )


def _raw_headers(path: str, version: list[Any]) -> dict[str, str]:
    name = quote(paths.name(path), safe="")
    told = dict(zip(HEADERS, map(str, (version[0], *version[2:])), strict=True))
    return {"content-disposition": f"attachment; filename*=UTF-8''{name}", **HARMLESS, **told}


async def _written(client: Client[bytes], path: str, rev: int) -> dict[str, Any]:
    """Return when, by whom and why a file was written; null where that is history that is gone, or not granted."""
    found = None
    try:
        commits = client.history(selected(path), first=rev, last=rev, keys=True, timeout=CALL_SECONDS)
        found = await anext(commits, None)
    except (Compacted, Denied):
        pass
    if found is None:
        return {"time": None, "actor": None, "note": None}
    return {"time": time_of(found.time), "actor": found.actor, "note": found.note}


def lease_of(visit: Visit) -> int | None:
    """Return the lease that `Visor-Lease` names; NotServed for what is no lease."""
    text = visit.headers.get("visor-lease")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or not 0 < int(text) < 1 << 63:
        raise NotServed(
            "usage", f"Visor-Lease must be the number of a lease, not {text[:40]!r}", field="visor-lease"
        )
    return int(text)


async def write(visit: Visit, client: Client[bytes]) -> Answer:
    """PUT: write the file, if the conditions hold, and answer the rev of that."""
    guard = etags.guard_of(visit.headers.get("if-match"), visit.headers.get("if-none-match"))
    rev = await client.set(
        visit.path, visit.body, guard=guard, lease=lease_of(visit), note=visit.note, timeout=CALL_SECONDS
    )
    made = "if-none-match" in visit.headers
    return Answer(
        {"path": visit.path, "rev": rev}, 201 if made else 200, rev, headers={"etag": etags.of_rev(rev)}
    )


async def delete(visit: Visit, client: Client[bytes]) -> Answer:
    """DELETE: delete the file, or with `recursive` the directory and all below."""
    guard = etags.guard_of(visit.headers.get("if-match"), visit.headers.get("if-none-match"))
    rev = await client.delete(
        visit.path, recursive=visit["recursive"], guard=guard, note=visit.note, timeout=CALL_SECONDS
    )
    return Answer({"path": visit.path, "rev": rev}, 200, rev)
