"""`watch` and `wait`: commits as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from visor import select
from visor.cli import views
from visor.cli.child import Child
from visor.cli.connect import connect
from visor.cli.display import Display, chosen
from visor.cli.options import CHILD, POSITIVE, REV, ChildCommand, command, glob_argument, selector_options
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.reading import past, selection, within_grants
from visor.cli.settings import Settings
from visor.errors import DeadlineExceeded
from visor.select import Selector
from visor.values import Commit, Kind

if TYPE_CHECKING:
    from visor.blocking import Client, File, Watch

KINDS = tuple(kind.value for kind in Kind)
ALIASES = {"set": ("create", "update"), "all": KINDS}


def _kinds(
    context: click.Context, parameter: click.Parameter, words: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Read `--kinds create,delete`, also given several times; None for every kind."""
    kinds: list[str] = []
    for word in (each.strip() for group in words for each in group.split(",")):
        if word not in KINDS and word not in ALIASES:
            raise click.BadParameter(f"{word!r} is no kind; there are {', '.join(KINDS)}, and set, all")
        kinds += ALIASES.get(word, (word,))
    return tuple(dict.fromkeys(kinds)) or None


kinds_option = click.option(
    "--kinds",
    multiple=True,
    metavar="KIND,...",
    callback=_kinds,
    help="Only create, update, delete, expire (or set).",
)


@click.command("watch", cls=ChildCommand)
@glob_argument
@selector_options
@click.option("--rev", type=REV, metavar="N", help="From rev N on, with history [from now on].")
@click.option("--at", "moment", metavar="TIME", help="From a time on: RFC 3339, 10m (ago), or epoch.")
@click.option("--state", is_flag=True, help="First the files that match, then what changes them.")
@kinds_option
@click.option("--previous", is_flag=True, help="With the value that each change replaced (JSON).")
@click.option("--keys", is_flag=True, help="Without values.")
@click.option("--count", type=POSITIVE, metavar="N", help="End after N commits.")
@click.option("--keep-going", is_flag=True, help="Go on when CMD fails.")
@click.pass_obj
def watch_command(settings: Settings, /, **options: Any) -> None:
    """Print the commits that change what matches GLOB [/**], as they come, until interrupted.

    '/{queue,claims}/**' watches two subtrees as one, and so do two GLOBs; --path, --prefix and --children
    add to them.

    No commit is missed or repeated, also when the connection breaks. With -- CMD ARGS at the end, CMD runs
    once for each commit, one after another, with the commit as JSON on its standard input and VISOR_EVENT,
    VISOR_REV, VISOR_TIME, VISOR_BY, VISOR_NOTE, VISOR_CHANGES, and of its first change VISOR_PATH and
    VISOR_KIND, in its environment. When CMD fails, watch ends with 1 and says from which rev to go on.

    With --timeout it ends after that time, with exit code 124.
    """
    output = Output(settings)
    display = chosen(settings)
    words = click.get_current_context().meta.get(CHILD)
    child = Child(words, options["keep_going"], settings) if words is not None else None
    with connect(settings) as client, _open(client, settings, output, options) as watch:
        output.notice(f"watching from rev {watch.rev + 1}; Ctrl-C ends it")
        if options["state"]:
            _hand_over_state(output, child, watch, display)
        items = _commits(watch, settings.deadline(None), options["count"])
        view = _typed(views.commits(display, settings.now, options["previous"]))
        if child is None:
            output.stream(items, view)
        else:
            for commit in items:
                child.run(view.shape(commit), commit)


def _open(client: Client[bytes], settings: Settings, output: Output, options: dict[str, Any]) -> Watch[bytes]:
    rev = past(client, settings, options["rev"], options["moment"])
    wanted = ("read",) if rev is None else ("read", "history")
    what = within_grants(client, output, _what(options) or select.tree("/"), wanted, options["granted"])
    if options["moment"] is not None and rev is not None:
        rev += 1  # `rev` was there at that time; what came after it is asked for
    return client.watch(
        what,
        rev,
        previous=options["previous"],
        kinds=options["kinds"],
        state=options["state"],
        keys=options["keys"],
    )


def _what(options: dict[str, Any]) -> Selector | None:
    return selection(options["globs"], options["path"], options["prefix"], options["children"])


def _commits(watch: Watch[bytes], seconds: float | None, count: int | None) -> Iterator[Commit[bytes]]:
    """Yield commits until `count` of them, or raise DeadlineExceeded after `seconds` in all."""
    end = None if seconds is None else time.monotonic() + seconds
    seen = 0
    while count is None or seen < count:
        left = None if end is None else max(0.0, end - time.monotonic())
        try:
            yield watch.next(timeout=left)
        except DeadlineExceeded:
            assert seconds is not None
            raise DeadlineExceeded(f"the watch ended after its {seconds:g} s", seconds=seconds) from None
        seen += 1


def _typed(view: views.View[Commit[bytes]]) -> views.View[Commit[bytes]]:
    """Return the same view with `"type": "commit"` first in its JSON: a stream holds two types."""
    return views.View(
        lambda commit: {"type": "commit", **view.shape(commit)}, view.plain, view.columns, view.cells
    )


def _hand_over_state(output: Output, child: Child | None, watch: Watch[bytes], display: Display) -> None:
    files = list(watch.state.values())
    shape = _state_shape(watch, files, display)
    if child is not None:
        child.run_state(shape)
    elif output.is_json:
        output.stream([shape], views.OBJECTS)
    else:
        output.stream(files, _state_view(display))


def _state_shape(watch: Watch[bytes], files: list[File[bytes]], display: Display) -> dict[str, Any]:
    shapes = [views.file_shape(file, display, values=views.has_value(file)) for file in files]
    return {"type": "state", "rev": watch.state_rev, "files": shapes}


def _state_view(display: Display) -> views.View[File[bytes]]:
    def data(file: File[bytes]) -> bytes | None:
        return file.data if views.has_value(file) else None

    return views.View(
        lambda file: views.file_shape(file, display),
        lambda file: views.record(file.path, file.mod_rev, "state", data(file)),
        ("rev", "when", "who", "what", "path", "value", "why"),
        lambda file: [(str(file.mod_rev), "", "", "state", file.path, display.cell(data(file)), "")],
    )


@command("wait")
@glob_argument
@selector_options
@click.option("--rev", type=REV, metavar="N", help="The first commit at or after rev N [from now on].")
@kinds_option
def wait_command(settings: Settings, **options: Any) -> None:
    """Wait for the first commit that changes what matches GLOB, and print it.

    Of several GLOBs, and with --path, --prefix or --children too, what any of them means.

    Waits for ever unless --timeout is given; then the exit code is 124 when nothing came.
    """
    output = Output(settings)
    what = _what(options)
    if what is None:
        raise Problem("give a GLOB, --path, --prefix or --children; '/**' matches everything")
    seconds = settings.deadline(None)
    with (
        connect(settings) as client,
        client.watch(
            within_grants(client, output, what, ("read",), options["granted"]),
            options["rev"],
            kinds=options["kinds"],
        ) as watch,
    ):
        try:
            commit = watch.next(timeout=seconds)
        except DeadlineExceeded:
            raise DeadlineExceeded(f"nothing changed within {seconds:g} s", seconds=seconds) from None
    view = views.commits(chosen(settings), settings.now)
    if output.is_json:
        output.document(view.shape(commit))
    else:
        output.stream([commit], view)
