"""The `visor` command. It needs the `cli` extra (click, rich); without it, it says so and ends with 2.

Start with `app` (the list of commands) and `run` (one run from arguments to exit code); `exits` is the
contract of exit codes, `OUTPUT.md` that of the output.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

MISSING = (
    "visor: the command line needs {name!r}, which is not installed: pip install 'visor-registry[cli]'\n"
)
EXTRA = ("click", "rich", "platformdirs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: those of the process) and return the exit code."""
    try:
        from visor.cli.run import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # while it was still being loaded
        return 130
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRA:
            raise
        sys.stderr.write(MISSING.format(name=name))
        return 2
