"""What somebody sees of directories that they may not list: the entries that their rights lead to.

Who may read `/mine/**` and `/apps/web/head` sees `apps` and `mine` in `/`, and `web` in `/apps`; nothing of what lies
beside them is asked for, and nothing is told that their rights do not say themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from visor import paths
from visor.aio import Client
from visor.auth import Grant
from visor.errors import Denied
from visor.gateway.documents import Document
from visor.gateway.reading import entry_of
from visor.gateway.visit import CALL_SECONDS
from visor.protocol.verbs import N_DIRECTORY, N_FILE
from visor.select import Selector
from visor.values import Node

MOST: Final = 200
"""Entries of one directory, each of which is looked at by itself."""


def places_of(grants: Iterable[Grant]) -> list[str]:
    """Return the deepest path that holds all of what may be read by each grant.

    >>> places_of([Grant("read", Selector("tree", "/mine")), Grant("read", Selector("glob", "/{a,b}/*/head"))])
    ['/mine', '/a', '/b']
    """
    found: list[str] = []
    for grant in grants:
        if grant.right == "read" and isinstance(grant.files, Selector):
            found += [paths.literal_directory(each) for each in paths.expand(grant.files.text)]
    return found


def names(places: Iterable[str], directory: str) -> list[str]:
    """Return the entries of a directory in which, or below which, these paths lie.

    >>> names(["/mine", "/apps/web/head", "/apps/db"], "/apps")
    ['db', 'web']
    """
    inside = (each for each in places if each != directory and paths.below(each, directory))
    start = 0 if directory == paths.ROOT else directory.count("/")
    return sorted({paths.components(each)[start] for each in inside})[:MOST]


async def entries(client: Client[bytes], rev: int, directories: Iterable[str]) -> dict[str, list[Document]]:
    """Return of each of these directories, which may not be listed, the entries that there are at a rev."""
    places = places_of((await client.auth.whoami(timeout=CALL_SECONDS)).grants)

    async def entry(directory: str, name: str) -> Document | None:
        path = paths.join(directory, name)
        try:
            found = await client.stat(path, at=rev, timeout=CALL_SECONDS)
        except Denied:  # it lies on the way to what may be read
            return entry_of(directory, [name, N_DIRECTORY, len(names(places, path)), 0])
        kind = N_DIRECTORY if found.kind is Node.DIRECTORY else N_FILE
        return (
            None
            if found.kind is Node.MISSING
            else entry_of(directory, [name, kind, found.size, found.mod_rev])
        )

    told = {}
    for directory in directories:
        found = await asyncio.gather(*(entry(directory, name) for name in names(places, directory)))
        told[directory] = [each for each in found if each is not None]
    return told
