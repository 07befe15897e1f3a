"""`cluster`: who belongs to the cluster, how it is, and changes of both."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Final

import click

from visor.cli import cluster as shapes
from visor.cli import exits
from visor.cli.aloud import timed_aloud
from visor.cli.connect import connect
from visor.cli.consent import obtain
from visor.cli.options import POSITIVE, REV, VisorGroup, consent_options, interval_option
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings
from visor.errors import NoMember
from visor.members import Member, Membership, of_given

if TYPE_CHECKING:
    from visor.blocking import Client

CHANGE_SECONDS: Final = 12.0
"""More than a member waits for the leader: the answer then says what is known."""
HASH_SECONDS: Final = 300.0
PROBE_SECONDS: Final = 3.0
JOIN_SECONDS: Final = 600.0
PAUSE_SECONDS: Final = 0.3


@click.group("cluster", cls=VisorGroup)
def cluster_command() -> None:
    """Look after the cluster: its members, leadership, health and replicas.

    MEMBER is a name or an id. Any member takes these commands and passes them to the leader.
    """


@cluster_command.command("status")
@click.option("--watch", is_flag=True, help="Again and again, with pictures of lag and throughput.")
@click.option("--count", type=POSITIVE, metavar="N", help="With --watch: end after N times.")
@interval_option
@click.pass_obj
def status_command(settings: Settings, watch: bool, count: int | None, interval: float) -> None:
    """Ask every member how it is, and print a line for each.

    Exit code 1 when another cluster answers at one of the addresses given: the lines are of one of the two.
    """
    output = Output(settings)
    if count is not None and not watch:
        raise Problem("--count says how often, with --watch")
    probe = settings.deadline(PROBE_SECONDS) or PROBE_SECONDS
    with connect(settings) as client:
        if watch:
            from visor.cli import cluster_watch

            cluster_watch.watch(lambda: client.admin.survey(timeout=probe), settings, output, interval, count)
            return
        survey = client.admin.survey(timeout=probe)
    output.rows(shapes.status_head(survey), "members", survey.reports, shapes.reports())
    if survey.strangers:
        if not output.is_json:
            output.flush()
            for stranger in survey.strangers:
                settings.streams.stderr.write(f"visor: {of_given(survey, stranger)[0]}\n")
        click.get_current_context().exit(exits.FAILED)


@cluster_command.command("health")
@click.option("--expect", type=click.IntRange(1, 64), metavar="N", help="So many members should vote.")
@click.pass_obj
def health_command(settings: Settings, expect: int | None) -> None:
    """Exit 0 only when every member answers, follows one leader, is not far behind and has no alarm.

    All addresses that were given are asked: another cluster at one of them is a problem, too. Each problem is a line;
    exit code 1 when there is one.
    """
    output = Output(settings)
    with connect(settings) as client:
        survey = client.admin.survey(timeout=settings.deadline(PROBE_SECONDS) or PROBE_SECONDS)
    survey = survey.expecting(expect)
    if output.is_json:
        output.document(shapes.survey_shape(survey))
    else:
        for problem in survey.problems or ("healthy",):
            output.say(problem)
    if not survey.healthy:
        click.get_current_context().exit(exits.FAILED)


@cluster_command.command("members")
@click.option("--stale", is_flag=True, help="As the node that answers knows them; works without a leader.")
@click.pass_obj
def members_command(settings: Settings, stale: bool) -> None:
    """List the members, and how far they are as the leader knows it."""
    output = Output(settings)
    with connect(settings) as client:
        membership = client.admin.members(stale=stale, timeout=settings.deadline())
    _print(output, membership)


@cluster_command.command("add")
@click.argument("name")
@click.option("--peer", metavar="HOST:PORT", help="Where the new member will listen for the others.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Where it will listen for clients [on the host of --peer, the usual port].",
)
@click.option("--wait", is_flag=True, help="Return when it has joined, has caught up and votes.")
@click.option("--learner", is_flag=True, help="It shall never get a vote by itself.")
@click.pass_obj
def add_command(
    settings: Settings, name: str, peer: str | None, listen: str | None, wait: bool, learner: bool
) -> None:
    """Print the command that starts a new member NAME, after checking that name and address are free.

    This alone changes nothing: a member is added by itself when it comes, first without a vote, and gets one
    when it has caught up. One that never starts can therefore never cost the majority.
    """
    output = Output(settings)
    with connect(settings) as client:
        membership = client.admin.members(timeout=settings.deadline())
        known = membership.find(name)
        if known is None or not wait:
            listen = listen or (shapes.client_address(membership, peer) if peer else None)
            _check_free(membership, name, peer, listen)
            line = _join_line(membership, name, peer, listen, learner)
            output.result({"name": name, "command": line}, line)
            output.flush()
        if wait:
            _wait_for(client, settings, name, learner)
            if output.form == "table":
                output.say(f"{name} {'has joined' if learner else 'votes'}")


def _check_free(membership: Membership, name: str, peer: str | None, listen: str | None) -> None:
    for one in membership.members:
        if one.name == name or one.peer == peer or (listen is not None and one.client == listen):
            raise Problem(
                f"the member {one.name} ({one.id}) at {one.peer} has that name or address; remove it first with "
                f"'visor cluster remove {one.id}', or choose another",
                code="exists",
                exit_code=exits.CONFLICT,
            )


def _join_line(membership: Membership, name: str, peer: str | None, listen: str | None, learner: bool) -> str:
    through = [one.peer for one in membership.members if one.peer]
    if not through:
        raise Problem(
            "nobody can join this node: it has no peer address; start it with --peer-listen HOST:PORT "
            "(its setting peers.listen), and with --bootstrap if it is new",
            code="no_peer_address",
            exit_code=exits.FAILED,
        )
    words = ["visord", "serve", "--name", name]
    words += ["--listen", listen] if listen else []
    words += ["--peer-listen", peer] if peer else []
    words += ["--data-dir", "/var/lib/visord", "--join", ",".join(through)]
    words += ["--learner"] if learner else []
    return shlex.join(words)


def _wait_for(client: Client[bytes], settings: Settings, name: str, learner: bool) -> None:
    deadline = time.monotonic() + (settings.deadline(JOIN_SECONDS) or JOIN_SECONDS)
    while True:
        found = client.admin.members(timeout=CHANGE_SECONDS).find(name)
        if found is not None and (found.voter or learner):
            return
        if time.monotonic() > deadline:
            state = "has not joined" if found is None else f"has no vote yet, {found.behind} entries behind"
            raise Problem(f"{name} {state}; it may still come", code="deadline", exit_code=exits.DEADLINE)
        time.sleep(PAUSE_SECONDS)


@cluster_command.command("promote")
@click.argument("member")
@click.pass_obj
def promote_command(settings: Settings, member: str) -> None:
    """Give the learner MEMBER a vote. Refused while it lacks too much."""
    output = Output(settings)
    with connect(settings) as client:
        membership = client.admin.promote(member, timeout=settings.deadline(CHANGE_SECONDS))
    _print(output, membership)


@cluster_command.command("remove")
@click.argument("member")
@consent_options
@click.pass_obj
def remove_command(settings: Settings, member: str, dry_run: bool, yes: bool) -> None:
    """Take MEMBER out of the cluster for ever.

    Its id never returns: a machine comes back as a new member, with an empty data directory. Refused when
    afterwards no majority could be reached. A leader hands leadership on first.
    """
    output = Output(settings)
    with connect(settings) as client:
        membership = client.admin.members(timeout=settings.deadline())
        found = _require(membership, member)
        left = len(membership.voters) - found.voter
        action = (
            f"remove {found.name} ({found.id}) for ever; {left} of {len(membership.voters)} voters are left, "
            f"of which {left // 2 + 1} are needed"
        )
        if dry_run:
            shape = {"dry_run": True, "id": found.id, "name": found.name, "voters": left}
            output.result({**shape, "needed": left // 2 + 1}, f"would {action}")
            return
        obtain(settings, action, yes)
        membership = client.admin.remove(found.id, timeout=settings.deadline(CHANGE_SECONDS))
    _print(output, membership)


def _require(membership: Membership, member: str) -> Member:
    found = membership.find(member)
    if found is None:
        known = ", ".join(f"{one.name} ({one.id})" for one in membership.members)
        raise NoMember(f"there is no member {member!r}, only {known}", member=member)
    return found


@cluster_command.command("transfer")
@click.argument("member", required=False)
@click.pass_obj
def transfer_command(settings: Settings, member: str | None) -> None:
    """Hand leadership to MEMBER [to the voter that has most of the log]."""
    output = Output(settings)
    with connect(settings) as client:
        membership = client.admin.transfer(member, timeout=settings.deadline(CHANGE_SECONDS))
    leader = membership.find(membership.leader or "")
    assert leader is not None
    output.result({**shapes.head(membership), "name": leader.name}, leader.name)


@cluster_command.command("hash")
@click.option("--rev", type=REV, metavar="N", help="Compare as of rev N [the latest].")
@click.pass_obj
def hash_command(settings: Settings, rev: int | None) -> None:
    """Compare the state of all members at one entry of the log; exit 9 when they differ, or none could be compared.

    It reads everything, beside everything else, so it takes its time on a large registry. A member that
    differs from the majority stops serving.
    """
    output = Output(settings)
    with connect(settings) as client, timed_aloud(_comparing, output):
        found = client.admin.compare(rev, timeout=settings.deadline(HASH_SECONDS) or HASH_SECONDS)
    output.rows(
        {"index": found.index, "rev": found.rev, "equal": found.equal},
        "replicas",
        found.replicas,
        shapes.replicas(),
    )
    if not found.equal:
        click.get_current_context().exit(exits.DAMAGE)


def _comparing(seconds: int) -> str:
    return f"comparing for {seconds} s: each member reads all that it holds, and its log says how far it is"


def _print(output: Output, membership: Membership) -> None:
    output.rows(shapes.head(membership), "members", membership.members, shapes.members())
