"""Signals that end the command: all of them by the same way out, on which locks are released and children ended.

    SIGINT      KeyboardInterrupt, exit code 130
    SIGHUP, SIGQUIT, SIGTERM
                Ended, exit code 128 + N

A signal that was ignored when the process started stays ignored (`nohup visor watch`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)


class Ended(BaseException):
    """A signal arrived. Like KeyboardInterrupt, so that nothing but clean-up stands in its way."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def ending() -> Iterator[None]:
    """Raise Ended once in the main thread when one of the signals comes; later ones do not disturb the clean-up.

    Ctrl-C still does, for those who have no patience for it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the business of the program that runs us
        return
    arrived: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        if not arrived:
            arrived.append(number)
            raise Ended(number)

    before = {
        number: signal.signal(number, end)
        for number in ENDING
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it was not set by Python, and cannot be set again from here
                signal.signal(number, handler)
