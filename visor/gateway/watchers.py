"""`/v1/watchers/{path}`: who watches it, on all members, and how many revs behind each is.

A member tells its watches that lag most, a hundred at most; `more` says that one has further ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from visor import paths
from visor.aio import Client
from visor.gateway.cluster_live import LOOK_SECONDS, MOST_MEMBERS, Looked, look, spelled
from visor.gateway.documents import Document
from visor.gateway.visit import Answer, Visit
from visor.protocol import verbs

ROWS: Final = 100


async def watchers(visit: Visit, client: Client[bytes]) -> Answer:
    """GET: the watches that are told of a change of this file, or of some change in this directory."""
    path = client.channel.path(visit.path)
    own = await client.status(rows=ROWS, timeout=LOOK_SECONDS)
    looked = await asyncio.gather(*(look(visit, one, own, ROWS) for one in own.members[:MOST_MEMBERS]))
    return Answer({"path": visit.path, **document(path, looked)}, rev=own.rev)


# -- pure ---------------------------------------------------------------------------------------------
def document(path: str, looked: Sequence[Looked]) -> Document:
    """Return who watches `path`, those that lag first, whether there are more, and who could not be asked."""
    rows: list[Document] = []
    problems: list[str] = []
    more = False
    for one in looked:
        if one.told is None:
            problems.append(f"{one.member.name}: {one.why}")
            continue
        tables = one.told.told.get("tables")
        if tables is None:
            problems.append(f"{one.told.node}: {one.told.server} does not tell its watches: upgrade it")
            continue
        watches = tables["watches"]
        more = more or one.told.watches > len(watches)
        rows += [
            {**row, "what": spelled(row["what"]), "node": one.told.node}
            for row in watches
            if concerns(row["what"], path)
        ]
    rows.sort(key=lambda row: -row["behind"])
    return {"watchers": rows, "more": more, "problems": problems}


def concerns(what: list[Any], path: str) -> bool:
    """Say whether a selector, as a message has it, means this path or something that is in it.

    >>> [concerns(what, "/a/b") for what in ([0, "/a/b/c"], [1, "/a"], [2, "/a"], [2, "/"], [3, "/a/*"])]
    [True, True, True, False, True]
    """
    kind, text, *rest = what
    if kind == verbs.SEL_ANY:
        return any(concerns(part, path) for part in text)
    if kind == verbs.SEL_RANGE:
        order = paths.sort_key(path)
        return paths.sort_key(text) <= order and (
            not rest or rest[0] is None or order < paths.sort_key(rest[0])
        )
    if kind == verbs.SEL_GLOB:
        glob = paths.Glob(text)
        return bool(glob.matches(path)) or paths.below(glob.directory, path)
    if kind == verbs.SEL_TREE and paths.below(path, text):
        return True
    if kind == verbs.SEL_CHILDREN and path != paths.ROOT and paths.parent(path) == text:
        return True
    return paths.below(text, path)
