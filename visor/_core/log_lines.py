"""Log records as lines of text that harm no terminal, whatever their words hold.

LogLines()      a formatter: a record is one line, those of a traceback are indented
"""

from __future__ import annotations

import logging
from typing import Any

from visor._core.harmless import harmless


class LogLines(logging.Formatter):
    """Log records as text: one line each, whatever its words hold; what follows (a traceback) is indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        return harmless(super().formatMessage(record))

    def formatException(self, exc_info: Any) -> str:  # noqa: N802
        return _indented(super().formatException(exc_info))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in harmless(text, lines=True).split("\n"))
