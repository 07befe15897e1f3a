"""`gateway`: the registry over HTTP, in a process of its own."""

from __future__ import annotations

import re

import click

from visor.cli.connect import target
from visor.cli.options import command
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings

EXTRA = ("uvicorn", "httptools", "h11")
MISSING = "the gateway needs {name!r}, which is not installed: pip install 'visor-registry[gateway]'"
LISTEN = "127.0.0.1:8048"
_LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:]+\]|[^:\[\]\s]+):(?P<port>[0-9]{1,5})")
_LOCAL = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|::1")


@command("gateway")
@click.option("--listen", metavar="HOST:PORT", help=f"Where to listen; port 0 picks one [{LISTEN}].")
@click.option("--unix", metavar="FILE", help="Listen on this Unix socket instead.")
@click.option("--host", "names", multiple=True, metavar="NAME", help="A host name that it is asked for by.")
@click.option("--tls-cert", metavar="FILE", help="Speak TLS, with this certificate (and its chain).")
@click.option("--tls-key", metavar="FILE", help="Its key.")
@click.option("--until-eof", is_flag=True, hidden=True, help="End when standard input does.")
@click.option("--behind-proxy", is_flag=True, help="Others reach it within TLS, which a proxy ends.")
def gateway_command(
    settings: Settings,
    listen: str | None,
    unix: str | None,
    names: tuple[str, ...],
    tls_cert: str | None,
    tls_key: str | None,
    behind_proxy: bool,
    until_eof: bool,
) -> None:
    """Serve the registry over HTTP: files, history, watches, and more, below /v1; /docs tells.

    It has no rights of its own: each request goes to the registry with the token that came with it, or with none.
    Tokens and certificates of the context and the environment are not used.
    """
    from visor._drivers.environment import gather

    if (tls_cert is None) != (tls_key is None):
        raise Problem("--tls-cert and --tls-key belong together", code="usage")
    if unix is not None and (listen is not None or tls_cert is not None):
        raise Problem("--unix takes the place of --listen, and speaks no TLS", code="usage")
    try:
        from visor.gateway.certificate import UnusableTlsError
        from visor.gateway.process import Listening, run
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise Problem(MISSING.format(name=error.name), code="installation") from None
    host, port = _address(listen or LISTEN)
    if unix is None and tls_cert is None and not behind_proxy and not _LOCAL.fullmatch(host):
        raise Problem(
            f"whoever reaches {host} would say its token in the clear: give --tls-cert and --tls-key, or "
            "--behind-proxy where one speaks TLS before it",
            code="usage",
        )
    goal = target(settings)
    if goal.tls is not None and goal.tls.cert is not None:
        raise Problem("the gateway shows no certificate of its own: use a context without cert and key")
    known = gather(goal.addr, goal.root, settings.deadline(), "http", "", None, None, tls=goal.tls or False)
    listening = Listening(host, port, unix, tls_cert, tls_key, frozenset(name.lower() for name in names))
    output = Output(settings)

    def ready(where: str) -> None:
        output.result({"url": where}, where, f"gateway ready on {where}")
        output.flush()

    try:
        run(known, listening, ready, until_eof=until_eof)
    except UnusableTlsError as error:
        raise Problem(f"no TLS: {error}", code="usage") from None
    except OSError as error:
        raise Problem(f"cannot listen on {unix or f'{host}:{port}'}: {error.strerror or error}") from None


def _address(text: str) -> tuple[str, int]:
    match = _LISTEN.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise Problem(f"--listen must be HOST:PORT, not {text!r}", code="usage")
    return match["host"].strip("[]"), int(match["port"])
