"""`completion` and `version`: the command itself."""

from __future__ import annotations

import platform

import click

from visor._version import __version__
from visor.cli.options import command
from visor.cli.output import Output
from visor.cli.settings import Settings
from visor.protocol.verbs import VERSION


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(settings: Settings, shell: str) -> None:
    """Print the completion script of SHELL. It completes paths from the live registry.

    \b
    bash   echo 'source <(visor completion bash)' >> ~/.bashrc
    zsh    echo 'source <(visor completion zsh)' >> ~/.zshrc
    fish   visor completion fish > ~/.config/fish/completions/visor.fish
    """
    from visor.cli.complete import script

    Output(settings).write(script(shell).encode())


@command("version")
def version_command(settings: Settings) -> None:
    """Print the version of this command, of the protocol it speaks, and of Python."""
    output = Output(settings)
    shape = {"version": __version__, "protocol": VERSION, "python": platform.python_version()}
    output.result(shape, f"visor {__version__} (protocol {VERSION}, Python {platform.python_version()})")
