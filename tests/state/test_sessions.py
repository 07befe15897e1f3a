"""Exactly once, at the machine: what a retry of an unknown session may do, and what it may not."""

from __future__ import annotations

from typing import Any

from visor.protocol import verbs as v
from visord.state import sessions as limits
from visord.state.command import encode
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.state.tables import export_tables, import_tables

ME = b"m" * 16


class Log:
    """A machine and what is committed to it."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.time = 1_000

    def commit(self, *frames: Any, session: bytes = ME) -> list[Any]:
        command = encode(self.time, [[session, "", list(frames), "10.0.0.7"]])
        return self.machine.apply(self.machine.index + 1, 1, bytes(command))[0]

    def restart(self) -> None:
        tables, store = export_tables(self.machine), self.machine.store
        self.machine = Machine()
        self.machine.store = store
        import_tables(self.machine, tables)


def first_write(path: str = "/a") -> list[Any]:
    return [v.SET, 1, 1, path, b"x"]


def test_the_first_write_of_a_session_may_be_retried_when_it_never_arrived() -> None:
    log = Log()
    assert log.commit([v.RETRY, 1, first_write(), 0]) == [1]
    assert log.commit([v.RETRY, 1, first_write(), 0]) == [1], "and only once"
    assert log.commit(first_write()) == [1], "also when the first attempt comes late"
    assert log.machine.store.rev == 1


def test_a_retry_after_a_newer_write_of_a_young_session_is_executed() -> None:
    log = Log()
    assert log.commit([v.SET, 2, 1, "/b", b"x"]) == [1]
    assert log.commit([v.RETRY, 1, first_write(), 0]) == [2]


def test_without_a_birth_a_retry_never_begins_a_session() -> None:
    log = Log()
    (outcome,) = log.commit([v.RETRY, 1, first_write()])
    assert isinstance(outcome, Refusal)
    assert outcome.code == "session_lost"


def test_a_session_that_was_forgotten_is_never_executed_twice() -> None:
    for restart in (False, True):
        log = Log()
        assert log.commit(first_write()) == [1]
        log.time += limits.MAX_AGE + 1
        log.commit([v.NOP, 1, 1], session=b"o" * 16)
        assert log.machine.sessions.get(ME) is None
        if restart:
            log.restart()
        (outcome,) = log.commit([v.RETRY, 1, first_write(), 0])
        assert isinstance(outcome, Refusal)
        assert outcome.code == "session_lost"
        (later,) = log.commit([v.RETRY, 1, first_write(), 1], session=b"n" * 16)
        assert later == 2, "one that began after the forgotten one cannot have been forgotten"


def test_a_forgotten_session_that_writes_again_does_not_make_its_old_writes_new() -> None:
    log = Log()
    assert log.commit(first_write()) == [1]
    log.time += limits.MAX_AGE + 1
    log.commit([v.NOP, 1, 1], session=b"o" * 16)
    assert log.commit([v.SET, 5, 1, "/b", b"x"]) == [2]
    (outcome,) = log.commit([v.RETRY, 1, first_write(), 0])
    assert isinstance(outcome, Refusal)
