"""Requests that only the leader can answer, passed on to it by the node that a client is connected to.

    client --KEEPALIVE--> replica --KEEP 7--> leader: lessor.keep --KEPT 7--> replica --> client

They may be asked again of the next leader: keeping a lease alive twice does no harm, and describing one neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from visord.members.owed import Owed
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.state.refusal import Refusal

Reply: TypeAlias = Callable[[Any], None]
"""Gets the `result` of OK, or a Refusal; once."""

PATIENCE_SECONDS: Final = 2.0
NO_LEADER: Final = Refusal("no_quorum", "no leader answers: most of the cluster's nodes are away", {})
MAX_OWED: Final = 4096
"""Questions of one replica that wait for their answer here: those of all its clients within one round."""
OVERLOADED: Final = Refusal(
    "overloaded",
    f"{MAX_OWED} questions of this replica wait for the leader already",
    {"what": "questions", "limit": MAX_OWED},
)
RETRIED: Final = frozenset({"not_leader", "no_quorum", "closing"})


class _Question:
    __slots__ = ("arguments", "asked", "deadline", "reply", "verb")

    def __init__(self, verb: int, arguments: list[Any], reply: Reply, deadline: float) -> None:
        self.verb = verb
        self.arguments = arguments
        self.reply = reply
        self.deadline = deadline
        self.asked = ""
        """The leader that was asked."""


class LeaderCalls:
    """The questions of one node's clients to the leader, and those that other nodes pass to this one.

    They are numbered from behind `first`, which no other life of this node has.
    """

    def __init__(
        self,
        leader: Callable[[], tuple[str | None, bool]],
        answer: Callable[[int, list[Any], Reply], None],
        say: Callable[[str, list[Any]], bool],
        time: Callable[[], float],
        first: int,
    ) -> None:
        self._leader = leader
        """Returns (the leader's id, whether that is this node)."""
        self._answer = answer
        self._say = say
        self._time = time
        self._last = first
        self._owed = Owed(MAX_OWED)
        self._open: dict[int, _Question] = {}

    @property
    def handlers(self) -> dict[int, Handler]:
        """What is heard here, by kind."""
        return {
            msg.KEEP: self.on_keep,
            msg.KEPT: self.on_kept,
        }

    def ask(self, verb: int, arguments: list[Any], reply: Reply) -> None:
        """Have a question answered by the leader, whoever that is."""
        self._last += 1
        number = self._last
        self._open[number] = _Question(verb, arguments, reply, self._time() + PATIENCE_SECONDS)
        self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        question = self._open[number]
        leader, here = self._leader()
        question.asked = ""
        if leader is None:
            return
        if here:
            question.asked = leader
            self._answer(
                question.verb, question.arguments, lambda result: self._settle(number, leader, result)
            )
        elif self._say(leader, [msg.KEEP, number, question.verb, question.arguments]):
            question.asked = leader

    def _settle(self, number: int, leader: str, result: Any) -> None:
        question = self._open.get(number)
        if question is None or question.asked != leader:
            return
        if type(result) is Refusal and result.code in RETRIED and question.deadline > self._time():
            question.asked = ""  # `look` asks again
            return
        del self._open[number]
        question.reply(result)

    def look(self) -> None:
        """From time to time: ask the next leader what the last one did not answer; give up what is late."""
        now, leader = self._time(), self._leader()[0]
        for number, question in list(self._open.items()):
            if number not in self._open:
                continue
            if question.deadline <= now:
                del self._open[number]
                question.reply(NO_LEADER)
            elif question.asked != leader or not question.asked:
                self._pass_on(number)

    # -- what members say -----------------------------------------------------------------------------

    def on_keep(self, member: str, message: list[Any]) -> None:
        """A replica passes a question on."""
        _, number, verb, arguments = message[:4]
        if not self._owed.begin(member):
            self._say_result(member, number, OVERLOADED)
            return

        def answer(result: Any) -> None:
            self._owed.end(member)
            self._say_result(member, number, result)

        self._answer(verb, arguments, answer)

    def _say_result(self, member: str, number: int, result: Any) -> None:
        if type(result) is Refusal:
            self._say(member, [msg.KEPT, number, False, [result.code, result.text, result.details]])
        else:
            self._say(member, [msg.KEPT, number, True, result])

    def on_kept(self, member: str, message: list[Any]) -> None:
        """The leader answers."""
        _, number, ok, result = message[:4]
        if ok:
            self._settle(number, member, result)
        elif type(result) is list and len(result) == 3:
            self._settle(number, member, Refusal(*result))
