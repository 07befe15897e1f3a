"""What each message needs: one row a verb, derived from the very message that will be executed.

`needs(message)` is what has to be granted, or a `Refusal` where the message cannot be read: it must not be executed
then, whatever its executor would make of it. A verb without a row is refused.

    GET /a                      read on /a
    GET /a at rev 7             read, history on /a            `past` tells which revs are history by now
    STAT /a                     read on /a; where it finds a directory, what LIST /a needs (`amounts_to`)
    SET /a guarded by a rev     write on /a, read on /a            a guard tells what is there
    TXN                         read on what its guards and reads name, write on what it writes, in both branches
    DELETE /a recursive         write on /a/**                     all that is below, not the name alone
    REVERT /a to rev 7          read, write, history on /a/**
    REVOKE 5                    the lease 5 is its own, or admin on /**
    REDACT /a                   admin on /a                        a value is gone, also for who may do all else
    RETAIN, ADMIN, AUTH         admin on /**
    MEMBERS, STATUS, LEASES     read on /**
    ACCESS                      nothing about oneself, else admin on /**
    PING, REV, AT, NOP, GRANT   somebody who is known
    RETRY                       what the write inside it needs
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from visor.paths import ROOT
from visor.protocol import verbs
from visor.protocol.frames import Message
from visor.protocol.limits import Limits
from visord.state import fields
from visord.state.auth.grant import ADMIN, HISTORY, READ, WRITE, Grant
from visord.state.auth.told import about_itself
from visord.state.refusal import Refusal, bad_request
from visord.state.selector import Selector, parse

KNOWN, ANYBODY = True, False


class Needs(NamedTuple):
    """What a message needs: all of it."""

    grants: list[Grant]
    leases: tuple[int, ...] = ()
    """Leases that are the principal's own, unless it has admin on everything."""
    attached: str | None = None
    """The right that it takes on all that is attached to them, where somebody unproven granted them."""
    known: bool = KNOWN
    """Only for somebody who is known; else for anybody who has said HELLO."""


Past: TypeAlias = Callable[[Any], bool]
"""Tells whether what a message says as a rev (None: the latest) is history by now."""


def ever(rev: Any) -> bool:
    """Whatever rev is named is history."""
    return rev is not None


def needs(message: Message, limits: Limits, past: Past = ever) -> Needs | Refusal:
    """Return what the message needs, or what is wrong with it."""
    row = _ROWS.get(message[0])
    if row is None:
        return bad_request("verb", "one that has a row in the table of rights", message[0])
    try:
        return row(_Reader(message, limits, past))
    except _UnreadableError as wrong:
        return wrong.refusal


def amounts_to(message: Message, result: Any) -> Message | None:
    """Return the message that also has to be allowed, now that it is known what a read would tell; None: none.

    STAT of a directory tells how much is in it and when anything below was changed, as LIST does.
    """
    if message[0] == verbs.STAT and type(result) is list and result[1] == verbs.N_DIRECTORY:
        return [verbs.LIST, *message[1:4]]
    return None


class _UnreadableError(Exception):
    """A field cannot be read."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


class _Reader:
    """The fields of a message, each read as the executor reads it: left out at the end means its default."""

    def __init__(self, message: Message, limits: Limits, past: Past) -> None:
        self.message = message
        self.limits = limits
        self.past = past

    def field(self, place: int, default: Any = None) -> Any:
        """Return a field, or its default."""
        return self.message[place] if place < len(self.message) else default

    def path(self, place: int) -> str:
        """Return the path that a field is."""
        return _path(self.field(place), self.limits)

    def tree(self, place: int) -> Selector:
        """Return the tree at the path that a field is."""
        return _select(verbs.SEL_TREE, self.path(place), self.limits)

    def selector(self, place: int) -> Selector:
        """Return the selector that a field is."""
        return _right(parse(self.field(place), self.limits))


def _right(found: Selector | Refusal) -> Selector:
    if isinstance(found, Refusal):
        raise _UnreadableError(found)
    return found


def _path(content: Any, limits: Limits) -> str:
    wrong = fields.path("path", content, limits)
    if wrong is not None:
        raise _UnreadableError(wrong)
    path: str = content
    return path


def _select(kind: int, path: str, limits: Limits) -> Selector:
    return _right(parse([kind, path], limits))


def _everything(right: str, limits: Limits) -> Grant:
    return Grant(right, _select(verbs.SEL_TREE, ROOT, limits))


# -- reads --------------------------------------------------------------------------------------------------------


def _read(selector: Selector, *, past: bool) -> Needs:
    grants = [Grant(READ, selector)]
    return Needs([*grants, Grant(HISTORY, selector)] if past else grants)


def _read_path(reader: _Reader) -> Needs:
    selector = _select(verbs.SEL_PATH, reader.path(2), reader.limits)
    return _read(selector, past=reader.past(reader.field(3)))


def _list(reader: _Reader) -> Needs:
    """The name of a directory tells that something is below it: all that is below has to be readable."""
    return _read(reader.tree(2), past=reader.past(reader.field(3)))


def _scan(reader: _Reader) -> Needs:
    return _read(reader.selector(2), past=reader.past(reader.field(3)))


def _log_or_diff(reader: _Reader) -> Needs:
    return _read(reader.selector(2), past=True)


def _watch(reader: _Reader) -> Needs:
    """`from` in the past delivers commits that are history by now."""
    return _read(reader.selector(2), past=reader.past(reader.field(3)))


def _known(reader: _Reader) -> Needs:
    return Needs([])


def _anybody(reader: _Reader) -> Needs:
    return Needs([], known=ANYBODY)


def _overview(reader: _Reader) -> Needs:
    return Needs([_everything(READ, reader.limits)])


def _question(reader: _Reader) -> Needs:
    """Who and what it is itself may everybody know."""
    if about_itself(reader.field(2), reader.field(3)):
        return Needs([], known=ANYBODY)
    return Needs([_everything(ADMIN, reader.limits)])


def _password(reader: _Reader) -> Needs:
    """Everybody may try to prove who it is; a digest of a password is made for who may set one."""
    return Needs([], known=ANYBODY) if reader.field(2) == "prove" else Needs([])


# -- writes -------------------------------------------------------------------------------------------------------


def _guard(kind: Any, path: str, limits: Limits) -> list[Grant]:
    """A guard tells what is there; one of a directory, whether anything below it has changed."""
    if kind == verbs.G_NONE:
        return []
    return [Grant(READ, _select(verbs.SEL_TREE if kind == verbs.G_SINCE else verbs.SEL_PATH, path, limits))]


def _lease(content: Any) -> tuple[int, ...]:
    wrong = fields.lease(content)
    if wrong is not None:
        raise _UnreadableError(wrong)
    return (content,) if content else ()


def _set(reader: _Reader) -> Needs:
    path, limits = reader.path(3), reader.limits
    grants = [Grant(WRITE, _select(verbs.SEL_PATH, path, limits))]
    grants += _guard(reader.field(5, verbs.G_NONE), path, limits)
    return Needs(grants, _lease(reader.field(7, 0)))


def _delete(reader: _Reader) -> Needs:
    path, limits = reader.path(3), reader.limits
    # Whatever is not exactly false may be taken for true.
    kind = verbs.SEL_PATH if reader.field(4, False) is False else verbs.SEL_TREE
    return Needs(
        [Grant(WRITE, _select(kind, path, limits)), *_guard(reader.field(5, verbs.G_NONE), path, limits)]
    )


def _transaction(reader: _Reader) -> Needs:
    grants: list[Grant] = []
    leases: list[int] = []
    for guard in _rows(reader.field(3), "guards"):
        if len(guard) < 2:
            raise _UnreadableError(bad_request("guards", "[kind, path, arg]", guard))
        grants += _guard(guard[0], _path(guard[1], reader.limits), reader.limits)
    for place, field in ((4, "then"), (5, "else")):
        for operation in _rows(reader.field(place, []), field):
            grants += _operation(operation, leases, reader.limits)
    return Needs(list(dict.fromkeys(grants)), tuple(dict.fromkeys(leases)))


def _rows(content: Any, field: str) -> list[list[Any]]:
    if type(content) is not list or not all(type(row) is list and row for row in content):
        raise _UnreadableError(bad_request(field, "a list of rows", content))
    return content


def _operation(operation: list[Any], leases: list[int], limits: Limits) -> list[Grant]:
    kind, path = operation[0], _path(operation[1] if len(operation) > 1 else None, limits)
    if kind == verbs.T_SET:
        leases += _lease(operation[3] if len(operation) > 3 else 0)
        return [Grant(WRITE, _select(verbs.SEL_PATH, path, limits))]
    if kind == verbs.T_DELETE:
        one = len(operation) < 3 or operation[2] is False
        return [Grant(WRITE, _select(verbs.SEL_PATH if one else verbs.SEL_TREE, path, limits))]
    if kind == verbs.T_GET:
        return [Grant(READ, _select(verbs.SEL_PATH, path, limits))]
    if kind == verbs.T_LIST:
        return [Grant(READ, _select(verbs.SEL_TREE, path, limits))]
    raise _UnreadableError(bad_request("operation", "a kind from 0 to 3", kind))


def _revert(reader: _Reader) -> Needs:
    tree = reader.tree(3)
    return Needs([Grant(right, tree) for right in (WRITE, READ, HISTORY)])


def _redact(reader: _Reader) -> Needs:
    return Needs([Grant(ADMIN, _select(verbs.SEL_PATH, reader.path(3), reader.limits))])


def _administration(reader: _Reader) -> Needs:
    return Needs([_everything(ADMIN, reader.limits)])


def _revoke(reader: _Reader) -> Needs:
    """It deletes what is attached to the lease."""
    return Needs([], _lease(reader.field(3)), WRITE)


def _retry(reader: _Reader) -> Needs:
    inside = reader.field(2)
    if type(inside) is not list or not inside or type(inside[0]) is not int or inside[0] not in _WRITES:
        raise _UnreadableError(bad_request("write", "a write that was sent before", inside))
    return _ROWS[inside[0]](_Reader(inside, reader.limits, reader.past))


# -- leases -------------------------------------------------------------------------------------------------------


def _keep_alive(reader: _Reader) -> Needs:
    leases = reader.field(2)
    if type(leases) is not list:
        raise _UnreadableError(bad_request("leases", "a list of leases", leases))
    return Needs([], tuple(lease for each in leases for lease in _lease(each)))


def _lease_facts(reader: _Reader) -> Needs:
    """It tells the paths of what is attached to the lease."""
    return Needs([], _lease(reader.field(2)), READ)


_WRITES: Final = verbs.WRITES - {verbs.RETRY}

_ROWS: Final[dict[Any, Callable[[_Reader], Needs]]] = {
    verbs.PING: _anybody,
    verbs.CANCEL: _anybody,
    verbs.GET: _read_path,
    verbs.STAT: _read_path,
    verbs.LIST: _list,
    verbs.SCAN: _scan,
    verbs.REV: _known,
    verbs.LOG: _log_or_diff,
    verbs.DIFF: _log_or_diff,
    verbs.AT: _known,
    verbs.STATUS: _overview,
    verbs.LEASES: _overview,
    verbs.ACCESS: _question,
    verbs.SET: _set,
    verbs.DELETE: _delete,
    verbs.TXN: _transaction,
    verbs.REVERT: _revert,
    verbs.NOP: _known,
    verbs.RETAIN: _administration,
    verbs.GRANT: _known,
    verbs.REVOKE: _revoke,
    verbs.RETRY: _retry,
    verbs.AUTH: _administration,
    verbs.REDACT: _redact,
    verbs.WATCH: _watch,
    verbs.UNWATCH: _anybody,
    verbs.CREDIT: _anybody,
    verbs.PROGRESS: _anybody,
    verbs.KEEPALIVE: _keep_alive,
    verbs.LEASE: _lease_facts,
    verbs.MEMBERS: _overview,
    verbs.ADMIN: _administration,
    verbs.PASSWORD: _password,
}
"""HELLO and JOIN are missing: they say, before anything else, who somebody is. EXPIRE_LEASE is missing: no client may
send it."""
