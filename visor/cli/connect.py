"""From flags, environment and contexts to a client.

Precedence of the address and the root: flag, then a context named by `--context`, then the environment, then
another context, then the default. `--addr` or `VISOR_ADDR` without a context that was asked for leaves the
current context aside as a whole: its token must not travel to an address that it was not made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import visor
from visor.blocking import Client
from visor.cli import contexts
from visor.cli.contexts import Context
from visor.cli.problem import Problem
from visor.cli.settings import DEFAULT_TIMEOUT, Settings
from visor.errors import DeadlineExceeded, Unavailable

TLS = ("cacert", "cert", "key")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go, and as whom."""

    addr: str | tuple[str, ...] | None
    root: str | None
    token: str | None


def target(settings: Settings) -> Target:
    """Resolve flags, environment and contexts. Raises Problem."""
    name, by_flag = _context_name(settings)
    context = Context()
    if name is not None:
        context = contexts.load(contexts.location(settings.environment)).find(name)
    _refuse_tls(settings, context, name)
    env_addr, env_root = settings.from_environment("addr"), settings.from_environment("root")
    named = (context.addr or None, context.root)
    addr = settings.flags.get("addr") or (named[0] or env_addr if by_flag else env_addr or named[0])
    root = settings.flags.get("root") or (named[1] or env_root if by_flag else env_root or named[1])
    return Target(addr, root, _token(settings, context))


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
    return contexts.load(contexts.location(settings.environment)).current, False


def _refuse_tls(settings: Settings, context: Context, name: str | None) -> None:
    """Refuse to go on in the clear where TLS was asked for: this version cannot speak it."""
    asked = [f"VISOR_{key.upper()}" for key in TLS if settings.from_environment(key)]
    asked += [f"{key} of context {name!r}" for key in TLS if getattr(context, key) is not None]
    if asked:
        raise Problem(
            f"{asked[0]} asks for TLS, which this version cannot speak; nothing was sent", code="config"
        )


def _token(settings: Settings, context: Context) -> str | None:
    """Return the token: of the context, else of VISOR_TOKEN, else of VISOR_TOKEN_FILE. Raises Problem."""
    if context.token_file is not None:
        return contexts.read_token(context.token_file)
    token = settings.from_environment("token")
    if token is not None:
        return token
    file = settings.from_environment("token_file")
    return contexts.read_token(file) if file is not None else None


@contextmanager
def connect(settings: Settings, actor: str | None = None) -> Iterator[Client[bytes]]:
    """Give a client for one command, and close it afterwards.

    Raises Problem for what cannot be used, Unavailable when no node can be reached in time.
    """
    goal = target(settings)
    seconds = settings.deadline()
    try:
        client = visor.dial(
            goal.addr,
            goal.root,
            timeout=seconds if seconds is not None else DEFAULT_TIMEOUT,
            actor=actor or settings.from_environment("actor"),
            token=goal.token,
        )
    except DeadlineExceeded as error:
        # Nothing was asked yet: not a slow answer, but no registry.
        raise Unavailable(str(error)) from error
    except (ValueError, OSError) as error:
        if isinstance(error, visor.errors.VisorError):
            raise
        raise Problem(str(error)) from None
    with client:
        yield client
