"""`/v1/moment`: all that a screen shows of one rev in one answer: rows of a tree, what is selected, who made the rev.

Whoever drags through time asks for it again and again, so it takes few turns over the registry's connection, however
many directories are open: how large each is and where it lies, then the rows between two places.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from visor import paths
from visor.aio import Client
from visor.cli.moment import rfc3339
from visor.errors import BadPath, Compacted, Denied, IsDirectory, NotDirectory, NotFound, TooLarge
from visor.gateway.documents import Document
from visor.gateway.files import described
from visor.gateway.problems import NotServed, of_error, proves_nothing
from visor.gateway.reading import EVERYTHING, entry_of, lister, sought, stat_of
from visor.gateway.treerows import Opened, reachable, windows
from visor.gateway.visit import CALL_SECONDS, Answer, Visit
from visor.protocol import verbs
from visor.values import Node

MOST_OPEN: Final = 48
MOST_ROWS: Final = 500
PAGES: Final = 20
"""Pages of the registry that the rows of one directory are read from; what is missing then is asked for again."""


async def moment(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: the rows of a tree between two places, what is at a path, and who made the rev; all at one rev."""
    selected, directories = _paths(visit)
    at = await visit.at(client)
    rev = await client.rev(timeout=CALL_SECONDS) if at is None else at
    tree, found, commit = await asyncio.gather(
        _tree(visit, client, rev, directories, selected),
        _selected(client, selected, rev),
        _made(client, rev),
    )
    document = {"rev": rev, "commit": commit, "selected": found, **tree}
    return Answer(document, 200, rev, lasting=visit.lasting)


def _paths(visit: Visit) -> tuple[str | None, list[str]]:
    """Return the path that is selected and the directories that are shown; NotServed or BadPath for what is none."""
    selected, asked = visit["path"], visit["open"] or []
    for name, path in (("path", selected), *(("open", each) for each in asked)):
        why = None if path is None else paths.check(path)
        if why is not None:
            raise BadPath(f"{name}={path[:60]!r}: the path {why}", path=path, why=why)
    if visit["place"] and selected is None:
        raise NotServed("usage", "place says where `path` is: name one", field="place")
    return selected, reachable(asked) if visit["rows"] else []


# -- the tree -------------------------------------------------------------------------------------------
async def _tree(
    visit: Visit, client: Client[bytes], rev: int, directories: list[str], selected: str | None
) -> Document:
    """Return `size`, how many rows there are, and of each directory what is known and seen of it."""
    sought_for = [each for each in directories if each != paths.ROOT]
    if visit["place"] and selected and selected not in directories and paths.parent(selected) in directories:
        sought_for.append(selected)
    sizes, places = await asyncio.gather(
        asyncio.gather(*(_size(client, each, rev) for each in directories)),
        asyncio.gather(*(_place(client, each, rev) for each in sought_for)),
    )
    placed = {path: place for path, place in zip(sought_for, places, strict=True) if place is not None}
    told = {
        path: {"path": path, "total": total, "places": {}, "place": 0, "items": [], **refused}
        for path, (total, refused) in zip(directories, sizes, strict=True)
    }
    for path, place in placed.items():
        told[paths.parent(path)]["places"][paths.name(path)] = place
    size, seen = _layout(told, placed, visit["first"], visit["first"] + visit["rows"])
    rows = await asyncio.gather(*(_rows(client, path, rev, *window) for path, window in seen.items()))
    for (path, (place, _)), items in zip(seen.items(), rows, strict=True):
        told[path].update(place=place, items=[entry_of(path, row) for row in items])
    return {"size": size, "directories": list(told.values())}


def _layout(
    told: dict[str, Document], placed: dict[str, int], first: int, last: int
) -> tuple[int, dict[str, tuple[int, int]]]:
    if not told:
        return 0, {}
    opened: dict[str, Opened] = {}
    for path, each in told.items():
        inside = {kid: placed[kid] for kid in told if kid in placed and paths.parent(kid) == path}
        opened[path] = Opened(each["total"], inside)
    return windows(opened, first, last)


async def _size(client: Client[bytes], path: str, rev: int) -> tuple[int, Document]:
    """Return how many entries a directory has, none where it is none, and the problem where that may not be known."""
    try:
        found = await client.stat(path, at=rev, timeout=CALL_SECONDS)
    except Denied as error:
        return 0, {"problem": _problem(error)}
    return (found.size if found.kind is Node.DIRECTORY else 0), {}


async def _place(client: Client[bytes], path: str, rev: int) -> int | None:
    """Return at which place of its directory an entry is; None where it is not there, or nobody may know."""
    read = lister(client, paths.parent(path))
    try:
        _, rows, _, place, _ = await sought(read, rev, 1, {}, paths.name(path))
    except (NotFound, NotDirectory):
        return None
    except Denied as error:
        _problem(error)
        return None
    there: int = place
    return there if rows and rows[0][0] == paths.name(path) else None


async def _rows(client: Client[bytes], path: str, rev: int, begin: int, end: int) -> list[Any]:
    read, count = lister(client, path), end - begin
    _, rows, mark, _, _ = await sought(read, rev, count, {}, begin)
    for _ in range(PAGES):
        if mark is None or len(rows) >= count:
            break
        _, more, mark, *_ = await read(rev, mark, count - len(rows), {})
        rows = [*rows, *more]
    return list(rows)


# -- what is selected, who made it ----------------------------------------------------------------------
async def _selected(client: Client[bytes], path: str | None, rev: int) -> Document | None:
    """Return what is at a path: a file with its value, a directory, nothing, or why that is not told."""
    if path is None:
        return None
    kind, more = "missing", {}
    try:
        version = None
        if path != paths.ROOT:
            message = [verbs.GET, 0, client.channel.path(path), rev, 0]
            _, version = await client.channel.call(message, False, CALL_SECONDS)
        if version is not None:
            kind, more = "file", {"told": await described(client, path, list(version), rev)}
        elif path == paths.ROOT:
            kind = "directory"
    except IsDirectory:
        stat = await client.stat(path, at=rev, timeout=CALL_SECONDS)
        kind, more = "directory", {"told": stat_of(stat)}
    except NotDirectory:
        pass  # a file stands where a directory would have to
    except Denied as error:
        kind, more = "refused", {"problem": _problem(error)}
    return {"path": path, "kind": kind, **more}


async def _made(client: Client[bytes], rev: int) -> Document | None:
    """Return who made a rev, when and why, of how many changes; None where history does not tell, or may not."""
    if not rev:
        return None
    selector = client.channel.root.selector(EVERYTHING)
    try:
        message = [verbs.LOG, 0, selector, rev, rev, 1, {"keys": True}]
        _, rows, _ = await client.channel.call(message, False, CALL_SECONDS)
    except (Compacted, TooLarge):
        return None
    except Denied as error:
        _problem(error)
        return None
    if not rows:
        return None
    made, milliseconds, actor, note, changes = rows[0]
    return {"rev": made, "time": rfc3339(milliseconds), "actor": actor, "note": note, "changes": len(changes)}


def _problem(error: Denied) -> Document:
    """Return what may not be known, as a problem; raise it again where it is the token that is wrong."""
    if proves_nothing(error):
        raise error
    return of_error(error)
