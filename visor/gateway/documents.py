"""How things look: plain dicts with the keys of `visor --json`. Values are bytes in them until they are written.

In JSON a value is `value` where it is UTF-8, else `value_base64`; in msgpack it is `value`, bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import msgpack

from visor.cli.moment import rfc3339
from visor.gateway import accept
from visor.values import Change, Commit, Difference, milliseconds

Document = dict[str, Any]


def write(document: Any, form: str) -> bytes:
    """Return a document as bytes, in JSON or msgpack."""
    if form == accept.MSGPACK:
        packed: bytes = msgpack.packb(document, default=_odd)
        return packed
    return json.dumps(_for_json(document), ensure_ascii=False, separators=(",", ":"), default=_odd).encode()


def line(document: Any) -> bytes:
    """Return a document as one line of JSON."""
    return write(document, accept.JSON) + b"\n"


def _for_json(thing: Any) -> Any:
    if isinstance(thing, Mapping):
        made = {}
        for name, value in thing.items():
            if isinstance(value, bytes):
                name, value = _named(str(name), value)
            made[name] = _for_json(value)
        return made
    if isinstance(thing, list | tuple):
        return [_for_json(each) for each in thing]
    return thing


def _named(name: str, value: bytes) -> tuple[str, str]:
    try:
        return name, value.decode("utf-8")
    except UnicodeDecodeError:
        return f"{name}_base64", base64.b64encode(value).decode()


def _odd(thing: Any) -> Any:
    """Return what neither form knows: a time, a word of a few, whatever is a mapping or can say itself."""
    if isinstance(thing, datetime):
        return time_of(thing)
    if isinstance(thing, Enum):
        return thing.value
    if isinstance(thing, Mapping):
        return dict(thing)
    if isinstance(thing, bytes):
        return base64.b64encode(thing).decode()
    return str(thing)


def time_of(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds."""
    return rfc3339(milliseconds(moment))


def file_of(path: str, version: list[Any], rev: int | None = None) -> Document:
    """Return a file from its version on the wire; without `rev` it stands in a list that has one for all."""
    mod_rev, data, created, count, lease = version
    found: Document = {"path": path}
    if rev is not None:
        found["rev"] = rev
    found |= {"mod_rev": mod_rev, "created": created, "count": count, "lease": lease}
    return found if data is None else {**found, "size": len(data), "value": data}


def change_of(change: Change[bytes], previous: bool = False) -> Document:
    """Return one path in a commit."""
    found: Document = {
        "kind": change.kind.value,
        "path": change.path,
        "created": change.created,
        "count": change.count,
    }
    if change.data is not None:
        found |= {"size": len(change.data), "value": change.data}
    if previous:
        before = change.previous_data
        told = {} if before is None else {"value": before}
        found["previous"] = {"mod_rev": change.previous_rev, **told} if change.previous_rev else None
    return found


def commit_of(commit: Commit[bytes], previous: bool = False) -> Document:
    """Return a commit."""
    return {
        "rev": commit.rev,
        "time": time_of(commit.time),
        "actor": commit.actor,
        "note": commit.note,
        "changes": [change_of(change, previous) for change in commit.changes],
    }


def difference_of(each: Difference[bytes]) -> Document:
    """Return one path that differs between two revs."""
    found: Document = {"path": each.path, "kind": each.kind.value, "rev": each.rev}
    for name, data in (("before", each.before_data), ("after", each.after_data)):
        found[name] = None if data is None else {"size": len(data), "value": data}
    return found
