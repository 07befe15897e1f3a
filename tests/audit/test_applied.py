"""What of the log is recorded, whatever moved the counters that are looked at."""

from __future__ import annotations

from typing import Any

import pytest

from visor.protocol import verbs
from visord.audit.applied import Applied
from visord.audit.auditor import Silent
from visord.state.command import OTHER_FIRST_BYTES, encode
from visord.state.machine import Machine

CHANGE = [verbs.AUTH, 1, 0, "set_user", {"name": "ci", "roles": []}]
RETAIN = [verbs.RETAIN, 1, 0, 1000]


class Recorder(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []
        self.fields: list[dict[str, Any]] = []

    def record(self, event: str, *, kind: str = "", **fields: Any) -> None:
        super().record(event, kind=kind, **fields)
        self.fields.append(fields)
        self.told.append((event, str(fields["reason"]).split(" ")[0]))


def moved() -> Machine:
    """A machine of elsewhere, whose counters stand higher."""
    machine = Machine()
    machine.apply(5, 1, encode(1, [[None, "me", [CHANGE, RETAIN], "h"]]))
    return machine


EMPTY = min(OTHER_FIRST_BYTES)
"""What is no command."""


@pytest.mark.parametrize("entry", [EMPTY, encode(2, [[None, "me", [CHANGE], "h"]])], ids=["empty", "old"])
def test_what_comes_first_after_a_checkpoint_was_installed_is_no_news(entry: bytes) -> None:
    """A leader's empty entry, or one that the checkpoint holds already; the node stopped for good."""
    machine, audit = Machine(), Recorder()
    applied = Applied(machine)
    machine.become(moved())
    outcomes = machine.apply(6 if entry == EMPTY else 5, 1, entry)
    assert outcomes == []
    applied.seen(machine, entry, outcomes, audit, mine=True)
    assert audit.told == []
    command = encode(3, [[None, "me", [CHANGE, RETAIN], "h"]])
    applied.seen(machine, command, machine.apply(7, 1, command), audit, mine=True)
    assert audit.told == [("rights", "set_user"), ("retain", "RETAIN")]


def test_what_was_refused_is_no_change() -> None:
    machine, audit = Machine(), Recorder()
    applied = Applied(machine)
    wrong = [verbs.AUTH, 2, 0, "delete_user", {"name": "nobody"}]
    command = encode(1, [[None, "me", [wrong, CHANGE], "h"]])
    applied.seen(machine, command, machine.apply(1, 1, command), audit, mine=True)
    assert audit.told == [("rights", "set_user")]


def test_a_redaction_is_told_without_what_it_took() -> None:
    machine, audit = Machine(), Recorder()
    applied = Applied(machine)
    frames = [[verbs.SET, 1, 0, "/a", b"secret"], [verbs.REDACT, 2, 0, "/a", 1, None, "it leaked"]]
    command = encode(1, [[None, "me", frames, "h"]])
    applied.seen(machine, command, machine.apply(1, 1, command), audit, mine=True)
    assert audit.told == [("redaction", "revs")]
    assert audit.fields[0] == {
        "address": "h",
        "rev": 1,
        "request": 2,
        "verb": "REDACT",
        "path": "/a",
        "reason": "revs 1 to the latest: it leaked; signed me",
    }
