"""What an event makes of each state of a connection: the table above `ClientProtocol` is what the code does."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from tests.client.test_client_protocol import WELCOME, Peer
from visor._core import client as core
from visor._core.call import Call
from visor.protocol import verbs
from visor.protocol.frames import encode

STATES = ("OFFLINE", "GREETING", "READY", "LEAVING")
ROW = re.compile(r"^    (\w[\w, ]*?)  +" + r"([A-Z]+[>!]?|-) +" * 4 + r"\S", re.MULTILINE)
TABLE = {row[0]: dict(zip(STATES, row[1:], strict=True)) for row in ROW.findall(core.__doc__ or "")}


class Connection:
    """A client in one of the states, with a write that has no answer."""

    def __init__(self, state: str) -> None:
        self.peer = Peer()
        self.session = self.peer.session
        self.peer.connect()
        self.session.lost()
        self.write = Call([verbs.SET, 0, 0, "/a", b"x"], True, math.inf, 0.0)
        if state != "OFFLINE":
            self.session.hello(self.peer.now)
        if state in ("READY", "LEAVING"):
            self.welcome()
        self.session.submit(self.write, self.peer.now)
        if state == "LEAVING":
            self.goaway("closing")
        self.session.take()
        assert (STATES[self.session.state], self.session.broken) == (state, None)

    def receive(self, message: list[object]) -> None:
        self.session.receive(encode(message), self.peer.now)

    def welcome(self, **changes: object) -> None:
        self.receive([verbs.OK, self.session._hello_id, {**WELCOME, **changes}])

    def goaway(self, code: str) -> None:
        self.receive([verbs.GOAWAY, code, "for a reason"])

    def hello(self) -> bytes:
        return self.session.hello(self.peer.now)

    def request(self) -> None:
        self.session.submit(Call([verbs.GET, 0, "/a"], False, math.inf, 0.0), self.peer.now)

    def refusal(self) -> None:
        self.receive([verbs.ERROR, self.session._hello_id, "unauthenticated", "no", {}])

    def not_leader(self) -> None:
        self.receive([verbs.ERROR, self.write.id, "not_leader", "another one", {}])

    def silence(self) -> None:
        self.session.tick(self.peer.now + self.session._settings.dead_after)


EVENTS: dict[str, Callable[[Connection], object]] = {
    "hello": Connection.hello,
    "lost": lambda at: at.session.lost(),
    "request": Connection.request,
    "welcome": Connection.welcome,
    "other cluster": lambda at: at.welcome(cluster="c2"),
    "refusal": Connection.refusal,
    "answer": lambda at: at.receive([verbs.OK, at.write.id, 5]),
    "not_leader": Connection.not_leader,
    "goaway, passing": lambda at: at.goaway("closing"),
    "goaway, final": lambda at: at.goaway("denied"),
    "mark": lambda at: at.receive([verbs.MARK, 99, 7]),
    "nonsense": lambda at: at.session.receive(b"\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1", at.peer.now),
    "silence": Connection.silence,
}


def test_the_table_has_a_row_for_each_event_and_a_column_for_each_state() -> None:
    assert list(TABLE) == list(EVENTS)
    assert [getattr(core, state) for state in STATES] == list(range(len(STATES)))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_does_to_a_state_what_the_table_says(event: str, state: str) -> None:
    if TABLE[event][state] == "-":
        return  # the order of messages, or the driver, keeps it from coming
    at = Connection(state)
    returned = EVENTS[event](at)
    left = returned if isinstance(returned, bytes) else at.session.take()
    broken = "!" if at.session.broken is not None else ""
    assert f"{STATES[at.session.state]}{'>' if left else ''}{broken}" == TABLE[event][state]


def test_another_cluster_is_fatal_but_for_an_address_that_was_guessed() -> None:
    for guess in (False, True):
        at = Connection("OFFLINE")
        at.session.hello(at.peer.now, guess=guess)
        at.welcome(cluster="c2")
        assert (at.session.fatal is None) is guess
