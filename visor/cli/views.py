"""How each kind of row looks in each form: as JSON, as plain bytes, as cells of a table. Pure.

`visor/docs/output.md` is the contract for JSON and plain; tables are for people and may change.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from visor._core.harmless import harmless
from visor.cli.display import Display
from visor.cli.moment import age, rfc3339
from visor.values import Blame, Change, Commit, Difference, Entry, Kind, Node, Stat, milliseconds

if TYPE_CHECKING:
    from visor.blocking import File

T = TypeVar("T")

Cells = tuple[str, ...]


class View(NamedTuple, Generic[T]):
    """One kind of row. `plain` ends each line itself; `cells` may give several table rows for one."""

    shape: Callable[[T], dict[str, Any]]
    plain: Callable[[T], bytes]
    columns: tuple[str, ...]
    cells: Callable[[T], list[Cells]]


OBJECTS: View[dict[str, Any]] = View(lambda each: each, lambda each: b"", (), lambda each: [])
"""Objects that are shown as JSON alone, as they are."""


def time_of(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC with milliseconds."""
    return rfc3339(milliseconds(moment))


def line(*fields: object) -> bytes:
    """Write one plain line: fields with a tab between them, nothing in them that could break a line."""
    return ("\t".join(harmless(str(field)) for field in fields) + "\n").encode("utf-8", "backslashreplace")


def record(path: str, rev: int, kind: str, data: bytes | None) -> bytes:
    """Write a record: a line `PATH REV KIND LENGTH`, the bytes, a line end. Binary-safe."""
    body = data or b""
    return f"{path} {rev} {kind} {len(body)}\n".encode() + body + b"\n"


# -- files --------------------------------------------------------------------------------------------
def file_shape(file: File[Any], display: Display, values: bool = True) -> dict[str, Any]:
    """Return the JSON of a file; without `values` it was read without its value."""
    shape: dict[str, Any] = {
        "path": file.path,
        "rev": file.rev,
        "mod_rev": file.mod_rev,
        "created": file.created,
        "count": file.count,
        "lease": file.lease,
    }
    return {**shape, "size": len(file.data), **display.fields(file.data)} if values else shape


def files(display: Display, values: bool) -> View[File[Any]]:
    """Rows of `scan`; plain is one path a line, or records with `values`."""
    if values:
        return View(
            lambda file: file_shape(file, display),
            lambda file: record(file.path, file.mod_rev, "set", file.data),
            ("path", "rev", "size", "value"),
            lambda file: [(file.path, str(file.mod_rev), str(len(file.data)), display.cell(file.data))],
        )
    return View(
        lambda file: file_shape(file, display, values=False),
        lambda file: line(file.path),
        ("path", "rev", "created", "writes"),
        lambda file: [(file.path, str(file.mod_rev), str(file.created), str(file.count))],
    )


def entry_shape(entry: Entry) -> dict[str, Any]:
    """Return the JSON of a directory's entry."""
    return {
        "name": entry.name,
        "path": entry.path,
        "kind": entry.kind.value,
        "size": entry.size,
        "mod_rev": entry.mod_rev,
    }


def entry_name(entry: Entry) -> str:
    """Return the name, with a slash after that of a directory."""
    return f"{entry.name}/" if entry.kind is Node.DIRECTORY else entry.name


def entries(long: bool) -> View[Entry]:
    """Rows of `ls`; plain is one name a line, with `long` kind, size, rev and name."""
    return View(
        entry_shape,
        lambda each: (
            line(each.kind.value, each.size, each.mod_rev, entry_name(each))
            if long
            else line(entry_name(each))
        ),
        ("name", "kind", "size", "rev"),
        lambda each: [(entry_name(each), each.kind.value, str(each.size), str(each.mod_rev))],
    )


def stat_shape(stat: Stat) -> dict[str, Any]:
    """Return the JSON of `stat`."""
    return {
        "path": stat.path,
        "rev": stat.rev,
        "kind": stat.kind.value,
        "size": stat.size,
        "mod_rev": stat.mod_rev,
        "created": stat.created,
        "count": stat.count,
        "lease": stat.lease,
    }


# -- commits ------------------------------------------------------------------------------------------
def change_shape(change: Change[Any], display: Display, previous: bool) -> dict[str, Any]:
    """Return the JSON of one path in a commit."""
    shape: dict[str, Any] = {
        "kind": change.kind.value,
        "path": change.path,
        "created": change.created,
        "count": change.count,
    }
    if change.data is not None:
        shape |= {"size": len(change.data), **display.fields(change.data)}
    if previous:
        shape["previous"] = _previous(change, display)
    return shape


def _previous(change: Change[Any], display: Display) -> dict[str, Any] | None:
    if not change.previous_rev:
        return None
    data = change.previous_data
    return {"mod_rev": change.previous_rev, **(display.fields(data) if data is not None else {})}


def commit_shape(commit: Commit[Any], display: Display, previous: bool = False) -> dict[str, Any]:
    """Return the JSON of a commit."""
    return {
        "rev": commit.rev,
        "time": time_of(commit.time),
        "actor": commit.actor,
        "note": commit.note,
        "changes": [change_shape(change, display, previous) for change in commit.changes],
    }


def commits(display: Display, now: datetime, previous: bool = False) -> View[Commit[Any]]:
    """Rows of `watch`, `wait`: plain is one record for each change."""
    return View(
        lambda commit: commit_shape(commit, display, previous),
        lambda commit: b"".join(
            record(change.path, change.rev, change.kind.value, change.data) for change in commit.changes
        ),
        ("rev", "when", "who", "what", "path", "value", "why"),
        lambda commit: _commit_cells(commit, display, now),
    )


def log(display: Display, now: datetime, previous: bool = False) -> View[Commit[Any]]:
    """Rows of `history`: plain is one line for each change: rev, time, actor, kind, path, size, note."""
    return View(
        lambda commit: commit_shape(commit, display, previous),
        lambda commit: b"".join(_log_line(commit, change) for change in commit.changes),
        ("rev", "when", "who", "what", "path", "value", "why"),
        lambda commit: _commit_cells(commit, display, now),
    )


def _log_line(commit: Commit[Any], change: Change[Any]) -> bytes:
    size = "-" if change.data is None else len(change.data)
    moment = time_of(commit.time)
    return line(commit.rev, moment, commit.actor, change.kind.value, change.path, size, commit.note or "")


def _commit_cells(commit: Commit[Any], display: Display, now: datetime) -> list[Cells]:
    """One table row a change; rev, time, actor and note only on the first one of a commit."""
    when = age(milliseconds(commit.time), now)
    rows: list[Cells] = []
    for change in commit.changes:
        what = (change.kind.value, change.path, display.cell(change.data))
        if rows:
            rows.append(("", "", "", *what, ""))
        else:
            rows.append((str(commit.rev), when, harmless(commit.actor), *what, harmless(commit.note or "")))
    return rows


# -- blame and diff -----------------------------------------------------------------------------------
def blames(now: datetime) -> View[Blame]:
    """Rows of `blame`: plain is rev, time, actor, path, note."""
    return View(
        lambda each: {
            "path": each.path,
            "mod_rev": each.rev,
            "time": time_of(each.time),
            "actor": each.actor,
            "note": each.note,
            "created": each.created,
            "count": each.count,
        },
        lambda each: line(each.rev, time_of(each.time), each.actor, each.path, each.note or ""),
        ("rev", "when", "who", "path", "writes", "why"),
        lambda each: [
            (
                str(each.rev),
                age(milliseconds(each.time), now),
                harmless(each.actor),
                each.path,
                str(each.count),
                harmless(each.note or ""),
            )
        ],
    )


_LETTERS = {Kind.CREATE: "A", Kind.UPDATE: "M", Kind.DELETE: "D", Kind.EXPIRE: "D"}


def difference_shape(each: Difference[Any], display: Display) -> dict[str, Any]:
    """Return the JSON of one path that differs."""
    shape: dict[str, Any] = {"path": each.path, "kind": each.kind.value, "rev": each.rev}
    for name, data in (("before", each.before_data), ("after", each.after_data)):
        shape[name] = None if data is None else {"size": len(data), **display.fields(data)}
    return shape


def differences(display: Display, patch: bool = False) -> View[Difference[Any]]:
    """Rows of `diff`, `revert` and their dry runs: plain is `A`, `M` or `D` and the path, or a patch."""
    from visor.cli.patch import unified

    return View(
        lambda each: difference_shape(each, display),
        lambda each: (
            unified(each.path, each.before_data, each.after_data)
            if patch
            else line(_LETTERS[each.kind], each.path)
        ),
        ("what", "path", "before", "after"),
        lambda each: [
            (each.kind.value, each.path, display.cell(each.before_data), display.cell(each.after_data))
        ],
    )


def deletions() -> View[str]:
    """Rows of a dry run of `del`: as `differences`, but without values."""
    return View(
        lambda path: {"path": path, "kind": Kind.DELETE.value},
        lambda path: line("D", path),
        ("what", "path"),
        lambda path: [(Kind.DELETE.value, path)],
    )


def has_value(file: File[Any]) -> bool:
    """Say whether the file was read with its value."""
    try:
        return file.data is not None
    except ValueError:
        return False
