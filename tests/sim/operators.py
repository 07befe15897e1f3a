"""What operators do to a cluster while it works: members come and go, dead ones are replaced, leadership is handed on.

An operator asks some node, as `visor cluster ...` does, and asks again elsewhere when he gets no answer or a passing
refusal, until it is done or he gives up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World

PATIENCE_SECONDS: Final = 12.0
AGAIN_SECONDS: Final = (0.2, 1.0)
ANSWER_SECONDS: Final = 9.0
SPARE_HOSTS: Final = 4
"""Machines beyond those of the beginning."""
STOPPED: Final = "removed member stopped"
FINAL: Final = frozenset({"bad_request", "unsafe", "not_found", "denied"})
"""Refusals that will not pass."""


class Operator:
    """See the module."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._doomed: Host | None = None
        """A machine that is dead for good and still a member: there is never more than one."""

    # -- what he does ---------------------------------------------------------------------------------------

    def add(self, *, learner: bool) -> bool:
        """Bring a new machine; it joins by itself. A learner is promoted later, perhaps."""
        world = self._world
        if len(world.hosts) >= world.nodes + SPARE_HOSTS:
            return False
        host = world.add_host(votes=not learner)
        if learner and self._rng.random() < 0.7:
            world.scheduler.after(self._rng.uniform(0.5, 4.0), self._promote, host)
        return True

    def _promote(self, host: Host) -> None:
        if host.node is not None:
            self._ask("promote", [host.node.me.id], self._nothing)

    def remove(self) -> bool:
        """Take a member out; its machine is switched off later, or never."""
        world = self._world
        members = world.members()
        if len(members) < 2:
            return False
        host = self._rng.choice(members)
        member = host.member_id
        self._ask("remove", [member], lambda: self._switch_off(host))
        return True

    def _switch_off(self, host: Host) -> None:
        self._world.note(f"{host.name} is removed")
        if self._rng.random() < 0.5:
            self._world.scheduler.after(self._rng.uniform(0.0, 2.0), self._retire, host)

    def _retire(self, host: Host) -> None:
        host.retired = True
        host.crash(power=True)

    def replace(self) -> bool:
        """A machine burns down: it is removed, and another one joins."""
        world = self._world
        voters = world.voters()
        if self._doomed is not None or len(voters) < 3 or len(world.hosts) >= world.nodes + SPARE_HOSTS:
            return False
        if any(host.node is not None and host.node.membership.busy for host in world.hosts):
            # Who dies for good between the last look at a removal and its commit takes the new majority with him.
            return False
        known = [host.node.engine.configuration.voters if host.node is not None else None for host in voters]
        if any(one != known[0] for one in known):
            # One that has missed who votes now believes nobody but those it knows: it counts as lost (seed 21445).
            return False
        host = self._doomed = self._rng.choice(voters)
        self._retire(host)
        member = host.member_id

        def replaced() -> None:
            self._doomed = None
            world.count("burnt member removed")
            self.add(learner=False)

        self._ask("remove", [member], replaced, patience=1e9)
        return True

    def give_up(self, host: Host) -> None:
        """Nobody that this member knows to vote is left to vouch for today's leader: the runbook says to replace it."""
        self._world.count("stuck member removed")
        self._ask("remove", [host.member_id], lambda: self._retire(host))

    def stop_removed(self, host: Host) -> None:
        """It says `removed: ...`, and the leader does not list it: the runbook says to stop it."""
        self._world.count(STOPPED)
        self._retire(host)

    def transfer(self) -> bool:
        """Hand leadership to somebody, or to a certain member."""
        members = self._world.members()
        if not members:
            return False
        target = self._rng.choice((None, self._rng.choice(members).member_id))
        self._ask("transfer", [target], self._nothing, patience=0.0)
        return True

    def transfer_to(self, host: Host) -> None:
        """Hand leadership to this member, however often one has to ask."""
        self._ask("transfer", [host.member_id], self._nothing, patience=3.0)

    # -- asking ---------------------------------------------------------------------------------------------

    def _nothing(self) -> None:
        pass

    def _ask(
        self, name: str, arguments: list[Any], done: Callable[[], object], patience: float = PATIENCE_SECONDS
    ) -> None:
        _Request(self._world, self._rng, name, arguments, done, self._world.scheduler.now + patience).ask()


class _Request:
    """One action, asked for as often as it takes."""

    def __init__(
        self,
        world: World,
        rng: random.Random,
        name: str,
        arguments: list[Any],
        done: Callable[[], object],
        deadline: float,
    ) -> None:
        self._world = world
        self._rng = rng
        self._name = name
        self._arguments = arguments
        self._done = done
        self._deadline = deadline
        self._attempt = 0
        self._over = False

    def ask(self) -> None:
        """Ask some node that runs."""
        world = self._world
        hosts = [host for host in world.running() if host.node is not None]
        self._attempt += 1
        attempt = self._attempt
        world.scheduler.after(ANSWER_SECONDS, self._late, attempt)
        if not hosts:
            self._again(attempt)
            return
        host = self._rng.choice(hosts)
        assert host.process is not None and host.node is not None

        def answered(ok: bool, result: Any, /) -> None:
            self._answered(attempt, ok, result)

        host.process.loop.call_soon(host.node.membership.act, self._name, self._arguments, answered)

    def _answered(self, attempt: int, ok: bool, result: Any) -> None:
        if self._over:
            return
        self._world.count(f"{self._name}: {'done' if ok else result[0]}")
        if ok:
            self._over = True
            self._done()
        elif result[0] in FINAL:
            self._over = True
        else:
            self._again(attempt)

    def _late(self, attempt: int) -> None:
        if not self._over and attempt == self._attempt:
            self._world.count(f"{self._name}: no answer")
            self._again(attempt)

    def _again(self, attempt: int) -> None:
        if attempt != self._attempt or self._over:
            return
        self._attempt += 1
        if self._world.scheduler.now < self._deadline:
            self._world.scheduler.after(self._rng.uniform(*AGAIN_SECONDS), self.ask)
