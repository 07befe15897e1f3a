"""Read messages to answers: every field checked, then handed to the read that does it.

A message names the rev that it reads (`at`) or means the latest by nil. Waiting for a rev that is still to
come and for linearizability is the server's business: here a rev above the latest is refused as `future_rev`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from visor.protocol.frames import Message
from visor.protocol.verbs import AT, DIFF, GET, LEASES, LIST, LOG, SCAN, STAT
from visord.state import fields
from visord.state.reads.children import children
from visord.state.reads.count import count
from visord.state.reads.diff import diff
from visord.state.reads.log import log
from visord.state.reads.scan import scan
from visord.state.reads.stat import stat
from visord.state.refusal import Refusal, bad_request
from visord.state.selector import parse
from visord.state.store import Store

CURSOR: Final = "a cursor of an earlier answer, or nil"


def answer(store: Store, message: Message) -> Any:
    """Return the `result` of OK for GET, STAT, LIST, SCAN, LOG, DIFF, AT or LEASES, or a Refusal. Never raises."""
    entry = _READS.get(message[0])
    if entry is None:
        return bad_request("verb", "a read", message[0])
    read, least, defaults = entry
    missing = least + len(defaults) - len(message)
    if missing < 0 or missing > len(defaults):
        return fields.length(message, least, least + len(defaults))
    return read(store, *message[2:], *defaults[len(defaults) - missing :])


def _rev(store: Store, at: Any, mode: Any) -> int | Refusal:
    """Return the rev that `at` means, or why it cannot be read."""
    wrong = fields.optional_integer("at", at) or fields.integer("mode", mode, 0, 1)
    if wrong is not None:
        return wrong
    if at is None:
        return store.rev
    rev: int = at
    return store.outside(rev) or rev


def _get(store: Store, path: Any, at: Any, mode: Any) -> Any:
    rev = _rev(store, at, mode)
    if isinstance(rev, Refusal):
        return rev
    if type(path) is not str:
        return bad_request("path", "a path", path)
    version = store.get(path, rev)
    return version if isinstance(version, Refusal) else [rev, version]


def _stat(store: Store, path: Any, at: Any, mode: Any) -> Any:
    rev = _rev(store, at, mode)
    if isinstance(rev, Refusal):
        return rev
    return fields.path("path", path, store.limits) or stat(store, path, rev)


def _list(store: Store, path: Any, at: Any, mode: Any, cursor: Any, limit: Any, options: Any) -> Any:
    rev = _rev(store, at, mode)
    if isinstance(rev, Refusal):
        return rev
    wrong = fields.path("path", path, store.limits) or _paging(cursor, limit) or _flags(options, "values")
    if wrong is None and "seek" in options:
        wrong = _seek(options["seek"])
    if wrong is not None:
        return wrong
    return children(store, path, rev, cursor, limit, values=_on(options, "values"), seek=options.get("seek"))


def _seek(seek: Any) -> Refusal | None:
    if (type(seek) is int and seek >= 0) or (type(seek) is str and seek and "/" not in seek):
        return None
    return bad_request("options.seek", "how many entries to pass by, or a name to begin at", seek)


def _scan(store: Store, selector: Any, at: Any, mode: Any, cursor: Any, limit: Any, options: Any) -> Any:
    rev = _rev(store, at, mode)
    if isinstance(rev, Refusal):
        return rev
    wrong = _paging(cursor, limit) or _flags(options, "keys", "count", "reverse")
    chosen = wrong or parse(selector, store.limits)
    if isinstance(chosen, Refusal):
        return chosen
    if _on(options, "count"):
        return count(store, chosen, rev, cursor)
    keys, reverse = _on(options, "keys"), _on(options, "reverse")
    return scan(store, chosen, rev, cursor, limit, keys=keys, reverse=reverse)


def _log(store: Store, selector: Any, first: Any, last: Any, limit: Any, options: Any) -> Any:
    wrong = (
        fields.optional_integer("from", first)
        or fields.optional_integer("to", last)
        or fields.integer("limit", limit)
        or _flags(options, "keys", "previous", "reverse")
    )
    chosen = wrong or parse(selector, store.limits)
    if isinstance(chosen, Refusal):
        return chosen
    keys, previous, reverse = (_on(options, name) for name in ("keys", "previous", "reverse"))
    return log(store, chosen, first, last, limit, keys=keys, previous=previous, reverse=reverse)


def _diff(store: Store, selector: Any, a: Any, b: Any, cursor: Any, limit: Any) -> Any:
    wrong = fields.integer("a", a) or fields.integer("b", b) or _paging(cursor, limit)
    wrong = wrong or store.outside(a) or store.outside(b)
    chosen = wrong or parse(selector, store.limits)
    return chosen if isinstance(chosen, Refusal) else diff(store, chosen, a, b, cursor, limit)


def _at(store: Store, time: Any) -> Any:
    return fields.integer("time", time) or store.rev_at(time)


def _leases(store: Store, cursor: Any, limit: Any) -> Any:
    wrong = _paging(cursor, limit)
    if (
        wrong is None
        and cursor is not None
        and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 20)
    ):
        wrong = bad_request("cursor", CURSOR, cursor)
    if wrong is not None:
        return wrong
    rows, last = store.leases.page(int(cursor or 0), limit)
    return [store.rev, rows, None if last is None else str(last)]


def _paging(cursor: Any, limit: Any) -> Refusal | None:
    if cursor is not None and (type(cursor) is not str or not cursor):
        return bad_request("cursor", CURSOR, cursor)
    return fields.integer("limit", limit)


def _flags(options: Any, *names: str) -> Refusal | None:
    """Check the options that are known; others are ignored, as they may come from a later client."""
    wrong = fields.mapping("options", options)
    for name in names:
        if wrong is None and name in options:
            wrong = fields.boolean(f"options.{name}", options[name])
    return wrong


def _on(options: dict[str, Any], name: str) -> bool:
    return bool(options.get(name, False))


# verb -> (the read, fields that must be there with verb and id, defaults of the others)
_READS: Final[dict[int, tuple[Callable[..., Any], int, tuple[Any, ...]]]] = {
    GET: (_get, 3, (None, 0)),
    STAT: (_stat, 3, (None, 0)),
    LIST: (_list, 3, (None, 0, None, 0, {})),
    SCAN: (_scan, 3, (None, 0, None, 0, {})),
    # Left out, `from` means the oldest commit that is known; given and too old, it is refused as compacted.
    LOG: (_log, 3, (None, None, 0, {})),
    DIFF: (_diff, 5, (None, 0)),
    AT: (_at, 3, ()),
    LEASES: (_leases, 2, (None, 0)),
}
