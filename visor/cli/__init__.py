"""The `visor` command. It needs the `cli` extra (click); without it, it says so and ends with 2.

Start with `app` (the list of commands) and `run` (one run from arguments to exit code); `exits` is the
contract of exit codes, `visor/docs/output.md` that of the output.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

EXTRA = ("click",)
SELDOM = 50_000
"""Objects that are made, and not yet gone, between two collections of what refers to itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: those of the process) and return the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        from visor.cli.run import run

        return run(words)
    except KeyboardInterrupt:  # while it was still being loaded
        return 130
    except ImportError as error:
        return _incomplete(error, words)


def process() -> NoReturn:
    """Be the process of the command: run it, and end without the taking down of an interpreter that is not needed."""
    # Nearly all that a run makes is there until it ends: looking for what is not costs a twentieth of it.
    gc.set_threshold(SELDOM)
    try:
        from visor.cli.streams import keep_places

        keep_places()
        code = main()
        _flush()
    except KeyboardInterrupt:
        code = 130
    os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # it was told already, or nobody is there to be told
            continue


def _incomplete(error: ImportError, words: Sequence[str]) -> int:
    """Say which part of the installation is missing."""
    name = (error.name or "").partition(".")[0]
    if name in EXTRA:
        code, said = 2, f"the command line needs {name!r}, which is not installed"
        said += ": pip install 'visor-registry[cli]'"
    else:
        code, said = 1, f"this installation is broken: {error}; install it again"
    line = f"visor: {said}"
    if "--json" in words:
        import json

        line = json.dumps({"error": {"code": "installation", "message": said, "exit_code": code}})
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
    return code
