"""What the domain's commands share: the way to the domain, options, answers to a change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from visor._core.registry import errors
from visor.cli import exits, failure
from visor.cli.connect import connect
from visor.cli.options import REV, remember
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.reading import past
from visor.cli.settings import Settings
from visor.errors import NotFound, VisorError

if TYPE_CHECKING:
    from visor.registry import Registry, Snapshot


F = TypeVar("F", bound=Callable[..., Any])

exits.TABLE[errors.BadName] = exits.USAGE
exits.TABLE[errors.BadValue] = exits.USAGE
failure.HINTS.update(
    {
        errors.BadName: "names are letters, digits, '-' and '.'; of process types letters and digits",
        errors.IllegalMove: "look at it with 'visor instance show'",
        errors.AlreadyClaimed: "claim another one: 'visor ticket ls'",
        errors.NotClaimer: "only the host that has claimed it may do that",
        errors.InUse: "stop its instances first ('visor scale ... 0'), or say --cascade where there is that option",
        errors.Unregistered: "it is gone for good; 'visor event ls' tells its history",
        errors.SchemaMismatch: "use the version of visor that laid out this registry",
        errors.BadRecord: "somebody wrote this file by hand; 'visor revert' or 'visor init --repair' can bring it back",
    }
)


@contextmanager
def domain(settings: Settings) -> Iterator[Registry]:
    """Give the domain for one command."""
    from visor.blocking.registry.registry import Registry

    with connect(settings, settings.flags.get("actor")) as client:
        yield Registry(client)


WHERE = {
    "revs": "rev",
    "procs": "proc",
    "envs": "env",
    "env": "env",
    "services": "service",
    "runners": "runner",
}
"""Which command lists what lies in a directory of the domain."""


def look_around(error: VisorError) -> str | None:
    """Return what to do where something of the domain is not there: the command that lists such things."""
    if type(error) is not NotFound or not isinstance(error.path, str):
        return None
    first, *rest = error.path.strip("/").split("/")
    if first == "ids":
        return f"'visor {'ticket' if str(error).startswith('ticket') else 'instance'} ls' lists those that are there"
    if first == "apps" and len(rest) == 2 and rest[1] == "app":
        return "'visor app ls' lists those that are there"
    if first == "apps" and len(rest) > 2 and rest[1] in WHERE:
        verb = "get" if rest[1] == "env" else "ls"
        return f"'visor {WHERE[rest[1]]} {verb} {rest[0]}' lists those that are there"
    return f"'visor {WHERE[first]} ls' lists those that are there" if first in WHERE else None


failure.ADVISERS.append(look_around)


def seen(registry: Registry, settings: Settings, rev: int | None, moment: str | None) -> Snapshot:
    """Return the snapshot that `--rev` or `--at` asks for: the latest without them."""
    return registry.snapshot(past(registry.client, settings, rev, moment))


def actor_option(function: F) -> F:
    """Add `--actor`."""
    return click.option(
        "--actor",
        metavar="NAME",
        expose_value=False,
        callback=remember,
        help="Who does it, for the history [USER@HOST].",
    )(function)


def moment_options(function: F) -> F:
    """Add `--rev` and `--at`: which state to read."""
    function = click.option("--at", "moment", metavar="TIME", help="As of a time: RFC 3339, 10m (ago).")(
        function
    )
    return click.option("--rev", type=REV, metavar="N", help="As of rev N of the registry.")(function)


def env_option(function: F) -> F:
    """Add `--env`."""
    return click.option("--env", metavar="REF", help="The immutable environment [none].")(function)


def changed(output: Output, shape: dict[str, Any], rev: int) -> None:
    """Answer to a change: its JSON with the rev, or the rev alone."""
    output.result({**shape, "rev": rev}, str(rev), f"rev {rev}")


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Read `KEY=VALUE` words. Raises Problem."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise Problem(f"{word!r} is not KEY=VALUE")
        found[key] = value
    return found
