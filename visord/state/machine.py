"""The replicated machine: committed commands in, outcomes out, the same on every node.

    machine.apply(index, term, command) -> [[outcome of each frame] of each batch]

There are always as many outcomes as batches, and as frames in each. A refused write takes no rev and leaves no
trace. An entry that is not exactly a command, or for somebody else, is never skipped: it raises `UnknownFormat`, and
the node stops (see `command.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, Final, NamedTuple

from visor.protocol.limits import DEFAULT, Limits
from visor.protocol.verbs import (
    AUTH,
    DELETE,
    EXPIRE_LEASE,
    G_EXISTS,
    G_MISSING,
    G_NONE,
    G_REV,
    G_SINCE,
    GRANT,
    REDACT,
    RETAIN,
    RETRY,
    REVERT,
    REVOKE,
    SET,
)
from visord.state import command as commands
from visord.state import cost, fields, lease_commands, redact, refusal, writes
from visord.state.auth.auth_store import AuthStore
from visord.state.auth.effort import BATCH, COMMAND, Effort
from visord.state.auth.judge import TOO_MUCH, UNPROVEN, Judge
from visord.state.auth.own import is_of_itself
from visord.state.auth.principal import ANONYMOUS, credential_of, is_of, owner_of, user_of
from visord.state.auth.rights import Rights
from visord.state.command import (
    FIRST_BYTE,
    MAX_ACTOR,
    MAX_OWNER,
    MAX_SESSION_ID,
    OTHER_FIRST_BYTES,
    Command,
    UnknownFormat,
)
from visord.state.fields import MAX_INT
from visord.state.formats import OLDEST, RIGHTS, SECRETS
from visord.state.history import FORGOTTEN, MAX_RECENT
from visord.state.lease import Lease
from visord.state.listing import Deferred
from visord.state.refusal import Refusal, bad_request, text_of
from visord.state.retention import Retention
from visord.state.sessions import FEW, MAX_KEPT, Outcome, Session, Sessions, abridged, weigh
from visord.state.store import Store


class Machine:
    """The store, who has written to it, and the place in the log that they stand for."""

    __slots__ = (
        "_asking",
        "_authors",
        "_authors_of",
        "_effort",
        "_form",
        "_named",
        "_rights",
        "auth",
        "format",
        "index",
        "judge",
        "retention",
        "sessions",
        "store",
        "term",
        "time",
    )

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.index = 0
        self.term = 0
        self.time = 0
        self.format = OLDEST
        """The newest format of all commands that were applied; checkpoints keep it."""
        self.store = Store(limits)
        self.sessions = Sessions()
        self.retention = Retention()
        self.auth = AuthStore(limits)
        self.judge = Judge(self.auth, self._lease, limits)
        self._effort = Effort(0)
        """What judging the batch that is applied may still cost."""
        self._asking: list[Any] = []
        """The batch that is applied."""
        self._form = OLDEST
        """The format of the command that is applied."""
        self._rights: Rights | None = None
        """What the author of the batch may do; None: everything."""
        self._authors: dict[str, _Author] = {}
        """What is known of authors, as long as the table of rights stays as it is."""
        self._authors_of = 0
        """The version of the table that this is of."""
        self._named = ("", "")
        """An actor who wrote just before, and the one object that stands for that name in history."""

    def apply(self, index: int, term: int, command: bytes) -> list[list[Outcome]]:
        """Apply the committed entry `index`; return the outcomes by batch and frame.

        An entry at or below `machine.index` has been applied already: it changes nothing and gives [].
        What is not for the machine (a leader's empty entry, a configuration) changes nothing and gives []. Raises
        UnknownFormat, and MemoryError when this node has none left; nothing else, whatever the bytes. After either
        the machine must not be used any more.
        """
        if self.store.leases.news:
            self.store.leases.news.clear()
        if index <= self.index:
            return []
        first = command[:1]
        if first in OTHER_FIRST_BYTES:
            self.index, self.term = index, term
            return []
        if first != FIRST_BYTE:
            raise UnknownFormat(f"entry {index} of {len(command)} bytes begins with {first!r}: nothing known")
        decoded = command.decoded if type(command) is Command else None
        time, batches = commands.read(command) if decoded is None else decoded
        self.index, self.term, self._form = index, term, command[2]
        if self._form == OLDEST:
            self.store.bounds, self.sessions.by_owner = cost.FORMAT_1, False
        else:
            self.store.bounds, self.sessions.by_owner = cost.TODAY, True
            self.format = max(self.format, self._form)
        if time > self.time:
            self.time = time
        self.store.make_room(self.store.rev + MAX_REVS)
        if self._authors_of != self.auth.version:
            self._forget_authors()
        outcomes: list[list[Outcome]] = []
        effort, left, lone = self._effort, COMMAND, self._lone
        for batch in batches:
            effort.left = given = BATCH if left > BATCH else left
            outcome = lone(batch) if len(batch[2]) == 1 else None
            outcomes.append(self._batch(batch) if outcome is None else [outcome])
            if effort.left != given:
                left -= given - max(effort.left, 0)  # what is below was not spent: it was too much
        self.sessions.evict(self.time)
        self.retention.advance(self.store, self.time)
        while len(self.store.history.recent) > MAX_RECENT:  # nobody makes checkpoints
            self.store.history.drop_recent(self.store.rev, FORGOTTEN)
        return outcomes

    def become(self, other: Machine) -> None:
        """Take over another machine's whole state, in place: who refers to this one, or its store, sees it."""
        store, limits = self.store, self.store.limits
        for name in type(store).__slots__:
            setattr(store, name, getattr(other.store, name))
        store.limits = limits
        self.index, self.term, self.time, self.format = other.index, other.term, other.time, other.format
        self.sessions, self.retention = other.sessions, other.retention
        self.take_rights(other.auth)

    def take_rights(self, table: AuthStore) -> None:
        """Judge by these roles, users and tokens from now on."""
        self.auth = table
        self.judge = Judge(table, self._lease, self.store.limits)
        self._forget_authors()

    def _forget_authors(self) -> None:
        self._authors.clear()
        self._authors_of = self.auth.version

    def _author(self, author: str) -> _Author:
        """Return what there is to know of who writes: looked at once, as the same ones write again and again."""
        known = self._authors.get(author)
        if known is not None and known.time in (self.time, _ALWAYS):
            return known
        if len(self._authors) >= _MOST_AUTHORS:
            self._authors.clear()
        proven = credential_of(
            author
        )  # holds until its time is over, or something else has happened to the table
        unproven = bool(self.auth.version) and user_of(author) == ANONYMOUS
        rights = self.judge.rights(author, self.time)
        known = _Author(rights, owner_of(author), unproven, self.time if proven else _ALWAYS)
        self._authors[author] = known
        return known

    def _owner(self) -> str:
        """Whose what the batch makes is."""
        author: str = self._asking[3]
        return owner_of(author) if self._form >= RIGHTS else author

    def _signed(self, actor: str, author: str) -> str:
        """Return who is named in history. Once there are users, what somebody unproven says of itself is told apart
        from what the door has said of a user: here, so that it counts from that entry on, on whichever route."""
        if self._form < SECRETS or not self._author(author).unproven:
            return actor
        return f"{ANONYMOUS}/{actor}" if actor else ANONYMOUS

    def _lease(self, number: int) -> Lease | None:
        return self.store.leases.by_id.get(number)

    def _lone(self, batch: list[Any]) -> int | None:
        """Apply a batch of one plain value, for a file that is there, in a session that goes on; return the rev.

        Nearly all batches of clients that wait for each answer are that, so it is done in one go. None where it is
        anything else, or takes a closer look: nothing was touched then, and `_batch` decides, which would do the same.
        """
        session_id, actor, frames, author = batch
        frame = frames[0]
        if type(frame) is not list or self._form < SECRETS or type(session_id) is not bytes:
            return None
        if len(frame) == 5:
            verb, write, acked, path, value = frame
            guard = arg = G_NONE
        elif len(frame) == 7:
            verb, write, acked, path, value, guard, arg = frame
        else:
            return None
        if not (
            type(verb) is type(write) is type(acked) is type(guard) is type(arg) is int
            and verb == SET
            and 0 <= acked <= write <= MAX_INT
            and write
            and 0 <= arg <= MAX_INT
            and type(path) is str
            and type(value) is bytes
        ):
            return None
        store, session = self.store, self.sessions.get(session_id)
        file = store.files.get(path)
        if file is None or session is None or len(value) > store.limits.value:
            return None
        last = file.versions[-1]
        if (
            last[1] is None
            or not (
                guard == G_NONE
                or (guard == G_REV and arg == last[0])
                or (guard == G_SINCE and arg >= last[0])
            )
            or write < session.acked
            or write in session.outcomes
        ):
            return None
        known = self._authors.get(author) if type(author) is str else None
        if known is None or known.time not in (self.time, _ALWAYS) or known.unproven:
            return None
        name, rights = session.owner.name, known.rights
        if (name != known.owner and not is_of(name, known.owner)) or type(actor) is not str:
            return None
        if rights is not None:
            if len(frame) != 5 or rights.written.get(path) is not True or self._effort.left < rights.price:
                return None
            self._effort.left -= rights.price
        if actor != self._named[0]:
            if len(actor) > MAX_ACTOR:
                return None
            self._named = (actor, store.history.actor(actor))
        rev = store.overwrite(file, last, value, self.time, self._named[1])
        self.sessions.wrote(session, write, acked, rev, self.time)
        return rev

    def _batch(self, batch: list[Any]) -> list[Outcome]:
        session_id, actor, frames, owner = self._asking = batch
        if (
            type(actor) is not str
            or type(owner) is not str
            or len(actor) > MAX_ACTOR
            or len(owner) > MAX_OWNER
            or (
                session_id is not None
                and (type(session_id) is not bytes or not 0 < len(session_id) <= MAX_SESSION_ID)
            )
        ):
            return [_malformed_batch(session_id, actor, owner)] * len(frames)
        self._rights = None if self._form < RIGHTS else self._author(owner).rights
        actor = self._signed(actor, owner)
        if session_id is None:
            return self._frames(None, actor, frames)
        session = self.sessions.enter(session_id, self.time)
        owner = owner_of(owner) if self._form >= RIGHTS else owner
        if session is not None and self._form >= RIGHTS and not is_of(session.owner.name, owner):
            return [_ANOTHERS] * len(frames)
        # A retry cannot begin a session that may have been forgotten, with what the write may have done before.
        lost = 0
        while session is None and lost < len(frames) and self._may_be_forgotten(frames[lost]):
            lost += 1
        outcomes: list[Outcome] = [_LOST] * lost
        if lost < len(frames):
            if session is None:
                begun = self.sessions.begin(session_id, self.time, self.store.rev, owner)
                if isinstance(begun, Refusal):
                    return outcomes + [begun] * (len(frames) - lost)
                session = begun
            outcomes += self._frames(session, actor, frames[lost:] if lost else frames)
            self.sessions.prune(session)
        return outcomes

    def _may_be_forgotten(self, frame: Any) -> bool:
        """Tell whether a frame is a retry of a session that may have lived here before, as far as it tells."""
        if not _is_retry(frame):
            return False
        born = frame[3] if len(frame) > 3 else None
        return type(born) is not int or born <= self.sessions.forgotten

    def _frames(self, session: Session | None, actor: str, frames: list[Any]) -> list[Outcome]:
        """Apply a batch's frames in order.

        This is the hot path of the whole server, so the commonest writes, a value for a file that exists
        and a new file beside others, are done right here; everything else, and everything odd, goes through
        `_frame`.
        """
        store, time = self.store, self.time
        files, max_value, overwrite = store.files, store.limits.value, store.overwrite
        rights, actor = self._rights, store.history.actor(actor)
        outcomes: list[Outcome] = []
        for frame, may in zip(frames, self._sure(frames), strict=False):
            outcome: Outcome | None = None
            if type(frame) is list and len(frame) == 5 and frame[0] == SET:
                verb, write, acked, path, value = frame
                guard = arg = G_NONE
            elif type(frame) is list and len(frame) == 7 and frame[0] == SET:
                verb, write, acked, path, value, guard, arg = frame
            else:
                outcomes.append(self._frame(session, actor, frame))
                if self._rights is not rights:  # it has changed them: the rest is judged anew
                    rest = frames[len(outcomes) :]
                    return outcomes + [self._frame(session, actor, each) for each in rest]
                continue
            if (
                type(path) is str
                and type(value) is bytes
                and len(value) <= max_value
                and type(write) is int
                and type(acked) is int
                and 0 <= acked <= write <= MAX_INT
                and write
                and (session is None or (write >= session.acked and write not in session.outcomes))
                and type(guard) is int
                and type(arg) is int
                and 0 <= arg <= MAX_INT
                and type(verb) is int
                and may
            ):
                file = files.get(path)
                last = file.versions[-1] if file is not None else None
                if file is not None and last is not None and last[1] is not None:
                    if (
                        guard in (G_NONE, G_EXISTS)
                        or (guard == G_REV and arg == last[0])
                        or (guard == G_SINCE and arg >= last[0])
                    ):
                        outcome = overwrite(file, last, value, time, actor)
                elif guard in (G_NONE, G_MISSING):
                    outcome = store.create(path, value, time, actor)
                if outcome is not None and session is not None:
                    if acked > session.acked:
                        session.acked = acked
                    if write < session.start:
                        session.start = write
                    session.outcomes[write] = outcome
                    session.order.append(write)
            outcomes.append(self._frame(session, actor, frame) if outcome is None else outcome)
        return outcomes

    def _sure(self, frames: list[Any]) -> Iterable[bool]:
        """Tell which frames are SETs that are granted; the others are judged one by one, when it is their turn."""
        rights, effort = self._rights, self._effort
        if rights is None:
            return repeat(True)
        written, price = rights.written, rights.price
        if effort.left >= price * len(frames) and _plainly(frames, written.get):
            effort.left -= price * len(frames)
            return repeat(True)
        found: list[bool] = []
        for frame in frames:
            sure = type(frame) is list and 4 < len(frame) < 8 and frame[0] == SET and type(frame[3]) is str
            if sure:
                effort.left -= price
                known = written.get(frame[3]) if len(frame) == 5 else None
                sure = effort.left >= 0 and (
                    known is True or rights.may_set(frame[3], frame[5] if len(frame) > 5 else G_NONE)
                )
            found.append(sure)
        return found

    def _frame(self, session: Session | None, actor: str, frame: Any) -> Outcome:
        """Apply one frame of any kind, once."""
        retry = forgotten = _is_retry(frame)
        if retry:
            if not 3 <= len(frame) <= 4:
                return bad_request("write", "the write to retry", None)
            forgotten = self._may_be_forgotten(frame)
            frame = frame[2]
        wrong = _malformed(frame)
        if wrong is not None:
            return wrong
        if frame[0] == EXPIRE_LEASE and (session is not None or retry or not self._of_this_term(frame)):
            return bad_request("verb", "a write of a client, or an expiry of this term", frame[0])
        if session is None:
            return _UNPROTECTED if retry else self._judged(actor, frame)[0]
        write, acked = frame[1], frame[2]
        if write < session.acked:
            return _LOST if retry else bad_request("id", f"an id from {session.acked}", write)
        known = session.outcomes.get(write)
        if known is not None:
            return _told_again(known, frame)
        if forgotten and write < session.start:
            return _LOST
        session.acked = max(session.acked, acked)
        session.start = min(session.start, write)
        outcome, kept = self._judged(actor, frame)
        if kept is not None:
            session.keep(write, abridged(kept) if type(kept) is Refusal else kept)
        return outcome

    def _of_this_term(self, frame: list[Any]) -> bool:
        """An expiry counts only in the log of the leader that measured: the next one grants a full TTL first."""
        return len(frame) == 5 and type(frame[4]) is int and frame[4] == self.term

    def _judged(self, actor: str, frame: list[Any]) -> tuple[Outcome, Outcome | None]:
        """Decide a frame if its author may do what it does: by the rights of this very entry of the log."""
        if self._rights is not None and (
            self._rights is UNPROVEN or not is_of_itself(self._asking[3], frame)
        ):
            owner, attached = owner_of(self._asking[3]), self._form >= SECRETS
            refused = self.judge.refusal(self._rights, owner, frame, self._effort, attached=attached)
            if refused is not None:
                return (
                    refused,
                    None if refused is TOO_MUCH else refused,
                )  # with another command it may be less
        return self._decide(actor, frame)

    def _decide(self, actor: str, frame: list[Any]) -> tuple[Outcome, Outcome | None]:
        """Plan what a well-formed frame does, then do it: once the store is touched nothing can fail.

        Return the outcome, and what a retry is to be told (None: it may simply do it again).
        """
        if frame[0] == RETAIN:
            floor = self.retention.set(self.store, self.time, frame)
            return floor, floor
        if frame[0] == GRANT:
            lease = lease_commands.grant(self.store, self._owner(), self._asking[0], frame)
            return lease, lease
        if frame[0] == AUTH:
            changed = self._change_rights(frame)
            return changed, changed
        if frame[0] == REDACT:
            done = self._redact(actor, frame)
            return done, done
        if frame[0] in _TENURE:
            answer = _TENURE[frame[0]](self.store, self.time, actor, frame)
            return answer, answer
        if frame[0] == DELETE and len(frame) == 4 and type(frame[3]) is str:
            removed = self.store.remove(frame[3], self.time, actor)
            if removed is not None:
                return removed, removed
        try:
            plan = writes.plan(self.store, frame)
        except (MemoryError, RecursionError):
            raise  # this node's own trouble: the others go on, so it must stop and not differ
        except Exception as error:
            # A bug must not stop every node at this entry for ever. Nothing has been changed yet.
            plan = Refusal("internal", f"the write could not be decided: {type(error).__name__}", {})
        if isinstance(plan, Refusal):
            return plan, plan
        store = self.store
        rev = store.commit(self.time, actor, plan.note, plan.writes) if plan.writes else store.rev
        if plan.answer is None:
            return rev, rev
        outcome = [rev, *plan.answer]
        results = plan.answer[1]
        if not plan.weight and len(results) > FEW and results.count(None) == len(results):
            return outcome, [rev, plan.answer[0], len(results)]  # nothing was read, however much was written
        if (not plan.weight and len(results) <= FEW) or (
            plan.weight <= MAX_KEPT and (not store.bounds.by_owner or weigh(outcome) <= MAX_KEPT)
        ):
            return outcome, outcome
        # Too much to keep for every session. What changed nothing can be done again instead.
        text = f"the transaction was committed at rev {rev}, what it read was too much to keep"
        kept = refusal.session_lost(text, rev=rev) if plan.writes else None
        return Deferred(rev, *plan.answer) if plan.deferred else outcome, kept

    def _redact(self, actor: str, frame: list[Any]) -> Outcome:
        """Take values out of history, and out of what was kept for retries: see `redact.py`. It takes no rev."""
        if self._form < SECRETS:
            return _too_new(REDACT)
        store = self.store
        what = redact.asked(store, frame)
        if isinstance(what, Refusal):
            return what
        done = redact.redact(store, what, redact.mark(actor, self.time, what.why))
        store.redacted.applied(self.index)
        # Which versions are below the floor nobody knows any more, but transactions may have read them before.
        self.sessions.lose(frozenset(done.revs), range(what.first, min(what.last, store.floor) + 1))
        return done.answer(store.rev)

    def _change_rights(self, frame: list[Any]) -> Outcome:
        """[40, id, acked, action, arguments, note = nil]  ->  [rev, version]: it takes no rev. Counts at once."""
        if self._form < RIGHTS:
            return _too_new(AUTH)
        wrong = fields.length(frame, 5, 6) or fields.note(
            frame[5] if len(frame) > 5 else None, self.store.limits
        )
        refused = wrong or self.auth.change(frame[3], frame[4], self.time, self._form, self._asking[3])
        if refused is not None:
            return refused
        self._forget_authors()
        self._rights = self._author(self._asking[3]).rights
        return [self.store.rev, self.auth.version]


def _plainly(frames: list[Any], written: Callable[[Any], bool | None]) -> bool:
    """Tell whether all frames are plain SETs of paths that are known to be granted: the commonest by far, and quick."""
    try:
        # A list, as a generator would take a third longer.
        return all([len(one) == 5 and one[0] == SET and written(one[3]) is True for one in frames])  # noqa: C419
    except (TypeError, KeyError, IndexError):  # something odd is among them
        return False


# They change the leases themselves, not only files.
MAX_REVS: Final = 1 << 24
"""More revs than one command makes."""

_TENURE: Final[dict[int, Callable[[Store, int, str, list[Any]], Outcome]]] = {
    REVOKE: lease_commands.revoke,
    EXPIRE_LEASE: lease_commands.expire,
}


def _told_again(known: Outcome, frame: list[Any]) -> Outcome:
    """Return what is kept of an outcome as it was: the path of a refusal comes with the write again, and how many
    results were nil says what they were."""
    if type(known) is list and type(known[1]) is bool and type(known[2]) is int:
        return [known[0], known[1], [None] * known[2]]
    if type(known) is not Refusal:
        return known
    path = frame[3] if frame[0] in (SET, DELETE, REVERT) and len(frame) > 3 else None
    if type(path) is not str or len(path) > DEFAULT.path or "path" in known.details:
        return known
    return known._replace(details={"path": path, **known.details})


class _Author(NamedTuple):
    """Who writes: what it may do (None: everything), as whom it owns things, whether nothing proves it where that
    counts, and the time of the command at which that was so (`_ALWAYS`: nothing about it runs out)."""

    rights: Rights | None
    owner: str
    unproven: bool
    time: int


_ALWAYS: Final = -1
_MOST_AUTHORS: Final = 1024

_LOST = refusal.session_lost("what became of the write is not known here any more")
_ANOTHERS = refusal.session_lost("the session belongs to another user")
_UNPROTECTED = refusal.session_lost("a retry needs a session")


def _too_new(verb: int) -> Refusal:
    return bad_request("verb", "a write that all members know: one runs an older version", verb)


def _is_retry(frame: Any) -> bool:
    return type(frame) is list and len(frame) > 0 and frame[0] == RETRY


def _malformed_batch(session: Any, actor: Any, owner: Any) -> Refusal:
    """Tell what is wrong with what the writes of a batch have in common."""
    if type(actor) is not str or len(actor) > MAX_ACTOR:
        return bad_request("actor", text_of(MAX_ACTOR), actor)
    if type(owner) is not str or len(owner) > MAX_OWNER:
        return bad_request("owner", text_of(MAX_OWNER), owner)
    return bad_request("session", f"1 to {MAX_SESSION_ID} bytes or nil", session)


def _malformed(frame: Any) -> Refusal | None:
    """Check what every write starts with: verb, id, acked."""
    if type(frame) is not list or len(frame) < 3:
        return bad_request("write", "a list of a verb, an id and more", frame)
    verb, write, acked = frame[:3]
    if type(verb) is not int:
        return bad_request("verb", "an integer", verb)
    return fields.integer("id", write, 1) or fields.integer("acked", acked, 0, write)
