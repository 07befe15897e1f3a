"""`app`: apps."""

from __future__ import annotations

import click

from visor.cli.consent import obtain
from visor.cli.domain import rows
from visor.cli.domain.common import actor_option, changed, domain, moment_options, pairs, seen
from visor.cli.options import VisorGroup, command
from visor.cli.output import Output
from visor.cli.settings import Settings


@click.group("app", cls=VisorGroup)
def app_command() -> None:
    """Register apps, and look at them."""


@command("ls")
@moment_options
def ls_command(settings: Settings, rev: int | None, moment: str | None) -> None:
    """List the apps."""
    output = Output(settings)
    with domain(settings) as registry:
        view = seen(registry, settings, rev, moment)
        output.rows({"rev": view.rev}, "apps", view.apps(), rows.apps(settings.now))


@command("show")
@click.argument("name")
@moment_options
def show_command(settings: Settings, name: str, rev: int | None, moment: str | None) -> None:
    """Describe the app NAME: its attributes, revisions, process types, how many instances run."""
    output = Output(settings)
    with domain(settings) as registry:
        view = seen(registry, settings, rev, moment)
        app = view.app(name)
        shape = {
            **app.to_dict(),
            "revisions": [each.ref for each in app.revisions()],
            "procs": [each.name for each in app.procs()],
            "envs": [each.ref for each in app.envs()],
            "variables": dict(app.environment_variables()),
            "instances": sum(
                view.get_scale(name, group.revision, group.proc, group.env).count
                for group in view.targets(name)
            ),
        }
    output.facts(shape)


@command("register")
@click.argument("name")
@click.option("--repo", default="", metavar="URL", help="Where its source is.")
@click.option("--stack", default="", metavar="NAME", help="What it runs on.")
@click.option("--type", "deploy_type", default="lxc", metavar="TYPE", help="How it is deployed [lxc].")
@click.option("--var", "variables", multiple=True, metavar="KEY=VALUE", help="A variable of its environment.")
@actor_option
def register_command(
    settings: Settings, name: str, repo: str, stack: str, deploy_type: str, variables: tuple[str, ...]
) -> None:
    """Register the app NAME. Exit code 4 when there is one."""
    output = Output(settings)
    env = pairs(variables)
    with domain(settings) as registry:
        app = registry.register_app(repo, stack, name, deploy_type=deploy_type, env=env)
    changed(output, {"app": name}, app.rev)


@command("unregister")
@click.argument("name")
@click.option("--cascade", is_flag=True, help="Take its running instances out too.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@actor_option
def unregister_command(settings: Settings, name: str, cascade: bool, yes: bool) -> None:
    """Take the app NAME out, with everything that belongs to it. Exit code 4 while instances of it run."""
    output = Output(settings)
    with domain(settings) as registry:
        app = registry.app(name)
        obtain(settings, f"unregister the app {name} and everything below it", yes)
        gone = app.unregister(cascade=cascade)
    changed(output, {"app": name}, gone.rev)


@command("head")
@click.argument("name")
@click.argument("ref", required=False)
@actor_option
def head_command(settings: Settings, name: str, ref: str | None) -> None:
    """Print the latest revision of the app NAME, or make it REF."""
    output = Output(settings)
    with domain(settings) as registry:
        app = registry.app(name)
        if ref is not None:
            app = app.set_head(ref)
    if ref is None:
        output.result({"app": name, "head": app.head, "rev": app.rev}, app.head or "")
    else:
        changed(output, {"app": name, "head": ref}, app.rev)


for _each in (ls_command, show_command, register_command, unregister_command, head_command):
    app_command.add_command(_each)
