"""The library's log, the logger `visor`. It costs nothing where nobody listens: a program that listens loads `logging`.

    logging.basicConfig(level="INFO")       # an application: from here on `visor INFO connected to ...`

Loading `logging` takes longer than ten requests, and a command that runs for a moment has no use for it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Logger

NAME = "visor"


def _nothing(*args: object, **options: object) -> None:
    """Say it to nobody."""


class _Log:
    """The logger once there is logging, nothing before."""

    def __getattr__(self, name: str) -> Any:
        logging = sys.modules.get("logging")
        # Half loaded: by another thread, or it is being interrupted just now.
        if logging is None or not hasattr(logging, "getLogger") or not hasattr(logging, "NullHandler"):
            return _nothing
        return getattr(named(NAME), name)


def named(name: str) -> Logger:
    """Return the logger `visor` or one below it; what nobody has asked for does not go to standard error."""
    import logging

    top = logging.getLogger(NAME)
    if not top.handlers:
        top.addHandler(logging.NullHandler())
    return logging.getLogger(name)


if TYPE_CHECKING:
    log: Logger
else:
    log = _Log()
