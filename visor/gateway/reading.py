"""`/v1/tree`, `/v1/scan`, `/v1/stat`: what is there at one rev."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from visor import paths
from visor.aio import Client
from visor.errors import NotFound, Unsupported
from visor.gateway.documents import Document, file_of
from visor.gateway.paging import Page, paged
from visor.gateway.problems import NotServed
from visor.gateway.visit import CALL_SECONDS, Answer, Streamed, Visit
from visor.protocol import verbs
from visor.select import Selector, any_of
from visor.values import NODES, Node, Stat

EVERYTHING = "/**"
SOUGHT: Final = 50
"""Pages in which entries are passed by, each of five thousand; then the answer begins where that ended, and says so."""

Lister = Callable[["int | None", Any, int, dict[str, Any]], Awaitable[list[Any]]]
"""Reads `[rev, rows, mark]` of a directory: at a rev, behind a mark, so many, with options of the protocol's LIST."""


def selector_of(visit: Visit) -> str | Selector:
    """Return what the globs of a query mean together; all files without one."""
    globs: list[str] = visit["glob"] or [EVERYTHING]
    if len(globs) == 1:
        return globs[0]
    try:
        return any_of(*globs)
    except ValueError as error:
        raise NotServed("usage", f"glob: {error}", field="glob") from None


def lister(client: Client[bytes], directory: str, *, stale: bool = False) -> Lister:
    """Return what reads some entries of a directory; the root is there also when nothing is in it."""

    async def read(rev: int | None, mark: Any, limit: int, options: dict[str, Any]) -> list[Any]:
        message = [verbs.LIST, 0, client.channel.path(directory), rev, int(stale), mark, limit, options]
        try:
            found: list[Any] = await client.channel.call(message, False, CALL_SECONDS)
        except NotFound:
            if directory != paths.ROOT:
                raise
            found = [rev or await client.rev(timeout=CALL_SECONDS), [], None, 0, 0]
        return found

    return read


async def tree(visit: Visit, client: Client[bytes]) -> Answer | Streamed:
    """GET: the direct entries of a directory, in order; those from a place on, for who shows only some of many."""
    directory = visit.path
    options: dict[str, Any] = {"values": True} if visit["values"] else {}
    seek: int | str | None = _seek(visit)
    places: Document = {}
    read = lister(client, directory, stale=visit.stale)

    async def fetch(rev: int | None, mark: Any, limit: int) -> Page:
        if seek is None or mark is not None:
            at, rows, following = (await read(rev, mark, limit, options))[:3]
        else:
            at, rows, following, place, total = await sought(read, rev, limit, options, seek)
            places.update(place=place, total=total)
        return at, [entry_of(directory, row) for row in rows], following

    answer = await paged(visit, client, fetch, path=directory)
    if isinstance(answer, Answer):
        answer.document.update(places)
    return answer


def _seek(visit: Visit) -> int | str | None:
    skip: int | None = visit["skip"]
    begin: str | None = visit["begin"]
    if skip is not None and begin is not None:
        raise NotServed(
            "usage", "skip says how many entries to pass by, begin at which: one of them", field="skip"
        )
    if begin is not None and (not begin or "/" in begin):
        raise NotServed(
            "usage", f"begin={begin[:60]!r}: a name, or the beginning of one, is expected", field="begin"
        )
    return skip if begin is None else begin


async def sought(
    read: Lister, rev: int | None, limit: int, options: dict[str, Any], seek: int | str
) -> list[Any]:
    """Return `[rev, rows, mark, place, total]` of the page that `seek` means; passing by in the past may take some."""
    mark, passed = None, 0
    for _ in range(SOUGHT):
        left = seek if isinstance(seek, str) else max(0, seek - passed)
        found = await read(rev, mark, limit, {**options, "seek": left})
        if len(found) < 5:
            raise Unsupported("this member runs a version that lists no directory from a place: upgrade it")
        rev, rows, mark, more, total = found
        passed += more
        if rows or mark is None:
            break
    return [rev, rows, mark, passed, total]


def entry_of(directory: str, row: list[Any]) -> Document:
    """Return an entry of a directory."""
    name, kind, size, mod_rev, *value = row
    found = {
        "name": name,
        "path": paths.join(directory, name),
        "kind": NODES[kind].value,
        "size": size,
        "mod_rev": mod_rev,
    }
    return {**found, "value": value[0]} if value and value[0] is not None else found


async def scan(visit: Visit, client: Client[bytes]) -> Answer | Streamed:
    """GET: the files that match, in path order; with `count` only how many there are."""
    what = selector_of(visit)
    if visit["count"]:
        rev = await visit.at(client) or await client.rev(stale=visit.stale, timeout=CALL_SECONDS)
        count = await client.count(what, at=rev, stale=visit.stale, timeout=CALL_SECONDS)
        return Answer({"rev": rev, "count": count}, 200, rev, lasting=visit.lasting)
    selector, relative = client.channel.root.selector(what), client.channel.root.relative
    options = {
        name: True for name, on in (("keys", not visit["values"]), ("reverse", visit["reverse"])) if on
    }

    async def fetch(rev: int | None, mark: Any, limit: int) -> Page:
        message = [verbs.SCAN, 0, selector, rev, int(visit.stale), mark, limit, options]
        read, rows, following = (await client.channel.call(message, False, CALL_SECONDS))[:3]
        return read, [file_of(relative(full), version) for full, version in rows], following

    return await paged(visit, client, fetch)


async def stat(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: what a path is."""
    at = await visit.at(client)
    found = await client.stat(visit.path, at=at, stale=visit.stale, timeout=CALL_SECONDS)
    if found.kind is Node.MISSING:
        raise NotFound(path=visit.path, rev=found.rev)
    return Answer(stat_of(found), 200, found.rev, lasting=visit.lasting)


def stat_of(found: Stat) -> Document:
    """Return what a path is."""
    return {
        "path": found.path,
        "rev": found.rev,
        "kind": found.kind.value,
        "size": found.size,
        "mod_rev": found.mod_rev,
        "created": found.created,
        "count": found.count,
        "lease": found.lease,
    }
