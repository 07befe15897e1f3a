"""The list of commands. A command's module is loaded when the command is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from visor._version import __version__
from visor.cli.options import VisorGroup

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SECTIONS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Read": {
        "get": ("read", "Print the value of a file."),
        "ls": ("read", "List a directory."),
        "find": ("find", "Print what is at a path, or matches a glob."),
        "stat": ("read", "Say what a path is: kind, size, rev."),
        "scan": ("read", "Print the files that match a glob."),
    },
    "Write": {
        "set": ("write", "Write a file."),
        "create": ("write", "Write a file that must not exist."),
        "touch": ("write", "Write a file again as it is."),
        "del": ("write", "Delete a file, or a whole subtree."),
        "txn": ("transaction", "Change several paths at one rev, under guards."),
    },
    "Follow": {
        "watch": ("follow", "Print commits as they come, or run a command for each."),
        "wait": ("follow", "Wait for the first change."),
    },
    "Coordinate": {
        "lock": ("lock", "Run a command while holding a lock."),
        "elect": ("lock", "Run a command while leading, or see who leads."),
        "lease": ("lease", "Grant, keep and revoke leases."),
    },
    "History": {
        "history": ("past", "Print who changed what, when and why."),
        "blame": ("past", "Say who changed each file last."),
        "diff": ("past", "Compare two revs."),
        "revert": ("past", "Bring back the state of a rev."),
        "redact": ("redaction", "Take values out of history, and say who did it and why."),
        "retain": ("past", "Set how much history is kept, or forget some."),
    },
    "Domain": {
        "app": ("domain.app", "Apps."),
        "rev": ("domain.rev", "Revisions of apps; alone, the latest rev of the registry."),
        "proc": ("domain.proc", "Process types."),
        "env": ("domain.env", "Environments: variables, and immutable ones."),
        "instance": ("domain.instance", "Instances, and what becomes of them."),
        "ticket": ("domain.ticket", "Work to be done, and who does it."),
        "scale": ("domain.scale", "Have N instances, or N more, or N fewer."),
        "service": ("domain.service", "Services and their endpoints."),
        "runner": ("domain.runner", "Runners, loggers, proxies, process managers."),
        "event": ("domain.event", "What happens in the domain."),
        "init": ("domain.init", "Lay out the domain, or check it."),
    },
    "Registry": {
        "nop": ("node", "Go through consensus without a change."),
        "status": ("node", "Print what the node tells of itself."),
        "ping": ("node", "Measure the way to the node and back."),
        "gateway": ("gateway", "Serve the registry over HTTP."),
        "top": ("top", "Show the registry at work, live."),
    },
    "Cluster": {
        "cluster": ("cluster", "Members, leadership, health; compare replicas."),
    },
    "Rights": {
        "login": ("login", "Make a registry the current one, and prove who you are."),
        "whoami": ("rights", "Say who you are to the registry, and what you may do."),
        "auth": ("rights", "Say what somebody may do, and by which role."),
        "user": ("rights", "Users, and the roles that they have."),
        "role": ("rights", "Roles, and what they grant."),
        "token": ("rights", "Tokens, which prove who somebody is."),
        "certificate": ("certificate", "Certificates that were taken back."),
        "join-token": ("join_token", "Tokens to join, which make a machine a member."),
    },
    "This command": {
        "context": ("context", "Name registries in the configuration file."),
        "completion": ("shell", "Print a completion script for bash, zsh or fish."),
        "version": ("shell", "Print versions."),
    },
}
"""Command -> its module in `visor.cli.commands` (with a dot: in `visor.cli`) and a word about it, by heading. The
function is `<name>_command`, with `_` for a dash."""

COMMANDS: Final = {name: module for section in SECTIONS.values() for name, (module, _) in section.items()}


class LazyGroup(VisorGroup):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, by section."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None when there is none of that name."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        place = f"visor.cli.{module}" if "." in module else f"visor.cli.commands.{module}"
        found = getattr(import_module(place), f"{cmd_name.replace('-', '_')}_command")
        assert isinstance(found, click.Command)
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands and the options; no module is loaded for that."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name) for name in COMMANDS if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under the headings of `SECTIONS`; no module is loaded for that."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, about) for name, (_, about) in section.items()])


def _print_version(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"visor {__version__}")
        context.exit()


@click.group("visor", cls=LazyGroup)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def app() -> None:
    """Read, write and watch a Visor registry.

    A path looks like /service/name, a glob like '/service/*/port' or '/service/**'. A VALUE is text,
    @FILE, or - for standard input.

    Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 denied, 6 unavailable, 7 unknown
    (it may have happened), 8 compacted or future rev, 9 damage found, 10 lost lock,
    124 deadline, 128 + N ended by signal N.
    """
