"""From flags, environment and contexts to a client.

Precedence of the address and the root: flag, then a context named by `--context`, then the environment, then
another context, then the default. `--addr` or `VISOR_ADDR` without a context that was asked for leaves the
current context aside as a whole: its token must not travel to an address that it was not made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import visor
from visor.cli import place
from visor.cli.problem import Problem
from visor.cli.settings import DEFAULT_TIMEOUT, Settings
from visor.errors import DeadlineExceeded, Unavailable, VisorError

if TYPE_CHECKING:
    from visor._core.tls import TLS
    from visor.blocking import Client
    from visor.cli.contexts import Context

TLS_NAMES = ("cacert", "cert", "key", "server_name")
PATIENCE = 1.0
"""Seconds for which a person sees nothing happen, and for a question that only makes an error clearer."""


class Target(NamedTuple):
    """Where to go, and as whom."""

    addr: str | tuple[str, ...] | None
    root: str | None
    token: str | None
    source: str
    """Where `addr` comes from, as an error says it."""
    tls: TLS | None = None


def target(settings: Settings) -> Target:
    """Resolve flags, environment and contexts. Raises Problem."""
    if settings.flags.get("addr") == "":
        raise Problem("--addr is empty: HOST:PORT was expected")
    name, by_flag = _context_name(settings)
    context = None
    if name is not None:
        from visor.cli import contexts

        context = contexts.load(contexts.location(settings.environment)).find(name)
    env_addr, env_root = settings.from_environment("addr"), settings.from_environment("root")
    named = (context.addr or None, context.root) if context is not None else (None, None)
    addr = settings.flags.get("addr") or (named[0] or env_addr if by_flag else env_addr or named[0])
    root = settings.flags.get("root") or (named[1] or env_root if by_flag else env_root or named[1])
    source = _source(settings, addr, env_addr, name)
    return Target(addr, root, _token(settings, context), source, _tls(settings, context))


def _source(settings: Settings, addr: object, env_addr: str | None, context: str | None) -> str:
    if settings.flags.get("addr"):
        return "of --addr"
    if addr is None:
        return "the default: name another with --addr, VISOR_ADDR or 'visor context'"
    return "of VISOR_ADDR" if addr == env_addr else f"of context {context!r}"


def _context_name(settings: Settings) -> tuple[str | None, bool]:
    """Return the context to use, and whether `--context` named it."""
    if settings.flags.get("context"):
        return settings.flags["context"], True
    if settings.flags.get("addr"):
        return None, False
    asked = settings.from_environment("context")
    if asked is not None:
        return asked, False
    if settings.from_environment("addr"):
        return None, False
    if not place.is_there(place.of_contexts(settings.environment)):
        return None, False
    from visor.cli import contexts

    return contexts.load(contexts.location(settings.environment)).current, False


def _tls(settings: Settings, context: Context | None) -> TLS | None:
    """Return how to speak TLS: as the context says, if it says anything, else as the environment does.

    Raises Problem for what does not fit together.
    """
    told = [getattr(context, name, None) for name in TLS_NAMES]
    if not any(told):
        told = [settings.from_environment(name) for name in TLS_NAMES]
    if not any(told):
        return None
    from visor._core.tls import SYSTEM, TLS

    cacert, cert, key, server_name = told
    try:
        return TLS(None if cacert == SYSTEM else cacert, cert, key, server_name)
    except ValueError as error:
        raise Problem(str(error), code="config") from None


def _token(settings: Settings, context: Context | None) -> str | None:
    """Return the token: of the context, else of VISOR_TOKEN, else of VISOR_TOKEN_FILE. Raises Problem."""
    file = context.token_file if context is not None else None
    if file is None:
        token = settings.from_environment("token")
        if token is not None:
            return token
        file = settings.from_environment("token_file")
    if file is None:
        return None
    from visor.cli import contexts

    return contexts.read_token(file)


@contextmanager
def connect(settings: Settings, actor: str | None = None) -> Iterator[Client[bytes]]:
    """Give a client for one command, and close it afterwards.

    Raises Problem for what cannot be used, Unavailable when no node can be reached in time. On a terminal somebody
    waits: after a second without a connection the reason is told.
    """
    goal = target(settings)
    seconds = settings.deadline() or DEFAULT_TIMEOUT
    aloud = settings.streams.stderr_is_terminal and not settings.wants_json and seconds > PATIENCE
    try:
        client = (_dial_aloud if aloud else _dial)(settings, goal, seconds, actor)
    except DeadlineExceeded as error:
        # Nothing was asked yet: not a slow answer, but no registry.
        raise Unavailable(f"{error} (the address is {goal.source})") from error
    except (ValueError, OSError) as error:
        if isinstance(error, VisorError):
            raise
        raise Problem(str(error)) from None
    with client:
        try:
            yield client
        except DeadlineExceeded as error:
            better = _not_there_yet(client, settings, error)
            if better is None:
                raise
            raise better from error


def _dial(settings: Settings, goal: Target, seconds: float, actor: str | None) -> Client[bytes]:
    who = actor or settings.from_environment("actor")
    return visor.dial(goal.addr, goal.root, timeout=seconds, actor=who, token=goal.token, tls=goal.tls)


def _dial_aloud(settings: Settings, goal: Target, seconds: float, actor: str | None) -> Client[bytes]:
    """Do the same, and say so when the first second has brought nothing."""
    from visor._drivers.environment import gather
    from visor.blocking import Client
    from visor.codecs import BYTES

    who = actor or settings.from_environment("actor")
    client = Client(gather(goal.addr, goal.root, seconds, who, goal.token, None, None, tls=goal.tls), BYTES)
    try:
        try:
            client.connect(timeout=PATIENCE)
        except DeadlineExceeded as error:
            said = str(error).replace(f" within {PATIENCE:g} s", " yet")
            settings.streams.stderr.write(f"visor: {said}; trying for {seconds:g} s, Ctrl-C ends it\n")
            settings.streams.stderr.flush()
            client.connect(timeout=seconds - PATIENCE)
    except BaseException as error:
        client.close()
        if isinstance(error, DeadlineExceeded):
            said = str(error).replace(f" within {seconds - PATIENCE:g} s", f" within {seconds:g} s")
            raise DeadlineExceeded(said, seconds=seconds) from error
        raise
    return client


def _not_there_yet(
    client: Client[bytes], settings: Settings, error: DeadlineExceeded
) -> DeadlineExceeded | None:
    """Return an error that names the rev that was waited for and the latest, if it was that."""
    if settings.awaited is None:
        return None
    try:
        latest = client.rev(stale=True, timeout=PATIENCE)
    except VisorError:
        return None
    if latest >= settings.awaited:
        return None
    return DeadlineExceeded(
        f"rev {settings.awaited} was not there within {error.seconds:g} s: the latest is rev {latest}",
        seconds=error.seconds,
        rev=latest,
        asked=settings.awaited,
    )
