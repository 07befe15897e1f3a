"""A machine that is driven frame by frame, and a node's leases around it with a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from visor.protocol import verbs as v
from visor.protocol.limits import DEFAULT, Limits
from visord.leases.service import LeaseService
from visord.state import command
from visord.state.exporting import export_base, export_commits
from visord.state.importing import import_base, import_commits
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.state.tables import export_tables, import_tables


class Clerk:
    """A machine and its log; `send` applies frames as one command of `term`."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.limits = limits
        self.machine = Machine(limits)
        self.term = 1
        self.time = 1000
        self.write_id = 0

    def send(
        self, *frames: list[Any], session: bytes | None = None, actor: str = "tester", owner: str = "10.0.0.7"
    ) -> list[Any]:
        data = bytes(command.encode(self.time, [[session, actor, list(frames), owner]]))
        return self.machine.apply(self.machine.index + 1, self.term, data)[0]

    def write(self, verb: int, *fields: Any) -> Any:
        self.write_id += 1
        return self.send([verb, self.write_id, 0, *fields])[0]

    def grant(self, ttl: int = 5000, wanted: int = 0) -> int:
        outcome = self.write(v.GRANT, ttl, wanted)
        assert type(outcome) is list, outcome
        return int(outcome[1])

    def set(self, path: str, lease: int = 0, value: bytes = b"x") -> Any:
        return self.write(v.SET, path, value, 0, 0, lease)

    def expire(self, lease: int, term: int | None = None) -> Any:
        return self.write(v.EXPIRE_LEASE, lease, self.term if term is None else term)

    def attached(self, lease: int) -> list[str]:
        return sorted(self.machine.store.leases.by_id[lease].files)

    def there(self, path: str) -> bool:
        store = self.machine.store
        return store.version(path, store.rev) is not None

    def changes(self, rev: int) -> list[tuple[int, str]]:
        (commit,) = self.machine.store.commits(rev, rev)
        return [(change[0], change[1]) for change in commit[4]]

    def restarted(self) -> Machine:
        """Return a machine that was built from this one's rows, as a checkpoint does."""
        store, fresh = self.machine.store, Machine(self.limits)
        if store.floor:
            rows, _ = export_base(store, None, 1 << 30)
            import_base(fresh.store, store.floor, store.floor_time, rows)
        import_commits(fresh.store, export_commits(store, store.floor + 1, store.rev))
        import_tables(fresh, export_tables(self.machine))
        return fresh


class Desk:
    """A node's leases without a node: confirmations and proposals are done when the test says so.

    `confirming` holds the callbacks that wait; with `sure` they are called at once. `proposed` holds frames that are
    not applied yet; with `prompt` they are applied at once.
    """

    def __init__(self, clerk: Clerk | None = None) -> None:
        self.clerk = clerk or Clerk()
        self.now = 100.0
        self.leadership = self.clerk.term
        self.sure = True
        self.prompt = True
        self.confirming: list[Callable[[Refusal | None], None]] = []
        self.proposed: list[list[Any]] = []
        self.refused: Refusal | None = None
        self.leases = LeaseService(
            self.clerk.machine,
            self.clerk.limits,
            lambda: self.leadership,
            self._confirm,
            self,
            lambda: self.now,
        )
        self.leases.tick()

    # -- what leases need of a node -------------------------------------------------------------------

    def _confirm(self, callback: Callable[[Refusal | None], None]) -> None:
        if self.sure:
            callback(None)
        else:
            self.confirming.append(callback)

    def refusal(self) -> Refusal | None:
        return self.refused

    def submit(self, author: Any, frames: list[Any], size: int) -> None:
        assert author.session is None
        self.proposed.append(frames)
        if self.prompt:
            self.apply()

    # -- what tests do --------------------------------------------------------------------------------

    def apply(self, term: int | None = None) -> None:
        """Commit what was proposed, as entries of `term` (None: the present one)."""
        proposed, self.proposed = self.proposed, []
        for frames in proposed:
            before, self.clerk.term = self.clerk.term, self.clerk.term if term is None else term
            outcomes = self.clerk.send(*frames, actor="visord")
            self.clerk.term = before
            self.leases.applied()
            self.leases.complete(frames, outcomes)

    def grant(self, ttl: int = 5000) -> int:
        lease = self.clerk.grant(ttl)
        self.leases.applied()
        return lease

    def confirm(self, refusal: Refusal | None = None) -> None:
        waiting, self.confirming = self.confirming, []
        for callback in waiting:
            callback(refusal)

    def keep(self, *leases: int) -> list[Any]:
        """Ask KEEPALIVE; what is returned gets the answer when it comes."""
        answers: list[Any] = []
        self.leases.request(v.KEEPALIVE, [list(leases)], answers.append)
        return answers

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Let time go by as a node does: a tick twenty times a second."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now = min(until, self.now + step)
            self.leases.tick()

    def lives(self, lease: int) -> bool:
        return lease in self.clerk.machine.store.leases.by_id

    def restart(self, term: int) -> Desk:
        """Return the desk of a node that starts with this one's checkpoint and leads in `term`."""
        clerk = Clerk(self.clerk.limits)
        clerk.machine = self.clerk.restarted()
        clerk.term = term
        return Desk(clerk)
