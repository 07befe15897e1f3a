"""`rev`: the registry's latest rev, and with a word after it the revisions of apps."""

from __future__ import annotations

import click

from visor.cli import exits
from visor.cli.commands.node import rev_command as latest
from visor.cli.domain import rows
from visor.cli.domain.common import actor_option, changed, domain, moment_options, seen
from visor.cli.options import VisorGroup, command, stale_option
from visor.cli.output import Output
from visor.cli.settings import Settings
from visor.errors import NotFound


@click.group("rev", cls=VisorGroup, invoke_without_command=True)
@stale_option
@click.pass_context
def rev_command(context: click.Context, stale: bool) -> None:
    """Print the latest rev of the registry; in JSON also the floor of history and the time of the latest commit.

    With a command: the revisions of apps.
    """
    if context.invoked_subcommand is None:
        context.invoke(latest, stale=stale)


@command("ls")
@click.argument("app", required=False)
@moment_options
def ls_command(settings: Settings, app: str | None, rev: int | None, moment: str | None) -> None:
    """List the revisions of APP, or of all apps."""
    output = Output(settings)
    with domain(settings) as registry:
        view = seen(registry, settings, rev, moment)
        found = view.revisions() if app is None else view.app(app).revisions()
        output.rows({"rev": view.rev}, "revisions", found, rows.revisions(settings.now))


@command("show")
@click.argument("app")
@click.argument("ref")
@moment_options
def show_command(settings: Settings, app: str, ref: str, rev: int | None, moment: str | None) -> None:
    """Describe the revision REF of APP: its archive, and how many instances of it run."""
    output = Output(settings)
    with domain(settings) as registry:
        revision = seen(registry, settings, rev, moment).revision(app, ref)
        shape = {**revision.to_dict(), "instances": revision.count(), "procs": revision.procs_running()}
    output.facts(shape)


@command("exists")
@click.argument("app")
@click.argument("ref")
def exists_command(settings: Settings, app: str, ref: str) -> None:
    """Say whether APP has the revision REF: exit code 0, or 3."""
    output = Output(settings)
    with domain(settings) as registry:
        try:
            found = registry.snapshot().revision(app, ref)
        except NotFound:
            if output.is_json:
                output.document({"app": app, "revision": ref, "exists": False})
            raise click.exceptions.Exit(exits.NOT_FOUND) from None
    output.result({"app": app, "revision": ref, "exists": True, "rev": found.rev}, "yes")


@command("register")
@click.argument("app")
@click.argument("ref")
@click.option("--archive", default="", metavar="URL", help="Where its build is.")
@actor_option
def register_command(settings: Settings, app: str, ref: str, archive: str) -> None:
    """Register the revision REF of APP. Exit code 4 when there is one."""
    output = Output(settings)
    with domain(settings) as registry:
        revision = registry.snapshot().new_revision(app, ref, archive).register()
    changed(output, {"app": app, "revision": ref}, revision.rev)


@command("unregister")
@click.argument("app")
@click.argument("ref")
@actor_option
def unregister_command(settings: Settings, app: str, ref: str) -> None:
    """Take the revision REF of APP out. Exit code 4 while instances of it run."""
    output = Output(settings)
    with domain(settings) as registry:
        gone = registry.snapshot().revision(app, ref).unregister()
    changed(output, {"app": app, "revision": ref}, gone.rev)


for _each in (ls_command, show_command, exists_command, register_command, unregister_command):
    rev_command.add_command(_each)
