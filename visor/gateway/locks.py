"""`/v1/locks/{path}`: the same queues as those of `session.lock`, for who has no connection that could hold one.

A lock belongs to a lease that its holder keeps alive itself. Who comes stands in the queue from then on, whether it
holds the lock already or not: it asks again, or leaves. So nobody loses its place because a request lasts only so long.

    POST /v1/locks/db {"lease": 12, "wait": "30s"}    ->  200 {"held": true, "fence": 47, "file": "/db/w12.1", ...}
                                                      or  202 {"held": false, "fence": 47, "ahead": [...]}
    POST /v1/txn {"if": [{"kind": "rev", "path": "/db/w12.1", "rev": 47}], ...}      happens only while it is held
    DELETE /v1/locks/db?lease=12
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from visor import guard, op, paths, select
from visor._core.backoff import Deadline
from visor._core.recipes.queue import (
    DELAY,
    EXCLUSIVE,
    LOCK,
    SHARED,
    Contender,
    blocker,
    holders,
    queue_at,
    read_delay,
)
from visor._core.steps import Misspelt, only, text, whole
from visor.aio import Client, File
from visor.errors import BadPath, Compacted, DeadlineExceeded, LockLost
from visor.gateway.documents import Document
from visor.gateway.leases import seconds
from visor.gateway.visit import CALL_SECONDS, Answer, Visit
from visor.values import Kind

MOST_WAIT: Final = 60.0
SHOWN: Final = 100

Looked = tuple[int, list[Contender], "File[bytes] | None"]
"""A rev, who stands in the queue at it, and the mark of a holder that asked for a delay."""


async def show(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: who holds it, and who waits, in order."""
    directory = _directory(visit)
    rev, queue, _ = await _look(client, directory)
    held = holders(queue)
    told = {"holders": _told(held), "waiting": _told(queue[len(held) :]), "contenders": len(queue)}
    return Answer({"path": directory, "rev": rev, **told}, rev=rev)


def _directory(visit: Visit) -> str:
    if visit.path == paths.ROOT:
        raise BadPath(path=visit.path, why="a lock needs a directory of its own")
    return visit.path


def _told(contenders: list[Contender]) -> list[Document]:
    return [
        {
            "name": one.name,
            "file": one.path,
            "fence": one.fence,
            "lease": one.lease,
            "shared": one.shared,
            "value": one.data,
        }
        for one in contenders[:SHOWN]
    ]


async def _look(client: Client[bytes], directory: str) -> Looked:
    files = [file async for file in client.scan(select.children(directory), timeout=CALL_SECONDS)]
    rev = files[0].rev if files else await client.rev(timeout=CALL_SECONDS)
    marks = [file for file in files if paths.name(file.path) == DELAY]
    return rev, queue_at(directory, files, LOCK), marks[0] if marks else None


async def acquire(visit: Visit, client: Client[bytes]) -> Answer:
    """POST: enter the queue, or find one's place in it, and wait for the lock."""
    said = visit.json()
    only(said, "the body", ("lease", "shared", "wait", "value"))
    lease = whole(said, "lease", "the body")
    shared = said.get("shared", False)
    if not isinstance(shared, bool):
        raise Misspelt("the body.shared must be true or false")
    value = text(said, "value", "the body") if "value" in said else visit.credential.actor
    wait = client.channel.driver.deadline(min(seconds(said, "wait", 0.0), MOST_WAIT))
    directory = _directory(visit)
    place = f"{directory}/{SHARED if shared else EXCLUSIVE}{lease}.1"
    await client.txn(
        {place: guard.missing()}, [op.set(place, value.encode(), lease=lease)], timeout=CALL_SECONDS
    )
    ahead = await _wait(client, directory, place, wait)
    found = await client.get(place, timeout=CALL_SECONDS)
    told = {"path": directory, "held": not ahead, "fence": found.created, "file": place, "lease": lease}
    return Answer({**told, "ahead": _told(ahead)}, 202 if ahead else 200, found.rev)


async def _wait(client: Client[bytes], directory: str, place: str, wait: Deadline) -> list[Contender]:
    """Wait until `place` holds the lock, and return nobody; or who is before it when there is no time left."""
    while True:
        rev, queue, mark = await _look(client, directory)
        mine = next((one for one in queue if one.path == place), None)
        if mine is None:
            raise LockLost(path=directory, fence=None, lease=0)
        before = blocker(queue, mine)
        if before is None and mark is None:
            return []
        if before is None and mark is not None and await _unmarked(client, queue, mine, mark, wait):
            return []
        if not wait.left():
            return [one for one in queue if one.fence < mine.fence] or [mine]
        if before is not None:
            await _gone(client, before.path, rev, wait)


async def _unmarked(
    client: Client[bytes], queue: list[Contender], mine: Contender, mark: File[bytes], wait: Deadline
) -> bool:
    """Let the delay pass that a former holder asked for, and take its mark away; False: look again."""
    name, pause = read_delay(mark.data)
    if not any(one.name == name for one in queue):
        if pause > wait.left():
            await asyncio.sleep(wait.left())
            return False
        await asyncio.sleep(pause)
    guards = {mine.path: guard.rev(mine.rev), mark.path: guard.rev(mark.mod_rev)}
    return (await client.txn(guards, [op.delete(mark.path)], timeout=CALL_SECONDS)).succeeded


async def _gone(client: Client[bytes], path: str, rev: int, wait: Deadline) -> None:
    """Wait until a contender has gone, or there is no time left; it may return before."""
    kinds: Any = (Kind.DELETE, Kind.EXPIRE)
    try:
        async with client.watch(
            select.path(path), rev + 1, kinds=kinds, keys=True, timeout=CALL_SECONDS
        ) as watch:
            await watch.next(timeout=wait.left())
    except (Compacted, DeadlineExceeded):
        return


async def release(visit: Visit, client: Client[bytes]) -> Answer:
    """DELETE: give it to the next one, or leave the queue."""
    kind = SHARED if visit["shared"] else EXCLUSIVE
    place = f"{_directory(visit)}/{kind}{visit['lease']}.1"
    fence: int | None = visit["fence"]
    held = None if fence is None else guard.rev(fence)
    rev = await client.delete(place, guard=held, note=visit.note, timeout=CALL_SECONDS)
    return Answer({"path": visit.path, "rev": rev}, rev=rev)
