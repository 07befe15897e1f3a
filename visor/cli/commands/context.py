"""`context`: named registries in the configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from visor._core.tls import SYSTEM
from visor.cli import contexts, views
from visor.cli.contexts import Context, Contexts
from visor.cli.options import VisorGroup, command, context_argument
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings, is_text

FILES = ("cacert", "cert", "key", "token_file", "server_name")


@click.group("context", cls=VisorGroup)
def context_command() -> None:
    """Name registries: addresses, root, certificates and token file, in $XDG_CONFIG_HOME/visor/config.toml.

    A cacert has TLS spoken, and every node show a certificate of that authority, made out to its address. A token file
    must have mode 0600; a token goes within TLS, over a Unix socket (--addr unix:/path) or to localhost, and is
    refused, with nothing sent, for any other address. --addr or VISOR_ADDR without --context leaves the current context
    aside, with everything in it.
    """


def _file(settings: Settings) -> Path:
    return contexts.location(settings.environment)


@command("ls")
def ls_command(settings: Settings) -> None:
    """List the contexts; the current one has a star."""
    output = Output(settings)
    known = contexts.load(_file(settings))
    rows = [(name, context, name == known.current) for name, context in sorted(known.named.items())]
    output.rows({"current": known.current}, "contexts", rows, _view())


Row = tuple[str, Context, bool]


def _view() -> views.View[Row]:
    return views.View(
        lambda row: _shape(*row),
        lambda row: views.line("*" if row[2] else "-", row[0], ",".join(row[1].addr), row[1].root or "/"),
        ("", "name", "addr", "root"),
        lambda row: [("*" if row[2] else "", row[0], ",".join(row[1].addr), row[1].root or "/")],
    )


def _shape(name: str, context: Context, current: bool) -> dict[str, Any]:
    return {
        "name": name,
        "current": current,
        "addr": list(context.addr),
        "root": context.root,
        **{key: getattr(context, key) for key in FILES},
    }


@command("show")
@context_argument(required=False)
def show_command(settings: Settings, name: str | None) -> None:
    """Print one context [the current one]."""
    output = Output(settings)
    known = contexts.load(_file(settings))
    chosen = name or known.current
    if chosen is None:
        raise Problem("there is no current context; choose one with 'visor context use NAME'")
    output.facts(_shape(chosen, known.find(chosen), chosen == known.current))


@command("use")
@context_argument()
def use_command(settings: Settings, name: str) -> None:
    """Make NAME the current context."""
    _change(settings, lambda known: known.using(name), name)


@command("rm")
@context_argument()
def rm_command(settings: Settings, name: str) -> None:
    """Forget the context NAME."""
    _change(settings, lambda known: known.without(name), name)


@command("add")
@click.argument("name")
@click.option(
    "--cacert",
    type=click.Path(),
    metavar="FILE",
    help="Who may have made the nodes' certificates; 'system': whom the system trusts.",
)
@click.option("--cert", type=click.Path(), metavar="FILE", help="Our certificate.")
@click.option("--key", type=click.Path(), metavar="FILE", help="The key of our certificate.")
@click.option("--token-file", type=click.Path(), metavar="FILE", help="Our token; mode 0600.")
@click.option(
    "--server-name", metavar="NAME", help="The name in the nodes' certificates, if it is not the address."
)
@click.option("--use", is_flag=True, help="Make it the current context.")
@click.option("--force", is_flag=True, help="Replace one of that name.")
def add_command(
    settings: Settings, name: str, use: bool, force: bool, server_name: str | None, **files: str | None
) -> None:
    """Add the context NAME, with --addr, --root and the files given. The first one becomes the current one.

    The files are kept by their absolute paths; a token is not copied.
    """
    contexts.check_name(name)
    context = Context(_addresses(settings), settings.flags.get("root"))
    given = {key: _absolute(file) for key, file in files.items() if file is not None}
    if files["cacert"] == SYSTEM:
        given["cacert"] = SYSTEM
    if server_name is not None:
        given["server_name"] = server_name
    if (files["cert"] is None) != (files["key"] is None):
        raise Problem("--cert and --key belong together: give both")
    if "token_file" in given:
        contexts.read_token(given["token_file"])  # refuse now what would be refused at each use
    context = Context(context.addr, context.root, **given)

    def change(known: Contexts) -> Contexts:
        if name in known.named and not force:
            raise Problem(
                f"there is a context {name!r} already; --force replaces it", code="exists", exit_code=4
            )
        changed = known.with_context(name, context)
        return changed.using(name) if use else changed

    _change(settings, change, name)


def _absolute(file: str) -> str:
    """Return the absolute path of a file. Raises Problem for one that TOML cannot hold."""
    try:
        path = str(Path(file).expanduser().absolute())
    except RuntimeError as error:  # ~nobody
        raise Problem(f"{file}: {error}") from None
    if not is_text(path):
        raise Problem(f"{path!r} is not UTF-8: the configuration cannot hold it")
    return path


def _addresses(settings: Settings) -> tuple[str, ...]:
    from visor._core import address

    text = settings.flags.get("addr")
    if text is None:
        raise Problem("give the addresses of the registry: --addr HOST:PORT,...")
    try:
        return tuple(str(each) for each in address.parse(text))
    except ValueError as error:
        raise Problem(f"--addr: {error}") from None


def _change(settings: Settings, change: Any, name: str) -> None:
    output = Output(settings, silent=not settings.wants_json)
    file = _file(settings)
    known = change(contexts.load(file))
    contexts.save(known, file)
    if output.is_json:
        output.document({"current": known.current, "name": name})


for _each in (ls_command, show_command, use_command, add_command, rm_command):
    context_command.add_command(_each)
