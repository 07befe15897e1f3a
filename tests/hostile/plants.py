"""Bugs to plant, each by changing functions from outside: a suite that does not find them finds nothing.

Both let the door open for what is nested too deeply, as before there was a bound: msgpack packs a little deeper than it
reads, so what the proposing member holds and what the others read can differ.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final
from unittest.mock import patch

import msgpack

from tests.sim import plants as of_simulation
from visord import proposer
from visord.members import forwarding
from visord.serving import conversation
from visord.state import command as commands
from visord.state import machine as machines
from visord.state.command import FIRST_BYTE, Command


def open_door(stack: ExitStack) -> None:
    """Bound the nesting nowhere that a client's writes pass."""
    counted = conversation.elements
    stack.enter_context(
        patch.object(conversation, "elements", lambda message: counted(message) or len(message))
    )
    for module in (commands, forwarding, proposer):
        stack.enter_context(patch.object(module, "too_deep", lambda frame: False))


def _hold(time_ms: int, groups: Any, *, judged: bool = False) -> Command:
    """Make a command that remembers what it was made of, and never looks at its bytes."""
    held = [list(group) for group in groups]
    command = Command(FIRST_BYTE + msgpack.packb([commands.FORMAT, time_ms, held], use_bin_type=True))
    command.decoded = (time_ms, held)
    return command


@contextlib.contextmanager
def apply_by_reference() -> Iterator[None]:
    """Applies what the proposing member holds, not what the bytes in its log say."""
    with ExitStack() as stack:
        open_door(stack)
        for module in (commands, proposer):
            stack.enter_context(patch.object(module, "encode", _hold))
        yield


@contextlib.contextmanager
def skip_unreadable() -> Iterator[None]:
    """Skips an entry that cannot be read, as if it said nothing."""
    original = machines.Machine.apply

    def apply(self: machines.Machine, index: int, term: int, command: bytes) -> Any:
        try:
            return original(self, index, term, command)
        except commands.UnknownFormat:
            self.index, self.term = index, term
            return []

    with apply_by_reference(), patch.object(machines.Machine, "apply", apply):
        yield


PLANTS: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {
    "apply-by-reference": apply_by_reference,
    "skip-unreadable": skip_unreadable,
}


@contextlib.contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Have a bug for a while: one of these, or of the simulation's. None: none."""
    if name in PLANTS:
        with PLANTS[name]():
            yield
        return
    with of_simulation.planted(name):
        yield
