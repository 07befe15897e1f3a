"""Lists: a page as one document with a cursor to the next, or all pages as lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from visor.aio import Client
from visor.errors import VisorError
from visor.gateway import accept, cursors
from visor.gateway.documents import Document, line
from visor.gateway.problems import NotServed, of_error, of_refusal
from visor.gateway.visit import Answer, Streamed, Visit

EMPTY_PAGES: Final = 20
"""So many pages of the registry that hold nothing, since it looked at so much, become one page here at most."""

Page = tuple[int, list[Document], Any]
"""A rev, rows at that rev, and the registry's mark of where to go on; None at the end."""
Fetch = Callable[["int | None", Any, int], Awaitable[Page]]
"""Reads a page at a rev (None: the latest), from a mark (None: the beginning), of so many rows at most."""


async def paged(visit: Visit, client: Client[bytes], fetch: Fetch, **head: Any) -> Answer | Streamed:
    """Answer a page, or all of them as lines where that is what `Accept` names. `head` stands before the items."""
    form = visit.form(accept.JSON, accept.MSGPACK, accept.LINES)
    cursor: str | None = visit["cursor"]
    rev, mark = (await visit.at(client), None) if cursor is None else cursors.read(cursor)
    limit: int = visit["limit"]
    page = await fetch(rev, mark, limit)
    if form == accept.LINES:
        return Streamed(form, safely(_lines(fetch, page, limit)), page[0])
    for _ in range(EMPTY_PAGES):
        if page[1] or page[2] is None:
            break
        page = await fetch(page[0], page[2], limit)
    rev, rows, mark = page
    following = None if mark is None else cursors.write(rev, mark)
    headers = {} if following is None else {"link": f'<{_again(visit, following)}>; rel="next"'}
    document = {**head, "rev": rev, "items": rows, "next": following}
    return Answer(document, 200, rev, headers=headers, lasting=visit.lasting or cursor is not None)


async def _lines(fetch: Fetch, page: Page, limit: int) -> AsyncIterator[bytes]:
    while True:
        rev, rows, mark = page
        yield b"".join(map(line, rows))
        if mark is None:
            return
        page = await fetch(rev, mark, limit)


async def safely(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give lines on; what goes wrong on the way is the last one, so that nobody takes a part for the whole."""
    try:
        async for each in lines:
            if each:
                yield each
    except NotServed as refused:
        yield line({"problem": of_refusal(refused)})
    except VisorError as error:
        yield line({"problem": of_error(error)})


def _again(visit: Visit, cursor: str) -> str:
    """Return the URL of the next page: what was asked for, with the cursor in the place of a moment."""
    kept = [(name, text) for name, text in visit.query if name not in ("cursor", "at", "min_rev")]
    query = "&".join(f"{quote(name)}={quote(text, safe='/*')}" for name, text in [*kept, ("cursor", cursor)])
    return f"{visit.url}?{query}"
