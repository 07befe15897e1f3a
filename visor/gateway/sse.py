"""Events as `text/event-stream` has them, or as lines of JSON, and the ids by which a stream goes on where it was.

    id: c176b35e...:1234
    event: commit
    data: {"rev":1234,...}

An id names the cluster and the rev up to which all was told. A rev of another cluster means something else, so who
comes with one is refused rather than served from wherever that would be.
"""

from __future__ import annotations

import re
from typing import Any, Final

from visor.gateway import accept
from visor.gateway.documents import line, write
from visor.gateway.problems import NotServed

BEGINNING: Final = b"retry: 1000\n\n"
"""How long a reader waits before it comes again: a second, not the three of browsers."""
HEARTBEAT: Final = b": still here\n\n"
_ID: Final = re.compile(r"([0-9A-Za-z_-]{1,64}):([0-9]{1,19})")


def id_of(cluster: str, rev: int) -> str:
    """Return the id of an event up to which, and with which, all was told up to `rev`."""
    return f"{cluster}:{rev}"


def read_id(text: str) -> tuple[str, int]:
    """Return cluster and rev; NotServed for what is no id."""
    match = _ID.fullmatch(text.strip())
    if match is None or int(match[2]) >= 1 << 63:
        raise NotServed(
            "usage", "Last-Event-ID is none that this API gave: begin without one", field="last-event-id"
        )
    return match[1], int(match[2])


def event(form: str, name: str, data: dict[str, Any], number: str | None = None) -> bytes:
    """Return an event in the form that was chosen. Without `number` it is no place to go on from."""
    if form != accept.EVENTS:
        told = {"event": name, **data} if number is None else {"event": name, "id": number, **data}
        return line(told)
    head = f"id: {number}\nevent: {name}\ndata: " if number is not None else f"event: {name}\ndata: "
    return head.encode() + write(data, accept.JSON) + b"\n\n"  # JSON has no line end in it
