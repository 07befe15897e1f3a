"""`event`: what happens, and what happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from visor._core.registry.events import EventType
from visor.cli.domain import rows
from visor.cli.domain.common import domain
from visor.cli.options import POSITIVE, REV, VisorGroup, command
from visor.cli.output import Output
from visor.cli.settings import Settings
from visor.errors import DeadlineExceeded

if TYPE_CHECKING:
    from visor.registry import Event, EventWatch


TYPES = tuple(each.value for each in EventType)

app_option = click.option("--app", metavar="NAME", help="Only of this app.")
type_option = click.option(
    "--type", "types", multiple=True, type=click.Choice(TYPES), help="Only of this type."
)


@click.group("event", cls=VisorGroup)
def event_command() -> None:
    """Follow what happens in the domain."""


@command("tail")
@click.option("--rev", type=REV, metavar="N", help="From rev N on, with history [from now on].")
@app_option
@type_option
@click.option("--count", type=POSITIVE, metavar="N", help="End after N events.")
def tail_command(
    settings: Settings, rev: int | None, app: str | None, types: tuple[str, ...], count: int | None
) -> None:
    """Print events as they come, until interrupted: none is missed, none repeated, also when the connection breaks.

    With --timeout it ends after that time, with exit code 124.
    """
    output = Output(settings)
    with (
        domain(settings) as registry,
        registry.watch_event(rev, types=types or None, app=app) as events,
    ):
        output.notice(f"following from rev {events.rev + 1}; Ctrl-C ends it")
        output.stream(_within(events, settings.deadline(None), count), rows.events())


def _within(events: EventWatch, seconds: float | None, count: int | None) -> Iterator[Event]:
    seen = 0
    while count is None or seen < count:
        yield events.next(timeout=seconds)
        seen += 1


@command("ls")
@click.option("--rev", type=REV, default=1, metavar="N", help="From rev N on [1].")
@app_option
@type_option
@click.option("--limit", type=POSITIVE, metavar="N", help="At most N events: the latest ones.")
def ls_command(
    settings: Settings, rev: int, app: str | None, types: tuple[str, ...], limit: int | None
) -> None:
    """Print the events from rev N to the latest one, and end."""
    output = Output(settings)
    with domain(settings) as registry:
        first = max(rev, registry.client.horizon().floor + 1)
        with registry.watch_event(first, types=types or None, app=app) as events:
            found = _until(events, registry.client.rev())
            # The latest ones are known when the last one is there.
            output.stream(found if limit is None else deque(found, maxlen=limit), rows.events())


def _until(events: EventWatch, last: int) -> Iterator[Event]:
    """Yield the events up to a rev."""
    while events.rev < last:
        try:
            yield events.next(timeout=0.05)
        except DeadlineExceeded:
            events.progress()  # past the commits that are no events


for _each in (tail_command, ls_command):
    event_command.add_command(_each)
