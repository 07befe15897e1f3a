"""`proc`: process types."""

from __future__ import annotations

import click

from visor._core.registry.model import Limits
from visor.cli.domain import rows
from visor.cli.domain.common import actor_option, changed, domain, moment_options, pairs, seen
from visor.cli.options import POSITIVE, VisorGroup, command
from visor.cli.output import Output
from visor.cli.settings import Settings


@click.group("proc", cls=VisorGroup)
def proc_command() -> None:
    """Register process types, and look at them."""


@command("ls")
@click.argument("app", required=False)
@moment_options
def ls_command(settings: Settings, app: str | None, rev: int | None, moment: str | None) -> None:
    """List the process types of APP, or of all apps."""
    output = Output(settings)
    with domain(settings) as registry:
        view = seen(registry, settings, rev, moment)
        found = view.procs() if app is None else view.app(app).procs()
        output.rows({"rev": view.rev}, "procs", found, rows.procs(settings.now))


@command("show")
@click.argument("app")
@click.argument("name")
@moment_options
def show_command(settings: Settings, app: str, name: str, rev: int | None, moment: str | None) -> None:
    """Describe the process type NAME of APP."""
    output = Output(settings)
    with domain(settings) as registry:
        proc = seen(registry, settings, rev, moment).proc(app, name)
        shape = {**proc.to_dict(), "instances": proc.num_instances(), "revisions": proc.running_revs()}
    output.facts(shape)


@command("register")
@click.argument("app")
@click.argument("name")
@click.option("--command", "words", metavar="TEXT", help="How its processes are started.")
@click.option("--memory", type=POSITIVE, metavar="MB", help="What a process may use.")
@click.option("--no-port", is_flag=True, help="Claim no port for it.")
@click.option("--attr", "attrs", multiple=True, metavar="KEY=VALUE", help="Something else to keep with it.")
@actor_option
def register_command(
    settings: Settings,
    app: str,
    name: str,
    words: str | None,
    memory: int | None,
    no_port: bool,
    attrs: tuple[str, ...],
) -> None:
    """Register the process type NAME (letters and digits) of APP, and claim a port for it."""
    output = Output(settings)
    kept = pairs(attrs)
    with domain(settings) as registry:
        proc = registry.snapshot().new_proc(
            app, name, command=words, with_port=not no_port, limits=Limits(memory), attrs=kept
        )
        proc = proc.register()
    changed(output, {"app": app, "proc": name, "port": proc.port}, proc.rev)


@command("set")
@click.argument("app")
@click.argument("name")
@click.option("--command", "words", metavar="TEXT", help="How its processes are started.")
@click.option("--memory", type=POSITIVE, metavar="MB", help="What a process may use.")
@click.option("--attr", "attrs", multiple=True, metavar="KEY=VALUE", help="Something else to keep with it.")
@actor_option
def set_command(
    settings: Settings,
    app: str,
    name: str,
    words: str | None,
    memory: int | None,
    attrs: tuple[str, ...],
) -> None:
    """Change what is given of the process type NAME of APP."""
    output = Output(settings)
    kept = pairs(attrs)
    with domain(settings) as registry:
        proc = registry.snapshot().proc(app, name)
        proc = proc.store_attrs(
            {**proc.attrs, **kept} if kept else None,
            limits=None if memory is None else Limits(memory),
            command=words,
        )
    changed(output, {"app": app, "proc": name}, proc.rev)


@command("unregister")
@click.argument("app")
@click.argument("name")
@actor_option
def unregister_command(settings: Settings, app: str, name: str) -> None:
    """Take the process type NAME of APP out, and give its port back. Exit code 4 while instances of it run."""
    output = Output(settings)
    with domain(settings) as registry:
        gone = registry.snapshot().proc(app, name).unregister()
    changed(output, {"app": app, "proc": name}, gone.rev)


for _each in (ls_command, show_command, register_command, set_command, unregister_command):
    proc_command.add_command(_each)
