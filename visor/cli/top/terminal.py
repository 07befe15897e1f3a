"""The terminal of `visor top`: taken, drawn on without flicker, and given back as it was, whatever happens.

with Screen(stdin, write, size) as screen:
    screen.draw(lines)
    keys = screen.wait(1.0)

It draws on the alternate screen: what was there before is there again afterwards. Only lines that have changed are
written, all of one picture in one piece, between marks by which newer terminals show it at once. Keys come one by one
and are not shown; Ctrl-C and Ctrl-Z stay what they are. A stop (Ctrl-Z) gives the terminal back first, and takes it
again when the shell lets it go on; so it is also after a SIGSTOP, of which nobody hears before.

Signal handlers only make `wait` return: nothing is written from within one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import threading
import tty
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final, Self

from visor.cli.settings import Settings
from visor.cli.top.keys import read

TAKE: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""The alternate screen, no cursor, no lines that are folded, nothing on it."""
GIVE_BACK: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
"""Around one picture."""
BYTES: Final = 256


class Screen:
    """See the module. `stdin`: the descriptor that keys come from, None for none; `write(text)` hands over at once."""

    def __init__(self, stdin: int | None, write: Callable[[str], object]) -> None:
        self._stdin = stdin
        self._write = write
        self._mode: list[Any] | None = None
        """Of the terminal, as it was."""
        self._drawn: list[str] = []
        """The lines that are there."""
        self._rest = b""
        self._stops = self._continued = self._resized = False
        self._before: dict[int, Any] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        self._wake_before = -1
        self._hears = False
        self._closing = threading.Lock()
        self._closed = False

    # -- taking and giving back ---------------------------------------------------------------------------
    def __enter__(self) -> Self:
        try:
            self._listen()
            self._take()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._give_back()
        finally:
            self._unlisten()
            with self._closing:
                self._closed = True
                for end in (self._woken, self._wake):
                    os.close(end)

    def _take(self) -> None:
        if self._stdin is not None:
            if self._mode is None:
                self._mode = termios.tcgetattr(self._stdin)
            tty.setcbreak(self._stdin, termios.TCSADRAIN)
        self._drawn = []
        self._write(TAKE)

    def _give_back(self) -> None:
        """Bring the terminal back to what it was. What cannot be done, because it is gone, is left."""
        try:
            with contextlib.suppress(Exception):  # nobody reads it any more: the mode still counts
                self._write(GIVE_BACK)
        finally:
            if self._stdin is not None and self._mode is not None:
                with contextlib.suppress(termios.error, OSError):
                    termios.tcsetattr(self._stdin, termios.TCSADRAIN, self._mode)

    # -- signals ------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._wake_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._hears = True
        for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH):
            if signal.getsignal(number) is signal.SIG_IGN:  # as where nobody could let it go on again
                continue
            self._before[number] = signal.signal(number, self._note)

    def _unlisten(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if self._hears:
            signal.set_wakeup_fd(self._wake_before)
        self._before, self._hears = {}, False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTSTP:
            self._stops = True
        elif number == signal.SIGCONT:
            self._continued = True
        else:
            self._resized = True

    def _stop(self) -> None:
        """Stop as the shell wants it, with the terminal as it was; return when it lets this go on."""
        self._stops = False
        self._give_back()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            os.kill(os.getpid(), signal.SIGTSTP)
        finally:
            signal.signal(signal.SIGTSTP, handler)
        self._continued = True

    # -- keys ---------------------------------------------------------------------------------------------
    def wake(self) -> None:
        """Make `wait` return now; for another thread."""
        with self._closing, contextlib.suppress(BlockingIOError):  # it is full, so it will
            if not self._closed:  # else the number may be that of something else by now
                os.write(self._wake, b"\0")

    def wait(self, seconds: float) -> list[str]:
        """Return the keys that were pressed, as soon as there is any, something else happened, or after `seconds`.

        A terminal that is gone says `q`.
        """
        ends = [self._woken] if self._stdin is None else [self._woken, self._stdin]
        ready = select.select(ends, [], [], max(0.0, seconds))[0]
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 1 << 16)
        if self._stops:
            self._stop()
        if self._continued:
            self._continued = False
            self._take()
        if self._resized:
            self._resized = False
            self._drawn = []
        return self._keys() if self._stdin in ready else []

    def _keys(self) -> list[str]:
        assert self._stdin is not None
        try:
            data = os.read(self._stdin, BYTES)
        except OSError:
            data = b""
        if not data:
            return ["q"]
        keys, self._rest = read(self._rest + data)
        return keys

    # -- drawing ------------------------------------------------------------------------------------------
    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, and nothing else."""
        moved = picture(self._drawn, lines)
        if moved:
            self._drawn = list(lines)
            self._write(moved)


def keyboard(settings: Settings) -> int | None:
    """Return the descriptor that keys come from; None where standard input is no terminal."""
    return settings.streams.stdin.fileno() if settings.streams.stdin_is_terminal else None


def picture(before: Sequence[str], now: Sequence[str]) -> str:
    """Return what turns the lines that are on the screen into others; "" where nothing has changed. Pure.

    Without any before, the whole screen is written.
    """
    if list(before) == list(now):
        return ""
    pieces = [] if before else ["\x1b[2J"]
    for at, line in enumerate(now):
        if at >= len(before) or before[at] != line:
            pieces.append(f"\x1b[{at + 1};1H\x1b[K{line}")
    if len(now) < len(before):
        pieces.append(f"\x1b[{len(now) + 1};1H\x1b[J")
    return f"{BEGIN}{''.join(pieces)}{END}"
