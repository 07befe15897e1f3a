"""`login`: from an address and a token to a context that can be used, with the registry's authority pinned.

    address --TLS, nothing believed--> certificates shown
        one has the digest that was given, or that a person has compared   -> NAME.ca.pem: from here on all is verified
    token file --verified by NAME.ca.pem--> whoami: it proves somebody     -> NAME.token (0600), the context, current

Nothing secret is said before the authority is known, and nothing is written before the registry has said who it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

import visor
from visor._core.address import Address, parse
from visor._core.tls import SYSTEM, TLS
from visor._core.token import may_be_told
from visor.auth import Identity
from visor.cli import contexts, exits, secret
from visor.cli.consent import obtain
from visor.cli.contexts import Context
from visor.cli.options import command, seconds
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import DEFAULT_TIMEOUT, Settings
from visor.errors import VisorError

if TYPE_CHECKING:
    from visor.blocking import Client

UNVERIFIED = (
    "{address} shows certificates of the authority {digest}, and nothing tells that it is the right one: compare that "
    "with what `visord init` has printed, and say --ca-digest {digest}, or give its certificate by --cacert FILE"
)


class Trust(NamedTuple):
    """By what the registry is verified: a new authority (PEM), a file, or neither where TLS is not spoken."""

    authority: str | None
    file: str | None
    digest: str | None


@command("login")
@click.argument("address", metavar="HOST:PORT,...")
@click.option("--token-file", type=click.Path(), metavar="FILE", help="Our token; mode 0600. It is copied.")
@click.option("--user", metavar="NAME", help="Who we are, by a password: it is asked for.")
@click.option("--password-file", type=click.Path(), metavar="FILE", help="The password; mode 0600.")
@click.option(
    "--ttl", callback=seconds, default="12h", metavar="TIME", help="How long a password's token lasts [12h]."
)
@click.option("--ca-digest", metavar="sha256:HEX", help="The digest of the registry's authority.")
@click.option(
    "--cacert", type=click.Path(), metavar="FILE", help="Its certificate; 'system': whom it trusts."
)
@click.option(
    "--server-name", metavar="NAME", help="The name in the nodes' certificates, if not the address."
)
@click.option("--name", metavar="NAME", help="What to call the context [the host].")
def login_command(
    settings: Settings,
    address: str,
    token_file: str | None,
    user: str | None,
    password_file: str | None,
    ttl: float,
    ca_digest: str | None,
    cacert: str | None,
    server_name: str | None,
    name: str | None,
) -> None:
    """Make the registry at HOST:PORT the current context, and prove who you are.

    The digest of its authority is what `visord init` has printed: with it, or once a person has compared it, the
    authority is kept in the configuration's directory, and verifies every connection from then on. The token is kept
    beside it, in a file that only you may read; with --user the password is asked for, makes a token, and is kept
    nowhere.
    """
    output = Output(settings)
    addresses = _addresses(address)
    called = name or _called(addresses[0])
    contexts.check_name(called)
    if ca_digest is not None and cacert is not None:
        raise Problem("--ca-digest and --cacert say the same in two ways: give one of them")
    if token_file is not None and user is not None:
        raise Problem("--token-file and --user say in two ways who we are: give one of them")
    if password_file is not None and user is None:
        raise Problem("--password-file needs --user: whose password is it?")
    token = None if token_file is None else contexts.read_token(token_file)
    trust = _trust(settings, addresses[0], ca_digest, cacert)
    place = contexts.location(settings.environment).parent
    with _for_now(place, trust) as cacert:
        context = Context(tuple(map(str, addresses)), cacert=cacert, server_name=server_name)
        if user is not None:
            password = secret.of_user(settings, user, password_file)
            token = _token_of(settings, context, user, password, ttl)
        me = _prove(settings, context, token)
    if trust.authority is not None:
        authority = place / f"{called}.ca.pem"
        contexts.write(authority, trust.authority)
        context = replace(context, cacert=str(authority))
    if token is not None:
        file = place / f"{called}.token"
        contexts.write(file, token + "\n")
        context = replace(context, token_file=str(file))
    contexts.save(_known(settings).with_context(called, context).using(called), _file(settings))
    shape = {"context": called, "user": me.user, "ca_digest": trust.digest, "addr": list(context.addr)}
    output.result(shape, called, f"logged in to {called} as {me.user}{_until(me)}")


def _until(me: Identity) -> str:
    from visor.cli import views

    return f", until {views.time_of(me.expires)}" if me.expires else ""


def _file(settings: Settings) -> Path:
    return contexts.location(settings.environment)


def _known(settings: Settings) -> contexts.Contexts:
    return contexts.load(_file(settings))


def _addresses(text: str) -> tuple[Address, ...]:
    try:
        return parse(text)
    except ValueError as error:
        raise Problem(f"{text}: {error}") from None


def _called(address: Address) -> str:
    """Return what a context of this address is called."""
    return "local" if address.unix is not None else address.host.replace(":", "-").strip("-")[:64]


def _trust(settings: Settings, address: Address, wanted: str | None, cacert: str | None) -> Trust:
    """Find by what the registry can be verified. Raises Problem."""
    if address.unix is not None:
        return Trust(None, None, None)
    if cacert is not None:
        return Trust(None, cacert if cacert == SYSTEM else str(Path(cacert).expanduser().absolute()), None)
    from visor._drivers import pinned

    if wanted is not None and not pinned.is_digest(wanted):
        raise Problem(f"--ca-digest is sha256: and 64 hexadecimal digits, not {wanted!r:.100}")
    try:
        shown = pinned.chain(address, settings.deadline() or DEFAULT_TIMEOUT)
    except OSError as error:
        if (
            wanted is None
            and isinstance(error.__cause__, OSError)
            and may_be_told(address, guess=False, tls=None)
        ):
            return Trust(None, None, None)  # no TLS, and no byte leaves this machine
        raise Problem(f"{address}: {error}", code="unavailable", exit_code=exits.UNAVAILABLE) from None
    return _pinned(settings, address, shown, wanted)


def _pinned(settings: Settings, address: Address, shown: list[bytes], wanted: str | None) -> Trust:
    from visor._drivers import pinned

    if wanted is None:
        last = shown[-1]
        told = pinned.digest(last)
        if not settings.streams.stdin_is_terminal or settings.wants_json:
            raise Problem(UNVERIFIED.format(address=address, digest=told))
        obtain(settings, f"trust the authority {told}, which is what `visord init` has printed", False)
        return Trust(pinned.pem(last), None, told)
    found = pinned.find(shown, wanted)
    if found is None:
        told = ", ".join(map(pinned.digest, shown[1:])) or "none but the node's own"
        raise Problem(
            f"{address} shows no certificate of the digest {wanted}: it is another registry, or somebody is between; "
            f"its authority: {told}; nothing was said to it",
            code="denied",
            exit_code=exits.DENIED,
        )
    return Trust(pinned.pem(found), None, wanted)


def _token_of(settings: Settings, context: Context, user: str, password: str, ttl: float) -> str:
    """Have a token made by a password. VisorError where it is another one."""
    with _dial(settings, context, None) as client:
        return client.auth.login(user, password, ttl=ttl)


def _prove(settings: Settings, context: Context, token: str | None) -> Identity:
    """Ask the registry who we are. VisorError where it does not let us in."""
    with _dial(settings, context, token) as client:
        return client.auth.whoami()


@contextmanager
def _dial(settings: Settings, context: Context, token: str | None) -> Iterator[Client[bytes]]:
    """Give a client of the registry. Raises Problem for what cannot be used."""
    tls = None
    if context.cacert is not None:
        try:
            tls = TLS(None if context.cacert == SYSTEM else context.cacert, server_name=context.server_name)
        except ValueError as error:
            raise Problem(str(error)) from None
    seconds = settings.deadline() or DEFAULT_TIMEOUT
    try:
        client = visor.dial(context.addr, timeout=seconds, token=token, tls=tls)
    except (ValueError, OSError) as error:
        if isinstance(error, VisorError):
            raise
        raise Problem(str(error)) from None
    with client:
        yield client


@contextmanager
def _for_now(place: Path, trust: Trust) -> Iterator[str | None]:
    """Give a file by which the registry is verified until it has said who we are: the one of a context that there is
    stays what it was, whatever comes of this. Raises Problem."""
    if trust.authority is None:
        yield trust.file
        return
    file = contexts.draft(place / "authority", trust.authority)
    try:
        yield str(file)
    finally:
        file.unlink(missing_ok=True)
