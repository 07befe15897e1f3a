"""`/v1/commits`, `/v1/history`, `/v1/blame`, `/v1/diff`, `/v1/density`: what was, and who did it."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from visor import select
from visor.aio import Client
from visor.codecs import BYTES
from visor.errors import Compacted
from visor.gateway.documents import Document, commit_of, difference_of, file_of, time_of
from visor.gateway.paging import Page, paged
from visor.gateway.params import At
from visor.gateway.problems import NotServed
from visor.gateway.reading import EVERYTHING, selector_of
from visor.gateway.visit import CALL_SECONDS, Answer, Streamed, Visit, first_of
from visor.protocol import verbs
from visor.select import Selector
from visor.values import Commit, Difference, commit_from_wire

LOOKED: Final = 100
"""Pages of the log that one density reads, each of which costs a node some milliseconds at most."""
AT_ONCE: Final = 64


async def commits(visit: Visit, client: Client[bytes]) -> Answer | Streamed:
    """GET: the commits that changed what matches."""
    return await _log(visit, client, selector_of(visit))


async def history(visit: Visit, client: Client[bytes]) -> Answer | Streamed:
    """GET: the commits that changed a file, or anything in a directory."""
    return await _log(visit, client, select.tree(visit.path), path=visit.path)


async def _log(visit: Visit, client: Client[bytes], what: str | Selector, **head: Any) -> Answer | Streamed:
    first = await first_of(visit["from"], client)
    last = await _rev_of(visit["to"], client)
    reverse, previous = visit["reverse"], visit["previous"]
    flags = (("previous", previous), ("keys", not visit["values"]), ("reverse", reverse))
    options = {name: True for name, on in flags if on}
    root = client.channel.root
    selector = root.selector(what)

    async def fetch(rev: int | None, mark: Any, limit: int) -> Page:
        begin, end = first, rev if last is None else last
        if mark is not None:
            begin, end = (begin, mark) if reverse else (mark, end)
        if end == 0 or (begin is not None and end is not None and begin > end):
            return rev or await client.rev(timeout=CALL_SECONDS), [], None
        message = [verbs.LOG, 0, selector, begin, end, limit, options]
        latest, rows, following = await client.channel.call(message, False, CALL_SECONDS)
        found = [commit_from_wire(row, root.relative, BYTES) for row in rows]
        return rev or latest, [commit_of(commit, previous) for commit in found], following

    return await paged(visit, client, fetch, **head)


async def _rev_of(asked: At | None, client: Client[bytes]) -> int | None:
    if asked is None:
        return None
    if asked.time is not None:
        return await client.rev_at(asked.time, timeout=CALL_SECONDS)
    return asked.rev


async def blame(visit: Visit, client: Client[bytes]) -> Answer | Streamed:
    """GET: for each file at or below a path, who changed it last."""
    root = client.channel.root
    selector = root.selector(select.tree(visit.path))

    async def fetch(rev: int | None, mark: Any, limit: int) -> Page:
        message = [verbs.SCAN, 0, selector, rev, 0, mark, limit, {"keys": True}]
        read, rows, following = (await client.channel.call(message, False, CALL_SECONDS))[:3]
        files = [file_of(root.relative(full), version) for full, version in rows]
        told = await _authors(client, {file["mod_rev"]: file["path"] for file in files})
        return read, [{**file, **told.get(file["mod_rev"], _NOBODY)} for file in files], following

    return await paged(visit, client, fetch, path=visit.path)


_NOBODY: Final[Document] = {"time": None, "actor": None, "note": None}
"""Of a file whose last change is below the floor of history."""


async def _authors(client: Client[bytes], wanted: dict[int, str]) -> dict[int, Document]:
    """Return who made these revs, each of which changed the path beside it."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(rev: int, path: str) -> Commit[bytes] | None:
        async with places:
            what = select.path(path)
            try:
                found = client.history(what, first=rev, last=rev, keys=True, timeout=CALL_SECONDS)
                return await anext(found, None)
            except Compacted:
                return None

    found = await asyncio.gather(*(one(rev, path) for rev, path in wanted.items()))
    return {
        commit.rev: {"time": time_of(commit.time), "actor": commit.actor, "note": commit.note}
        for commit in found
        if commit is not None
    }


async def diff(visit: Visit, client: Client[bytes]) -> Answer | Streamed:
    """GET: the files that differ between two revs, in path order."""
    a, b = await _rev_of(visit["a"], client), await _rev_of(visit["b"], client)
    latest = await client.rev(timeout=CALL_SECONDS) if b is None else b
    root = client.channel.root
    selector = root.selector(selector_of(visit))

    async def fetch(rev: int | None, mark: Any, limit: int) -> Page:
        message = [verbs.DIFF, 0, selector, a, rev or latest, mark, limit]
        _, rows, following = await client.channel.call(message, False, CALL_SECONDS)
        found = [Difference(root.relative(full), before, after, BYTES) for full, before, after in rows]
        return rev or latest, [difference_of(each) for each in found], following

    return await paged(visit, client, fetch, a=a)


# -- density --------------------------------------------------------------------------------------------
async def density(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: how many commits there were in each bucket of time, and at which rev each begins: what a slider shows.

    Of all files that is a difference of revs, whatever their number. Of a glob commits are counted, from the newest on,
    until they are too many: then `complete` is false, and `counted_from` says from which rev on.
    """
    horizon = await client.horizon(timeout=CALL_SECONDS)
    begin, end = await _ends(visit, client, horizon.time, horizon.floor)
    edges = [begin + (end - begin) * place / visit["buckets"] for place in range(visit["buckets"] + 1)]
    revs = await _revs_at(client, edges, horizon.floor)
    document: Document = {"rev": horizon.rev, "from": time_of(begin), "to": time_of(end), "revs": revs}
    what = selector_of(visit)
    if what == EVERYTHING:
        counts = [after - before for before, after in pairwise(revs)]
        return Answer(
            {**document, "counts": counts, "complete": True, "counted_from": revs[0] + 1}, rev=horizon.rev
        )
    counts, since = await _counted(client, what, revs)
    told = {"counts": counts, "complete": since <= revs[0] + 1, "counted_from": since}
    return Answer({**document, **told}, rev=horizon.rev)


async def _ends(
    visit: Visit, client: Client[bytes], latest: datetime, floor: int
) -> tuple[datetime, datetime]:
    begin = await _time_of(visit["from"], client)
    end = await _time_of(visit["to"], client) or latest
    if begin is None:
        oldest = client.history(EVERYTHING, first=floor + 1, limit=1, keys=True, timeout=CALL_SECONDS)
        first = await anext(oldest, None)
        begin = end if first is None else min(first.time - timedelta(milliseconds=1), end)
    if begin > end:
        raise NotServed("usage", f"from ({time_of(begin)}) comes after to ({time_of(end)})", field="from")
    return begin, end


async def _time_of(asked: At | None, client: Client[bytes]) -> datetime | None:
    if asked is None or asked.rev is None:
        return None if asked is None else asked.time
    found = client.history(EVERYTHING, first=asked.rev, last=asked.rev, keys=True, timeout=CALL_SECONDS)
    commit = await anext(found, None)
    return None if commit is None else commit.time


async def _revs_at(client: Client[bytes], moments: Sequence[datetime], floor: int) -> list[int]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(moment: datetime) -> int:
        async with places:
            try:
                return max(floor, await client.rev_at(moment, timeout=CALL_SECONDS))
            except Compacted:
                return floor

    return list(await asyncio.gather(*map(one, moments)))


async def _counted(client: Client[bytes], what: str | Selector, revs: list[int]) -> tuple[list[int], int]:
    """Return how many commits lie between these revs, and from which rev on all were counted."""
    counts, first, last = [0] * (len(revs) - 1), revs[0] + 1, revs[-1]
    selector, options = client.channel.root.selector(what), {"keys": True, "reverse": True}
    for _ in range(LOOKED):
        if first > last:
            break
        message = [verbs.LOG, 0, selector, first, last, 0, options]
        _, rows, following = await client.channel.call(message, False, CALL_SECONDS)
        for row in rows:
            counts[bisect_left(revs, row[0]) - 1] += 1
        last = first - 1 if following is None else following
    return counts, max(first, last + 1)
