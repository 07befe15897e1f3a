"""KEEPALIVE and LEASE, asked at any node: the leader answers (`service`), called as all leaders are (`leader_calls`).

    client --KEEPALIVE--> replica --KEEP 7--> leader: lessor.keep --KEPT 7--> replica --> client

Both are safe to repeat on the next leader: to keep a lease alive twice does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from visord.leases.service import Reply
from visord.members.leader_calls import CallKind, Consensus, Fields, LeaderCalls
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.state.formats import RIGHTS
from visord.state.refusal import NO_LEADER, Refusal

PATIENCE_SECONDS: Final = 2.0
MAX_OWED: Final = 4096
"""Questions of one replica that wait for their answer here: those of all its clients within one round."""
OVERLOADED: Final = Refusal(
    "overloaded",
    f"{MAX_OWED} questions of this replica wait for the leader already",
    {"what": "questions", "limit": MAX_OWED},
)
RETRIED: Final = frozenset({"not_leader", "no_quorum", "closing"})
"""Refusals by a leader after which the next one is asked."""


class LeaseQuestions:
    """Those of one node's clients. `answer(verb, arguments, reply)` answers one as the leader."""

    def __init__(
        self,
        answer: Callable[[int, list[Any], Reply], None],
        consensus: Consensus,
        send: Callable[[str, list[Any]], bool],
        time: Callable[[], float],
        first_id: int,
        form: Callable[[], int],
    ) -> None:
        self._answer = answer
        self._form = form
        self._time = time
        kind = CallKind(
            msg.KEEP,
            msg.KEPT,
            self._serve,
            again=lambda fields: not fields[0] and fields[1][0] in RETRIED,
            most=MAX_OWED,
            overloaded=tuple(_fields_of(OVERLOADED)),
        )
        self._calls = LeaderCalls(kind, consensus, send, time, first_id)
        self.handlers: dict[int, Handler] = self._calls.handlers

    def ask(self, verb: int, arguments: list[Any], reply: Reply) -> None:
        """Have a question answered by the leader, whichever member that is; `reply` may be called within this call.

        `arguments`: what is asked, and the author that asks.
        """
        if self._form() < RIGHTS:
            del arguments[1:]  # an older leader knows no authors
        self._calls.ask([verb, arguments], partial(_tell, reply), self._time() + PATIENCE_SECONDS)

    def _serve(self, member: str, fields: Fields, reply: Callable[[Fields], None]) -> None:
        verb, arguments = fields[:2]
        self._answer(verb, arguments, lambda result: reply(_fields_of(result)))

    def tick(self) -> None:
        """From time to time: ask the next leader what the last one did not answer; give up what is late."""
        self._calls.tick()


def _tell(reply: Reply, fields: Fields | None) -> None:
    if fields is None:
        reply(NO_LEADER)
    else:
        reply(fields[1] if fields[0] else Refusal(*fields[1]))


def _fields_of(result: Any) -> Fields:
    """Return how an answer is told: [ok, result, or code, text and details]."""
    if type(result) is Refusal:
        return [False, [result.code, result.text, result.details]]
    return [True, result]
