"""A machine with a log: what the tests of single features drive."""

from __future__ import annotations

from visord.state import command
from visord.state.listing import Deferred
from visord.state.machine import Machine
from visord.state.query import answer

SESSION = b"session-one-----"


class Driven:
    """Sends frames one command each; `time` is the command time in ms."""

    def __init__(self, **kwargs):
        self.machine = Machine(**kwargs)
        self.log = []
        self.time = 1_000
        self.id = 0

    @property
    def store(self):
        return self.machine.store

    def send(self, *frames, session=None, actor="tester", owner="10.0.0.7"):
        """Apply whole frames as one command, from bytes; return their outcomes."""
        data = bytes(command.encode(self.time, [[session, actor, list(frames), owner]]))
        self.log.append(data)
        outcomes = self.machine.apply(self.machine.index + 1, 1, data)[0]
        return [one.told(self.store) if isinstance(one, Deferred) else one for one in outcomes]

    def write(self, verb, *fields):
        """Apply one write without a session; return its outcome."""
        self.id += 1
        return self.send([verb, self.id, 0, *fields])[0]

    def set(self, path, value=b"", *rest):
        return self.write(30, path, value, *rest)

    def delete(self, path, *rest):
        return self.write(31, path, *rest)

    def txn(self, then, guards=(), otherwise=(), note=None):
        return self.write(32, list(guards), list(then), list(otherwise), note)

    def ask(self, verb, *fields):
        return answer(self.store, [verb, 1, *fields])

    def get(self, path, rev=None):
        return self.ask(10, path, rev)[1]

    def paths(self, selector=(1, "/"), rev=None):
        return [path for path, _ in self.ask(13, list(selector), rev)[1]]
