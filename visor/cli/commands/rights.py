"""`whoami`, `auth`, `user`, `role` and `token`: who may do what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from visor.auth import RIGHTS, Grant, Role, TokenInfo, User
from visor.cli import exits, views
from visor.cli.connect import connect
from visor.cli.consent import obtain
from visor.cli.options import AS_GIVEN, VisorGroup, author_options, command, consent_options, seconds
from visor.cli.output import Output
from visor.cli.settings import Settings
from visor.cli.wording import counted

RIGHT = click.Choice(RIGHTS)
READY = ("viewer", "operator", "scheduler", "deployer", "host")
"""The ready roles of `visor.registry.roles`, which is only loaded where one is made."""


def _grants(context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> tuple[Grant, ...]:
    """Read `read,write:/apps/**` into grants; for `callback=`."""
    found: list[Grant] = []
    for word in words:
        rights, colon, files = word.partition(":")
        wrong = [right for right in rights.split(",") if right not in RIGHTS]
        if not colon or not files.startswith("/") or wrong:
            raise click.BadParameter(
                f"{word!r} is no grant; write it like read,write:/apps/** with rights of {', '.join(RIGHTS)}",
                context,
                parameter,
            )
        found += [Grant(right, files) for right in rights.split(",")]
    return tuple(found)


def _short(grants: Iterable[Grant]) -> list[str]:
    """Return grants as they are typed: `read,write:/apps/**`, one for all rights on the same files."""
    rights: dict[str, list[str]] = {}
    for grant in grants:
        rights.setdefault(grant.where, []).append(grant.right)
    return [f"{','.join(found)}:{where}" for where, found in rights.items()]


# -- who somebody is --------------------------------------------------------------------------------------
@command("whoami")
def whoami_command(settings: Settings) -> None:
    """Say who you are to the registry, by what, until when, and what you may do."""
    output = Output(settings)
    with connect(settings) as client:
        me = client.auth.whoami()
    until = views.time_of(me.expires) if me.expires else None
    shape = {
        "user": me.user,
        "credential": me.credential or None,
        "expires": until,
        "roles": list(me.roles),
        "grants": _short(me.grants),
    }
    lines = [
        f"user\t{me.user}",
        f"credential\t{me.credential or '-'}",
        f"expires\t{until or '-'}",
        *(f"role\t{role}" for role in me.roles),
        *(f"grant\t{grant}" for grant in _short(me.grants)),
    ]
    output.facts(shape, "\n".join(lines))


@click.group("auth", cls=VisorGroup)
def auth_command() -> None:
    """Ask what somebody may do. See also 'visor user', 'role', 'token' and 'whoami'."""


@command("can")
@click.argument("user")
@click.argument("right", type=RIGHT)
@click.argument("files", metavar="PATH")
def can_command(settings: Settings, user: str, right: str, files: str) -> None:
    """Say whether USER has RIGHT on PATH (a path, a tree /a/** or a glob), and by which role.

    Exit code 0 for yes, 1 for no.
    """
    output = Output(settings)
    if not files.startswith("/"):
        raise click.BadParameter(f"{files!r} must begin with a slash", param_hint="'PATH'")
    with connect(settings) as client:
        verdict = client.auth.can(right, files, user=user)
    shape = {"allowed": verdict.allowed, "roles": list(verdict.roles), "missing": verdict.missing}
    if verdict:
        output.result(shape, "yes", f"yes, by {', '.join(verdict.roles)}")
    else:
        output.result(shape, "no", f"no: {user} has no {verdict.missing}")
        output.flush()
        click.get_current_context().exit(exits.FAILED)


# -- users ------------------------------------------------------------------------------------------------
@click.group("user", cls=VisorGroup)
def user_command() -> None:
    """Users: people and programs. 'anonymous' is everybody who proves nothing."""


@command("ls")
def user_ls_command(settings: Settings) -> None:
    """List the users and their roles."""
    output = Output(settings)
    with connect(settings) as client:
        output.rows({}, "users", client.auth.users(), _users())


def _users() -> views.View[User]:
    return views.View(
        lambda user: {"name": user.name, "roles": list(user.roles), "password": user.has_password},
        lambda user: views.line(user.name, ",".join(user.roles) or "-"),
        ("name", "roles"),
        lambda user: [(user.name, ", ".join(user.roles) or "-")],
    )


@command("set")
@click.argument("name")
@click.argument("roles", nargs=-1, metavar="ROLE...")
@author_options
def user_set_command(settings: Settings, name: str, roles: tuple[str, ...], **options: Any) -> None:
    """Make the user NAME, or give it other ROLEs: without any it may do what anonymous may.

    Refused where nobody would be left who may change rights.
    """
    output = Output(settings)
    with connect(settings, options["actor"]) as client:
        client.auth.set_user(name, roles, note=options["note"])
    output.result({"user": name, "roles": list(roles)}, name, f"{name}: {', '.join(roles) or 'no roles'}")


@command("password")
@click.argument("name")
@click.option("--password-file", type=AS_GIVEN, metavar="FILE", help="The new password; mode 0600.")
@click.option("--remove", is_flag=True, help="It is to have none any more.")
@author_options
def user_password_command(
    settings: Settings, name: str, password_file: str | None, remove: bool, **options: Any
) -> None:
    """Give the user NAME another password, for 'visor login --user NAME': it is asked for, twice.

    What was begun with the one of before ends; tokens that it has made stay good.
    """
    from visor.cli import secret

    if remove and password_file is not None:
        raise click.UsageError("--remove and --password-file: give one of them")
    output = Output(settings)
    password = None if remove else secret.new_of_user(settings, name, password_file)
    with connect(settings, options["actor"]) as client:
        client.auth.set_password(name, password, note=options["note"])
    text = f"{name} has {'no' if remove else 'another'} password"
    output.result({"user": name, "password": not remove}, name, text)


@command("rm")
@click.argument("name")
@consent_options
@author_options
def user_rm_command(settings: Settings, name: str, **options: Any) -> None:
    """Delete the user NAME with all its tokens: what was begun with them ends at once."""
    output = Output(settings)
    with connect(settings, options["actor"]) as client:
        tokens = [token for token in client.auth.tokens() if token.user == name]
        if options["dry_run"]:
            output.rows({"dry_run": True, "user": name}, "tokens", tokens, _tokens())
            return
        obtain(settings, f"delete the user {name} and {counted(len(tokens), 'token')}", options["yes"])
        client.auth.delete_user(name, note=options["note"])
    output.result({"user": name, "tokens": len(tokens)}, name, f"{name} is gone")


# -- roles ------------------------------------------------------------------------------------------------
@click.group("role", cls=VisorGroup)
def role_command() -> None:
    """Roles: named sets of grants. 'root' has all of them."""


@command("ls")
def role_ls_command(settings: Settings) -> None:
    """List the roles and what they grant."""
    output = Output(settings)
    with connect(settings) as client:
        output.rows({}, "roles", client.auth.roles(), _roles())


def _roles() -> views.View[Role]:
    return views.View(
        lambda role: {"name": role.name, "grants": _short(role.grants)},
        lambda role: views.line(role.name, " ".join(_short(role.grants)) or "-"),
        ("name", "grants"),
        lambda role: [
            (role.name if not number else "", grant)
            for number, grant in enumerate(_short(role.grants) or ["-"])
        ],
    )


@command("set")
@click.argument("name")
@click.argument("grants", nargs=-1, metavar="RIGHT,...:PATH...", callback=_grants)
@author_options
def role_set_command(settings: Settings, name: str, grants: tuple[Grant, ...], **options: Any) -> None:
    """Make the role NAME, or give it other grants: those of before are gone.

    A grant is rights of read, write, history and admin, and the files they are for: a path, a tree or a glob.

    \b
      visor role set deployer read,write,history:/apps/** read:/hosts/*
    """
    output = Output(settings)
    with connect(settings, options["actor"]) as client:
        client.auth.set_role(name, grants, note=options["note"])
    short = _short(grants)
    output.result({"role": name, "grants": short}, name, f"{name}: {' '.join(short) or 'no grants'}")


@command("ready")
@click.argument("kind", type=click.Choice(READY))
@click.argument("of", required=False, metavar="[APP|HOST]")
@click.option("--as", "name", metavar="NAME", help="The role's name [KIND, or KIND-APP, KIND-HOST].")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what it would grant.")
@author_options
def role_ready_command(
    settings: Settings, kind: str, of: str | None, name: str | None, dry_run: bool, **options: Any
) -> None:
    """Make a ready role of the domain: what its KIND needs for its whole job, below --root where there is one.

    \b
      visor role ready operator                 everything in the domain
      visor role ready deployer web             the app web: revisions, process types, variables, scaling
      visor role ready host 10.0.0.1            the process manager there, and what is announced from there
      visor role ready scheduler                replacing instances that ended
      visor role ready viewer                   to see all of the domain
    """
    from visor.registry import roles

    output = Output(settings)
    name = name or "-".join(filter(None, (kind, of)))
    with connect(settings, options["actor"]) as client:
        grants = roles.ready(kind, of, root=client.root)
        if not dry_run:
            client.auth.set_role(name, grants, note=options["note"])
    short = _short(grants)
    shape = {"role": name, "grants": short, "dry_run": dry_run}
    output.result(shape, name, "\n  ".join([f"{name}:", *short]))


@command("rm")
@click.argument("name")
@author_options
def role_rm_command(settings: Settings, name: str, **options: Any) -> None:
    """Delete the role NAME, which no user has."""
    output = Output(settings)
    with connect(settings, options["actor"]) as client:
        client.auth.delete_role(name, note=options["note"])
    output.result({"role": name}, name, f"{name} is gone")


# -- tokens -----------------------------------------------------------------------------------------------
@click.group("token", cls=VisorGroup)
def token_command() -> None:
    """Tokens: what proves a user. Keep one in a file of mode 0600 and name it with --token-file of a context."""


@command("ls")
def token_ls_command(settings: Settings) -> None:
    """List the tokens: id, user, since when, until when, and what for."""
    output = Output(settings)
    with connect(settings) as client:
        output.rows({}, "tokens", client.auth.tokens(), _tokens())


def _tokens() -> views.View[TokenInfo]:
    def fields(token: TokenInfo) -> views.Cells:
        until = views.time_of(token.expires) if token.expires else "-"
        return (token.id, token.user, views.time_of(token.created), until, token.purpose or "-")

    def shape(token: TokenInfo) -> dict[str, Any]:
        return {
            "id": token.id,
            "user": token.user,
            "created": views.time_of(token.created),
            "expires": views.time_of(token.expires) if token.expires else None,
            "purpose": token.purpose or None,
        }

    columns = ("id", "user", "created", "expires", "purpose")
    return views.View(shape, lambda token: views.line(*fields(token)), columns, lambda token: [fields(token)])


@command("add")
@click.argument("user")
@click.option("--ttl", callback=seconds, metavar="TIME", help="How long it lasts: 12h, 90d [until revoked].")
@click.option("--for", "purpose", default="", metavar="TEXT", help="What it is for; shown in lists.")
@author_options
def token_add_command(settings: Settings, user: str, ttl: float | None, purpose: str, **options: Any) -> None:
    """Make a token that proves USER, and print it: this once, nobody can tell it again.

    \b
      (umask 077; visor token add ci --ttl 90d --for "build machine" > ci.token)
    """
    output = Output(settings)
    with connect(settings, options["actor"]) as client:
        token = client.auth.add_token(user, ttl=ttl, purpose=purpose, note=options["note"])
    output.result({"user": user, "token": token}, token)


@command("revoke")
@click.argument("token", metavar="ID")
@author_options
def token_revoke_command(settings: Settings, token: str, **options: Any) -> None:
    """Take the token ID back: from here on it proves nothing, and what was begun with it ends."""
    output = Output(settings)
    with connect(settings, options["actor"]) as client:
        client.auth.revoke_token(token, note=options["note"])
    output.result({"token": token}, token, f"{token} proves nothing any more")


auth_command.add_command(can_command)
for _each in (user_ls_command, user_set_command, user_password_command, user_rm_command):
    user_command.add_command(_each)
for _each in (role_ls_command, role_set_command, role_ready_command, role_rm_command):
    role_command.add_command(_each)
for _each in (token_ls_command, token_add_command, token_revoke_command):
    token_command.add_command(_each)
