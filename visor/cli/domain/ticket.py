"""`ticket`: work to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from visor._core.registry.states import Operation
from visor.cli import exits
from visor.cli.domain import rows
from visor.cli.domain.common import actor_option, domain, env_option, moment_options, seen
from visor.cli.options import POSITIVE, VisorGroup, command
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings

if TYPE_CHECKING:
    from visor.registry import Ticket


ID = POSITIVE
host_option = click.option("--host", metavar="HOST", help="The claimer [whoever has claimed it].")


@click.group("ticket", cls=VisorGroup)
def ticket_command() -> None:
    """Make tickets, claim them, report them. Pending and stopping instances are tickets too."""


@command("ls")
@click.option("--host", metavar="HOST", help="Only those that this host has claimed.")
@click.option("-w", "--watch", is_flag=True, help="Then those that come, until interrupted.")
@moment_options
def ls_command(
    settings: Settings, host: str | None, watch: bool, rev: int | None, moment: str | None
) -> None:
    """List the tickets that are not processed."""
    output = Output(settings)
    form = rows.tickets(settings.now)
    with domain(settings) as registry:
        view = seen(registry, settings, rev, moment)
        found = view.tickets() if host is None else view.host_tickets(host)
        if not watch:
            output.rows({"rev": view.rev}, "tickets", found, form)
            return
        output.stream(found, form)
        with registry.watch_ticket(view.rev + 1, host=host) as tickets:
            output.stream(tickets, form)


@command("show")
@click.argument("identity", type=ID, metavar="ID")
@moment_options
def show_command(settings: Settings, identity: int, rev: int | None, moment: str | None) -> None:
    """Describe the ticket ID, also a processed one."""
    output = Output(settings)
    with domain(settings) as registry:
        ticket = seen(registry, settings, rev, moment).ticket(identity)
    output.facts(rows.tickets(settings.now).shape(ticket))


@command("create")
@click.argument("op", type=click.Choice([each.value for each in Operation]))
@click.argument("app")
@click.argument("revision")
@click.argument("proc")
@env_option
@actor_option
def create_command(settings: Settings, op: str, app: str, revision: str, proc: str, env: str | None) -> None:
    """Make a ticket that stands for itself, and print its id."""
    output = Output(settings)
    with domain(settings) as registry:
        ticket = registry.create_ticket(op, app, revision, proc, env)
    _answer(output, settings, ticket)


@command("claim")
@click.argument("identity", type=ID, metavar="ID", required=False)
@click.option("--host", required=True, metavar="HOST", help="Who claims it.")
@click.option("--app", metavar="NAME", help="Without ID: only of this app.")
@click.option("--proc", metavar="NAME", help="Without ID: only of this process type.")
@click.option("--op", type=click.Choice([each.value for each in Operation]), help="Without ID: only these.")
@actor_option
def claim_command(
    settings: Settings, identity: int | None, host: str, app: str | None, proc: str | None, op: str | None
) -> None:
    """Claim the ticket ID, or one of the open ones, and print its id. Exit code 3 when there is none."""
    output = Output(settings)
    with domain(settings) as registry:
        if identity is not None:
            ticket: Ticket | None = registry.ticket(identity).claim(host)
        else:
            ticket = registry.claim_ticket(host, app=app, proc=proc, op=op)
    if ticket is None:
        raise Problem("there is no open ticket", code="not_found", exit_code=exits.NOT_FOUND)
    _answer(output, settings, ticket)


@command("unclaim")
@click.argument("identity", type=ID, metavar="ID")
@host_option
@actor_option
def unclaim_command(settings: Settings, identity: int, host: str | None) -> None:
    """Give the ticket ID back."""
    output = Output(settings)
    with domain(settings) as registry:
        ticket = registry.ticket(identity).unclaim(host)
    _answer(output, settings, ticket)


@command("done")
@click.argument("identity", type=ID, metavar="ID")
@host_option
@actor_option
def done_command(settings: Settings, identity: int, host: str | None) -> None:
    """Report that the ticket ID is done."""
    output = Output(settings)
    with domain(settings) as registry:
        ticket = registry.ticket(identity).done(host)
    _answer(output, settings, ticket)


@command("dead")
@click.argument("identity", type=ID, metavar="ID")
@host_option
@click.option("--reason", default="dead", metavar="TEXT", help="Why.")
@actor_option
def dead_command(settings: Settings, identity: int, host: str | None, reason: str) -> None:
    """Report that the ticket ID cannot be done."""
    output = Output(settings)
    with domain(settings) as registry:
        ticket = registry.ticket(identity).dead(host, reason)
    _answer(output, settings, ticket)


@command("wait")
@click.argument("identity", type=ID, metavar="ID")
def wait_command(settings: Settings, identity: int) -> None:
    """Wait until the ticket ID is done or dead, and print which. With --timeout, exit code 124."""
    output = Output(settings)
    with domain(settings) as registry:
        ticket = registry.ticket(identity).wait_processed(timeout=settings.deadline(None))
    output.result(rows.tickets(settings.now).shape(ticket), ticket.status.value)


def _answer(output: Output, settings: Settings, ticket: Ticket) -> None:
    output.result(rows.tickets(settings.now).shape(ticket), str(ticket.id), f"ticket {ticket.id}")


for _each in (
    ls_command,
    show_command,
    create_command,
    claim_command,
    unclaim_command,
    done_command,
    dead_command,
    wait_command,
):
    ticket_command.add_command(_each)
