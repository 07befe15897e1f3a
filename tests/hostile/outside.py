"""Three real members under mutated traffic, of clients and of a learner with the secret, then everything is compared.

    attackers --> n1, n2, n3       n1 makes checkpoints often, n2 now and then, n3 never: it starts from its log alone
    at the end: equal by their own comparison; kill -9 of all, equal again; killed once more: the accounts of their
    checkpoints and logs, which hold everything (files, history, sessions, leases), are equal

Memory is sampled all the while: it must level off.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Final

from tests.cluster.processes import Cluster, Member
from tests.cluster.verdict import await_equal
from tests.hostile.accounts import of_directory
from tests.hostile.field import Field, Pipe, raise_descriptors
from tests.hostile.mutants import Mutants
from tests.hostile.scenario import Scenario
from tests.hostile.stage import SECRET, cluster_of, compared, resident, surroundings, tracebacks
from tests.hostile.strangers import Stranger, odd_messages
from tests.hostile.twins import Found
from tests.node_process import NotReady, environment
from tests.wire import Closed, Refused
from visor.protocol import verbs

ATTACKERS: Final = 2
KEEP_REVS: Final = 500
WARM: Final = (0.3, 0.45)
"""Part of the run in which memory has reached its size."""
GROWTH_MIB: Final = 48
TIDY_SECONDS: Final = 1.0
NEVER: Final = ("storage.checkpoint_log_bytes=1000000000000", "storage.checkpoint_seconds=1e9")
OFTEN: Final = ("storage.checkpoint_log_bytes=1000000", "storage.checkpoint_seconds=5")


def sow(field: Field, *, spare: bool = False) -> None:
    """Send mutants to all members until time is up; now and then as a learner. Runs in a process of its own."""
    raise_descriptors()
    mutants = Mutants(field.rng, spare=spare)
    with Stranger(field, secret=True) as learner:
        configured = learner.join(f"hostile{field.seed % 1000}")
        sent = 0
        for turn in field.turns():
            address = field.clients[turn % len(field.clients)]
            with contextlib.suppress(OSError), Pipe(address, hello=mutants.encoded_hello()) as pipe:
                data = b"".join(mutants.message() for _ in range(60))
                sent += 60
                pipe.send(data, 1.0)
                pipe.drain(0.02)
            if turn % 10 == 0:
                learner._address = field.peers[turn // 10 % len(field.peers)]
                learner.say(*field.rng.sample(odd_messages(field, field.term), 8), pause=0.001)
        field.notes.append(f"{sent} messages, {'a learner' if configured else 'no learner'}")


def run(seconds: float, seed: int, found: Found | None = None, *, plant: str | None = None) -> Found:
    """Attack real members for so long, or until something differs."""
    found = Found() if found is None else found
    one = Scenario("fuzz", "S1", sow, "")
    with tempfile.TemporaryDirectory(
        prefix="visor-hostile-", dir="/dev/shm", ignore_cleanup_errors=True
    ) as folder:
        cluster, _ = cluster_of(one, Path(folder), 3, plant)
        for member, more in zip(cluster.members.values(), (OFTEN, (), NEVER), strict=True):
            member._arguments += [word for setting in more for word in ("--set", setting)]
        with cluster:
            try:
                cluster.start()
                _Siege(cluster, found, seconds, seed).run()
            except (NotReady, OSError, Refused, Closed, RuntimeError, subprocess.SubprocessError) as error:
                found.problem(f"{type(error).__name__}: {error}")
    return found


class _Siege:
    """One run."""

    def __init__(self, cluster: Cluster, found: Found, seconds: float, seed: int) -> None:
        self._cluster = cluster
        self._members = list(cluster.members.values())
        self._found = found
        self._seconds = seconds
        self._rng = Random(f"outside/{seed}")
        self._field = surroundings(cluster, Field(clients=[], secret=SECRET, seconds=seconds, seed=seed))
        self._sizes: list[tuple[float, int]] = []

    def run(self) -> None:
        attackers = [self._begin(number) for number in range(ATTACKERS)]
        try:
            self._look_on()
        finally:
            for attacker in attackers:
                self._collect(attacker)
        self._judge_growth()
        self._judge_states()

    def _begin(self, number: int) -> subprocess.Popen[str]:
        attacker = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.outside"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        assert attacker.stdin is not None
        given = {name: getattr(self._field, name) for name in Field.__dataclass_fields__}
        attacker.stdin.write(json.dumps({**given, "seed": self._field.seed * 10 + number}) + "\n")
        attacker.stdin.flush()
        return attacker

    def _collect(self, attacker: subprocess.Popen[str]) -> None:
        try:
            said, _ = attacker.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            attacker.kill()
            attacker.communicate()
            self._found.problem("an attacker did not end")
            return
        for note in json.loads(said)["notes"] if said else []:
            self._found.counts[f"an attacker: {note}"] += 1

    def _look_on(self) -> None:
        """Keep what is written within bounds, sample memory, stop early when a member is gone."""
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < self._seconds:
            self._sizes.append((now, resident(self._members)))
            if self._cluster.faults():
                return
            try:
                self._tidy()
            except (Refused, Closed, OSError) as error:
                self._found.counts[f"tidying: {error!s:.100}"] += 1
            time.sleep(TIDY_SECONDS)

    def _tidy(self) -> None:
        with self._rng.choice(self._members).wire(10.0) as wire:
            rev = wire.rev()
            wire.call(verbs.RETAIN, KEEP_REVS)
            for row in wire.call(verbs.LIST, "/")[1]:
                if row[0] != "fuzz":
                    with contextlib.suppress(Refused):
                        wire.call(verbs.DELETE, f"/{row[0]}", True)
        self._found.counts["revs"] = rev

    def _judge_growth(self) -> None:
        warm = [size for at, size in self._sizes if WARM[0] * self._seconds <= at <= WARM[1] * self._seconds]
        last = [size for at, size in self._sizes if at >= self._seconds * 0.9]
        steps = self._sizes[:: max(1, len(self._sizes) // 10)]
        self._found.counts["memory in MiB: " + " ".join(str(size) for _, size in steps)] = 1
        if warm and last and self._seconds >= 60 and min(last) > max(warm) + GROWTH_MIB:
            self._found.problem(f"memory grew from {max(warm)} to {min(last)} MiB")

    def _judge_states(self) -> None:
        found, members = self._found, self._members
        self._judge_lives()
        found.problems += compared(self._cluster, "before the kill")
        if found.problems:
            return
        for member in members:
            member.kill()
        for member in members:
            member.launch()
        for member in members:
            member.await_ready(120.0)
        found.problems += compared(self._cluster, "after the kill")
        await_equal(self._cluster, 20.0)
        index = min(int(one["applied"]) for one in self._cluster.statuses().values())
        for member in members:
            member.kill()
        accounts = {member.name: of_directory(str(member.data), member.name, index) for member in members}
        if len(set(accounts.values())) != 1:
            found.problem(f"what members stored up to entry {index} differs: {accounts}")
        found.counts["stored accounts compared"] += 1
        self._judge_lives()

    def _judge_lives(self) -> None:
        self._found.problems += [fault[-600:] for fault in self._cluster.faults()]
        for member in self._members:
            self._found.problems += [f"{member.name}: {told}" for told in tracebacks(_said(member))]


def _said(member: Member) -> str:
    with contextlib.suppress(ValueError, OSError):
        return member.errors()
    return ""


def main() -> None:
    field = Field(**json.loads(sys.stdin.readline()))
    sow(field)
    print(json.dumps({"notes": field.notes}))


if __name__ == "__main__":
    main()
