"""`history`, `blame`, `diff`, `revert`, `retain`: what was, who did it, and going back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from visor.cli import moment, views
from visor.cli.connect import connect
from visor.cli.consent import obtain
from visor.cli.display import chosen
from visor.cli.options import (
    REV,
    author_options,
    command,
    complete_path,
    consent_options,
    limit_option,
    past_options,
    path_argument,
    seconds,
)
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.reading import is_glob, past, rev_of, subtree
from visor.cli.settings import Settings
from visor.cli.wording import counted
from visor.errors import FutureRev
from visor.values import Commit, Difference

if TYPE_CHECKING:
    from visor.blocking import Client


@command("history")
@click.argument("path", default="/", shell_complete=complete_path)
@click.option("--from", "first", metavar="REV", help="Not before: a rev or a time [where history begins].")
@click.option("--to", "last", metavar="REV", help="Not after: a rev or a time [latest].")
@click.option("--reverse", is_flag=True, help="Oldest first.")
@click.option("--previous", is_flag=True, help="With the values that were replaced (JSON).")
@click.option("--keys", is_flag=True, help="Without values.")
@click.option("--graph", is_flag=True, help="Draw a line through time, with gaps and changes of size.")
@limit_option
def history_command(settings: Settings, **options: Any) -> None:
    """Print the commits that changed PATH [/] or anything below it, newest first: what, when, who, why.

    PATH may be a glob. A time is RFC 3339, or 10m (ago). JSON is the same with --graph as without.
    """
    output = Output(settings)
    path, graph = options["path"], options["graph"] and not output.is_json
    with connect(settings) as client:
        first, last = _span(client, settings, options["first"], options["last"])
        commits = client.history(
            subtree(path),
            first=first,
            last=last,
            reverse=not options["reverse"],
            previous=options["previous"] or (graph and not options["keys"]),
            keys=options["keys"],
            limit=options["limit"],
        )
        if graph:
            _draw(output, settings, commits, last)
            return
        view = views.log(chosen(settings), settings.now, options["previous"])
        output.rows({"path": path, "from": first, "to": last}, "commits", commits, view)


def _draw(output: Output, settings: Settings, commits: Iterable[Commit[bytes]], last: int) -> None:
    from visor._core.drawing import draws_blocks
    from visor.cli.graph import IN_ASCII, Graph, Marks
    from visor.cli.screen import colour_wanted, columns

    marks = Marks() if draws_blocks(settings.environment) else IN_ASCII
    graph = Graph(settings.now, columns(settings), colour_wanted(settings), marks, len(str(last)))
    for line in graph.lines(commits):
        output.drawn(f"{line}\n")


def _span(client: Client[bytes], settings: Settings, first: str | None, last: str | None) -> tuple[int, int]:
    """Return the revs to look at; without `first` all that is left, but a `first` must still be there."""
    horizon = client.horizon()
    # The state at the floor is there, but what made it is not.
    start = horizon.floor + 1 if first is None else max(1, rev_of(client, settings, first))
    end = horizon.rev if last is None else rev_of(client, settings, last)
    for asked in (start if first is not None else 0, end):
        if asked > horizon.rev:
            raise FutureRev(rev=horizon.rev, asked=asked)
    return start, end


@command("blame")
@click.argument("path", default="/", shell_complete=complete_path)
@past_options
def blame_command(settings: Settings, path: str, rev: int | None, moment: str | None) -> None:
    """Say of each file at and below PATH [/] who changed it last, when, and why.

    PATH may be a glob. Files whose last change is below the floor of history are left out.
    """
    output = Output(settings)
    with connect(settings) as client:
        at = past(client, settings, rev, moment)
        if at is None:
            at = client.rev()
        rows = client.blame(subtree(path), at=at)
    output.rows({"path": path, "rev": at}, "files", rows, views.blames(settings.now))


@command("diff")
@click.argument("a")
@click.argument("b", default="latest")
@click.argument("path", default="/", shell_complete=complete_path)
@click.option("-p", "--patch", is_flag=True, help="Plain output as unified diffs of the values.")
def diff_command(settings: Settings, a: str, b: str, path: str, patch: bool) -> None:
    """Print what differs between the revs A and B [latest] at and below PATH [/].

    A and B are revs, `latest`, or times: RFC 3339, or 10m (ago). PATH may be a glob. Plain output is A
    (added), M (modified) or D (deleted) and the path.
    """
    output = Output(settings)
    with connect(settings) as client:
        before, after = rev_of(client, settings, a), rev_of(client, settings, b)
        rows = client.diff(before, after, subtree(path))
        head = {"path": path, "a": before, "b": after}
        _write_differences(output, settings, head, rows, patch)


def _write_differences(
    output: Output, settings: Settings, head: dict[str, Any], rows: Any, patch: bool
) -> None:
    view: views.View[Difference[bytes]] = views.differences(chosen(settings), patch)
    if patch and not output.is_json:
        for row in rows:
            output.write(view.plain(row))
    else:
        output.rows(head, "changes", rows, view)


@command("revert")
@path_argument
@click.option("--to", required=True, metavar="REV", help="The state to bring back: a rev or a time.")
@click.option("--since", type=REV, metavar="N", help="Only if nothing changed there after rev N.")
@click.option("-p", "--patch", is_flag=True, help="A dry run prints unified diffs of the values.")
@consent_options
@author_options
def revert_command(settings: Settings, **options: Any) -> None:
    """Bring PATH and all below it back to its state at REV, in one commit, and print the new rev.

    A person is asked first; off a terminal --yes is needed. What a person has agreed to is done only if
    nothing there has changed in the meantime. Nothing is forgotten: a revert can be reverted.
    """
    output = Output(settings)
    path, since = options["path"], options["since"]
    with connect(settings, options["actor"]) as client:
        to, seen = rev_of(client, settings, options["to"]), client.rev()
        if options["dry_run"]:
            head = {"dry_run": True, "path": path, "to": to, "rev": seen}
            rows = client.diff(seen, to, subtree_only(path))
            _write_differences(output, settings, head, rows, options["patch"])
            return
        changed = sum(1 for _ in client.diff(seen, to, subtree_only(path)))
        if changed:
            action = f"change {counted(changed, 'file')} at and below {path} back to rev {to}"
            if obtain(settings, action, options["yes"]) and since is None:
                since = seen
        rev = client.revert(path, to, since=since, note=options["note"])
    output.result({"path": path, "to": to, "rev": rev, "changed": changed}, str(rev), f"rev {rev}")


def subtree_only(path: str) -> Any:
    """Return the selector of a subtree. Raises Problem for a glob: only a whole subtree can be reverted."""
    if is_glob(path):
        raise Problem(f"{path!r} is a glob; a revert takes one path, with all below it")
    return subtree(path)


@command("retain")
@click.option("--revs", type=REV, metavar="N", help="Keep the latest N revs (0: no bound).")
@click.option("--age", metavar="TIME", callback=seconds, help="Keep this much time: 30d, 12h (0: no bound).")
@click.option(
    "--compact", "--compact-to", "compact", metavar="REV", help="Forget what is before a rev or time, now."
)
@consent_options
def retain_command(
    settings: Settings, revs: int | None, age: float | None, compact: str | None, dry_run: bool, yes: bool
) -> None:
    """Set how much history the whole cluster keeps, and print the floor (the lowest rev that is left).

    The latest state is never touched. What is forgotten is gone: a person is asked first; off a terminal
    --yes is needed.
    """
    if revs is None and age is None and compact is None:
        raise Problem("give --revs, --age or --compact; 'visor rev --json' tells the floor")
    output = Output(settings)
    with connect(settings) as client:
        horizon = client.horizon()
        to = None if compact is None else rev_of(client, settings, compact)
        action = _retention(revs, age, to)
        if dry_run:
            shape = {
                "dry_run": True,
                "rev": horizon.rev,
                "floor": horizon.floor,
                "revs": revs,
                "age": age,
                "compact": to,
            }
            output.facts(shape, f"would {action}; the floor is {horizon.floor}, the latest rev {horizon.rev}")
            return
        if not (revs in (0, None) and age in (0, None) and to is None):
            obtain(settings, f"{action} (latest rev {horizon.rev}, floor {horizon.floor})", yes)
        floor = client.retain(revs=revs, age=age, compact_to=to)
    output.result({"floor": floor}, str(floor), f"floor {floor}")


def _retention(revs: int | None, age: float | None, to: int | None) -> str:
    """Say in words what a retention does: "keep 100 revs and forget history before rev 7"."""
    parts = []
    if revs is not None:
        parts.append(f"keep {revs} revs" if revs else "keep any number of revs")
    if age is not None:
        parts.append(f"keep {moment.spell(age)} of history" if age else "keep history of any age")
    if to is not None:
        parts.append(f"forget history before rev {to}")
    return " and ".join(parts)
