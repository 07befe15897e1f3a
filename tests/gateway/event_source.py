"""Who reads a stream as a browser does: byte by byte, only whole events count, and so do their ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it was dispatched."""

    name: str
    id: str | None
    """None: it had none of its own."""
    data: dict[str, Any]


class EventSource:
    """The state of a reader over all its connections. `last` is what it comes back with."""

    def __init__(self) -> None:
        self.last: str | None = None
        self._rest = b""

    def connected(self) -> None:
        """Another connection begins: what was not whole is forgotten."""
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take bytes, and give the events that are whole with them."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            fields: dict[str, str] = {}
            for line in block.decode().split("\n"):
                name, _, value = line.partition(":")
                if name:  # a line that begins with a colon is a remark
                    assert name in ("id", "event", "data", "retry") and name not in fields, block
                    fields[name] = value.removeprefix(" ")
            if "data" not in fields:
                continue
            self.last = fields.get("id", self.last)
            yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
