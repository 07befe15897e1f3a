"""`/v1/moment`: all that a screen shows of one rev in one answer: rows of a tree, what is selected, who made the rev.

Whoever drags through time asks for it again and again, so it takes few turns over the registry's connection, however
many directories are open: how large each is and where it lies, then the rows between two places.
"""

from __future__ import annotations

import asyncio
from typing import Final

from visor import paths
from visor.aio import Client
from visor.cli.moment import rfc3339
from visor.errors import BadPath, Compacted, Denied, IsDirectory, NotDirectory, NotFound, TooLarge
from visor.gateway import partly
from visor.gateway.documents import Document
from visor.gateway.files import described
from visor.gateway.problems import NotServed, of_error, proves_nothing
from visor.gateway.reading import EVERYTHING, entry_of, lister, sought, stat_of
from visor.gateway.treerows import Opened, Run, reachable, row_of, runs, seen
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
    """Return how many rows there are, those that are seen, where the selected path lies, and each open directory."""
    if not directories:
        return {"size": 0, "rows": [], "row": None, "directories": []}
    wanted = [each for each in directories if each != paths.ROOT]
    above = None
    if visit["place"] and selected not in (None, paths.ROOT) and paths.parent(selected) in directories:
        above = paths.parent(selected)
        wanted += [] if selected in wanted else [selected]
    sizes, places = await asyncio.gather(
        asyncio.gather(*(_size(client, each, rev) for each in directories)),
        asyncio.gather(*(_place(client, each, rev) for each in wanted)),
    )
    totals = {path: total for path, (total, _) in zip(directories, sizes, strict=True)}
    placed = {path: place for path, place in zip(wanted, places, strict=True) if place is not None}
    refused = [path for path, (_, more) in zip(directories, sizes, strict=True) if more]
    parts = await partly.entries(client, rev, refused) if refused else {}
    for path, inside in parts.items():
        totals[path] = len(inside)
        placed |= {each["path"]: place for place, each in enumerate(inside)}
    laid = runs(_opened(totals, placed))
    here = None if above is None or selected not in placed else row_of(laid, above, placed[selected])
    part = seen(laid, visit["first"], visit["first"] + visit["rows"])
    listed = dict.fromkeys(run.path for run in part if run.path not in parts)
    found = await asyncio.gather(
        *(_entries(client, rev, [run for run in part if run.path == each]) for each in listed)
    )
    found += [{(path, place): each for place, each in enumerate(inside)} for path, inside in parts.items()]
    entries = {entry: row for each in found for entry, row in each.items()}
    told = [
        {"path": each, "total": totals[each], **more}
        for each, (_, more) in zip(directories, sizes, strict=True)
    ]
    size = laid[-1].row + laid[-1].count if laid else 0
    return {"size": size, "rows": _laid_out(part, totals, entries), "row": here, "directories": told}


def _laid_out(
    part: list[Run], totals: dict[str, int], entries: dict[tuple[str, int], Document]
) -> list[Document]:
    """Return rows with what stands in them; those that could not be read yet are left out."""
    rows = []
    for run in part:
        for at in range(run.count):
            entry = entries.get((run.path, run.place + at))
            if entry is not None:
                where = {
                    "row": run.row + at,
                    "level": run.level,
                    "place": run.place + at,
                    "of": totals[run.path],
                }
                rows.append({**where, **entry})
    return rows


def _opened(totals: dict[str, int], placed: dict[str, int]) -> dict[str, Opened]:
    opened: dict[str, Opened] = {}
    for path, total in totals.items():
        inside = {kid: placed[kid] for kid in totals if kid in placed and paths.parent(kid) == path}
        opened[path] = Opened(total, inside)
    return opened


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


async def _entries(client: Client[bytes], rev: int, part: list[Run]) -> dict[tuple[str, int], Document]:
    """Return the entries of one directory that lie in these rows, by where they are in it."""
    path, begin = part[0].path, part[0].place
    read, count = lister(client, path), part[-1].place + part[-1].count - begin
    _, found, mark, _, _ = await sought(read, rev, count, {}, begin)
    for _ in range(PAGES):
        if mark is None or len(found) >= count:
            break
        _, more, mark, *_ = await read(rev, mark, count - len(found), {})
        found = [*found, *more]
    return {(path, begin + at): entry_of(path, each) for at, each in enumerate(found)}


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
