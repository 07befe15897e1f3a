"""Who belongs to the cluster: changes of the configuration, and how a node that joins becomes a member.

Every change is an *action* that any member takes and passes to the leader (CALL), which makes the new configuration,
checks that a majority of it can be reached, appends it, and answers (RESULT) when it is committed:

    node D: --join A --> A --> leader B: add D as learner --> committed --> D hears from B, catches up
    leader B, once D has nearly everything: promote D --> D votes

One change at a time; an action that comes while another is under way waits for it. An action that is repeated after a
lost answer finds its work done and succeeds. A *query* is asked in the same way, of the leader, and changes nothing.

The member that takes an action asks every leader anew, and a leader that is deposed forgets what others passed to it:
if it passed that on in its turn, the action would be there twice after each election. A leader that is to be removed
hands leadership on, and does all else before: otherwise two members that are both to be removed would hand it to and
fro.

How many actions may be under way, of whom, and in whose turn: `callers`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from visord.logs import about
from visord.members import actions
from visord.members.callers import ME, MEMBER, OPERATOR, PASSED, PASSED_KEPT, Caller, Callers
from visord.members.leader_calls import CallKind, Fields, LeaderCalls
from visord.members.newcomers import Newcomers
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.raft.configuration import (
    MAX_MEMBERS,
    Configuration,
    ConfigurationError,
    Member,
    check_quorum,
    encode,
)
from visord.raft.engine import Engine
from visord.state.refusal import NO_LEADER

logger = logging.getLogger("visord.cluster")

PATIENCE_SECONDS: Final = 8.0
"""How long an action may take before its caller is told that it is not known how it ended."""
LEADERLESS_SECONDS: Final = 3.0
"""How long an action waits for a leader."""
CAUGHT_UP: Final = 64
"""Entries that a learner may lack when it is promoted: less than a moment's."""
FRESH_SECONDS: Final = 0.3
"""A member that has answered within this time lives: three heartbeats."""
LATE_SECONDS: Final = 1.5
"""A member that has not answered for this time is dead. In between nobody knows."""
UPDATE_SECONDS: Final = 5.0
"""The addresses of a member change this seldom: every change is an entry, and makes all members dial."""
SETTLED_SECONDS: Final = 0.3
"""So long after it began to lead a leader has heard what the others want of it."""


class Answer(Protocol):
    """Gets how an action ended: (true, result) or (false, [code, text, details])."""

    def __call__(self, ok: bool, result: Any, /) -> object: ...


class Query(NamedTuple):
    """Something that a leader tells. `start(arguments, answer, again)` calls `answer` once, or else `again`."""

    patience: float
    """Seconds."""
    start: Callable[[list[Any], Answer, Callable[[], None]], None]


class _Action:
    __slots__ = (
        "answer",
        "arguments",
        "began",
        "begun",
        "caller",
        "deadline",
        "index",
        "name",
        "sent_in",
        "sent_to",
    )

    def __init__(
        self, name: str, arguments: list[Any], answer: Answer, now: float, patience: float, caller: Caller
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.answer = answer
        self.began = now
        self.deadline = now + patience
        self.begun = False
        """It may have been done."""
        self.index = 0
        """Of the entry that does it; 0: not appended yet."""
        self.caller = caller
        self.sent_to = ""
        """The leader that was asked."""

    @property
    def kind(self) -> str:
        return actions.KIND_OF.get(self.name, actions.CHANGE)

    @property
    def passed(self) -> bool:
        """Another member took it, and passed it on."""
        return self.caller.sort == MEMBER

    @property
    def dispensable(self) -> bool:
        return not self.begun or self.name not in actions.CHANGES


class Membership:
    """The members as one node sees them, and the actions that change them."""

    def __init__(
        self,
        engine: Engine,
        me: Member,
        send: Callable[[str, list[Any]], bool],
        time: Callable[[], float],
        first_id: int,
    ) -> None:
        self._engine = engine
        self._me = me
        self._time = time
        self.expected: Callable[[Member], Member] = lambda member: member
        """Returns a member that is not known yet as it may be taken in, or raises `ConfigurationError`."""
        self._actions: list[_Action] = []
        """To be done by this node as leader, or waiting for a leader."""
        self._callers: Callers[_Action] = Callers()
        """All actions that are not answered, also those that a query has."""
        self._newcomers = Newcomers(time, engine.has_answered)
        kind = CallKind(
            msg.CALL, msg.RESULT, self._serve, fits=lambda fields: not fields[0] or actions.is_view(fields[1])
        )
        self._calls = LeaderCalls(kind, engine, send, time, first_id)
        self.handlers: dict[int, Handler] = self._calls.handlers
        self._asked: list[_Action] = []
        """Actions that a leader has. All can be repeated; this node does that itself, in turn with the others."""
        self._transfer: tuple[str, list[_Action]] | None = None
        self._updating = self._promoting = False
        self._next_update = 0.0
        """When this node asks again to have its addresses changed, if they are not."""
        self._moved: dict[str, float] = {}
        """When this leader changed the addresses of a member."""
        self._leadership = (0, 0.0)
        """The term in which this node leads, and since when."""
        self.queries: dict[str, Query] = {"members": Query(PATIENCE_SECONDS, self._tell_members)}
        """What can be asked of the leader, besides the actions."""

    # -- what anybody may ask -------------------------------------------------------------------------

    def act(self, name: str, arguments: list[Any], answer: Answer, caller: Caller = ME) -> None:
        """Do an action here or at the leader; `answer` is called once, possibly within this call."""
        wrong = actions.problem(name, arguments)
        if wrong is not None:
            answer(False, ["bad_request", wrong, {}])
            return
        query = self.queries.get(name)
        patience = PATIENCE_SECONDS if query is None else query.patience
        action = _Action(name, arguments, answer, self._time(), patience, caller)
        victim = self._callers.enter(action)
        if victim is not None:
            self._refuse(victim)
        if victim is not action:
            self._actions.append(action)
            self.tick()

    def _refuse(self, action: _Action) -> None:
        """There is no place for an action, or no more."""
        text = (
            f"{action.name}: too many such actions are under way already, of this caller or of all: ask again"
        )
        action.answer(False, ["overloaded", text, {"what": "actions"}])

    def _end(self, action: _Action, ok: bool, result: Any, /) -> None:
        """Answer an action, unless that has been done."""
        if self._callers.leave(action):
            action.answer(ok, result)

    def find(self, member: str) -> Member | None:
        """Return the member with this id, or else the only one with this name, as far as this node knows."""
        return self._engine.configuration.find(member)

    def view(self) -> dict[str, Any]:
        """Return the members as this node sees them, and what it sees them by."""
        engine = self._engine
        return {
            "leader": engine.leader,
            "term": engine.term,
            "committed": engine.commit_index,
            "members": self.members(),
        }

    @property
    def busy(self) -> bool:
        """Actions are under way here."""
        return bool(len(self._callers))

    @property
    def refused(self) -> int:
        """Actions that found no place, or had to give theirs to others, since the start."""
        return self._callers.refused

    def members(self) -> list[dict[str, Any]]:
        """Return one row a member: what an operator wants to see."""
        engine = self._engine
        rows = []
        for one in engine.configuration.members:
            row: dict[str, Any] = {
                "id": one.id,
                "name": one.name,
                "peer": one.peer,
                "client": one.client,
                "role": "voter" if one.voter else "learner",
                "leader": one.id == engine.leader,
                "self": one.id == self._me.id,
            }
            last = engine.log.last_index
            progress = engine.progress(one.id)
            if one.id == engine.member and engine.is_leader:
                progress = (last, 0.0)
            if progress is not None:
                row["durable"], row["silent"] = progress[0], round(progress[1], 3)
                row["behind"] = max(0, last - progress[0])
            rows.append(row)
        return rows

    # -- driving --------------------------------------------------------------------------------------

    def tick(self) -> None:
        """From time to time, and when leadership changed or an entry was applied: go on with everything."""
        now = self._time()
        self._finish_transfer()
        self._calls.tick()
        if self._engine.is_leader and self._leadership[0] != self._engine.term:
            self._leadership = (self._engine.term, now)
        self._newcomers.tick(self._engine.configuration, self._leadership[1])
        # What does not end puts itself back. Answers may ask anew within this loop: that goes into the new list, too.
        waiting, self._actions = self._actions, []
        for action in sorted(self._callers.in_turn(waiting), key=self._steps_down):
            if not self._callers.has(action):
                continue  # it had to go for another
            refusal = self._given_up(action, now)
            if refusal is None:
                self._go_on(action)
            else:
                self._end(action, False, refusal)
        self._mind_the_members()

    def _steps_down(self, action: _Action) -> bool:
        """Tell whether this node has to hand leadership on for an action."""
        removed = action.arguments[0] if action.name == "remove" and action.arguments else None
        found = self.find(removed) if isinstance(removed, str) else None
        return found is not None and found.id == self._me.id

    def _given_up(self, action: _Action, now: float) -> list[Any] | None:
        """Return why an action ends although it was not done; None when it goes on."""
        if action.begun and action.deadline <= now:
            after = f"{now - action.began:.0f} s"
            return ["unsettled", f"{action.name}: not done within {after}, it may still happen", {}]
        if action.begun:
            return None  # it may have been done: only its deadline ends it, as `unsettled`
        if self._engine.leader is None and action.began + LEADERLESS_SECONDS <= now:
            return [NO_LEADER.code, f"{action.name}: {NO_LEADER.text}", {}]
        if action.deadline <= now:
            text = (
                "not begun: the leader could not be reached, or waited for members to answer, or, with as many as may "
                "join at once, for one of them; ask again"
            )
            return ["no_quorum", f"{action.name}: {text}", {}]
        return None

    def _go_on(self, action: _Action) -> None:
        engine = self._engine
        leader = engine.leader
        if _has_moved(action, leader):
            self._end(action, True, self.view())
            return
        if engine.is_leader:
            self._lead(action)
            return
        if action.passed:
            # Who passed it on sees that the leadership is over, and asks the next leader.
            self._callers.leave(action)
            return
        action.index = 0  # of a leadership that is over: another entry may be there by now
        if leader is None or not self._may_pass_on(action):
            self._actions.append(action)
            return
        asked = [action.name, action.arguments]
        if not self._calls.ask_once(asked, partial(self._told, action), action.deadline):
            self._actions.append(action)
            return
        self._callers.took_turn(action)
        action.sent_to, action.begun = leader, True
        self._asked.append(action)

    def _told(self, action: _Action, fields: Fields | None) -> None:
        """The leader tells how an action ended; None: it will not."""
        self._asked.remove(action)
        if fields is None:
            # One that had to go for another was kept until now because the leader still had it.
            self._actions.append(action)
        else:
            self._end(action, *fields[:2])

    def _may_pass_on(self, action: _Action) -> bool:
        """Tell whether the leader has room for one more of this kind from here: it gives each member so much."""
        most = PASSED if action.caller.sort not in (ME.sort, OPERATOR) else PASSED + PASSED_KEPT
        return sum(one.kind == action.kind for one in self._asked) < most

    def _lead(self, action: _Action) -> None:
        engine = self._engine
        query = self.queries.get(action.name)
        if action.index:
            if action.index <= engine.commit_index:
                self._end(action, True, self.view())
            else:
                self._actions.append(action)
            return
        # A new leader that has committed nothing of its own term does not know which configuration is: a change made
        # then, or beside another, could be decided by a majority that the other's has nobody in common with.
        if not engine.reads_are_current or (query is None and not engine.configuration_settled):
            self._actions.append(action)
            return
        if query is not None:
            self._callers.took_turn(action)
            query.start(action.arguments, partial(self._end, action), partial(self._again, action))
            return
        try:
            if action.name == "transfer":
                self._begin_transfer(action)
            else:
                self._change(action)
        except ConfigurationError as error:
            self._end(action, False, [error.code, str(error), error.details])

    def _again(self, action: _Action) -> None:
        self._actions.append(action)

    def _change(self, action: _Action) -> None:
        engine = self._engine
        now = engine.configuration
        after = self._changed(now, action)
        if after is None:
            self._actions.append(action)  # another leader will do it, or a newcomer has to go first
            return
        if after == now:  # done before, and the answer was lost: it succeeds
            self._end(action, True, self.view())
            return
        if self._moves_too_often(now, after, action):
            self._actions.append(action)
            return
        if after.voters != now.voters and not self._keeps_majority(after):
            self._actions.append(action)
            return
        position = engine.propose(encode(after))
        if position is not None:
            action.index, action.begun = position[0], True
            self._callers.took_turn(action)
            if _moves(now, after, action):
                self._note_move(now, action.arguments[0])
            self._tell(action, now, after)
        self._actions.append(action)

    def _tell(self, action: _Action, now: Configuration, after: Configuration) -> None:
        """Log a change of the members: normal work, in words."""
        member = action.arguments[0]
        found = after.find(member) or now.find(member)
        name = None if found is None else found.name
        logger.info(
            "%s: the members are now %s", _done(action.name, now, found, member), _shown(after),
            extra=about(member=name, member_id=member if found is None else found.id, term=self._engine.term),
        )  # fmt: skip

    def _moves_too_often(self, now: Configuration, after: Configuration, action: _Action) -> bool:
        """Tell whether an action changes addresses that were changed a moment ago."""
        moved = self._moved.get(action.arguments[0]) if _moves(now, after, action) else None
        return moved is not None and self._time() - moved < UPDATE_SECONDS

    def _note_move(self, now: Configuration, member: str) -> None:
        if len(self._moved) >= 2 * MAX_MEMBERS:
            self._moved = {one: at for one, at in self._moved.items() if now.find(one) is not None}
        self._moved[member] = self._time()

    def _changed(self, now: Configuration, action: _Action) -> Configuration | None:
        arguments = action.arguments
        if action.name == "add":
            member, name, peer, client, wants_vote = arguments
            comes = Member(member, name, peer, client, False, bool(wants_vote))
            known = member in now.removed or any(one.id == member for one in now.members)
            return self._newcomers.take_in(now, comes if known else self.expected(comes))
        if action.name == "promote":
            (member,) = arguments
            self._check_caught_up(now.require(member))
            return now.promote(member)
        if action.name == "update":
            return now.update(*arguments)
        (member,) = arguments
        if member in now.removed:
            return now
        found = now.require(member)
        after = now.remove(member)
        if found.id == self._engine.member:
            settled = self._time() - self._leadership[1] >= SETTLED_SECONDS
            if self._keeps_majority(after) and settled and not self._engine.transferring:
                self._engine.transfer_leadership(None)
            return None
        return after

    def _check_caught_up(self, member: Member) -> None:
        progress = self._engine.progress(member.id)
        behind = self._engine.log.last_index - (progress[0] if progress else 0)
        if not member.voter and (progress is None or not _ready(progress, behind)):
            lag = f"is {behind} entries behind" if behind > CAUGHT_UP else "is not heard of"
            raise ConfigurationError(
                f"refused: {member.name} ({member.id}) {lag}; with a vote it would count towards the majority but "
                "could not help to decide",
                "unsafe",
                behind=behind,
            )

    def _keeps_majority(self, after: Configuration) -> bool:
        """Tell whether a majority of `after` can be reached; False: not known yet, ask again soon.

        Raises `ConfigurationError` with the numbers when it cannot. Nobody can take back a configuration whose majority
        is lost before it is committed, so "not late yet" is not enough: a member that died a second ago, or has not
        answered in this leadership, counts neither way until it answers or is late.
        """
        engine = self._engine
        alive, unknown = {engine.member}, set[str]()
        for one in engine.configuration.members:
            progress = engine.progress(one.id)
            if progress is None or progress[1] > LATE_SECONDS:
                continue
            fresh = progress[1] <= FRESH_SECONDS and engine.has_answered(one.id)
            (alive if fresh else unknown).add(one.id)
        try:
            check_quorum(after, alive)
        except ConfigurationError:
            check_quorum(after, alive | unknown)
            return False
        return True

    def _begin_transfer(self, action: _Action) -> None:
        (target,) = action.arguments
        engine = self._engine
        member = None if target is None else engine.configuration.require(target)
        if member is not None and member.id == engine.member:
            self._end(action, True, self.view())
            return
        if member is not None and not member.voter:
            raise ConfigurationError(f"{member.name} ({member.id}) is a learner: it cannot lead")
        chosen = engine.transfer_leadership(None if member is None else member.id)
        if chosen is None:
            text = "there is no other voter that could be reached and take over"
            raise ConfigurationError(text, "unsafe", voters=len(engine.configuration.voters))
        self._callers.took_turn(action)
        waiting = [] if self._transfer is None else self._transfer[1]
        self._transfer = (chosen, [*waiting, action])

    def _finish_transfer(self) -> None:
        if self._transfer is None or self._engine.transferring:
            return
        engine, (chosen, waiting) = self._engine, self._transfer
        if engine.leader is None and waiting[0].deadline > self._time():
            return  # this leadership is over, and no member has said yet that it leads
        self._transfer = None
        for action in waiting:
            if engine.leader == chosen:
                self._end(action, True, self.view())
            else:
                text = "the transfer failed: the chosen member did not take over in time"
                self._end(action, False, ["unsettled", text, {"leader": engine.leader}])

    def _mind_the_members(self) -> None:
        """As leader: promote a learner that has caught up. As any member: see that the own addresses are known."""
        engine = self._engine
        mine = engine.configuration.find(self._me.id)
        known = mine is None or (mine.peer, mine.client) == (self._me.peer, self._me.client)
        due = not self._updating and self._time() >= self._next_update
        if not known and due and engine.leader is not None:
            self._updating, self._next_update = True, self._time() + UPDATE_SECONDS
            self.act("update", [self._me.id, self._me.peer, self._me.client], self._updated)
        if not engine.is_leader or self._promoting or not engine.configuration_settled:
            return
        # One at a time: each is a change of the configuration, which waits until the one before is committed.
        for one in engine.configuration.members:
            progress = engine.progress(one.id)
            if one.voter or not one.wants_vote or progress is None:
                continue
            if _ready(progress, engine.log.last_index - progress[0]):
                self._promoting = True
                self.act("promote", [one.id], self._promoted)
                return
        after = self._newcomers.revised(engine.configuration)
        if after != engine.configuration and engine.propose(encode(after)) is not None:
            logger.info(
                "of those that joined: the members are now %s", _shown(after), extra=about(term=engine.term)
            )

    def _updated(self, ok: bool, result: Any) -> None:
        self._updating = False

    def _promoted(self, ok: bool, result: Any) -> None:
        self._promoting = False

    def _tell_members(self, arguments: list[Any], answer: Answer, again: Callable[[], None]) -> None:
        def confirmed(index: int | None) -> None:
            if index is None:
                again()  # of the next leader
            else:
                answer(True, self.view())

        self._engine.confirm(confirmed)

    # -- what members say -----------------------------------------------------------------------------

    def _serve(self, member: str, fields: Fields, reply: Callable[[Fields], None]) -> None:
        """A member passes an action on."""
        name, arguments = fields[:2]

        def answer(ok: bool, result: Any) -> None:
            reply([ok, result])

        if self._engine.is_leader:
            voter = member in self._engine.configuration.voters
            wrong = actions.problem(name, arguments)
            refused = (
                actions.passed_by(member, voter, name, arguments) if wrong is None else ("bad_request", wrong)
            )
            if refused is not None:
                answer(False, [*refused, {}])
                return
            self.act(name, arguments, answer, Caller(MEMBER, member))
        # Not the leader: the caller notices by its own view of who leads, and asks the next.


def _ready(progress: tuple[int, float], behind: int) -> bool:
    """A learner has acknowledged something, lately, and lacks next to nothing."""
    return progress[0] > 0 and behind <= CAUGHT_UP and progress[1] <= LATE_SECONDS


def _moves(now: Configuration, after: Configuration, action: _Action) -> bool:
    """The action changes addresses of a member."""
    known = any(one.id == action.arguments[0] for one in now.members)
    return action.name in ("add", "update") and known and after.members != now.members


def _done(action: str, now: Configuration, found: Member | None, member: str) -> str:
    """Return what an action does to a member, in words."""
    who = member if found is None else f"{found.name} ({found.id})"
    at = "" if found is None else f"at {found.peer}, for clients {found.client or 'nowhere'}"
    if action == "add" and found is not None and not any(one.id == found.id for one in now.members):
        return f"{who} {at} is added, without a vote yet"
    words = {
        "add": f"{who} is {at} now",
        "update": f"{who} is {at} now",
        "promote": f"{who} gets its vote",
        "remove": f"{who} is removed for ever",
    }
    return words.get(action, f"{action} {who}")


def _has_moved(action: _Action, leader: str | None) -> bool:
    """Leadership was to go anywhere, and has left the member that was asked: asking again would move it once more."""
    return (
        action.name == "transfer"
        and action.arguments == [None]
        and action.sent_to != ""
        and leader not in (None, action.sent_to)
    )


def _shown(configuration: Configuration) -> str:
    return ", ".join(f"{one.name}{'' if one.voter else ' (learner)'}" for one in configuration.members)
