"""`lock` and `elect`: do something while nobody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from visor import paths
from visor.cli import exits, payload, views
from visor.cli.connect import connect
from visor.cli.display import Display, chosen
from visor.cli.held import announce, finish, hold, run_held
from visor.cli.options import AS_GIVEN, CHILD, ChildCommand, complete_directory, seconds
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings
from visor.errors import BadPath, DeadlineExceeded, NotFound

if TYPE_CHECKING:
    from visor import Contender
    from visor.blocking import Client, Lock, Session

LOCKS = "/locks/"
ELECTIONS = "/elections/"

ttl_option = click.option(
    "--ttl",
    default="10s",
    metavar="TIME",
    callback=seconds,
    help="How long it survives this command's silence [10s].",
)
actor_option = click.option("--actor", metavar="NAME", help="Who does it, for the history [USER@HOST].")


@click.command("lock", cls=ChildCommand)
@click.argument("name", shell_complete=complete_directory)
@ttl_option
@click.option("--shared", is_flag=True, help="Beside others that lock it --shared.")
@click.option("--no-wait", is_flag=True, help="Fail with exit code 4 when somebody holds it.")
@click.option(
    "--delay", metavar="TIME", callback=seconds, help="Nobody gets it for so long after this holder was lost."
)
@actor_option
@click.pass_obj
def lock_command(settings: Settings, /, **options: Any) -> None:
    """Hold the lock NAME while -- CMD ARGS runs, and exit with its code.

    NAME is a directory, /locks/NAME when it has no slash in front. Those who wait are served in order; with
    --timeout the wait ends after that time with exit code 124. Without CMD the fencing number is printed, and the
    lock held until a signal comes.

    CMD finds VISOR_LOCK (the directory), VISOR_FENCE (a number that is higher for every later holder: let what CMD
    writes to refuse lower ones), VISOR_LOCK_FILE and VISOR_LEASE in its environment. Signals are passed on to it. When
    the lock is lost, CMD is ended and the exit code is 10.
    """
    output = Output(settings, silent=_command() is not None)
    path = _directory(options["name"], LOCKS)
    with connect(settings, options["actor"]) as client, client.session(options["ttl"]) as session:
        if options["shared"]:
            lock = session.read_lock(path)
        else:
            lock = session.lock(path, delay=options["delay"] or 0.0)
        _acquire(settings, output, lock, options["no_wait"])
        code = _use(settings, output, session, lock, {"LOCK": path, "LOCK_FILE": lock.path})
    finish(code)


def _command() -> list[str] | None:
    """Return the words after `--`."""
    found: list[str] | None = click.get_current_context().meta.get(CHILD)
    return found


def _directory(name: str, default: str) -> str:
    """Return the directory that NAME stands for. Raises BadPath, or Problem, for what cannot be one."""
    path = name if name.startswith("/") else default + name
    if path == paths.ROOT:
        raise Problem(
            f"'/' is the root, and this needs a directory of its own: NAME ({default}NAME) or /DIR/NAME"
        )
    why = paths.check(path)
    if why is not None:
        raise BadPath(path=path, why=why)
    return path


def _acquire(settings: Settings, output: Output, lock: Lock, at_once: bool) -> None:
    if at_once:
        if lock.try_acquire() is None:
            holders = [one.data.decode("utf-8", "replace") for one in lock.contenders() if one.data]
            held = f"is held by {holders[0]}" if holders else "is held"
            raise Problem(f"{lock.directory} {held}", code="locked", exit_code=exits.CONFLICT)
        return
    limit = settings.deadline(None)
    output.notice(f"waiting for {lock.directory}; Ctrl-C ends it")
    try:
        lock.acquire(limit)
    except DeadlineExceeded:
        if limit is None:
            raise
        raise DeadlineExceeded(
            f"{lock.directory} was not to be had within {limit:g} s", seconds=limit
        ) from None


def _use(settings: Settings, output: Output, session: Session, lock: Lock, described: dict[str, str]) -> int:
    """Run the command of the line while the lock is held, or hold it."""
    words = _command()
    if words is None:
        announce(output, lock)
        hold(lock)
    described |= {"FENCE": str(lock.fence), "LEASE": str(session.id)}
    return run_held(settings, lock, words, described)


# -- elections ----------------------------------------------------------------------------------------
@click.command("elect", cls=ChildCommand)
@click.argument("name", shell_complete=complete_directory)
@click.argument("value", required=False, type=AS_GIVEN)
@ttl_option
@click.option("--follow", is_flag=True, help="Print every leader as it comes, without standing.")
@actor_option
@click.pass_obj
def elect_command(settings: Settings, /, **options: Any) -> None:
    """Stand for leader of NAME with VALUE, and run -- CMD ARGS while leading.

    NAME is a directory, /elections/NAME when it has no slash in front; VALUE is what others see of the leader (text,
    @FILE or -). With --timeout the candidacy ends after that time with exit code 124. Without CMD the fencing number is
    printed, and the lead held until a signal comes. Without VALUE nobody stands: the present leader is printed, exit
    code 3 when there is none.

    CMD finds VISOR_ELECTION, VISOR_FENCE, VISOR_LOCK_FILE and VISOR_LEASE in its environment; signals and a lost
    lead are as for 'visor lock'.
    """
    stands = options["value"] is not None and not options["follow"]
    output = Output(settings, silent=stands and _command() is not None)
    path = _directory(options["name"], ELECTIONS)
    with connect(settings, options["actor"]) as client:
        if not stands:
            _show(settings, output, client, path, options["follow"])
            return
        value = payload.from_argument(options["value"], settings.streams.stdin)
        with client.session(options["ttl"]) as session:
            election = session.election(path, value)
            _acquire(settings, output, election, False)
            described = {"ELECTION": path, "LOCK_FILE": election.path}
            code = _use(settings, output, session, election, described)
    finish(code)


def _show(settings: Settings, output: Output, client: Client[bytes], path: str, follow: bool) -> None:
    if _command() is not None:
        raise Problem("a command is run by a leader: give VALUE, and not --follow")
    from visor.blocking import Election

    display = chosen(settings)
    if follow:
        output.stream(Election.observe_at(client, path), _leaders(path, display))
        return
    leader = Election.leader_at(client, path)
    if leader is None:
        raise NotFound(f"{path}: nobody leads", path=path, rev=None)
    view = _leaders(path, display)
    if output.is_json:
        output.document(view.shape(leader))
    else:
        rows: list[Contender | None] = [leader]
        output.stream(rows, view)


def _leaders(path: str, display: Display) -> views.View[Contender | None]:
    def shape(leader: Contender | None) -> dict[str, Any]:
        if leader is None:
            return {"path": path, "fence": None, "lease": None}
        return {
            "path": path,
            "fence": leader.fence,
            "lease": leader.lease,
            "file": leader.path,
            **display.fields(leader.data or b""),
        }

    def plain(leader: Contender | None) -> bytes:
        if leader is None:
            return views.record(path, 0, "nobody", None)
        return views.record(path, leader.fence, "leader", leader.data)

    def cells(leader: Contender | None) -> list[tuple[str, ...]]:
        if leader is None:
            return [("", "", "nobody")]
        return [(str(leader.fence), str(leader.lease), display.cell(leader.data))]

    return views.View(shape, plain, ("fence", "lease", "leader"), cells)
