# Generated from visor/aio/_telling.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Calling users' callbacks: however one ends, it is logged or raised, and the next event is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from visor._core.call import ends
from visor._core.log import log
from visor.errors import CallbackEnded

if TYPE_CHECKING:
    from visor._drivers.blocking.driver import Driver

E = TypeVar("E")


def tell(driver: Driver, callback: Callable[[E], object], event: E) -> object:
    """Call `callback(event)` and return its result; None when it raised, which is logged.

    CallbackEnded when it raised what ends a program, a thread or a task (SystemExit, KeyboardInterrupt,
    GeneratorExit); its `__cause__` is that. A cancellation that it met elsewhere is an error like others; that of the
    task in which it runs goes on up.
    """
    try:
        return driver.outcome(callback(event))
    except BaseException as error:
        if driver.is_cancelled():
            raise
        if ends(error):
            raise CallbackEnded(what=type(error).__name__, event=repr(event)[:100]) from error
        log.exception("a callback raised at %r", event)
        return None
