"""`service`: services and their endpoints."""

from __future__ import annotations

import click

from visor.cli.domain import rows
from visor.cli.domain.common import actor_option, changed, domain, moment_options, seen
from visor.cli.options import VisorGroup, command
from visor.cli.output import Output
from visor.cli.settings import Settings

NUMBER = click.IntRange(0, 65_535)


@click.group("service", cls=VisorGroup)
def service_command() -> None:
    """Register services and their endpoints, and look at them."""


@command("ls")
@moment_options
def ls_command(settings: Settings, rev: int | None, moment: str | None) -> None:
    """List the services."""
    output = Output(settings)
    with domain(settings) as registry:
        view = seen(registry, settings, rev, moment)
        output.rows({"rev": view.rev}, "services", view.services(), rows.services(settings.now))


@command("show")
@click.argument("name")
@moment_options
def show_command(settings: Settings, name: str, rev: int | None, moment: str | None) -> None:
    """List the endpoints of the service NAME, as a client should try them."""
    output = Output(settings)
    with domain(settings) as registry:
        service = seen(registry, settings, rev, moment).service(name)
        found = service.endpoints()
    output.rows({"service": name, "rev": service.rev}, "endpoints", found, rows.endpoints(settings.now))


@command("register")
@click.argument("name")
@actor_option
def register_command(settings: Settings, name: str) -> None:
    """Register the service NAME. Exit code 4 when there is one."""
    output = Output(settings)
    with domain(settings) as registry:
        service = registry.snapshot().new_service(name).register()
    changed(output, {"service": name}, service.rev)


@command("unregister")
@click.argument("name")
@actor_option
def unregister_command(settings: Settings, name: str) -> None:
    """Take the service NAME out, with its endpoints."""
    output = Output(settings)
    with domain(settings) as registry:
        gone = registry.snapshot().service(name).unregister()
    changed(output, {"service": name}, gone.rev)


@command("add")
@click.argument("name")
@click.argument("place", metavar="HOST:PORT")
@click.option("--priority", type=NUMBER, default=0, metavar="N", help="Lower ones first [0].")
@click.option("--weight", type=NUMBER, default=0, metavar="N", help="Share among equals [0].")
@click.option("--ip", metavar="ADDRESS", help="Its address [looked up now].")
@actor_option
def add_command(
    settings: Settings, name: str, place: str, priority: int, weight: int, ip: str | None
) -> None:
    """Register an endpoint of the service NAME."""
    output = Output(settings)
    with domain(settings) as registry:
        service = registry.snapshot().service(name)
        endpoint = service.register_endpoint(place, priority=priority, weight=weight, ip=ip)
    changed(output, {"service": name, "endpoint": place, "ip": endpoint.ip}, endpoint.rev)


@command("rm")
@click.argument("name")
@click.argument("place", metavar="HOST:PORT")
@actor_option
def rm_command(settings: Settings, name: str, place: str) -> None:
    """Take an endpoint of the service NAME out."""
    output = Output(settings)
    with domain(settings) as registry:
        gone = registry.snapshot().endpoint(name, place).unregister()
    changed(output, {"service": name, "endpoint": place}, gone.rev)


for _each in (ls_command, show_command, register_command, unregister_command, add_command, rm_command):
    service_command.add_command(_each)
