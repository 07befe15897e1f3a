"""Options that many commands share, and the click command class that carries the common ones.

The common options may stand before the command's name or after it; the one after wins. All words must be text, but
those that are values or names of files (`AS_GIVEN`, `click.Path`): they are bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from visor.cli import moment
from visor.cli.settings import CODECS, FORMATS, MOST, Settings, is_text

F = TypeVar("F", bound=Callable[..., Any])

AS_GIVEN = click.UNPROCESSED
"""The type of a word that may hold any bytes."""


def remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep an option in `Settings`; for `callback=` of one that the command's function does not get."""
    settings = context.find_object(Settings)
    if settings is not None and value is not None and parameter.name is not None:
        check_text(context, parameter, value)
        settings.flags[parameter.name] = str(value)


def check_text(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Raise BadParameter unless all words in `value` are text: others could be neither sent nor stored."""
    if parameter.type is AS_GIVEN or isinstance(parameter.type, click.Path):
        return
    for word in value if isinstance(value, list | tuple) else (value,):
        if isinstance(word, str) and not is_text(word) and not context.resilient_parsing:
            raise click.BadParameter(f"{word!r} is not UTF-8", context, parameter)


def _remember_json(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    settings = context.find_object(Settings)
    if settings is not None and value:
        settings.flags["output"] = "json"


def _complete_context(context: click.Context, parameter: click.Parameter, incomplete: str) -> Any:
    from visor.cli.complete import context_names

    return context_names(context, incomplete)


class CommonOption(click.Option):
    """An option that every command has: kept in `Settings`, listed last in the help."""


def common_options() -> list[click.Option]:
    """Make the common options anew, for one command."""
    kept: dict[str, Any] = {"expose_value": False, "callback": remember}
    return [
        CommonOption(["--addr"], metavar="HOST:PORT,...", help="Where the registry is [VISOR_ADDR].", **kept),
        CommonOption(["--root"], metavar="PATH", help="Put this before every path [VISOR_ROOT].", **kept),
        CommonOption(["--timeout"], metavar="TIME", help="Deadline: 500ms, 10s, 2m [VISOR_TIMEOUT].", **kept),
        CommonOption(
            ["--context"],
            metavar="NAME",
            help="Named context of the configuration file [VISOR_CONTEXT].",
            shell_complete=_complete_context,
            **kept,
        ),
        CommonOption(
            ["-o", "--output"],
            type=click.Choice(FORMATS),
            help="Form of the output [VISOR_OUTPUT; table on a terminal, else plain].",
            **kept,
        ),
        CommonOption(
            ["--json"], is_flag=True, help="Short for -o json.", expose_value=False, callback=_remember_json
        ),
        CommonOption(["--codec"], type=click.Choice(CODECS), help="How to show (and write) values.", **kept),
        CommonOption(
            ["--sealing-keys"],
            metavar="FILE",
            type=AS_GIVEN,
            help="Keys (a file of mode 0600) that open sealed values [VISOR_SEALING_KEYS].",
            **kept,
        ),
    ]


def _show_help(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(context.get_help(), color=context.color)
        context.exit()


class _Sections(click.Command):
    _own_help: click.Option | None = None

    def get_help_option(self, ctx: click.Context) -> click.Option:
        """Return `--help`. click's own looks for a translation of its text, in every run and on the disk."""
        if self._own_help is None:
            self._own_help = click.Option(
                ["-h", "--help"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_help,
                help="Show this message and exit.",
            )
        return self._own_help

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, as wide as the terminal and 80 columns at most."""
        settings = ctx.find_object(Settings)
        if settings is not None and ctx.terminal_width is None:
            from visor.cli.screen import USUAL, columns  # click asks a module that loads five others

            ctx.terminal_width = max(min(columns(settings) or USUAL, USUAL) - 2, 50)
        return super().get_help(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words, and refuse those that are no text."""
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            check_text(ctx, parameter, ctx.params.get(parameter.name or ""))
        return rest

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options of the command itself first, the common ones under their own heading."""
        for title, common in (("Options", False), ("Common options", True)):
            records = [
                record
                for parameter in self.get_params(context)
                if isinstance(parameter, click.Option)
                and isinstance(parameter, CommonOption) == common
                and (record := parameter.get_help_record(context)) is not None
            ]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class VisorCommand(_Sections):
    """A command with the common options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


CHILD = "visor.child"
"""Where a context keeps the words after `--`."""


class ChildCommand(VisorCommand):
    """A command line whose part after `--` is another command, kept for it word by word under `CHILD`."""

    takes_child = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Cut the line at the first `--`."""
        if "--" in args:
            cut = args.index("--")
            ctx.meta[CHILD] = args[cut + 1 :]
            if not ctx.meta[CHILD]:
                raise click.UsageError("expected a command after '--'", ctx)
            args = args[:cut]
        return super().parse_args(ctx, args)


class VisorGroup(_Sections, click.Group):
    """A group with the common options."""

    command_class = VisorCommand

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options, then the commands."""
        super().format_options(context, formatter)
        self.format_commands(context, formatter)


def command(name: str, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a click command with the common options, whose first argument is the `Settings`."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        return click.command(name, cls=VisorCommand, **attributes)(click.pass_obj(function))

    return decorate


REV = click.IntRange(0, MOST)
POSITIVE = click.IntRange(1, MOST)
PORT = click.IntRange(0, 65_535)


def seconds(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Read an option's duration (`500ms`, `30d`) into seconds; for `callback=`."""
    if text is None:
        return None
    try:
        return moment.duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


SHORTEST, LONGEST = 0.1, 60.0
"""Seconds between two looks at a cluster."""


def _interval(context: click.Context, parameter: click.Parameter, text: str) -> float:
    found = seconds(context, parameter, text)
    if found is None or not SHORTEST <= found <= LONGEST:
        raise click.BadParameter(f"{text} is not from {SHORTEST:g}s to {LONGEST:g}s", context, parameter)
    return found


# -- arguments and options ----------------------------------------------------------------------------
def complete_path(context: click.Context, parameter: click.Parameter, incomplete: str) -> Any:
    """Complete a path from the live tree."""
    from visor.cli.complete import paths

    return paths(context, incomplete)


def complete_directory(context: click.Context, parameter: click.Parameter, incomplete: str) -> Any:
    """Complete a directory from the live tree."""
    from visor.cli.complete import paths

    return paths(context, incomplete, directories_only=True)


def path_argument(function: F) -> F:
    """Add the argument PATH."""
    return click.argument("path", shell_complete=complete_path)(function)


def past_options(function: F) -> F:
    """Add `--rev` and `--at`: which state to read."""
    function = click.option(
        "--at", "moment", metavar="TIME", help="As of a time: RFC 3339, 10m (ago), or epoch."
    )(function)
    return click.option("--rev", type=REV, metavar="N", help="As of rev N; a later one is waited for.")(
        function
    )


def author_options(function: F) -> F:
    """Add `--note` and `--actor`: what history keeps beside the change."""
    function = click.option("--actor", metavar="NAME", help="Who does it, for the history [USER@HOST].")(
        function
    )
    return click.option("--note", metavar="TEXT", help="Why, for the history.")(function)


def guard_options(function: F) -> F:
    """Add the guards of a write, of which at most one may be given."""
    options = (
        click.option("--guard-rev", type=REV, metavar="N", help="Only if the file's rev is N (0: missing)."),
        click.option("--since", type=REV, metavar="N", help="Only if nothing changed there after rev N."),
        click.option("--create", "--missing", "missing", is_flag=True, help="Only if there is no such file."),
        click.option("--exists", is_flag=True, help="Only if the file exists."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def lease_option(function: F) -> F:
    """Add `--lease`."""
    return click.option(
        "--lease", type=POSITIVE, metavar="ID", help="Attach it to this lease, and go with it."
    )(function)


def consent_options(function: F) -> F:
    """Add `--dry-run` and `--yes`, for what writes more than one path."""
    function = click.option("-y", "--yes", is_flag=True, help="Do it without asking.")(function)
    return click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")(function)


def limit_option(function: F) -> F:
    """Add `--limit`."""
    return click.option("--limit", type=POSITIVE, metavar="N", help="At most N rows.")(function)


def stale_option(function: F) -> F:
    """Add `--stale`."""
    return click.option("--stale", is_flag=True, help="Accept what this node has, even if it is old.")(
        function
    )


def interval_option(function: F) -> F:
    """Add `--interval`: seconds between two looks."""
    return click.option(
        "--interval", metavar="TIME", default="1s", callback=_interval, help="Look so often: 500ms, 2s [1s]."
    )(function)


def glob_argument(function: F) -> F:
    """Add GLOB, once or several times: a shell spells braces out that nobody has quoted."""
    argument = click.argument("globs", nargs=-1, metavar="[GLOB]...", shell_complete=complete_path)
    return argument(function)


def selector_options(function: F) -> F:
    """Add `--path`, `--prefix`, `--children`: other ways than a glob, or more, to say which files."""
    options = (
        click.option("--path", metavar="PATH", help="Exactly this file.", shell_complete=complete_path),
        click.option("--prefix", metavar="PATH", help="PATH and all below.", shell_complete=complete_path),
        click.option(
            "--children", metavar="DIR", help="Files directly in DIR.", shell_complete=complete_directory
        ),
        click.option("--granted", is_flag=True, help="Of that, what you may read; the rest is left out."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def value_options(function: F) -> F:
    """Add VALUE, `--file` and `--value`, of which exactly one must be given, and `--sealed`."""
    function = click.option(
        "--sealed", is_flag=True, help="Seal it for PATH with the first of the --sealing-keys."
    )(function)
    function = click.option(
        "--value", "literal", metavar="TEXT", type=AS_GIVEN, help="The value, taken as it is."
    )(function)
    function = click.option("--file", metavar="FILE", type=click.Path(), help="The value is in FILE.")(
        function
    )
    return click.argument("value", required=False, type=AS_GIVEN)(function)


def context_argument(*, required: bool = True) -> Callable[[F], F]:
    """Add the argument NAME of a context."""

    def decorate(function: F) -> F:
        return click.argument("name", required=required, shell_complete=_complete_context)(function)

    return decorate
