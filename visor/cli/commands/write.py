"""`set`, `create`, `touch`, `del`: changing one path, or one subtree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from visor import guard, select
from visor.cli import payload, views
from visor.cli.connect import connect, target
from visor.cli.consent import obtain
from visor.cli.display import chosen
from visor.cli.options import (
    REV,
    author_options,
    command,
    consent_options,
    guard_options,
    lease_option,
    path_argument,
    value_options,
)
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings
from visor.cli.wording import counted
from visor.errors import Conflict, Exists, NotFound
from visor.guard import Guard

if TYPE_CHECKING:
    from visor.blocking import Client

TOUCHES = 50
"""How often `touch` reads and writes again when somebody is faster."""


@command("set")
@path_argument
@value_options
@lease_option
@guard_options
@author_options
def set_command(settings: Settings, **options: Any) -> None:
    """Write VALUE to the file PATH and print the new rev.

    VALUE is text, @FILE (@@ for a text that starts with @), or - for standard input. With --codec json,
    msgpack, int, list or ints it is checked and stored in that form.
    """
    _write(settings, options, _guard(options))


@command("create")
@path_argument
@value_options
@lease_option
@author_options
def create_command(settings: Settings, **options: Any) -> None:
    """Write VALUE to the file PATH, which must not exist, and print the new rev."""
    _write(settings, options, guard.missing())


def _write(settings: Settings, options: dict[str, Any], condition: Guard | None) -> None:
    output = Output(settings)
    path = options["path"]
    data = _encoded(settings, _value(settings, options))
    if options["sealed"]:
        data = _sealed(settings, path, data)
    with connect(settings, options["actor"]) as client:
        rev = client.set(path, data, guard=condition, lease=options["lease"], note=options["note"])
    output.result({"path": path, "rev": rev}, str(rev), f"rev {rev}")


def _value(settings: Settings, options: dict[str, Any]) -> bytes:
    given = [name for name in ("value", "file", "literal") if options[name] is not None]
    if len(given) != 1:
        found = (
            "none"
            if not given
            else " and ".join({"literal": "--value", "file": "--file"}.get(n, "VALUE") for n in given)
        )
        raise Problem(
            f"expected one value, found {found}; give VALUE, @FILE, --file FILE, --value TEXT or - (stdin)"
        )
    if options["file"] is not None:
        name: str = options["file"]
        return payload.from_argument(name if name == "-" else f"@{name}", settings.streams.stdin)
    if options["literal"] is not None:
        return payload.literal(options["literal"])
    return payload.from_argument(options["value"], settings.streams.stdin)


def _encoded(settings: Settings, data: bytes) -> bytes:
    try:
        return chosen(settings).encode(data)
    except (ValueError, TypeError) as error:
        raise Problem(f"the value does not fit --codec {settings.codec}: {error}", code="input") from None


def _sealed(settings: Settings, path: str, data: bytes) -> bytes:
    """Return the value sealed for its path, which is told whole: others may have another root. Raises Problem."""
    from visor.cli.sealed import seal

    return seal(settings, target(settings).root, path, data)


def _guard(options: dict[str, Any]) -> Guard | None:
    """Return the guard that the options ask for, or None. Raises Problem for more than one."""
    given: list[tuple[str, Guard]] = []
    if options["guard_rev"] is not None:
        given.append(("--guard-rev", guard.rev(options["guard_rev"])))
    if options["since"] is not None:
        given.append(("--since", guard.since(options["since"])))
    if options.get("missing"):
        given.append(("--create", guard.missing()))
    if options.get("exists"):
        given.append(("--exists", guard.exists()))
    if len(given) > 1:
        raise Problem(
            f"{' and '.join(name for name, _ in given)} exclude each other; 'visor txn' takes several guards"
        )
    return given[0][1] if given else None


@command("touch")
@path_argument
@click.option("--no-create", is_flag=True, help="Fail with exit code 3 when there is no such file.")
@author_options
def touch_command(
    settings: Settings, path: str, no_create: bool, note: str | None, actor: str | None
) -> None:
    """Write the file PATH again as it is, so that it has a new rev; create it empty when missing."""
    output = Output(settings)
    with connect(settings, actor) as client:
        rev, created = _touch(client, path, not no_create, note)
    output.result({"path": path, "rev": rev, "created": created}, str(rev), f"rev {rev}")


def _touch(client: Client[bytes], path: str, create: bool, note: str | None) -> tuple[int, bool]:
    """Return the rev and whether the file was created. Guarded: a change in between is never undone."""
    for _ in range(TOUCHES):
        try:
            file = client.get(path)
        except NotFound:
            if not create:
                raise
            try:
                return client.create(path, b"", note=note), True
            except Exists:
                continue
        if file.lease:
            raise Problem(
                f"{path} is attached to lease {file.lease}; touching would detach it", code="leased"
            )
        try:
            return client.set(path, file.data, guard=guard.rev(file.mod_rev), note=note), False
        except (Conflict, NotFound):
            continue
    raise Conflict(f"{path}: changed {TOUCHES} times while it was being touched", path=path)


@command("del")
@path_argument
@click.option("-r", "--recursive", is_flag=True, help="Also a directory, with all below it, at one rev.")
@click.option("--guard-rev", type=REV, metavar="N", help="Only if the file's rev is N.")
@click.option("--since", type=REV, metavar="N", help="Only if nothing changed there after rev N.")
@consent_options
@author_options
def del_command(settings: Settings, **options: Any) -> None:
    """Delete the file PATH and print the new rev. Exit code 3 when there is none.

    With --recursive a person is asked first; off a terminal --yes is needed. What a person has agreed to
    is deleted only if nothing there has changed in the meantime.
    """
    output = Output(settings)
    path, recursive = options["path"], options["recursive"]
    condition = _guard(options)
    with connect(settings, options["actor"]) as client:
        if options["dry_run"]:
            _plan_delete(client, output, path, recursive)
            return
        if recursive and not options["yes"]:
            seen = client.rev()
            count = client.count(select.tree(path), at=seen)
            if not count:
                raise NotFound(path=path, rev=seen)
            if (
                obtain(settings, f"delete {counted(count, 'file')} at and below {path}", False)
                and condition is None
            ):
                condition = guard.since(seen)
        rev = client.delete(path, recursive=recursive, guard=condition, note=options["note"])
    output.result({"path": path, "rev": rev}, str(rev), f"rev {rev}")


def _plan_delete(client: Client[bytes], output: Output, path: str, recursive: bool) -> None:
    """Print what would go."""
    seen = client.rev()
    if recursive:
        doomed = [file.path for file in client.scan(select.tree(path), at=seen, keys=True)]
        if not doomed:
            raise NotFound(path=path, rev=seen)
    else:
        doomed = [client.get(path, at=seen).path]
    output.rows({"dry_run": True, "path": path, "rev": seen}, "changes", doomed, views.deletions())
