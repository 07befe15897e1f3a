"""Standard output in the four forms, and what goes to standard error beside it.

    json    one document: an object; long lists inside are written row by row, so memory stays bounded
    jsonl   one object a line
    plain   lines and records for other programs; never colour, never a header
    table   for people

Whatever the registry holds leaves through here, and harms nothing: JSON escapes control characters in all forms, a
terminal gets none at all, and off a terminal plain output is what is stored, byte by byte.

A reader that goes away (`visor scan '/**' | head`) ends the command quietly: `OutputClosed`. Where there is no standard
output at all, a command that has something to say does nothing.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from visor._core.harmless import harmless, json_text
from visor.cli import exits
from visor.cli.problem import OutputClosed, Problem
from visor.cli.settings import JSON, Settings

if TYPE_CHECKING:
    from visor._core.progress_bar import ProgressBar, Unit
    from visor.cli.views import View

T = TypeVar("T")


class Output:
    """Writes results. One for each run; `form` is one of the four."""

    def __init__(self, settings: Settings, *, silent: bool = False) -> None:
        """Raise Problem where standard output is closed, unless the command is `silent`: nothing was done yet."""
        if not (silent or settings.streams.heard):
            raise Problem(
                "standard output is closed: nothing was done; send it to /dev/null if nobody wants it",
                code="output",
                exit_code=exits.FAILED,
            )
        self.form = settings.output
        self.terminal = settings.streams.stdout_is_terminal
        self._settings = settings
        self._stream = settings.streams.stdout

    @property
    def is_json(self) -> bool:
        """Whether the form is one of the two JSON ones."""
        return self.form in JSON

    def write(self, data: bytes) -> None:
        """Write bytes: as they are, or, to a terminal, what of them does it no harm. Raises as `drawn` does."""
        if self.terminal:
            data = harmless(data.decode("utf-8", "backslashreplace"), lines=True).encode(
                "utf-8", "backslashreplace"
            )
        self._hand_over(data)

    def drawn(self, text: str) -> None:
        """Write what was made for a terminal, its colours too, of words that are harmless already.

        Raises OutputClosed, or Problem when the device fails.
        """
        self._hand_over(text.encode("utf-8", "backslashreplace"))

    def draw(self, text: str) -> None:
        """The same, and handed over at once."""
        self.drawn(text)
        self.flush()

    def _hand_over(self, data: bytes) -> None:
        try:
            self._stream.write(data)
        except OSError as error:
            raise broken(error) from None

    def flush(self) -> None:
        """Hand over what was written. Raises as `write` does."""
        try:
            self._stream.flush()
        except OSError as error:
            raise broken(error) from None

    def say(self, text: str) -> None:
        """Write one line of text."""
        self.write(text.encode("utf-8", "backslashreplace") + b"\n")

    def notice(self, text: str) -> None:
        """Tell something on standard error, if a person is there to read it and no program."""
        if self._settings.streams.stderr_is_terminal and not self.is_json:
            self._settings.streams.stderr.write(f"{harmless(text)}\n")
            self._settings.streams.stderr.flush()

    def bar(self, what: str, unit: Unit) -> ProgressBar | None:
        """Return what draws how far something is on standard error; None where no person is there to see it."""
        streams = self._settings.streams
        if not streams.stderr_is_terminal or self.is_json:
            return None
        from visor._core.drawing import draws_blocks
        from visor._core.progress_bar import ProgressBar
        from visor.cli.screen import error_columns

        blocks = draws_blocks(self._settings.environment)
        return ProgressBar(
            streams.stderr.draw, what, time=time.monotonic, columns=error_columns, blocks=blocks, unit=unit
        )

    # -- results --------------------------------------------------------------------------------------
    def document(self, shape: Mapping[str, Any]) -> None:
        """Write one JSON object: on one line, or indented for a person."""
        indent = 2 if self.terminal and self.form == "json" else None
        self.say(json_text(shape, indent=indent))

    def result(self, shape: Mapping[str, Any], text: str, words: str | None = None) -> None:
        """Write a single result: its JSON, `words` for people (default: as for programs), or `text`, as one line."""
        if self.is_json:
            self.document(shape)
        else:
            self.say(words if words is not None and self.form == "table" else text)

    def facts(self, shape: Mapping[str, Any], plain: str | None = None) -> None:
        """Write a single result of several facts: JSON, `plain`, or a name and a value a line."""
        if self.is_json:
            self.document(shape)
        elif self.form == "plain" and plain is not None:
            self.say(plain)
        else:
            width = max((len(name) for name in shape), default=0)
            gap = "\t" if self.form == "plain" else ""
            for name, value in shape.items():
                self.say(f"{name}{gap or ' ' * (width + 2 - len(name))}{_fact(value)}")

    def rows(self, head: Mapping[str, Any], key: str, rows: Iterable[T], view: View[T]) -> None:
        """Write a list: in JSON under `key` of the object `head`, in the other forms row by row.

        Raises Problem, once all others are written, when some rows of a list of the domain could not be read.
        """
        # The first row before the first byte: a request that is refused leaves no half document.
        items = iter(rows)
        items = chain(list(islice(items, 1)), items)
        if self.form == "json":
            self._json_rows(head, key, items, view)
        elif self.form == "table":
            self._table(items, view)
        else:
            self._each(items, view)
        damaged = getattr(rows, "damaged", ())
        if damaged:
            more = f", and {len(damaged) - 1} more" if len(damaged) > 1 else ""
            raise Problem(
                f"left out what cannot be read: {damaged[0]}{more}; 'visor init --check' names all of them",
                code="damaged",
                exit_code=exits.FAILED,
            )

    def stream(self, rows: Iterable[T], view: View[T]) -> None:
        """Write rows as they come, each handed over at once; JSON is one object a line in both forms."""
        if self.form != "table":
            self._each(rows, view, at_once=True)
            return
        from visor.cli.table import stream_lines

        for row in rows:
            for text in stream_lines(view, row):
                self.say(text)
            self.flush()

    def _each(self, rows: Iterable[T], view: View[T], at_once: bool = False) -> None:
        for row in rows:
            self.write(_json_line(view.shape(row)) if self.is_json else view.plain(row))
            if at_once:
                self.flush()

    def _json_rows(self, head: Mapping[str, Any], key: str, rows: Iterable[T], view: View[T]) -> None:
        """Write `{...head, key: [`, one row a line, and the end: it is never whole in memory."""
        start = json_text(dict(head))[:-1]
        self.write(f"{start}{', ' if head else ''}{json_text(key)}: [".encode())
        before = b"\n"
        for row in rows:
            self.write(before + _json_line(view.shape(row))[:-1])
            before = b",\n"
        self.write(b"]}\n" if before == b"\n" else b"\n]}\n")

    def _table(self, rows: Iterable[T], view: View[T]) -> None:
        from visor.cli.table import table_text

        self.drawn(table_text(view, rows, self._settings))


def _json_line(shape: Mapping[str, Any]) -> bytes:
    return json_text(shape).encode() + b"\n"


def _fact(value: Any) -> str:
    if isinstance(value, dict | list | tuple | bool) or value is None:
        return json_text(value, default=str)
    return harmless(str(value))


def broken(error: OSError) -> OutputClosed | Problem:
    """Return what a failure of standard output means: nobody reads it, or its device fails."""
    if isinstance(error, BrokenPipeError) or error.errno in (errno.EPIPE, errno.ESHUTDOWN):
        return OutputClosed()
    reason = error.strerror or str(error)
    return Problem(f"cannot write to standard output: {reason}", code="output", exit_code=exits.FAILED)
