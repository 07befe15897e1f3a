"""The `visord` command: `init`, `join`, `dev`, `serve`, `check`, `recover`, `audit`, `config`."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from visor._core.drawing import draws_blocks
from visor._core.harmless import harmless, json_text
from visor._core.progress_bar import ProgressBar
from visor._version import __version__

try:
    import click
except ModuleNotFoundError:  # a client-only install
    sys.stderr.write("visord: the server is not installed: pip install 'visor-registry[server]'\n")
    raise SystemExit(2) from None

from visord import config, exits
from visord.addresses import is_loopback, split
from visord.authority.location import SETTINGS
from visord.exits import EXIT_CONFIG, EXIT_DAMAGE, EXIT_FAILED, EXIT_REFUSED
from visord.logs import Whose, set_up_logging
from visord.meanings import meaning
from visord.members.joining import Start
from visord.naming import not_an_address
from visord.progress import ProgressTeller, Tell, amount, untold
from visord.server import serve
from visord.settings import Settings
from visord.storage import collector
from visord.storage.errors import IdentityError, LockedError

DEV_CONSOLE = "127.0.0.1:8048"
SWITCH_SECONDS = 0.0001
M_MMAP_THRESHOLD = -3
MAPPED_BYTES = 1 << 20


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="visord")
def main() -> None:
    """Visor's server: a replicated, revisioned registry of process state."""


@main.command()
@click.option(
    "--listen", metavar="HOST:PORT", help="Where clients connect [127.0.0.1:8046; port 0 picks one]."
)
@click.option("--unix", metavar="PATH", help="Also listen on this Unix socket.")
@click.option(
    "--console",
    metavar="HOST:PORT",
    help="Serve HTTP there, too [127.0.0.1:8048, where --listen is not given; '' for nowhere].",
)
@click.option("--data-dir", metavar="DIR", help="Keep the data here [a temporary folder, removed at exit].")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning")
def dev(
    listen: str | None, unix: str | None, console: str | None, data_dir: str | None, log_level: str
) -> None:
    """Run one node with no configuration, in which everybody may do everything: on loopback only."""
    if console is None and listen is None and _has_gateway():
        console = DEV_CONSOLE
    flags: dict[str, Any] = {"listen.client": listen, "listen.unix": unix, "node.data_dir": data_dir}
    flags["listen.console"] = console or None
    # A development node starts in an eye-blink: less log is written in advance.
    flags |= {
        "storage.log_chunk_bytes": 1 << 20,
        "storage.log_segment_bytes": 16 << 20,
        "log.level": log_level,
    }
    settings, _ = _settings(flags, {}, None)
    if not is_loopback(split(settings.listen.client)[0]):
        _end(
            EXIT_CONFIG,
            f"--listen {listen}: visord dev asks nobody who they are, so it listens on loopback only; visord init "
            "makes a member that others can reach",
        )
    if data_dir is not None:
        _run(settings, settings.node.data_dir)
        return
    with tempfile.TemporaryDirectory(prefix="visord-dev-") as folder:
        _run(settings, Path(folder))


def _has_gateway() -> bool:
    """Tell whether what the console runs on is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("uvicorn", "httptools"))


def _where(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where a new member is."""
    for option in (
        click.option(
            "--host", "hosts", multiple=True, metavar="NAME", help="Another name or address of this machine."
        ),
        click.option(
            "--peer-listen",
            metavar="HOST:PORT",
            help="Where other members connect [one port above --listen].",
        ),
        click.option(
            "--listen",
            default="127.0.0.1:8046",
            show_default=True,
            metavar="HOST:PORT",
            help="Where clients connect.",
        ),
        click.option(
            "--data-dir", "directory", required=True, metavar="DIR", help="A new or empty directory."
        ),
    ):
        function = option(function)
    return function


@main.command("init")
@_where
@click.option("--name", default="n1", show_default=True, metavar="NAME", help="What people call this member.")
@click.option(
    "--token-file", metavar="FILE", help="Put root's token into this new file, and do not print it."
)
def init_command(
    directory: str,
    name: str,
    listen: str,
    peer_listen: str | None,
    hosts: tuple[str, ...],
    token_file: str | None,
) -> None:
    """Found a cluster in DIR: its authority, this member's certificate, the user root with a token, and settings.

    Rights are on from its first entry: nobody may do anything but root. `visord serve --data-dir DIR` runs it.
    """
    from visord.authority import beginning

    with _exit_codes(Path(directory)):
        for line in beginning.init(directory, name, listen, peer_listen, hosts, token_file):
            click.echo(harmless(line))


@main.command("join")
@click.argument("address", metavar="HOST:PORT")
@click.option(
    "--token-file", required=True, metavar="FILE", help="A token to join (visor join-token add); mode 0600."
)
@_where
@click.option(
    "--name", metavar="NAME", help="What to call this member [as the token says, or the host's name]."
)
@click.option("--learner", is_flag=True, help="Never get a vote by itself.")
def join_command(
    address: str,
    token_file: str,
    directory: str,
    name: str | None,
    listen: str,
    peer_listen: str | None,
    hosts: tuple[str, ...],
    learner: bool,
) -> None:
    """Have this machine become a member of the cluster that has a member at HOST:PORT, where clients find it.

    The token says which cluster that is, and is good for one machine. Its certificate is made there, its key here.
    `visord serve --data-dir DIR` runs it then.
    """
    from visord.authority import beginning

    with _exit_codes(Path(directory)):
        for line in beginning.join(address, token_file, directory, name, listen, peer_listen, hosts, learner):
            click.echo(harmless(line))


@main.command("serve")
@click.option("--config", "file", metavar="FILE", help="TOML file [$VISORD_CONFIG].")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting, by dotted key.")
@click.option("--listen", metavar="HOST:PORT", help="listen.client")
@click.option("--data-dir", metavar="DIR", help="node.data_dir")
@click.option("--name", metavar="NAME", help="node.name")
@click.option("--peer-listen", metavar="HOST:PORT", help="peers.listen: where other members connect")
@click.option("--bootstrap", is_flag=True, help="Found a cluster, if the data directory is new.")
@click.option("--join", metavar="HOST:PORT,...", help="Join the cluster of a member (its peer address).")
@click.option("--learner", is_flag=True, help="With --join: never get a vote by itself.")
def serve_command(
    file: str | None,
    assignments: tuple[str, ...],
    listen: str | None,
    data_dir: str | None,
    name: str | None,
    peer_listen: str | None,
    bootstrap: bool,
    join: str | None,
    learner: bool,
) -> None:
    """Run one member of a cluster as an operator does: file, VISORD_* environment, flags."""
    named = {
        "listen.client": listen,
        "node.data_dir": data_dir,
        "node.name": name,
        "peers.listen": peer_listen,
    }
    flags = {**_assignments(assignments), **_given(named)}
    if bootstrap and join:
        raise click.UsageError("--bootstrap founds a cluster, --join joins one: give one of them")
    settings, _ = _settings(flags, os.environ, file or _settings_in(data_dir))
    joins = _addresses(join or "") or settings.peers.join
    _run(settings, settings.node.data_dir, Start(bootstrap, joins, learner or settings.peers.learner))


@main.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def check(directory: str, as_json: bool) -> None:
    """Verify every byte of a data directory; exit 9 when anything is damaged."""
    from visord.check import check_directory

    try:
        with _shown("reading", _in_lines, quiet=as_json) as tell:
            report = check_directory(Path(directory), tell)
    except LockedError as error:
        _end(EXIT_REFUSED, str(error))
    except IdentityError as error:
        _end(EXIT_CONFIG, str(error))
    except OSError as error:
        _end(EXIT_FAILED, str(error))
    if as_json:
        click.echo(json_text(report.as_dict(), indent=2))
    else:
        for line in report.lines():
            click.echo(harmless(line))
    if report.problems:
        raise SystemExit(EXIT_DAMAGE)


@contextlib.contextmanager
def _shown(what: str, elsewhere: Callable[[], Tell], quiet: bool = False) -> Iterator[Tell]:
    """Give what draws on standard error how far something is; where that is no terminal, `elsewhere()`.

    `quiet`: nothing is drawn.
    """
    if not sys.stderr.isatty():
        yield elsewhere()
        return
    if quiet:
        yield untold
        return
    blocks = draws_blocks(os.environ)
    with ProgressBar(_draw, what, time=time.monotonic, columns=_columns, blocks=blocks) as bar:
        yield bar


def _draw(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _in_lines() -> Tell:
    """Return what tells in lines how far the reading of a directory is, every two seconds."""
    return ProgressTeller(time.monotonic, _tell_reading)


def _tell_reading(done: int, of: int) -> None:
    click.echo(f"visord: reading: {amount(done, of)}", err=True)


@main.command("recover")
@click.option("--data-dir", "directory", required=True, type=click.Path(exists=True, file_okay=False))
@click.option("--i-have-lost-the-majority", "sure", is_flag=True, help="Do it.")
@click.option("--new-root", is_flag=True, help="Only make a new token for root: the last one is lost.")
@click.option("--token-file", metavar="FILE", help="With --new-root: write the token here (0600).")
def recover_command(directory: str, sure: bool, new_root: bool, token_file: str | None) -> None:
    """Go on with this stopped node alone, after the majority of its cluster was lost for ever.

    Acknowledged writes may be lost by that. Without the flag it only says what would be done, changes nothing, and
    exits 0. Exit 1: there is nothing to recover here.

    With --new-root nothing is lost and nobody is removed: the user root gets a new token, which counts when this member
    has started again and leads.
    """
    path = Path(directory).resolve()
    if new_root and sure:
        raise click.UsageError("--new-root loses no majority: give one of the two")
    if token_file is not None and not new_root:
        raise click.UsageError("--token-file belongs to --new-root")
    with _exit_codes(path):
        if new_root:
            from visord.authority.beginning import new_root as leave

            for line in leave(str(path), token_file):
                click.echo(line)
        else:
            _recover(str(path), sure)


def _recover(directory: str, sure: bool) -> None:
    import random

    from visord.recover import NothingToRecoverError, recover, survey
    from visord.storage.disk import OsDisk

    try:
        with _shown("reading", _in_lines) as tell:
            found = survey(OsDisk(), directory, tell)
        for line in found.lines():
            click.echo(harmless(line))
        if not sure:
            click.echo(
                "nothing was changed; stop ALL other members for good, then say --i-have-lost-the-majority",
                err=True,
            )
            return
        with _shown("reading", _in_lines) as tell:
            found = recover(OsDisk(), directory, random.SystemRandom(), tell)
    except NothingToRecoverError as error:
        _end(EXIT_FAILED, str(error))
    click.echo(f"DONE: this is cluster {found.identity.cluster} now, generation {found.identity.generation}")
    click.echo("Start it as before. Wipe the data directories of the other nodes before they join it.")


@main.group("audit")
def audit_group() -> None:
    """Look at what the audit has recorded."""


@audit_group.command("verify")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True), metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def audit_verify(files: tuple[str, ...], as_json: bool) -> None:
    """Check the chain of audit files (or of all in a directory): each line holds the hash of the line before.

    Names the first broken line of each chain, and exits 9 then. Lines that are missing at the very end cannot be seen
    from the files: compare the last hash with what was kept elsewhere (each start of a member logs it).
    """
    from visord.audit.verifying import verify_files

    try:
        found = verify_files([Path(file) for file in files])
    except OSError as error:
        _end(EXIT_FAILED, f"{error.filename}: {error.strerror}")
    if as_json:
        click.echo(json_text({name: one.as_dict() for name, one in found.items()}, indent=2))
    else:
        for name, one in found.items():
            click.echo(harmless(f"{name}: {one.told}"))
    if any(one.problem for one in found.values()):
        raise SystemExit(EXIT_DAMAGE)


@main.group("config")
def config_group() -> None:
    """Look at the settings without running."""


@config_group.command("check")
@click.option("--config", "file", metavar="FILE")
def config_check(file: str | None) -> None:
    """Name every wrong key; exit 78 when there is one."""
    _settings({}, os.environ, file)
    click.echo("ok")


@config_group.command("show")
@click.option("--config", "file", metavar="FILE")
def config_show(file: str | None) -> None:
    """Print every setting: what it means [unit and bounds], then its value and where it came from.

    The lines of meanings begin with #.
    """
    settings, sources = _settings({}, os.environ, file)
    for key, value in config.effective(settings).items():
        click.echo(f"# {meaning(key).line}")
        click.echo(f"{key} = {_toml(value)}  # {sources.get(key, 'default')}")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return json_text(list(value))
    return repr(value) if isinstance(value, int | float) else json_text("" if value is None else str(value))


def _settings_in(data_dir: str | None) -> str | None:
    """Return the settings that `visord init` or `join` wrote into a data directory, where no others are named."""
    if data_dir is None or os.environ.get(config.FILE_VARIABLE):
        return None
    file = Path(data_dir) / SETTINGS
    return str(file) if file.is_file() else None


def _addresses(join: str) -> tuple[str, ...]:
    """Return the addresses of `--join`. A wrong one is no better tomorrow: it ends the start."""
    members = tuple(part.strip() for part in join.split(",") if part.strip())
    for member in members:
        wrong = not_an_address(member)
        if wrong is not None:
            _end(EXIT_CONFIG, f"--join {member}: {wrong}: the peer address of a member was expected")
    return members


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flags.items() if value is not None}


def _assignments(assignments: tuple[str, ...]) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set takes KEY=VALUE, not {assignment!r}")
        flags[key.strip()] = value.strip()
    return flags


def _settings(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: str | None
) -> tuple[Settings, dict[str, str]]:
    try:
        return config.load(flags, environment, Path(file) if file else None)
    except config.ConfigError as error:
        _end(EXIT_CONFIG, *error.problems)


def _run(settings: Settings, data_dir: Path, start: Start | None = None) -> None:
    whose = Whose(node=settings.node.name)
    set_up_logging(settings.log.level, settings.log.format, whose)
    # The operator may reach it through a link; in it, none is followed.
    data_dir = data_dir.resolve()

    def ready(address: str) -> None:
        click.echo(f"visord ready on {address}")
        sys.stdout.flush()

    def console(url: str) -> None:
        click.echo(f"console on {url}")
        sys.stdout.flush()

    with _exit_codes(data_dir), _shown("loading", lambda: untold) as loading:
        _tune_interpreter()
        _tune_allocator()
        _runner()(serve(settings, data_dir, ready, start, whose, console, loading))


@contextlib.contextmanager
def _exit_codes(data_dir: Path) -> Iterator[None]:
    """End with the code that belongs to a failure, and its words."""
    try:
        yield
    except Exception as error:
        found = exits.ending(error, str(data_dir))
        if found is None:
            raise  # a defect, whose traceback is wanted
        _end(*found)


def _tune_interpreter() -> None:
    # A worker thread needs the interpreter for microseconds, but at once: waiting for it costs every write.
    sys.setswitchinterval(SWITCH_SECONDS)
    collector.take_over()


def _tune_allocator() -> None:
    # Memory of this size on is mapped, and given back when it is freed. Left alone, glibc raises the size to the
    # largest that was ever freed: after a few large answers all comes from the heap, whose holes stay for good.
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)


def _runner() -> Any:
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.run
    return uvloop.run


def _end(code: int, *lines: str) -> NoReturn:
    for line in lines:
        click.echo(f"visord: {harmless(line)}", err=True)
    raise SystemExit(code)
