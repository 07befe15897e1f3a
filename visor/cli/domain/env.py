"""`env`: the variables of an app, one at a time, and its immutable environments."""

from __future__ import annotations

import click

from visor._core.registry.listed import Listed
from visor.cli.domain import rows
from visor.cli.domain.common import actor_option, changed, domain, moment_options, pairs, seen
from visor.cli.options import VisorGroup, command
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings


@click.group("env", cls=VisorGroup)
def env_command() -> None:
    """Variables of an app (get, set, del), and immutable environments (ls, show, register, unregister)."""


@command("get")
@click.argument("app")
@click.argument("key", required=False)
@moment_options
def get_command(settings: Settings, app: str, key: str | None, rev: int | None, moment: str | None) -> None:
    """Print the variable KEY of APP, or all of them."""
    output = Output(settings)
    with domain(settings) as registry:
        found = seen(registry, settings, rev, moment).app(app)
        if key is not None:
            value = found.get_environment_variable(key)
            output.result({"app": app, "key": key, "value": value, "rev": found.rev}, value)
            return
        variables = found.environment_variables()
        in_order = Listed(sorted(variables.items()), variables.damaged)
    output.rows({"app": app, "rev": found.rev}, "variables", in_order, rows.variables())


@command("set")
@click.argument("app")
@click.argument("variables", nargs=-1, required=True, metavar="KEY=VALUE...")
@actor_option
def set_command(settings: Settings, app: str, variables: tuple[str, ...]) -> None:
    """Set variables of APP. An environment that must change as a whole is better an immutable one."""
    output = Output(settings)
    wanted = pairs(variables)
    with domain(settings) as registry:
        found = registry.app(app)
        for key, value in wanted.items():
            found = found.set_environment_variable(key, value)
    changed(output, {"app": app, "keys": list(wanted)}, found.rev)


@command("del")
@click.argument("app")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@actor_option
def del_command(settings: Settings, app: str, keys: tuple[str, ...]) -> None:
    """Delete variables of APP. Exit code 3 when one is not there."""
    output = Output(settings)
    with domain(settings) as registry:
        found = registry.app(app)
        for key in keys:
            found = found.del_environment_variable(key)
    changed(output, {"app": app, "keys": list(keys)}, found.rev)


@command("ls")
@click.argument("app", required=False)
@moment_options
def ls_command(settings: Settings, app: str | None, rev: int | None, moment: str | None) -> None:
    """List the immutable environments of APP, or of all apps."""
    output = Output(settings)
    with domain(settings) as registry:
        view = seen(registry, settings, rev, moment)
        found = view.envs() if app is None else view.app(app).envs()
        output.rows({"rev": view.rev}, "envs", found, rows.envs(settings.now))


@command("show")
@click.argument("app")
@click.argument("ref")
@moment_options
def show_command(settings: Settings, app: str, ref: str, rev: int | None, moment: str | None) -> None:
    """Print the variables of the immutable environment REF of APP."""
    output = Output(settings)
    with domain(settings) as registry:
        found = seen(registry, settings, rev, moment).env(app, ref)
    head = {"app": app, "env": ref, "rev": found.rev}
    output.rows(head, "variables", sorted(found.vars.items()), rows.variables())


@command("register")
@click.argument("app")
@click.argument("ref")
@click.argument("variables", nargs=-1, metavar="[KEY=VALUE]...")
@actor_option
def register_command(settings: Settings, app: str, ref: str, variables: tuple[str, ...]) -> None:
    """Register the immutable environment REF of APP. Exit code 4 when there is one."""
    output = Output(settings)
    if "=" in ref:
        raise Problem(f"{ref!r} is no name for an environment; give APP REF KEY=VALUE...")
    wanted = pairs(variables)
    with domain(settings) as registry:
        env = registry.snapshot().new_env(app, ref, wanted).register()
    changed(output, {"app": app, "env": ref}, env.rev)


@command("unregister")
@click.argument("app")
@click.argument("ref")
@actor_option
def unregister_command(settings: Settings, app: str, ref: str) -> None:
    """Take the immutable environment REF of APP out. Exit code 4 while an instance runs with it."""
    output = Output(settings)
    with domain(settings) as registry:
        gone = registry.snapshot().env(app, ref).unregister()
    changed(output, {"app": app, "env": ref}, gone.rev)


for _each in (
    get_command,
    set_command,
    del_command,
    ls_command,
    show_command,
    register_command,
    unregister_command,
):
    env_command.add_command(_each)
