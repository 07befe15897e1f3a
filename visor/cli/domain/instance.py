"""`instance`: instances, and every move that one can make."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from visor._core.registry import layout
from visor._core.registry.ids import BLOCK
from visor._core.registry.states import State
from visor.cli.consent import obtain
from visor.cli.domain import rows
from visor.cli.domain.common import actor_option, changed, domain, env_option, moment_options, seen
from visor.cli.options import PORT, POSITIVE, VisorGroup, command
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings
from visor.cli.wording import counted
from visor.errors import NotFound

if TYPE_CHECKING:
    from visor.registry import Instance, Listed, Snapshot


ID = POSITIVE
STATES = tuple(state.value for state in State)
ENDS = ("instance-exit", "instance-fail", "instance-lost", "instance-unregister")

host_option = click.option("--host", metavar="HOST", help="The claimer [whoever has claimed it].")
reason_option = click.option("--reason", metavar="TEXT", help="Why.")


@click.group("instance", cls=VisorGroup)
def instance_command() -> None:
    """Look at instances, and report what becomes of them."""


@command("ls")
@click.argument("app", required=False)
@click.option("--revision", metavar="REF", help="Only of this revision.")
@click.option("--proc", metavar="NAME", help="Only of this process type.")
@env_option
@click.option("--host", metavar="HOST", help="Only those that run on this host.")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only in this state.")
@click.option("-a", "--all", "ended", is_flag=True, help="Also those that have ended.")
@click.option("-w", "--watch", is_flag=True, help="Show them live, until interrupted.")
@moment_options
def ls_command(settings: Settings, watch: bool, **options: Any) -> None:
    """List the instances of APP, or of all apps."""
    output = Output(settings)
    wanted = _wanted(options)
    view = rows.instances(settings.now)
    with domain(settings) as registry:
        if watch:
            if options["rev"] is not None or options["moment"] is not None:
                raise Problem("--watch shows what is there now: it excludes --rev and --at")
            from visor.cli.domain import live

            live.instances(
                settings, output, registry, lambda: _read(registry.snapshot(), options, wanted), wanted, view
            )
            return
        state = seen(registry, settings, options["rev"], options["moment"])
        output.rows({"rev": state.rev}, "instances", _read(state, options, wanted), view)


def _read(view: Snapshot, options: dict[str, Any], wanted: Callable[[Instance], bool]) -> Listed[Instance]:
    if options["host"] is not None:
        found = view.host_instances(options["host"])
    else:
        found = view.instances(options["app"], options["revision"], options["proc"], options["env"])
    return found.where(wanted)


def _wanted(options: dict[str, Any]) -> Callable[[Instance], bool]:
    states = {State(each) for each in options["states"]}

    def wanted(each: Instance) -> bool:
        live = each.state not in (State.EXITED, State.FAILED, State.DONE) or options["ended"]
        return (
            (each.state in states if states else live)
            and options["app"] in (None, each.app)
            and options["revision"] in (None, each.revision)
            and options["proc"] in (None, each.proc)
            and options["env"] in (None, each.env)
            and options["host"] in (None, each.host)
        )

    return wanted


@command("show")
@click.argument("identity", type=ID, metavar="ID")
@moment_options
def show_command(settings: Settings, identity: int, rev: int | None, moment: str | None) -> None:
    """Describe the instance ID. Exit code 3 when there is none, or it is unregistered."""
    output = Output(settings)
    with domain(settings) as registry:
        instance = seen(registry, settings, rev, moment).instance(identity)
    output.facts(instance.to_dict())


@command("tail")
@click.argument("identity", type=ID, metavar="ID")
def tail_command(settings: Settings, identity: int) -> None:
    """Print what became of the instance ID since its registration, and what becomes of it until its end."""
    output = Output(settings)
    with domain(settings) as registry:
        view = registry.snapshot()
        found = view.identity(identity)
        if found is None:
            raise NotFound(f"instance {identity}: not found", path=layout.identity(identity), rev=view.rev)
        first = max(identity // BLOCK, registry.client.horizon().floor + 1)
        with registry.watch_event(first, app=found.app) as events:
            for event in events:
                if event.path.instance != identity:
                    continue
                output.stream([event], rows.events())
                if event.type in ENDS:
                    return


@command("register")
@click.argument("app")
@click.argument("revision")
@click.argument("proc")
@click.option("--on", "place", metavar="HOST:PORT", help="It runs there already [pending].")
@env_option
@actor_option
def register_command(
    settings: Settings, app: str, revision: str, proc: str, place: str | None, env: str | None
) -> None:
    """Register one instance and print its id."""
    output = Output(settings)
    with domain(settings) as registry:
        instance = registry.snapshot().register_instance(app, revision, proc, place, env)
    output.result(instance.to_dict(), str(instance.id), f"instance {instance.id}")


@command("wait")
@click.argument("identity", type=ID, metavar="ID")
@click.argument("states", nargs=-1, type=click.Choice(STATES))
def wait_command(settings: Settings, identity: int, states: tuple[str, ...]) -> None:
    """Wait until the instance ID is in one of the STATES [its end], or has ended, and print its state.

    Waits for ever unless --timeout is given; then the exit code is 124.
    """
    output = Output(settings)
    with domain(settings) as registry:
        instance = registry.instance(identity).wait(*states, timeout=settings.deadline(None))
    output.result(instance.to_dict(), instance.state.value)


def _moves(name: str, *options: Callable[[Any], Any]) -> Callable[[Callable[..., Instance]], click.Command]:
    """Make a command that moves one instance: the function is given it and the options."""

    def decorate(function: Callable[..., Instance]) -> click.Command:
        def run(settings: Settings, identity: int, **given: Any) -> None:
            output = Output(settings)
            with domain(settings) as registry:
                instance = function(registry.instance(identity), **given)
            shape = {"instance": identity, "state": instance.state.value}
            changed(output, shape, instance.rev)

        run.__doc__ = function.__doc__
        decorated: Any = run
        for option in (actor_option, *reversed(options)):
            decorated = option(decorated)
        decorated = click.argument("identity", type=ID, metavar="ID")(decorated)
        return command(name)(decorated)

    return decorate


@_moves("claim", click.option("--host", required=True, metavar="HOST", help="Who claims it."))
def claim_command(instance: Instance, host: str) -> Instance:
    """Take the instance ID on, for a host. Exit code 4 when somebody was first."""
    return instance.claim(host)


@_moves("unclaim", host_option)
def unclaim_command(instance: Instance, host: str | None) -> Instance:
    """Give the instance ID back."""
    return instance.unclaim(host)


@_moves(
    "started",
    host_option,
    click.option("--port", type=PORT, metavar="PORT", help="Where it listens."),
    click.option("--hostname", metavar="NAME", help="The name of the machine."),
    click.option("--tele-port", type=PORT, metavar="PORT", help="Where its telemetry is."),
)
def started_command(instance: Instance, **options: Any) -> Instance:
    """Report that the instance ID runs."""
    return instance.started(**options)


@_moves("stop")
def stop_command(instance: Instance) -> Instance:
    """Ask the host of the instance ID to end it."""
    return instance.stop()


@_moves("exited", host_option, reason_option)
def exited_command(instance: Instance, host: str | None, reason: str | None) -> Instance:
    """Report that the instance ID has exited."""
    return instance.exited(host, reason or "exited")


@_moves("failed", host_option, reason_option)
def failed_command(instance: Instance, host: str | None, reason: str | None) -> Instance:
    """Report that the instance ID has failed."""
    return instance.failed(host, reason or "failed")


@_moves("lost", reason_option)
def lost_command(instance: Instance, reason: str | None) -> Instance:
    """Say that nobody knows the instance ID any more."""
    return instance.lost(reason=reason or "lost")


@_moves("lock", reason_option)
def lock_command(instance: Instance, reason: str | None) -> Instance:
    """Mark the instance ID as one's own. Exit code 4 when it is somebody's."""
    return instance.lock(reason=reason or "")


@_moves("unlock")
def unlock_command(instance: Instance) -> Instance:
    """Take the mark of the instance ID away."""
    return instance.unlock()


@_moves("unregister", reason_option)
def unregister_command(instance: Instance, reason: str | None) -> Instance:
    """Take the instance ID out for ever; a tombstone stays."""
    return instance.unregister(reason=reason or "unregistered")


@command("purge")
@click.argument("app", required=False)
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@actor_option
def purge_command(settings: Settings, app: str | None, yes: bool) -> None:
    """Unregister all instances of APP, or of all apps, that have exited, failed or got lost."""
    output = Output(settings)
    with domain(settings) as registry:
        obtain(settings, f"unregister all ended instances of {app or 'all apps'}", yes)
        count = registry.purge(app)
    output.result(
        {"app": app, "unregistered": count}, str(count), f"{counted(count, 'instance')} unregistered"
    )


for _each in (
    ls_command,
    show_command,
    tail_command,
    register_command,
    wait_command,
    claim_command,
    unclaim_command,
    started_command,
    stop_command,
    exited_command,
    failed_command,
    lost_command,
    lock_command,
    unlock_command,
    unregister_command,
    purge_command,
):
    instance_command.add_command(_each)
