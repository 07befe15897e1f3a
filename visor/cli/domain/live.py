"""Lists that are looked at live: drawn again on a terminal whenever something changes, else told change by change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from visor._core.registry.events import EventType
from visor.cli.output import Output
from visor.cli.settings import Settings
from visor.cli.views import View
from visor.errors import DeadlineExceeded

if TYPE_CHECKING:
    from visor.registry import Instance, Registry

T = TypeVar("T")

CALM, MOST = 0.1, 10
"""Seconds without a change after which a list is drawn again, and how many of them it may take."""
CLEAR = "\x1b[H\x1b[2J\x1b[3J"

INSTANCES = tuple(each for each in EventType if each.value.startswith("instance"))


def instances(
    settings: Settings,
    output: Output,
    registry: Registry,
    read: Callable[[], list[Instance]],
    wanted: Callable[[Instance], bool],
    view: View[Instance],
) -> None:
    """Show the instances that `read` gives, and follow them until interrupted."""
    start = registry.snapshot()
    with registry.watch_event(rev=start.rev + 1, types=INSTANCES) as events:
        if output.form == "table" and output.terminal:
            while True:
                output.drawn(CLEAR)
                output.say(f"{settings.flags.get('root') or '/'} at rev {registry.client.rev()}")
                output.rows({}, "instances", list(read()), view)
                output.flush()
                events.next_commit()
                _calm_down(events.next_commit)
        output.stream(_told(read(), (event.source for event in events), wanted), view)


def _told(
    first: list[Instance], later: Iterable[object], wanted: Callable[[Instance], bool]
) -> Iterator[Instance]:
    from visor.blocking.registry.instance import Instance

    yield from first
    for each in later:
        if isinstance(each, Instance) and wanted(each):
            yield each


def _calm_down(following: Callable[..., object]) -> None:
    """Wait until nothing changes for a moment, so that a storm is drawn once and not for every commit."""
    for _ in range(MOST):
        try:
            following(timeout=CALM)
        except DeadlineExceeded:
            return
