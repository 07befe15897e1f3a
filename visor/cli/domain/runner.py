"""`runner`: runners, and the others that take part: loggers, proxies, process managers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from visor.cli.domain import rows
from visor.cli.domain.common import actor_option, changed, domain, moment_options, seen
from visor.cli.options import POSITIVE, VisorGroup, command
from visor.cli.output import Output
from visor.cli.settings import Settings

if TYPE_CHECKING:
    from visor.registry import Snapshot


KINDS = ("logger", "proxy", "pm")


@click.group("runner", cls=VisorGroup)
def runner_command() -> None:
    """Register runners, and look at them and at the other members."""


@command("ls")
@click.argument("host", required=False)
@moment_options
def ls_command(settings: Settings, host: str | None, rev: int | None, moment: str | None) -> None:
    """List the runners of HOST, or all."""
    output = Output(settings)
    with domain(settings) as registry:
        view = seen(registry, settings, rev, moment)
        output.rows({"rev": view.rev}, "runners", view.runners(host), rows.runners(settings.now))


@command("register")
@click.argument("place", metavar="HOST:PORT")
@click.argument("instance", type=POSITIVE)
@actor_option
def register_command(settings: Settings, place: str, instance: int) -> None:
    """Register the runner of an INSTANCE."""
    output = Output(settings)
    with domain(settings) as registry:
        runner = registry.snapshot().new_runner(place, instance).register()
    changed(output, {"runner": place, "instance": instance}, runner.rev)


@command("unregister")
@click.argument("place", metavar="HOST:PORT")
@actor_option
def unregister_command(settings: Settings, place: str) -> None:
    """Take a runner out."""
    output = Output(settings)
    with domain(settings) as registry:
        gone = registry.snapshot().runner(place).unregister()
    changed(output, {"runner": place}, gone.rev)


@command("members")
@click.argument("kind", type=click.Choice(KINDS), required=False)
@moment_options
def members_command(settings: Settings, kind: str | None, rev: int | None, moment: str | None) -> None:
    """List the loggers, proxies and process managers (pm)."""
    output = Output(settings)
    with domain(settings) as registry:
        view: Snapshot = seen(registry, settings, rev, moment)
        found = [member for each in KINDS if kind in (None, each) for member in view.members(each)]
    output.rows({"rev": view.rev}, "members", found, rows.members(settings.now))


for _each in (ls_command, register_command, unregister_command, members_command):
    runner_command.add_command(_each)
