"""`get`, `ls`, `stat`, `scan`: what is there, now or at any rev."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from visor import codecs
from visor.cli import exits, views
from visor.cli.connect import connect
from visor.cli.display import Display, chosen
from visor.cli.options import (
    command,
    complete_directory,
    glob_argument,
    limit_option,
    past_options,
    path_argument,
    selector_options,
    stale_option,
)
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.reading import fixed, past, selection, told_aloud, within_grants
from visor.cli.settings import Settings
from visor.cli.wording import counted
from visor.errors import DecodeError, NotFound
from visor.values import Node

if TYPE_CHECKING:
    from visor.blocking import File


@command("get")
@path_argument
@past_options
@stale_option
def get_command(settings: Settings, path: str, rev: int | None, moment: str | None, stale: bool) -> None:
    """Print the value of the file PATH.

    Off a terminal the bytes come out exactly as they are stored, without a line end. With --codec the
    value is decoded and printed as one line of text. A sealed value needs --sealing-keys; --codec bytes
    gives it as it is stored.
    """
    output = Output(settings)
    with connect(settings) as client:
        file = client.get(path, at=past(client, settings, rev, moment), stale=stale)
    write_value(output, file, chosen(settings))


def write_value(output: Output, file: File[bytes], display: Display) -> None:
    """Write one file: its JSON, its bytes, or what of them a terminal can bear. Raises DecodeError, Problem."""
    if output.is_json:
        output.document(views.file_shape(file, display))
        return
    try:
        data = display.opened(file.data)
    except codecs.SealError as error:
        # Nobody wants these bytes in place of a password, say.
        raise Problem(
            f"{file.path}: {error}; --sealing-keys FILE opens what has its key there, --codec bytes gives the bytes "
            "as they are stored",
            code="sealed",
            exit_code=exits.FAILED,
        ) from None
    if display.name != "bytes":
        try:
            output.say(display.text(file.data))
        except Exception as error:  # a codec may raise anything
            raise DecodeError(path=file.path, codec=display.name) from error
    elif output.form == "table":
        text = display.screen(data)
        output.write((text if text.endswith("\n") else f"{text}\n").encode("utf-8", "backslashreplace"))
    else:
        output.write(data)


@command("ls")
@click.argument("path", default="/", shell_complete=complete_directory)
@click.option("-l", "--long", "long", is_flag=True, help="Plain output with kind, size and rev.")
@past_options
@stale_option
@limit_option
def ls_command(
    settings: Settings,
    path: str,
    long: bool,
    rev: int | None,
    moment: str | None,
    stale: bool,
    limit: int | None,
) -> None:
    """List the direct entries of the directory PATH [/]."""
    output = Output(settings)
    with connect(settings) as client:
        at = fixed(client, past(client, settings, rev, moment), stale, output)
        entries = client.ls(path, at=at, stale=stale, limit=limit)
    output.rows({"path": path, "rev": at}, "entries", entries, views.entries(long))


@command("stat")
@path_argument
@past_options
@stale_option
def stat_command(settings: Settings, path: str, rev: int | None, moment: str | None, stale: bool) -> None:
    """Say what PATH is: kind, size, rev. Exit code 3 when there is nothing."""
    output = Output(settings)
    with connect(settings) as client:
        stat = client.stat(path, at=past(client, settings, rev, moment), stale=stale)
    if stat.kind is Node.MISSING:
        gone = f", deleted at rev {stat.mod_rev}" if stat.mod_rev else ""
        raise NotFound(
            f"{path}: not found at rev {stat.rev}{gone}", path=path, rev=stat.rev, deleted=stat.mod_rev
        )
    plain = views.line(stat.kind.value, stat.size, stat.mod_rev, stat.path).decode().rstrip("\n")
    output.facts(views.stat_shape(stat), plain)


@command("scan")
@glob_argument
@selector_options
@click.option("--values", is_flag=True, help="With the values (plain: as records).")
@click.option("--count", is_flag=True, help="Only say how many files match.")
@click.option("--reverse", is_flag=True, help="In descending order of paths.")
@past_options
@stale_option
@limit_option
def scan_command(settings: Settings, **options: Any) -> None:
    """Print the files that match GLOB, in path order, all at one rev.

    `?` is one character and `*` a run of them within a name, `**` a run across names, `{web,db}` either.
    Quote it from the shell: visor scan '/service/*/port'. Of several GLOBs, and with --path, --prefix or
    --children too, the files that any of them means. An empty result is no failure.
    """
    output = Output(settings)
    what = selection(options["globs"], options["path"], options["prefix"], options["children"])
    if what is None:
        raise Problem("give a GLOB, --path, --prefix or --children; '/**' matches everything")
    stale, values = options["stale"], options["values"]
    with connect(settings) as client:
        named = past(client, settings, options["rev"], options["moment"])
        wanted = ("read",) if named is None else ("read", "history")
        what = within_grants(client, output, what, wanted, options["granted"])
        at = fixed(client, named, stale, output)
        if options["count"]:
            count = client.count(what, at=at, stale=stale)
            output.result({"rev": at, "count": count}, str(count), counted(count, "file"))
            return
        files = client.scan(
            what, at=at, stale=stale, keys=not values, reverse=options["reverse"], limit=options["limit"]
        )
        if options["limit"] is None:
            files = told_aloud(files, lambda: client.count(what, at=at, stale=stale), output)
        output.rows({"rev": at}, "files", files, views.files(chosen(settings), values))
