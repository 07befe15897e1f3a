"""Questions that only the leader can answer, whichever member that is: one way to ask them, for all that have some.

    reads        READ_INDEX n            -->  READ_AT n, index             (`read_index`)
    leases       KEEP n, verb, fields    -->  KEPT n, ok, result           (`visord/leases/questions.py`)
    membership   CALL n, action, fields  -->  RESULT n, ok, result         (`membership`)

A call has arguments, a reply and a deadline. It goes to the leader by message, or is answered right here where this
node leads:

    ask ------> asked (of a leader, under a number) --- the answer ---------------> reply(fields)
      `-----> stuck: nobody leads, or the leader is out of reach, has changed, or says that it cannot tell
                |  `tick`: with a new number, of the leader by then
                `-- `tick`, after the deadline ----------------------------------> reply(None)

That is for what may be asked again of the next leader without harm. What its owner repeats by itself is asked `once`:
the first time that it would be stuck is the end of it.

Every attempt has a number of its own, beyond those of all lives of this node: an answer that comes so late that another
attempt is under way is not taken for that one's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

from visord.members.owed import Owed
from visord.peers.messages import Handler

Fields: TypeAlias = list[Any]
"""What follows the number in a question, or in an answer."""
Reply: TypeAlias = Callable[[Fields | None], None]
"""Gets the answer; None when none was given. Called once."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def leader(self) -> str | None: ...

    @property
    def is_leader(self) -> bool: ...

    @property
    def term(self) -> int: ...


class CallKind(NamedTuple):
    """What is asked, and how it is answered."""

    question: int
    answer: int
    """Their kinds on the wire."""
    serve: Callable[[str, Fields, Callable[[Fields], None]], None]
    """`serve(member, arguments, reply)` answers as the leader, also where this node has asked itself ("")."""
    again: Callable[[Fields], bool] = lambda fields: False
    """An answer says that the next leader has to be asked."""
    fits: Callable[[Fields], bool] = lambda fields: True
    """An answer can be one; what is none is not heard."""
    most: int = 0
    """Answers that are owed to one member at once; what is beyond them is answered with `overloaded`. 0: `serve` bounds
    them itself."""
    overloaded: tuple[Any, ...] = ()


class _Call:
    __slots__ = ("arguments", "deadline", "leader", "once", "reply", "term")

    def __init__(self, arguments: Fields, reply: Reply, deadline: float, once: bool) -> None:
        self.arguments = arguments
        self.reply = reply
        self.deadline = deadline
        self.once = once
        self.leader = ""
        """The leader that was asked; what is asked once also knows in which term."""
        self.term = 0


class LeaderCalls:
    """The calls of one kind: those of this node to the leader, and those of other nodes to this one as the leader.

    Attempts are numbered from behind `first_id`, which no other life of this node has.
    """

    def __init__(
        self,
        kind: CallKind,
        consensus: Consensus,
        send: Callable[[str, list[Any]], bool],
        time: Callable[[], float],
        first_id: int,
        freed: Callable[[], None] = lambda: None,
    ) -> None:
        self._kind = kind
        self._consensus = consensus
        self._send = send
        self._time = time
        self._last = first_id
        self._freed = freed
        """An attempt has failed, so that fewer are under way."""
        self._owed = Owed(kind.most)
        self._asked: dict[int, _Call] = {}
        self._stuck: list[_Call] = []

    @property
    def handlers(self) -> dict[int, Handler]:
        """What is heard here, by kind."""
        return {self._kind.question: self.on_question, self._kind.answer: self.on_answer}

    @property
    def under_way(self) -> int:
        """How many calls a leader has, and has not answered."""
        return len(self._asked)

    # -- asking ---------------------------------------------------------------------------------------

    def ask(self, arguments: Fields, reply: Reply, deadline: float) -> None:
        """Have the leader answer, or the next one, until the deadline; `reply` may be called within this call."""
        self._start(_Call(arguments, reply, deadline, False))

    def ask_once(self, arguments: Fields, reply: Reply, deadline: float) -> bool:
        """Ask the leader of this term, another member, and no other; false when it cannot be asked.

        `reply(None)`: it does not lead that term any more, or the deadline has passed. It may have done what was asked.
        """
        call = _Call(arguments, reply, deadline, True)
        leader, call.term = self._consensus.leader, self._consensus.term
        return leader is not None and self._dispatch(call, leader)

    def _start(self, call: _Call) -> None:
        consensus = self._consensus
        leader = consensus.leader
        if leader is None:
            self._stuck.append(call)
        elif consensus.is_leader:
            self._kind.serve("", call.arguments, partial(self._answered, self._note(call, leader)))
        elif not self._dispatch(call, leader):
            self._stuck.append(call)
            self._freed()

    def _dispatch(self, call: _Call, leader: str) -> bool:
        number = self._note(call, leader)
        if self._send(leader, [self._kind.question, number, *call.arguments]):
            return True
        del self._asked[number]
        return False

    def _note(self, call: _Call, leader: str) -> int:
        self._last += 1
        self._asked[self._last] = call
        call.leader = leader
        return self._last

    def _answered(self, number: int, fields: Fields) -> None:
        call = self._asked.pop(number, None)
        if call is None:
            return  # another attempt is under way, or it was given up
        if self._kind.again(fields) and call.deadline > self._time():
            self._stuck.append(call)
            self._freed()
        else:
            call.reply(fields)

    def tick(self) -> None:
        """From time to time: ask the next leader what the last one did not answer; give up what is late."""
        now = self._time()
        for number, call in list(self._asked.items()):
            if number in self._asked and (call.deadline <= now or not self._still_leads(call)):
                del self._asked[number]
                if call.once:
                    call.reply(None)
                else:
                    self._stuck.append(call)
                    self._freed()
        stuck, self._stuck = self._stuck, []
        for call in stuck:
            if call.deadline <= now:
                call.reply(None)
            else:
                self._start(call)

    def _still_leads(self, call: _Call) -> bool:
        """Tell whether the leader that was asked is the one; for what is asked once, in the same term."""
        consensus = self._consensus
        return call.leader == consensus.leader and (not call.once or call.term == consensus.term)

    def abandon(self) -> None:
        """The node stops: no call gets an answer any more."""
        calls = [*self._asked.values(), *self._stuck]
        self._asked, self._stuck = {}, []
        for call in calls:
            call.reply(None)

    # -- what members say -----------------------------------------------------------------------------

    def on_question(self, member: str, message: list[Any]) -> None:
        """Another node asks this one, as the leader."""
        kind, number = self._kind, message[1]
        if not kind.most:
            kind.serve(member, message[2:], partial(self._tell, member, number))
        elif self._owed.begin(member):
            kind.serve(member, message[2:], partial(self._pay, member, number))
        else:
            self._tell(member, number, [*kind.overloaded])

    def _pay(self, member: str, number: int, fields: Fields) -> None:
        self._owed.end(member)
        self._tell(member, number, fields)

    def _tell(self, member: str, number: int, fields: Fields) -> None:
        self._send(member, [self._kind.answer, number, *fields])

    def on_answer(self, member: str, message: list[Any]) -> None:
        """The leader answers."""
        call = self._asked.get(message[1])
        if call is not None and call.leader == member and self._kind.fits(message[2:]):
            self._answered(message[1], message[2:])
