"""What `dial` is told: its arguments, and where they say nothing the environment."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING

from visor._core import address
from visor._core.backoff import in_seconds
from visor._core.root import Root
from visor._core.settings import ReconnectHook, RequestHook, Settings
from visor._core.shown import shown
from visor._core.token import check as check_token

if TYPE_CHECKING:
    from visor._core.tls import TLS

DEFAULT_TIMEOUT = 10.0
TLS_VARIABLES = ("VISOR_CACERT", "VISOR_CERT", "VISOR_KEY", "VISOR_SERVER_NAME")
"""Where a client finds, without an argument, how to speak TLS; one of them is enough to have it spoken."""
ACTOR_LIMIT = 256
"""Characters of an actor, as servers take them."""


def gather(
    addr: str | Iterable[str] | None,
    root: str | None,
    timeout: float | None,
    actor: str | None,
    token: str | None,
    on_request: RequestHook | None,
    on_reconnect: ReconnectHook | None,
    environ: Mapping[str, str] | None = None,
    discover: bool | None = None,
    tls: TLS | bool | None = None,
) -> Settings:
    """Return the settings: an argument that is not None wins over its `VISOR_*` variable over the default.

    ValueError for an address or a token that must not go there, BadPath for a root, OSError for a token file; both for
    files of TLS that cannot be used.
    """
    env = os.environ if environ is None else environ
    addresses = address.parse(addr if addr is not None else env.get("VISOR_ADDR") or address.DEFAULT)
    secured = _tls(tls, env)
    return Settings(
        addresses=addresses,
        root=Root(root if root is not None else env.get("VISOR_ROOT") or "/"),
        timeout=_timeout(timeout, env),
        actor=_actor(actor, env),
        clock=time.monotonic,
        random=Random(),
        session=new_session,
        token=check_token(token if token is not None else _token_of(env), addresses, secured),
        tls=secured,
        discover=discover if discover is not None else _yes("VISOR_DISCOVER", env, True),
        on_request=on_request,
        on_reconnect=on_reconnect,
    )


def new_session() -> bytes:
    """Return the id of a new session."""
    return os.urandom(16)


def random_bytes(count: int) -> bytes:
    """Return so many bytes that nobody can guess."""
    return os.urandom(count)


def _timeout(given: float | None, env: Mapping[str, str]) -> float:
    text = env.get("VISOR_TIMEOUT")
    try:
        told = given if given is not None else float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        raise ValueError(f"VISOR_TIMEOUT must be seconds, not {text!r}") from None
    timeout = in_seconds(told)
    if not timeout > 0:
        raise ValueError(f"a timeout must be a positive number of seconds, not {shown(told)}")
    return timeout


def _yes(name: str, env: Mapping[str, str], default: bool) -> bool:
    text = env.get(name, "").lower()
    if text not in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError(f"{name} must be 1 or 0, not {env[name]!r}")
    return text in ("1", "true", "yes", "on") if text else default


def _tls(given: TLS | bool | None, env: Mapping[str, str]) -> TLS | None:
    """Return how to speak TLS, once its files were found good; None: not at all."""
    if given is False or (given is None and not any(env.get(name) for name in TLS_VARIABLES)):
        return None
    from visor._core.tls import SYSTEM, TLS  # not for those who do not speak it
    from visor._drivers.tls_files import context_of

    if given is None:
        ca, cert, key, name = (env.get(name) or None for name in TLS_VARIABLES)
        given = TLS(None if ca == SYSTEM else ca, cert, key, name)
    elif given is True:
        given = TLS()
    elif not isinstance(given, TLS):
        raise TypeError(f"tls must be visor.TLS(...), True or False, not {shown(given)}")
    context_of(given)
    return given


def _token_of(env: Mapping[str, str]) -> str | None:
    if env.get("VISOR_TOKEN"):
        return env["VISOR_TOKEN"]
    file = env.get("VISOR_TOKEN_FILE")
    if not file:
        return None
    from visor._drivers import token_file  # seldom wanted

    return token_file.read(file)


def _actor(given: str | None, env: Mapping[str, str]) -> str:
    actor = given if given is not None else env.get("VISOR_ACTOR")
    if not actor and given is None:
        return _default_actor()
    if type(actor) is not str or len(actor) > ACTOR_LIMIT or not _is_text(actor):
        name = "actor" if given is not None else "VISOR_ACTOR"
        raise ValueError(f"{name} must be text of at most {ACTOR_LIMIT} characters, not {shown(actor)}")
    return actor


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a character, as the environment and file names may have
        return False
    return True


def _name_of_user() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, OSError):  # a uid without a name, as containers have
        return str(os.getuid())


def _default_actor() -> str:
    # As `getpass` finds it, which reads from terminals too and is not loaded for that.
    named = (os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME"))
    user = next((name for name in named if name), "") or _name_of_user()
    actor = f"{user}@{socket.gethostname()}"[:ACTOR_LIMIT]
    return actor.encode("utf-8", "replace").decode()
