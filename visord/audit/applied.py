"""What of the log belongs in the audit: found where it is applied, so it does not matter by which way it came.

The leader of the term in which an entry was proposed records it: each entry once, and none again that a start applies
anew. Nothing is looked at but counters, unless one has moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from visor.protocol import verbs
from visord.audit import recorded
from visord.audit.auditor import Silent
from visord.state.command import Command, read
from visord.state.machine import Machine
from visord.state.refusal import Refusal

_USER: Final = "user:"


class Applied:
    """Remembers up to where the counters were seen."""

    def __init__(self, machine: Machine) -> None:
        self._seen = _counters(machine)

    def seen(
        self, machine: Machine, command: bytes, outcomes: list[list[Any]], audit: Silent, *, mine: bool
    ) -> None:
        """An entry was applied, with these outcomes by batch and frame. `mine`: this node leads in its term."""
        counters = _counters(machine)
        if counters == self._seen:
            return
        self._seen = counters
        # What changed nothing may still be the first to be seen after a checkpoint was installed, which moved them.
        if not mine or not outcomes:
            return
        for actor, owner, frame in _done(command, outcomes):
            at = {"rev": machine.store.rev, "request": frame[1]}
            if frame[:1] == [verbs.RETAIN]:
                reason = f"RETAIN {' '.join(map(str, frame[3:6]))} (revs, ms, floor); signed {actor}"
                audit.record(recorded.RETAIN, **who(owner), **at, verb="RETAIN", reason=reason)
            elif frame[:1] == [verbs.AUTH]:
                reason = f"{_change(frame)}; signed {actor}"
                audit.record(recorded.RIGHTS, **who(owner), **at, verb="AUTH", reason=reason)
            elif frame[:1] == [verbs.REDACT]:
                reason = f"{_redaction(frame)}; signed {actor}"
                audit.record(
                    recorded.REDACTION, **who(owner), **at, verb="REDACT", path=frame[3], reason=reason
                )


def _counters(machine: Machine) -> tuple[int, int, int]:
    return machine.retention.asked, machine.auth.version, machine.store.redacted.count


def _change(frame: list[Any]) -> str:
    """Return what a change of rights does, without a digest of anything."""
    action, arguments = frame[3:5] if len(frame) > 4 else ("?", {})
    told = [str(action)]
    for name in ("name", "id", "user", "roles", "grants", "ttl", "hosts", "member"):
        if type(arguments) is dict and name in arguments:
            told.append(f"{name}={arguments[name]}")
    return " ".join(told)


def _redaction(frame: list[Any]) -> str:
    """Return what was taken out, and why; never a value."""
    defaults: list[Any] = [1, None, None]
    first, last, why = frame[4:7] + defaults[len(frame) - 4 :]
    return f"revs {first} to {'the latest' if last is None else last}" + (f": {why}" if why else "")


def who(owner: str) -> dict[str, str]:
    """Return whom the owner of a batch names: a proven user with what has proven it, or where a client came from."""
    if not owner.startswith(_USER):
        return {"address": owner}
    user, _, credential = owner.removeprefix(_USER).partition("/")
    return {"user": user, "credential": credential}


def _done(command: bytes, outcomes: list[list[Any]]) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield (actor, owner, frame) of a command's writes that were not refused; of a repeated one what is inside."""
    decoded = command.decoded if isinstance(command, Command) else None
    _, batches = decoded or read(command)
    for (_, actor, frames, owner), told in zip(batches, outcomes, strict=True):
        for frame, outcome in zip(frames, told, strict=True):
            if type(frame) is not list or isinstance(outcome, Refusal):
                continue
            inner = frame[2] if len(frame) > 2 and frame[0] == verbs.RETRY else frame
            if type(inner) is list and len(inner) > 1:
                yield actor, owner, inner
