"""`find`: the files at a path, or that match a glob; those that hold a text, or were written lately; as a tree."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from visor.cli import views
from visor.cli.connect import connect
from visor.cli.display import Display, chosen
from visor.cli.finding import Sought, above
from visor.cli.options import (
    AS_GIVEN,
    POSITIVE,
    command,
    complete_path,
    limit_option,
    past_options,
    stale_option,
)
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.reading import fixed, is_glob, past, rev_of, subtree, told_aloud
from visor.cli.settings import Settings
from visor.errors import NotFound

if TYPE_CHECKING:
    from visor.blocking import Client, File
    from visor.select import Selector


@command("find")
@click.argument("path", default="/", metavar="[GLOB]", shell_complete=complete_path)
@click.option("--tree", is_flag=True, help="Draw a tree, with how many files are where.")
@click.option("--value", metavar="TEXT", type=AS_GIVEN, help="Only files whose value holds TEXT.")
@click.option("--changed", metavar="SINCE", help="Only what was written after a rev, or a time: 10m (ago).")
@click.option("--depth", type=POSITIVE, metavar="N", help="Only files at most N levels below PATH.")
@click.option("--values", is_flag=True, help="With the values (plain: as records).")
@past_options
@stale_option
@limit_option
def find_command(settings: Settings, **options: Any) -> None:
    """Print every file at and below a PATH [/], or that matches GLOB. Exit code 3 when there is none.

    On a terminal a PATH is drawn as a tree; --tree draws one anywhere, with counts. --value looks into the values page
    by page, all at one rev; into sealed ones with their --sealing-keys.
    """
    output, display = Output(settings), chosen(settings)
    path, values = options["path"], options["values"]
    if options["depth"] is not None and is_glob(path):
        raise Problem("--depth counts levels below a PATH, and this is a glob: '/a/*/*' has two below /a")
    with connect(settings) as client:
        at = fixed(
            client, past(client, settings, options["rev"], options["moment"]), options["stale"], output
        )
        sought = _sought(client, settings, options)
        found = _files(
            client, output, subtree(path), at, options["stale"], values or sought.value is not None
        )
        if not sought.anything:
            found = sought.among(found, display)
        if path != "/" or not sought.anything:
            found = _not_empty(found, path, at, sought)
        rows = _first(_within(found, path, options["depth"]), options["limit"])
        if not output.is_json and (options["tree"] or (output.form == "table" and not is_glob(path))):
            _write_tree(output, settings, path, rows, display if values else None, options["tree"])
        else:
            view = views.files(display, values)
            output.rows({"path": path, "rev": at}, "files", rows, view)


def _sought(client: Client[bytes], settings: Settings, options: dict[str, Any]) -> Sought:
    text, since = options["value"], options["changed"]
    if text == "":
        raise Problem("--value is empty: every file holds that")
    value = None if text is None else os.fsencode(text)
    return Sought(value, None if since is None else rev_of(client, settings, since))


def _files(
    client: Client[bytes], output: Output, what: Selector, at: int | None, stale: bool, values: bool
) -> Iterator[File[bytes]]:
    found = client.scan(what, at=at, stale=stale, keys=not values)
    return told_aloud(found, lambda: client.count(what, at=at, stale=stale), output)


def _write_tree(
    output: Output,
    settings: Settings,
    path: str,
    rows: Iterable[File[bytes]],
    display: Display | None,
    counts: bool,
) -> None:
    from visor.cli.tree import tree_text

    title = above(path) if is_glob(path) else path
    below = []
    for file in rows:
        remark = (
            f"rev {file.mod_rev}" if display is None else f"rev {file.mod_rev}  {display.cell(file.data)}"
        )
        if file.path == title:
            output.say(f"{title}  {remark}")
        else:
            below.append((file.path, remark))
    if below:
        output.drawn(tree_text(title, below, settings, counts=counts))


def _within(files: Iterator[File[bytes]], path: str, depth: int | None) -> Iterator[File[bytes]]:
    if depth is None:
        return files
    deepest = path.rstrip("/").count("/") + depth
    return (file for file in files if file.path.count("/") <= deepest)


def _first(files: Iterator[File[bytes]], limit: int | None) -> Iterator[File[bytes]]:
    for count, file in enumerate(files, 1):
        yield file
        if count == limit:
            return


def _not_empty(
    files: Iterator[File[bytes]], path: str, at: int | None, sought: Sought
) -> Iterator[File[bytes]]:
    """Return the same files; raise NotFound at once when there is none."""
    head = next(files, None)
    if head is None:
        if sought.anything:
            raise NotFound(path=path, rev=at)
        raise NotFound(f"{path}: no file there is what you look for", path=path, rev=at)
    return chain((head,), files)
