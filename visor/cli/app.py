"""The list of commands. A command's module is loaded when the command is used."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from visor.cli.options import VisorGroup

SECTIONS: Final[dict[str, dict[str, str]]] = {
    "Read": {
        "get": "read",
        "ls": "read",
        "find": "read",
        "stat": "read",
        "walk": "read",
    },
    "Write": {
        "set": "write",
        "create": "write",
        "touch": "write",
        "del": "write",
        "txn": "transaction",
    },
    "Follow": {
        "watch": "follow",
        "wait": "follow",
    },
    "History": {
        "history": "past",
        "blame": "past",
        "diff": "past",
        "revert": "past",
        "retain": "past",
    },
    "Registry": {
        "rev": "node",
        "nop": "node",
        "status": "node",
        "ping": "node",
    },
    "This command": {
        "context": "context",
        "completion": "shell",
        "version": "shell",
    },
}
"""Command -> module in `visor.cli.commands`, by the heading in the help. The function is `<name>_command`."""

COMMANDS: Final = {name: module for section in SECTIONS.values() for name, module in section.items()}


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
        found = getattr(import_module(f"visor.cli.commands.{module}"), f"{cmd_name}_command")
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under the headings of `SECTIONS`."""
        for title, section in SECTIONS.items():
            found = [(name, self.get_command(ctx, name)) for name in section]
            with formatter.section(title):
                formatter.write_dl(
                    [(name, each.get_short_help_str(70)) for name, each in found if each is not None]
                )


@click.group("visor", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(None, "-V", "--version", package_name="visor-registry", prog_name="visor")
def app() -> None:
    """Read, write and watch a Visor registry.

    A path looks like /service/name, a glob like '/service/*/port' or '/service/**'. A VALUE is text,
    @FILE, or - for standard input. Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict,
    5 denied, 6 unavailable, 7 unknown, 8 compacted or future rev, 124 deadline.
    """
