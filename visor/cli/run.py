"""One run of the command, from its arguments to its exit code. Nothing is raised, and no traceback is printed.

    0 or the exit code of the command        what was asked for is on standard output
    anything else                            one line on standard error says why; with --json, one JSON object

A defect of the command itself is told in a line as well; `VISOR_TRACEBACK=1` adds where it is.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import cast

import click

from visor.cli import exits
from visor.cli.problem import OutputClosed, Problem
from visor.cli.settings import JSON, Settings
from visor.cli.signals import Ended, ending
from visor.cli.streams import Shut, standard
from visor.errors import VisorError

COMPLETION_VARIABLE = "_VISOR_COMPLETE"
TRACEBACK_VARIABLE = "VISOR_TRACEBACK"


def run(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run `visor ARGUMENTS` on the streams of the process and return the exit code; nothing is raised.

    ImportError passes: a part of the installation is missing, which the caller tells.
    """
    settings = Settings(os.environ if environment is None else environment, standard(), datetime.now(UTC))
    settings.json_by_words = asks_for_json(arguments)
    try:
        with ending(), _output_that_complains():
            return _guarded(list(arguments), settings)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Ended as ended:
        return exits.SIGNAL + ended.number


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Say whether the words ask for JSON, also when something else among them cannot be understood.

    >>> asks_for_json(["get", "/a", "-o", "jsonl"]), asks_for_json(["lock", "/a", "--", "x", "--json"])
    (True, False)
    """
    words = list(arguments)
    words = words[: words.index("--")] if "--" in words else words
    forms = [after for word, after in pairwise(words) if word in ("-o", "--output")]
    forms += [word[2:] for word in words if word.startswith("-o") and not word.startswith("--")]
    forms += [word.partition("=")[2] for word in words if word.startswith("--output=")]
    return "--json" in words or any(form in JSON for form in forms)


@contextmanager
def _output_that_complains() -> Iterator[None]:
    """Let click, too, find out that standard output is closed: by itself it prints help to nobody, and succeeds."""
    if sys.stdout is not None:
        yield
        return
    sys.stdout = io.TextIOWrapper(cast(io.BufferedWriter, Shut()), "utf-8", write_through=True)
    try:
        yield
    finally:
        sys.stdout = None


def _guarded(arguments: list[str], settings: Settings) -> int:
    """Run it and turn every failure into its report and exit code."""
    try:
        code = _invoke(arguments, settings)
        if settings.streams.heard:
            settings.streams.stdout.flush()
        return code
    except click.ClickException as error:
        from visor.cli.usage import understood

        return _fail(settings, understood(error, arguments))
    except (Problem, VisorError) as error:
        return _fail(settings, error)
    except OutputClosed:
        _forget_output()
        return exits.PIPE
    except OSError as error:
        # What reads files or talks to a node turns its failures into the above: this is standard output.
        return _lost_output(error, settings)
    except ImportError:
        raise
    except ValueError as error:  # what the library says of an argument that cannot be
        _trace(settings)
        return _fail(settings, Problem(str(error)))
    except Exception as error:
        _trace(settings)
        return _fail(settings, _defect(error))


def _invoke(arguments: list[str], settings: Settings) -> int:
    from visor.cli.app import app

    instruction = settings.environment.get(COMPLETION_VARIABLE)
    if instruction:
        from visor.cli.complete import answer

        return answer(app, instruction, settings)
    try:
        with app.make_context("visor", arguments, obj=settings) as context:
            app.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return exits.DONE


def _fail(settings: Settings, error: VisorError | Problem) -> int:
    """Tell what was wrong and return the exit code."""
    from visor.cli.failure import report

    # What was written before the failure comes first; if nobody reads it, the complaint still counts.
    try:
        settings.streams.stdout.flush()
    except OSError:
        _forget_output()
    try:
        settings.streams.stderr.write(report(error, settings.wants_json))
        settings.streams.stderr.flush()
    except OSError:
        pass
    return error.exit_code if isinstance(error, Problem) else exits.exit_code(error)


def _defect(error: Exception) -> Problem:
    said = " ".join(str(error).split())
    return Problem(
        f"defect: {type(error).__name__}{': ' if said else ''}{said}; please report it, "
        f"with what {TRACEBACK_VARIABLE}=1 adds",
        code="defect",
        exit_code=exits.FAILED,
    )


def _trace(settings: Settings) -> None:
    """Print where the exception under way comes from, if that was asked for."""
    if settings.environment.get(TRACEBACK_VARIABLE):
        import traceback

        settings.streams.stderr.write(traceback.format_exc())


def _lost_output(error: OSError, settings: Settings) -> int:
    from visor.cli.output import broken

    _trace(settings)
    _forget_output()
    failure = broken(error)
    return _fail(settings, failure) if isinstance(failure, Problem) else exits.PIPE


def _forget_output() -> None:
    """Point standard output at nothing, so that the interpreter's own flush at exit stays silent."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError, AttributeError):
        return
