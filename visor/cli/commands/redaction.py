"""`redact`: take out of history what should never have been written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from visor.cli.connect import connect
from visor.cli.options import command, path_argument
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.reading import is_glob, rev_of
from visor.cli.settings import Settings
from visor.cli.wording import counted

if TYPE_CHECKING:
    from visor.blocking import Client


@command("redact")
@path_argument
@click.option(
    "--revs", metavar="A..B", help="Only what these revs wrote: revs or times; A.., ..B or A [all]."
)
@click.option("--why", metavar="TEXT", help="Stands in the place of each value; never the value itself.")
@click.option("--actor", metavar="NAME", help="Who does it [USER@HOST].")
def redact_command(
    settings: Settings, path: str, revs: str | None, why: str | None, actor: str | None
) -> None:
    """Replace the values that PATH had by a mark: who took them out, when and why. It cannot be undone.

    Revs, sizes and authors stay, the latest value goes as well: write a new one first. Then each member removes what
    its log and its checkpoints hold of it; 'visor cluster status' says who is not done yet. Whoever has read a
    value has it still. It needs the right admin on PATH.
    """
    output = Output(settings)
    if is_glob(path):
        raise Problem(f"{path!r} is a glob; values are taken out of one file at a time")
    with connect(settings, actor) as client:
        first, last = _span(client, settings, revs)
        done = client.redact(path, first=first, last=last, why=why)
    shape = {
        "path": path,
        "versions": done.versions,
        "first": done.first or None,
        "last": done.last or None,
        "rev": done.rev,
        "why": why,
    }
    output.result(shape, str(done.versions), _told(path, done.versions, done.first, done.last))


def _told(path: str, versions: int, first: int, last: int) -> str:
    if not versions:
        return f"{path}: no value in history that was not redacted; files of members are gone through all the same"
    where = f"rev {first}" if first == last else f"revs {first} to {last}"
    return f"{path}: redacted {counted(versions, 'version')}, written by {where}"


def _span(client: Client[bytes], settings: Settings, revs: str | None) -> tuple[int, int | None]:
    """Return what `A..B` names."""
    if revs is None:
        return 1, None
    low, dots, high = revs.partition("..")
    if not low and not high:
        raise Problem(f"--revs {revs!r}: expected A..B, A.., ..B or A")
    first = max(1, rev_of(client, settings, low)) if low else 1
    last = (rev_of(client, settings, high) if high else None) if dots else first
    if last is not None and last < first:
        raise Problem(f"--revs {revs!r}: rev {last} comes before rev {first}")
    return first, last
