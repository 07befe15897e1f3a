"""`/v1/txn` and `/v1/revert`: several paths at one rev; with `dry_run` what would change, and nothing does."""

from __future__ import annotations

from typing import Any, Final

from visor import op, select
from visor._core.steps import Dialect, Misspelt, Steps, only, text, whole
from visor.aio import Client, File
from visor.codecs import BYTES
from visor.errors import NotFound, TooLarge
from visor.gateway.documents import Document, difference_of, file_of
from visor.gateway.visit import CALL_SECONDS, Answer, Visit
from visor.op import Op
from visor.protocol import verbs
from visor.values import Difference

SHOWN: Final = 1000
"""Changes that a dry run shows."""
TXN: Final = Dialect(guards=("if", "guards"), leases=True, rows=4096)
"""What `visor txn` takes, but for files of the machine that would be read; and leases."""


def _read(document: dict[str, Any]) -> Steps:
    steps = TXN.read(document)
    if not (steps.guards or steps.then or steps.orelse):
        raise Misspelt("the transaction is empty")
    return steps


async def txn(visit: Visit, client: Client[bytes]) -> Answer:
    """POST: run `then` at one rev if all of `if` holds, otherwise `else`."""
    steps = _read(visit.json())
    if visit["dry_run"]:
        return await _rehearsed(steps, client)
    note = visit.note if visit.note is not None else steps.note
    result = await client.txn(steps.guards, steps.then, steps.orelse, note=note, timeout=CALL_SECONDS)
    results = [_shown(each) for each in result.results]
    return Answer({"rev": result.rev, "succeeded": result.succeeded, "results": results}, rev=result.rev)


def _shown(result: Any) -> Any:
    if isinstance(result, File):
        version = [result.mod_rev, result.data, result.created, result.count, result.lease]
        return file_of(result.path, version, result.rev)
    if isinstance(result, list | tuple):
        return [{"name": name, "kind": kind.value} for name, kind in result]
    return None


async def _rehearsed(steps: Steps, client: Client[bytes]) -> Answer:
    """Have the registry judge the guards and read what the operations would touch, at one rev, and change nothing."""
    branches = [
        [op.get(each.path) for each in branch if _is_plain(each)] for branch in (steps.then, steps.orelse)
    ]
    result = await client.txn(steps.guards, *branches, timeout=CALL_SECONDS)
    branch = steps.then if result.succeeded else steps.orelse
    plain = [each.path for each in branch if _is_plain(each)]
    before: dict[str, list[Any] | None] = {}
    for path, found in zip(plain, result.results, strict=True):
        before[path] = None if not isinstance(found, File) else _version(found)
    after = dict(before)
    for each in branch:
        await _play(each, client, result.rev, before, after)
    changes = [
        difference_of(Difference(path, before.get(path), after[path], BYTES))
        for path in after
        if _data(before.get(path)) != _data(after[path])
    ]
    head = {"dry_run": True, "rev": result.rev, "succeeded": result.succeeded}
    return Answer({**head, "changes": changes[:SHOWN], "left_out": len(changes[SHOWN:])}, rev=result.rev)


def _is_plain(each: Op) -> bool:
    return each.kind == verbs.T_SET or (each.kind == verbs.T_DELETE and not each.recursive)


def _version(file: File[bytes]) -> list[Any]:
    return [file.mod_rev, file.data, file.created, file.count, file.lease]


def _data(version: list[Any] | None) -> bytes | None:
    return None if version is None else version[1]


async def _play(
    each: Op, client: Client[bytes], rev: int, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Do one operation to what is known here."""
    if each.kind == verbs.T_SET:
        after[each.path] = [0, each.value, 0, 0, each.lease]
    elif each.kind == verbs.T_DELETE and each.recursive:
        await _play_deletion(each.path, client, rev, before, after)
    elif each.kind == verbs.T_DELETE:
        if after.get(each.path) is None:
            raise NotFound(path=each.path, rev=rev)
        after[each.path] = None


async def _play_deletion(
    path: str, client: Client[bytes], rev: int, before: dict[str, Any], after: dict[str, Any]
) -> None:
    tree = select.tree(path)
    files = [file async for file in client.scan(tree, at=rev, limit=SHOWN + 1, timeout=CALL_SECONDS)]
    if len(files) > SHOWN:
        raise TooLarge(what="a dry run", limit=SHOWN, actual=len(files))
    for file in files:
        before.setdefault(file.path, _version(file))
        after.setdefault(file.path, before[file.path])
    gone = [
        name for name in after if (name == path or name.startswith(path.rstrip("/") + "/")) and after[name]
    ]
    if not gone:
        raise NotFound(path=path, rev=rev)
    after.update(dict.fromkeys(gone))


async def revert(visit: Visit, client: Client[bytes]) -> Answer:
    """POST: bring a file or a whole subtree back to its state at a rev, in one commit."""
    said = visit.json()
    only(said, "the body", ("path", "to", "since", "note"))
    path, to = text(said, "path", "the body"), whole(said, "to", "the body")
    since = None if said.get("since") is None else whole(said, "since", "the body")
    if visit["dry_run"]:
        return await _reversion(path, to, client)
    note = text(said, "note", "the body") if said.get("note") is not None else visit.note
    rev = await client.revert(path, to, since=since, note=note, timeout=CALL_SECONDS)
    return Answer({"path": path, "to": to, "rev": rev}, rev=rev)


async def _reversion(path: str, to: int, client: Client[bytes]) -> Answer:
    rev = await client.rev(timeout=CALL_SECONDS)
    changes: list[Document] = []
    left_out = 0
    async for each in client.diff(rev, to, select.tree(path), timeout=CALL_SECONDS):
        if len(changes) < SHOWN:
            changes.append(difference_of(each))
        elif (left_out := left_out + 1) >= 100 * SHOWN:
            break
    head = {"dry_run": True, "path": path, "to": to, "rev": rev}
    return Answer({**head, "changes": changes, "left_out": left_out}, rev=rev)
