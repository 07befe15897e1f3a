"""`join-token`: what lets one machine become a member, once."""

from __future__ import annotations

import os
from typing import Any

import click

from visor.auth import JoinTokenInfo
from visor.cli import views
from visor.cli.connect import connect
from visor.cli.options import VisorGroup, author_options, command, seconds
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings


@click.group("join-token", cls=VisorGroup)
def join_token_command() -> None:
    """Tokens to join: each lets one machine become a member, by 'visord join' there."""


@command("add")
@click.option("--name", default="", metavar="NAME", help="What the member will be called [as it likes].")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="A name or address of the machine, for its certificate; repeatable [what it asks for].",
)
@click.option("--learner", is_flag=True, help="The member gets no vote by itself.")
@click.option(
    "--ttl", default="1h", callback=seconds, metavar="TIME", help="How long it lasts [1h]; 24h at most."
)
@click.option("--token-file", metavar="FILE", help="Put it into this new file (0600), and do not print it.")
@author_options
def join_token_add_command(
    settings: Settings,
    name: str,
    hosts: tuple[str, ...],
    learner: bool,
    ttl: float,
    token_file: str | None,
    **options: Any,
) -> None:
    """Make a token that lets one machine become a member, and print it: this once, nobody can tell it again.

    Without --host its certificate is made out to the hosts that it asks for, if no other member has them.

    \b
      visor join-token add --name n2 --host 10.0.0.2 --token-file n2.join
    """
    output = Output(settings)
    file = None if token_file is None else _new_file(token_file)
    try:
        with connect(settings, options["actor"]) as client:
            token = client.auth.add_join_token(
                name=name, hosts=hosts, learner=learner, ttl=ttl, note=options["note"]
            )
    except BaseException:
        if token_file is not None and file is not None:
            from pathlib import Path  # costs more than all of the rest here

            os.close(file)
            Path(token_file).unlink(missing_ok=True)
        raise
    if file is None:
        output.result({"token": token}, token)
        return
    with os.fdopen(file, "w", encoding="ascii") as out:
        out.write(f"{token}\n")
    output.result({"token_file": token_file}, str(token_file), f"the token is in {token_file}")


def _new_file(file: str) -> int:
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = "it is there already: name a new one" if isinstance(error, FileExistsError) else error.strerror
        raise Problem(f"cannot make {file}: {why}") from None


@command("ls")
def join_token_ls_command(settings: Settings) -> None:
    """List the tokens to join that have not expired: id, name, hosts, until when, by whom, and who has used it."""
    output = Output(settings)
    with connect(settings) as client:
        output.rows({}, "tokens", client.auth.join_tokens(), _tokens())


def _tokens() -> views.View[JoinTokenInfo]:
    def fields(token: JoinTokenInfo) -> views.Cells:
        hosts, until = ",".join(token.hosts) or "-", views.time_of(token.expires)
        return (token.id, token.name or "-", hosts, until, token.by, token.member or "-")

    def shape(token: JoinTokenInfo) -> dict[str, Any]:
        return {
            "id": token.id,
            "name": token.name or None,
            "hosts": list(token.hosts),
            "learner": token.learner,
            "created": views.time_of(token.created),
            "by": token.by,
            "expires": views.time_of(token.expires),
            "member": token.member or None,
        }

    columns = ("id", "name", "hosts", "expires", "by", "used by")
    return views.View(shape, lambda token: views.line(*fields(token)), columns, lambda token: [fields(token)])


@command("revoke")
@click.argument("token", metavar="ID")
@author_options
def join_token_revoke_command(settings: Settings, token: str, **options: Any) -> None:
    """Take the token ID back: nobody becomes a member by it any more. Who has stays one."""
    output = Output(settings)
    with connect(settings, options["actor"]) as client:
        client.auth.revoke_join_token(token, note=options["note"])
    output.result({"token": token}, token, f"{token} lets nobody join any more")


for _each in (join_token_add_command, join_token_ls_command, join_token_revoke_command):
    join_token_command.add_command(_each)
