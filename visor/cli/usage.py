"""What click says of a command line that it does not understand, in one line that helps. Loaded when that happens.

visor gett /a        No such command 'gett'; did you mean 'get'? See 'visor --help'
visor set /a -1      No such option '-1'; a value that begins with '-' goes after '--': visor set /a -- -1
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

from visor.cli.problem import Problem

ELSEWHERE = {
    "cat": "get",
    "put": "set",
    "list": "ls",
    "tree": "find",
    "rm": "del",
    "remove": "del",
    "delete": "del",
    "log": "history",
    "undo": "revert",
    "ps": "instance",
    "leader": "elect",
    "member": "cluster",
    "members": "cluster",
    "health": "cluster",
    "complete": "completion",
}
"""What other commands call it -> what it is called here."""
CLOSE = 0.6
MOST = 3


def understood(error: click.ClickException, arguments: Sequence[str]) -> Problem:
    """Return the failure to tell."""
    context = getattr(error, "ctx", None)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return Problem(
            f"expected a command; see '{error.ctx.command_path} --help'", help=error.format_message()
        )
    message = error.format_message().rstrip(".").replace("\n", " ")
    advice = [f"see '{context.command_path} --help'"] if context is not None else []
    if isinstance(error, click.NoSuchOption):
        advice = _option_advice(error, arguments) + advice
    elif isinstance(context, click.Context) and isinstance(context.command, click.Group):
        near = " or ".join(map(repr, _near(_word(error), context)))
        if near:
            where = f"See '{context.command_path} --help'"
            return Problem(f"No such command {_word(error)!r}; did you mean {near}? {where}")
    return Problem("; ".join([message, *advice]))


def _word(error: click.ClickException) -> str:
    """Return the word that was taken for a command, as far as the error is about one."""
    named = getattr(error, "command_name", None)
    if isinstance(named, str):
        return named
    before, quote, rest = error.format_message().partition("No such command ")
    return rest.strip(".").strip("'\"") if quote and not before else ""


def _near(word: str, context: click.Context) -> list[str]:
    """Return the commands that may have been meant by `word`."""
    if not word:
        return []
    from difflib import get_close_matches

    assert isinstance(context.command, click.Group)
    known = context.command.list_commands(context)
    meant = ELSEWHERE.get(word.lower(), "")
    found = [meant] if meant in known else []
    return list(dict.fromkeys(found + get_close_matches(word.lower(), known, MOST, CLOSE)))[:MOST]


def _option_advice(error: click.NoSuchOption, arguments: Sequence[str]) -> list[str]:
    """Name `--` when the word can have been meant as an argument."""
    context = error.ctx
    if context is None or error.possibilities:
        return []
    takes = [each for each in context.command.params if isinstance(each, click.Argument)]
    # Where `--` begins another command it cannot do this.
    if not takes or getattr(context.command, "takes_child", False) or "--" in arguments:
        return []
    words = [word for word in arguments if word.startswith(error.option_name)]
    if len(words) != 1:
        return ["a value that begins with '-' goes after '--'"]
    rest = [word for word in arguments if word != words[0]]
    return [f"a value that begins with '-' goes after '--': visor {shlex.join([*rest, '--', words[0]])}"]
