"""One run of the command, from its arguments to its exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import BinaryIO, cast

import click

from visor._harmless import Careful
from visor.cli import exits
from visor.cli.problem import Problem
from visor.cli.settings import Settings, Streams

COMPLETION_VARIABLE = "_VISOR_COMPLETE"


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt, so that nothing but clean-up stands in its way."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread: signals are the business of whoever runs us
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run `visor ARGUMENTS` on the streams of the process and return the exit code; nothing is raised."""
    settings = Settings(os.environ if environment is None else environment, _streams(), datetime.now(UTC))
    try:
        with _sigterm_raises():
            return _guarded(list(arguments), settings)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Terminated:
        return exits.TERMINATED


def _guarded(arguments: list[str], settings: Settings) -> int:
    """Run it and turn every failure into its report and exit code."""
    from visor.cli.failure import report
    from visor.cli.output import OutputClosed
    from visor.errors import VisorError

    try:
        code = _invoke(arguments, settings)
        settings.streams.stdout.flush()
        return code
    except click.ClickException as error:
        return _usage(error, settings)
    except Problem as problem:
        _complain(settings, report(problem, settings.wants_json))
        return problem.exit_code
    except VisorError as error:
        _complain(settings, report(error, settings.wants_json))
        return exits.exit_code(error)
    except OutputClosed:
        _forget_output()
        return exits.PIPE
    except OSError as error:
        # What reads files or talks to a node turns its failures into the above: this is standard output.
        return _lost_output(error, settings)


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


def _usage(error: click.ClickException, settings: Settings) -> int:
    from visor.cli.failure import report

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        _complain(settings, f"{error.format_message()}\n")
        return exits.USAGE
    message = error.format_message().rstrip(".").replace("\n", " ")
    context = getattr(error, "ctx", None)
    advice = f"; see '{context.command_path} --help'" if context is not None else ""
    _complain(settings, report(Problem(f"{message}{advice}"), settings.wants_json))
    return exits.USAGE


def _lost_output(error: OSError, settings: Settings) -> int:
    from visor.cli.failure import report
    from visor.cli.output import broken

    _forget_output()
    failure = broken(error)
    if not isinstance(failure, Problem):
        return exits.PIPE
    _complain(settings, report(failure, settings.wants_json))
    return failure.exit_code


def _complain(settings: Settings, text: str) -> None:
    # What was written before the failure comes first; if nobody reads it, the complaint still counts.
    try:
        settings.streams.stdout.flush()
    except OSError:
        _forget_output()
    try:
        settings.streams.stderr.write(text)
        settings.streams.stderr.flush()
    except OSError:
        return


def _forget_output() -> None:
    """Point standard output at nothing, so that the interpreter's own flush at exit stays silent."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError, io.UnsupportedOperation):
        return


def _streams() -> Streams:
    return Streams(
        stdin=_binary(sys.stdin),
        stdout=_binary(sys.stdout),
        stderr=Careful(sys.stderr if sys.stderr is not None else io.StringIO()),
        stdin_is_terminal=_is_terminal(sys.stdin),
        stdout_is_terminal=_is_terminal(sys.stdout),
        stderr_is_terminal=_is_terminal(sys.stderr),
    )


def _binary(stream: object) -> BinaryIO:
    """Return the bytes below a text stream; a stream that was closed at the start is an empty one."""
    buffer = getattr(stream, "buffer", None)
    return cast(BinaryIO, buffer) if buffer is not None else io.BytesIO()


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream is not None and stream.isatty())  # type: ignore[attr-defined]
    except ValueError:  # closed
        return False
